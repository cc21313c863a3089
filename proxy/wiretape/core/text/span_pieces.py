"""Find the pieces of a text in which its spans lie, and divide spans among them."""

from collections.abc import Iterable, Iterator, Sequence

from .spans import Span


def located(texts: Sequence[str], spans: Iterable[Span]) -> Iterator[tuple[Span, int, int, int]]:
    """Each span of the joined texts with the index of its first and last text and where the first
    begins; spans are in order and not empty.
    """
    first = start = 0
    for span in spans:
        while start + len(texts[first]) <= span.start:
            start += len(texts[first])
            first += 1
        last, end = first, start + len(texts[first])
        while end < span.end:
            last += 1
            end += len(texts[last])
        yield span, first, last, start


def divided(texts: Sequence[str], spans: Iterable[Span]) -> list[list[Span]]:
    """The spans of each text: the first that a span touches gets its placeholder and rule, the
    others lose their part.

    >>> [[tuple(span) for span in spans] for spans in divided(["ab", "cd"], [Span(1, 3, "X", "r")])]
    [[(1, 2, 'X', 'r')], [(0, 1, '', '')]]
    """
    result: list[list[Span]] = [[] for _ in texts]
    for span, first, last, start in located(texts, spans):
        offset = start
        for at in range(first, last + 1):
            end = min(span.end - offset, len(texts[at]))
            if at == first:
                result[at].append(Span(span.start - offset, end, span.placeholder, span.rule))
            elif end:
                result[at].append(Span(0, end, "", ""))
            offset += len(texts[at])
    return result


def moved(span: Span, by: int) -> Span:
    """The same span in a text that has `by` more characters before it."""
    return Span(span.start + by, span.end + by, *span[2:])

"""Replace spans of a text, in one pass or in several."""

from collections.abc import Iterable
from typing import NamedTuple


class Span(NamedTuple):
    """A stretch of a text, from `start` up to `end`, to be replaced, and the rule that wants it."""

    start: int
    end: int
    placeholder: str
    rule: str


def applied(text: str, spans: Iterable[Span]) -> str:
    """Replace spans of a text; they are in order and do not overlap.

    >>> applied("key=abc", [Span(4, 7, "[redacted]", "keys")])
    'key=[redacted]'
    """
    parts: list[str] = []
    done = 0
    for span in spans:
        parts += (text[done : span.start], span.placeholder)
        done = span.end
    return "".join(parts) + text[done:]


class Edit:
    """A text edited in several passes, each giving its spans in the text as it is by then."""

    __slots__ = ("spans", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.spans: list[Span] = []

    def gaps(self) -> list[tuple[int, int]]:
        """The stretches of the present text beside what was replaced; none if nothing was."""
        result, at, shift = list[tuple[int, int]](), 0, 0
        for span in self.spans:
            result.append((at, span.start + shift))
            shift += len(span.placeholder) - (span.end - span.start)
            at = span.end + shift
        return [gap for gap in [*result, (at, len(self.text))] if gap[0] < gap[1]] if result else []

    def put(self, spans: list[Span]) -> None:
        """Replace spans of the present text: in order, not overlapping, and each containing an
        earlier replacement wholly or not at all.
        """
        if not spans:
            return
        earlier, result = iter([*self.spans, None]), list[Span]()
        old = next(earlier)
        shift = done = 0
        parts: list[str] = []
        for start, end, instead, rule in spans:
            parts += (self.text[done:start], instead)
            done = end
            while old is not None and old.start + shift < start:
                result.append(old)
                shift += len(old.placeholder) - (old.end - old.start)
                old = next(earlier)
            first = start - shift
            while old is not None and old.start + shift < end:
                shift += len(old.placeholder) - (old.end - old.start)
                old = next(earlier)
            result.append(Span(first, end - shift, instead, rule))
        while old is not None:
            result.append(old)
            old = next(earlier)
        parts.append(self.text[done:])
        self.text, self.spans = "".join(parts), result

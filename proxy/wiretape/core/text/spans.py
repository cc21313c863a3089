"""A text being edited by spans: what has to go in it, and what stands there instead."""

from collections.abc import Iterable
from typing import NamedTuple


class Span(NamedTuple):
    """What has to go in a text: from `start` up to `end`, by which rule, and what to put there."""

    start: int
    end: int
    placeholder: str
    rule: str


def applied(text: str, spans: Iterable[Span]) -> str:
    """A text with spans of it replaced; they are in order and apart."""
    parts: list[str] = []
    done = 0
    for span in spans:
        parts += (text[done : span.start], span.placeholder)
        done = span.end
    return "".join(parts) + text[done:]


class Edit:
    """A text with spans of it replaced; what is replaced later may be given by its place then."""

    __slots__ = ("spans", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.spans: list[Span] = []

    def gaps(self) -> list[tuple[int, int]]:
        """The stretches of the text as it is now that lie beside what was replaced."""
        result, at, shift = list[tuple[int, int]](), 0, 0
        for span in self.spans:
            result.append((at, span.start + shift))
            shift += len(span.placeholder) - (span.end - span.start)
            at = span.end + shift
        return [gap for gap in [*result, (at, len(self.text))] if gap[0] < gap[1]] if result else []

    def put(self, found: list[Span]) -> None:
        """Replace spans of the text as it is now: in order, apart from one another, each holding
        what was replaced before whole or not at all.
        """
        if not found:
            return
        earlier, result = iter([*self.spans, None]), list[Span]()
        old = next(earlier)
        shift = done = 0
        parts: list[str] = []
        for start, end, instead, rule in found:
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

"""Redact JSON within a string, such as a tool call's arguments, so that it stays JSON.

Its strings are searched without their escapes, since in `"\\nsk-…"` the escape looks like an "n"
before the key; and a replacement never reaches beyond the end of a string.
"""

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from wiretape.core.text import exact_json
from wiretape.core.text.spans import Span

type Find = Callable[[str], list[Span]]
"""Gives what to replace in a text, in order and without overlaps."""

# A string may be cut off by the end of the text.
_TOKEN: Final = re.compile(r'"((?:[^"\\]++|\\.)*+)"?+|-?[0-9][0-9.eE+-]*+', re.DOTALL)
_ESCAPE: Final = (
    r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\(.)"
)
_ESCAPES: Final = re.compile(_ESCAPE, re.DOTALL)
_UNIT: Final = re.compile(rf"{_ESCAPE}|.", re.DOTALL)
_SHORT: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def opens(text: str) -> bool:
    """Whether a text begins as a JSON object or list does."""
    return text.lstrip(" \t\r\n")[:1] in ("{", "[")


def is_json(text: str) -> bool:
    """Whether a text is a JSON object or list."""
    if not opens(text):
        return False
    try:
        exact_json.parse(text)
    except ValueError:
        return False
    return True


def spans(text: str, find: Find, *, json_text: bool = False) -> list[Span]:
    """What to replace in `text`: within its strings and numbers if it is JSON, else what `find`
    gives. `json_text` says that it is JSON, though its end may be missing.
    """
    outer = find(text)
    if not outer and "\\" not in text:
        return outer
    if not (json_text and opens(text)) and not is_json(text):
        return outer
    result: list[Span] = []
    first, begun = 0, -1
    for token in _TOKEN.finditer(text):
        quoted = token[1] is not None
        start, end = token.span(1 if quoted else 0)
        while first < len(outer) and outer[first].end <= start:
            first += 1
        after = first
        while after < len(outer) and outer[after].start < end:
            after += 1
        # A span that began in an earlier string ended there, and may have hidden a secret here.
        within = outer[first + (first == begun) : after]
        inside = text[start:end]
        if not quoted:
            secrets = within or (find(inside) if after > first else [])
            # A placeholder in place of a number needs quotes.
            result += [Span(start, end, f'"{span.placeholder}"', span.rule) for span in secrets[:1]]
        elif after > first or "\\" in inside:
            result += _in_string(inside, start, within, find)
        if quoted and within and within[-1].start >= start:
            begun = after - 1
    return result


def _in_string(raw: str, start: int, outer: Iterable[Span], find: Find) -> list[Span]:
    """What to replace in a string that starts at `start`: what `find` gives for its unescaped text,
    and the rest of `outer`.
    """
    plain = text_of(raw)
    inner = to_raw(raw, spans(plain, find))
    outer = [
        Span(max(span.start - start, 0), min(span.end - start, len(raw)), *span[2:])
        for span in outer
    ]
    ends = [span.end for span in inner]
    rest = [
        span
        for span in outer
        for at in (bisect_right(ends, span.start),)
        if at == len(inner) or inner[at].start >= span.end
    ]
    if rest and "\\" in raw:
        rest = list(_whole_units(raw, rest))
    result: list[Span] = []
    for span in sorted((*inner, *rest)):
        if not result or result[-1].end <= span.start + start:
            result.append(Span(span.start + start, span.end + start, *span[2:]))
    return result


def _whole_units(raw: str, raw_spans: Iterable[Span]) -> Iterator[Span]:
    """Widen spans of a string's content so that they do not divide an escape."""
    starts = _starts(raw)
    for span in raw_spans:
        first = starts[bisect_right(starts, span.start) - 1]
        yield Span(first, starts[bisect_left(starts, span.end)], *span[2:])


def text_of(raw: str) -> str:
    """Decode the content of a JSON string; an unknown escape stands for its letter.

    >>> text_of(r"a\\u0062\\"")
    'ab"'
    """
    return _ESCAPES.sub(_unescaped, raw)


def to_raw(raw: str, plain_spans: Iterable[Span]) -> list[Span]:
    """Turn spans of the text of a JSON string into spans of its content with escapes."""
    result = list(plain_spans)
    if result and "\\" in raw:
        starts = _starts(raw)
        result = [Span(starts[span.start], starts[span.end], *span[2:]) for span in result]
    return [Span(span.start, span.end, _escaped(span.placeholder), span.rule) for span in result]


def _escaped(placeholder: str) -> str:
    return json.dumps(placeholder)[1:-1]


def _unescaped(escape: re.Match[str]) -> str:
    high, low, number, letter = escape.groups()
    if letter is not None:
        return _SHORT.get(letter, letter)
    if number is not None:
        return chr(int(number, 16))
    return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)


def _starts(raw: str) -> list[int]:
    """Where each character of the text starts in the content `raw`, and where that ends."""
    return [*(unit.start() for unit in _UNIT.finditer(raw)), len(raw)]

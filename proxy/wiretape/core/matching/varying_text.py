"""What varied between two texts that one program said in two runs, as patterns within them.

Each is the smallest piece that differs (a date as a whole, an id), with the text before it on its
line, so that it is found there and nowhere else. What a piece is follows from both values: a date
or time, an address, a duration, a number, an id. In a text that may ask something a pattern counts
only where its line announces it: "session: 5f3a9c" says what it is, "the sum of 37 and" asks.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from wiretape.core.text import moments, word_diff

from .body_changes import BodyChange
from .text_context import literal, text_after, text_before

type ValueKind = Literal["date", "time", "UUID", "address", "duration", "port", "number", "id"]
VALUE_KINDS: Final[tuple[str, ...]] = get_args(ValueKind.__value__)

_CONTEXT: Final = 24
_VALUE: Final = r"[A-Za-z0-9_.:+-]"
_VALUE_START: Final = re.compile(f"{_VALUE}*")
_VALUE_END: Final = re.compile(f"{_VALUE}*\\Z")

_UUID: Final = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_SHAPES: Final[tuple[tuple[ValueKind, str], ...]] = (
    ("UUID", _UUID),
    ("address", "0x[0-9A-Fa-f]+"),
    ("duration", r"[0-9]+(?:\.[0-9]+)?(?:ms|us|ns|s|sec|secs|m|min)"),
    ("duration", r"[0-9]+m[0-9]+(?:\.[0-9]+)?s"),
    ("port", r"(?:localhost|127\.0\.0\.1):[0-9]+"),
    ("number", "[0-9]+"),
    ("number", r"[0-9]+(?:\.[0-9]+)?"),
)
_UNIT: Final = re.compile(r"\s?(?:ms|us|ns|s|secs?|seconds?|minutes?)\b")
_PART: Final = re.compile(r"[A-Za-z0-9]+|[^A-Za-z0-9]")
_ID_PARTS: Final = ("[0-9]+", "[0-9a-f]+", "[A-Za-z0-9]+")

_ID_LABEL: Final = re.compile(
    r"(?i)(?:\b|_)(?:id|ids|uuid|session|request|trace|span|run|conversation|thread|turn|nonce"
    r"|token|commit|hash|sha|build|cache|pid|process|job|instance|container)\b[^A-Za-z0-9]*\Z"
)
_SETS: Final = re.compile(r"[A-Za-z]=\"?\Z")
_TIME_LABEL: Final = (
    r"(?:date|today|time|now|clock|day|since|at|on|started|updated|created|timestamp|as of)"
)
_ANNOUNCES: Final[Mapping[ValueKind, re.Pattern[str]]] = {
    "date": re.compile(rf"(?i)(?:\b|_){_TIME_LABEL}\b"),
    "time": re.compile(rf"(?i)(?:\b|_){_TIME_LABEL}\b"),
    "UUID": re.compile(""),
    "address": re.compile(r"(?i)\b(?:at|object|address|pointer)\b"),
    "duration": re.compile(
        r"(?i)\b(?:took|elapsed|duration|wall|real|user|sys"
        r"|(?:ran|finished|done|passed|failed|completed|built|compiled|resolved)\b.*\b(?:in|after))"
        r"[^A-Za-z0-9]*\Z"
    ),
    "port": re.compile(""),
    "number": re.compile(
        r"(?i)(?:\b|_)(?:pid|process|port|attempt|build"
        r"|(?:tokens?|memory|context|budget)\b.*\b(?:used|left|free|remaining|available))"
        r"\b[^A-Za-z0-9]*\Z"
    ),
    "id": _ID_LABEL,
}
"""What the text before a value says where the value is of the run and no part of a question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaryingPiece:
    """A piece of a text that varied: what it is (None: words, or nothing that has a shape), what it
    was in each run, and the text around it.

    `line` is all that stands before it on its line.
    """

    kind: ValueKind | None
    pattern: str
    values: tuple[str, str]
    before: str
    after: str
    line: str

    def is_of_run(self, *, is_tool_output: bool = False, is_system: bool = False) -> bool:
        """Whether it is a thing of the run and no part of a question: its line says so, or it is a
        time, a path or the like that a tool put out, or an id that a system text sets (`cch=1f2e`).
        """
        if self.kind is None:
            return False
        by_itself = is_tool_output and self.kind not in ("number", "id")
        is_set = is_system and self.kind == "id" and bool(_SETS.search(self.line))
        return by_itself or is_set or bool(_ANNOUNCES[self.kind].search(self.line))

    @property
    def is_alone(self) -> bool:
        """Whether nothing of the text around it tells where it stands."""
        return not re.search("[A-Za-z]{2}", self.before + self.after)

    def change(self, path: str | None) -> BodyChange:
        """What takes it out of the texts at a path, found by the text around it."""
        # A short text before it would be found in too many places.
        after = "" if re.search("[A-Za-z].*[A-Za-z]", self.before) else self.after
        pattern = f"{literal(self.before)}{self.pattern}{literal(after)}"
        return BodyChange(path, "regex", 0, pattern, f"{self.before}{{{self.kind}}}{after}")


def varying_pieces(got: str, recorded: str) -> list[VaryingPiece]:
    """The pieces in which two texts differ, in order.

    >>> pieces = varying_pieces("session: 5f3a9c now", "session: 99bc01 now")
    >>> [(piece.kind, piece.before, piece.pattern) for piece in pieces]
    [('id', 'session: ', '[0-9a-f]+')]
    """
    spans = list(_spans(got, recorded))
    ends = [(0, 0, 0, 0), *spans, (len(got), len(got), len(recorded), len(recorded))]
    pieces = []
    for previous, span, following in zip(ends, ends[1:], ends[2:], strict=False):
        got_start, got_end, start, end = span
        values = (got[got_start:got_end], recorded[start:end])
        line = recorded[recorded.rfind("\n", 0, start) + 1 : start]
        between = recorded[max(previous[3], start - len(line)) : start]
        kind, pattern = _shape(*values, recorded[end:])
        pieces.append(
            VaryingPiece(
                kind=kind,
                pattern=pattern,
                values=values,
                before=text_before(between, _CONTEXT),
                after=text_after(recorded[end : following[2]], _CONTEXT),
                line=line,
            )
        )
    return pieces


# ------------------------------------------------------------------ where they differ

type _Span = tuple[int, int, int, int]
"""Start and end in the text that was got, then in the one recorded."""


def _spans(got: str, recorded: str) -> Iterator[_Span]:
    """Where two texts differ, in whole values: an id, a date with its weekday."""
    spans = _grown(_different(got, recorded), got)
    in_got, in_recorded = moments.moments(got), moments.moments(recorded)
    spans = [_whole_moment(span, in_got, in_recorded) for span in spans]
    yield from _merged(spans)


def _different(got: str, recorded: str) -> list[_Span]:
    spans: list[_Span] = []
    at_got = at_recorded = 0
    for run in word_diff.runs(recorded, got):
        length = len(run.text)
        if run.kind == "left out":
            return [(0, len(got), 0, len(recorded))]
        if run.kind != "same":
            new = run.kind == "added"
            span = (at_got, at_got + length * new, at_recorded, at_recorded + length * (not new))
            spans.append(span)
        at_got += length * (run.kind != "removed")
        at_recorded += length * (run.kind != "added")
    return list(_merged(spans))


def _grown(spans: Sequence[_Span], got: str) -> list[_Span]:
    """Spans with what is left and right of them of the same value, which is the same in both."""
    grown = []
    ends = [0, *(span[1] for span in spans)]
    starts = [*(span[0] for span in spans), len(got)]
    for number, (got_start, got_end, start, end) in enumerate(spans):
        before = got[ends[number] : got_start]
        left = len(_VALUE_END.findall(before)[0])
        if left < len(before) or not number:
            left = len(before[len(before) - left :].lstrip(".:"))
        following = got[got_end : starts[number + 1]]
        right = len(_VALUE_START.findall(following)[0])
        # A full stop behind a value is the sentence's, unless the value goes on.
        if right < len(following) or number + 1 == len(spans):
            right = len(following[:right].rstrip(".:,+-"))
        grown.append((got_start - left, got_end + right, start - left, end + right))
    return list(_merged(grown))


def _whole_moment(
    span: _Span, in_got: Sequence[tuple[int, int]], in_recorded: Sequence[tuple[int, int]]
) -> _Span:
    got_start, got_end, start, end = span
    around_got = _overlapping(in_got, got_start, got_end)
    around = _overlapping(in_recorded, start, end)
    # In both texts it has to begin equally far before, or the texts before them would differ.
    if around_got and around and got_start - around_got[0] == start - around[0]:
        return (around_got[0], max(got_end, around_got[1]), around[0], max(end, around[1]))
    return span


def _overlapping(areas: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int] | None:
    inside = [area for area in areas if area[0] < max(end, start + 1) and start < area[1]]
    return (min(start, inside[0][0]), inside[-1][1]) if inside else None


def _merged(spans: Sequence[_Span]) -> Iterator[_Span]:
    """Spans in order, those that touch one another as one."""
    last: _Span | None = None
    for span in spans:
        if last is not None and (span[0] <= last[1] or span[2] <= last[3]):
            last = (last[0], max(last[1], span[1]), last[2], max(last[3], span[3]))
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last


# ------------------------------------------------------------------ what they are


def _shape(got: str, recorded: str, after: str) -> tuple[ValueKind | None, str]:
    """What two values are, and the narrowest pattern that is both."""
    if form := moments.form_of(got, recorded):
        return ("time" if form == moments.FORMS[-1] else "date"), form
    for kind, pattern in _SHAPES:
        if re.fullmatch(pattern, got) and re.fullmatch(pattern, recorded):
            is_duration = kind == "number" and _UNIT.match(after)
            return ("duration" if is_duration else kind), pattern
    parts = [_PART.findall(value) for value in (got, recorded)]
    if len(parts[0]) != len(parts[1]) or not got or not recorded:
        return None, ""
    patterns = [_part(*pair) for pair in zip(*parts, strict=True)]
    return (None, "") if None in patterns else ("id", "".join(filter(None, patterns)))


def _part(got: str, recorded: str) -> str | None:
    """The pattern of one part of an id; a part without a digit has to be the same."""
    if not any(map(str.isdigit, got + recorded)):
        return literal(got) if got == recorded else None
    return next(
        (part for part in _ID_PARTS if all(re.fullmatch(part, text) for text in (got, recorded))),
        None,
    )

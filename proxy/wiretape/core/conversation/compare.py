"""Compare two recordings: where their requests and their answers differ.

Differences have paths: "body.temperature", "answer.text", "answer.calls[0].arguments.city".
The number of chunks, the times and the tokens are facts that do not count: equal texts in other
chunks are equal answers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any, Final

from wiretape.core.matching.body import plain_numbers
from wiretape.core.matching.canonical import ABSENT, Canonical
from wiretape.core.matching.normalise import TOKEN, is_token
from wiretape.core.matching.structural_diff import differing
from wiretape.core.text import exact_json, word_diff

from .conversation import Conversation
from .turns import Turn, arguments

_LONGEST: Final = 160
_LINES: Final = 2_000
"""The most lines of a text that is compared line by line; a longer one is compared by words."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the recordings: its request in canonical form, its conversation, and its facts."""

    canonical: Canonical
    conversation: Conversation
    status: int
    end: str
    facts: dict[str, float | int | None]
    """"chunks", "first_chunk" and "end" (seconds), "tokens_in", "tokens_out"."""


@dataclass(frozen=True, slots=True)
class PairDifference:
    """A path at which A and B differ; ABSENT if one of them does not have it."""

    path: str
    a: Any
    b: Any

    def as_json(self) -> dict[str, Any]:
        """The difference for `--json`; a side without the member is left out."""
        sides = {"a": self.a, "b": self.b}
        return {"path": self.path} | {k: v for k, v in sides.items() if v is not ABSENT}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences of two recordings; `facts` are those of A and B, whether equal or not."""

    request: tuple[PairDifference, ...]
    answer: tuple[PairDifference, ...]
    facts: dict[str, tuple[float | int | None, float | int | None]]

    @property
    def equal(self) -> bool:
        """Whether requests and answers are equal."""
        return not self.request and not self.answer

    def as_json(self) -> dict[str, Any]:
        """The comparison for `--json`."""
        return {
            "equal": self.equal,
            "request": [difference.as_json() for difference in self.request],
            "answer": [difference.as_json() for difference in self.answer],
            "facts": {name: {"a": a, "b": b} for name, (a, b) in self.facts.items()},
        }


def compare(a: Side, b: Side) -> Comparison:
    """Find the differences of two recordings."""
    request = [
        PairDifference(d.path, d.got, d.recorded)
        for d in differing(a.canonical.value, b.canonical.value)
    ]
    return Comparison(
        tuple(request),
        tuple(_answers(a, b)),
        {name: (a.facts[name], b.facts.get(name)) for name in a.facts},
    )


def _answers(a: Side, b: Side) -> Iterator[PairDifference]:
    for name in ("status", "end"):
        if getattr(a, name) != getattr(b, name):
            yield PairDifference(f"answer.{name}", getattr(a, name), getattr(b, name))
    first, second = a.conversation.answer, b.conversation.answer
    for number in range(max(len(first), len(second))):
        path = "answer" if max(len(first), len(second)) == 1 else f"answer[{number}]"
        if number >= len(first) or number >= len(second):
            a_turn = _comparable(first[number]) if number < len(first) else ABSENT
            b_turn = _comparable(second[number]) if number < len(second) else ABSENT
            yield PairDifference(path, a_turn, b_turn)
            continue
        for d in differing(_comparable(first[number]), _comparable(second[number])):
            yield PairDifference(f"{path}.{d.path}", d.got, d.recorded)


def _comparable(turn: Turn) -> dict[str, Any]:
    """A turn as a value to compare: its texts by kind and its calls without their ids."""
    value: dict[str, Any] = {"role": turn.role, "finish": turn.finish, "calls": []}
    for part in turn.parts:
        if part.kind == "call":
            value["calls"].append(
                {"name": part.name, "arguments": plain_numbers(arguments(part.text))}
            )
        else:
            value[part.kind] = value.get(part.kind, "") + part.text
    return value


# ------------------------------------------------------------------ as text

type Line = tuple[str, str]
"""A mark and a line: " " next to a difference, "-" only in A, "+" only in B, "=" a path, "~" a text
with its changed words marked."""


def lines(difference: PairDifference) -> Iterator[Line]:
    """Write a difference: a text by lines or by words, anything else as both values."""
    a, b = difference.a, difference.b
    yield "=", difference.path
    if isinstance(a, str) and isinstance(b, str) and max(len(a), len(b)) > 20:
        yield from _text(a, b)
        return
    for mark, value in (("-", a), ("+", b)):
        if value is not ABSENT:
            for line in shown_value(value).split("\n"):
                yield mark, line


def _text(a: str, b: str) -> Iterator[Line]:
    a_lines, b_lines = a.splitlines(), b.splitlines()
    if (
        min(len(a_lines), len(b_lines)) < 4
        or max(len(a_lines), len(b_lines)) > _LINES
        or a_lines == b_lines
    ):
        yield "~", word_diff.in_brackets(word_diff.shown(word_diff.runs(a, b)))
        return
    for line in list(unified_diff(a_lines, b_lines, n=1, lineterm=""))[2:]:
        yield (" ", "…") if line.startswith("@@") else (line[:1], line[1:])


def shown_value(value: Any) -> str:
    """A value of a difference as text: bounded, JSON if it is not a text."""
    if is_token(value):
        # An id is compared by its token: the recording that gave it, and its number there.
        value = f"the id {value[TOKEN]}"
    text = value if isinstance(value, str) else exact_json.dumps(value, "spaced")
    return text if len(text) <= 4 * _LONGEST else text[: 4 * _LONGEST] + "…"

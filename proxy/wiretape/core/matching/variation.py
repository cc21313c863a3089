"""What varies in a request from run to run, and the smallest change under which it does not count.

The smallest is a pattern within a text, then an id of which only the equality counts, then a member
that is ignored. What was asked is never ignored, nor who answers and in what form
(`question_guard.py`): such a variation has no change, and says why.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, Final

from .body_changes import (
    BodyChange,
    changed_text,
    changes_for,
    json_path,
    needed_for,
    without_path,
)
from .canonical import ABSENT, Canonical, Difference
from .diff_text import difference as shown_difference
from .normalise import NormaliserKind, is_token
from .question_guard import (
    deciding_header,
    deciding_parameter,
    hides_question,
    may_ask,
    member_names,
)
from .structural_diff import Differing, Steps
from .varying_text import varying_pieces

type RuleEndpoint = tuple[str, str, str]
"""Provider or host, method, path."""

_TOOL_ROLES: Final = frozenset(("tool", "function"))
_TOOL_TYPES: Final = re.compile("tool_result|tool_output|.*_call_output")
_TOOL_MEMBERS: Final = frozenset(("functionResponse", "function_response", "toolResult"))
_ANSWER_ROLES: Final = frozenset(("assistant", "model"))
_SYSTEM_ROLES: Final = frozenset(("system", "developer"))
_SYSTEM_MEMBERS: Final = frozenset(
    (name,) for name in ("system", "instructions", "systemInstruction", "system_instruction")
)
_TOKEN: Final = re.compile(r"\S{2,200}")
_NAMED: Final[Mapping[NormaliserKind | None, str]] = {
    "uuids": "UUID",
    "temporary-paths": "temporary folder",
}


@dataclass(frozen=True, slots=True)
class Variation:
    """One place in which two requests differ.

    `kind` says what varied ("time", "id", "text", "number", "only in one run"), `shown` what it
    was, cut to what differs. It has changes of the body, the name of a parameter or a header; none
    of these where no rule can do it, for a `reason`. `is_answer` says that it is a part of what was
    answered before: with other answers it is no variation of the program.
    """

    endpoint: RuleEndpoint
    kind: str
    shown: Difference
    _: KW_ONLY
    changes: tuple[BodyChange, ...] = ()
    query: str = ""
    header: str = ""
    reason: str = ""
    is_answer: bool = False

    @property
    def is_tamed(self) -> bool:
        """Whether there is a change for it."""
        return not self.reason


def variation(difference: Differing, second: Canonical) -> Variation:
    """Say what varied at one difference, given the request of the second run."""
    shown = shown_difference(difference)
    values = (difference.got, difference.recorded)
    match difference.steps:
        case ("body", "json", *_):
            return _in_json(difference, second, shown)
        case ("body", "text" | "form", *_):
            changes = changes_for(difference)
            kind = changes[0].kind if changes else None
            if kind is None:
                return Variation(second.endpoint, "text", shown, reason=_NOT_JSON)
            return Variation(second.endpoint, kind, shown, changes=changes)
        case ("query", str(name), *_) if not deciding_parameter(name, *values):
            return Variation(second.endpoint, "parameter", shown, query=name.lower())
        case ("headers", str(name), *_) if not deciding_header(name):
            return Variation(second.endpoint, "header", shown, header=name.lower())
        case ("body", *_):
            return Variation(second.endpoint, "body", shown, reason=_NOT_JSON)
    return Variation(second.endpoint, str(difference.steps[0]), shown, reason=_DECIDES)


_NOT_JSON: Final = "rules change only dates, UUIDs and temporary paths of a body that is not JSON"
_DECIDES: Final = "it decides what is answered"
_ASKED: Final = "it is a part of what is asked, or of the form of the answer"
_TOOL_OUTPUT: Final = "it is what a tool put out, on which the answer depends"
_ANSWERED: Final = "it is a part of an earlier answer"
_UNSPELLED: Final = "no JSONPath can name it"


def _in_json(difference: Differing, second: Canonical, shown: Difference) -> Variation:
    steps, body = difference.steps[2:], second.value["body"]["json"]
    got, recorded = difference.got, difference.recorded
    around = _around(steps, body)
    kind = _kind_of(got, recorded)
    new = partial(Variation, second.endpoint)
    if around.is_answer or (is_token(got) and is_token(recorded)):
        return new(kind, shown, reason=_ANSWERED, is_answer=True)
    if around.path is None:
        return new(kind, shown, reason=_UNSPELLED)
    names = member_names(json_path(steps))
    if isinstance(got, str) and isinstance(recorded, str):
        text_kind, changes = _within_text(around, names, got, recorded)
        if changes and not hides_question(names, "regex"):
            return new(text_kind, shown, changes=changes)
        kind = text_kind or kind
    if hides_question(names, None, (got, recorded)):
        return new(kind, shown, reason=_TOOL_OUTPUT if around.is_tool_output else _ASKED)
    return new(kind, shown, changes=_whole(around.path, difference))


def _kind_of(*values: Any) -> str:
    if ABSENT in values:
        return "only in one run"
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return "number"
    return "text" if all(isinstance(value, str) for value in values) else "value"


def _within_text(
    around: "_Around", names: Sequence[str], got: str, recorded: str
) -> tuple[str, tuple[BodyChange, ...]]:
    """What varied in a text, and the patterns to take out of it; no patterns if they do not do."""
    named = [
        change
        for kind in _NAMED
        for change in [BodyChange(around.path, kind)]
        if all(changed_text(text, [change]) != text for text in (got, recorded))
    ]
    pieces = varying_pieces(*(changed_text(text, named) for text in (got, recorded)))
    asks = may_ask(names, got, recorded)
    kinds: list[str] = [piece.kind or "text" for piece in pieces]
    for piece in pieces:
        is_whole = piece.values == (got, recorded) and not named
        is_vague = piece.is_alone and (asks or piece.kind in ("number", "id"))
        is_asked = asks and not piece.is_of_run(
            is_tool_output=around.is_tool_output, is_system=around.is_system
        )
        if piece.kind is None or is_whole or is_vague or is_asked:
            return ", ".join(dict.fromkeys(kinds)), ()
    changes = needed_for(got, recorded, [*named, *(piece.change(around.path) for piece in pieces)])
    kinds = [_NAMED[change.kind] for change in changes or () if change.kind in _NAMED] + kinds
    return ", ".join(dict.fromkeys(kinds)), changes or ()


def _whole(path: str, difference: Differing) -> tuple[BodyChange, ...]:
    """The change of a value as a whole: only which id it is, its last digits, or all of it."""
    values = (difference.got, difference.recorded)
    if all(isinstance(value, str) and _TOKEN.fullmatch(value) for value in values):
        return (BodyChange(path, "ids"),)
    rounded = changes_for(difference)
    if [change.kind for change in rounded] == ["round"]:
        return (BodyChange(path, *without_path(rounded[0])),)
    return (BodyChange(path),)


# ------------------------------------------------------------------ where it stands


@dataclass(frozen=True, slots=True)
class _Around:
    """A place's JSONPath, and what it is a part of."""

    path: str | None
    is_tool_output: bool
    is_answer: bool
    is_system: bool


def _around(steps: Steps, body: Any) -> _Around:
    """Where a place is. The output of a tool stands behind more or fewer messages in each run, so
    it is named by its kind and not by its number.
    """
    is_tool_output = is_answer = False
    is_system = steps[:1] in _SYSTEM_MEMBERS
    path, here = "$", body
    for step in steps:
        here = _child(here, step)
        if isinstance(step, int):
            condition = _tool_condition(here)
            if condition or is_tool_output:
                is_tool_output = True
                path = re.sub(r"\[[0-9]+\]", "[*]", path)
            path += condition or ("[*]" if is_tool_output else f"[{step}]")
            role = here.get("role") if isinstance(here, dict) else None
            is_answer = is_answer or role in _ANSWER_ROLES
            is_system = is_system or role in _SYSTEM_ROLES
            continue
        is_tool_output = is_tool_output or step in _TOOL_MEMBERS
        plain = json_path((step,))
        if plain is None:
            return _Around(None, is_tool_output, is_answer, is_system)
        path += plain[1:]
    return _Around(path, is_tool_output, is_answer, is_system)


def _child(value: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return value[step] if isinstance(value, list) and step < len(value) else None
    return value.get(step) if isinstance(value, dict) else None


def _tool_condition(item: Any) -> str:
    """What selects an item of a list that is the output of a tool, "" for another."""
    if not isinstance(item, dict):
        return ""
    if item.get("role") in _TOOL_ROLES:
        return f"[?@.role=='{item['role']}']"
    kind = item.get("type")
    if isinstance(kind, str) and _TOOL_TYPES.fullmatch(kind):
        return f"[?@.type=='{kind}']"
    return ""

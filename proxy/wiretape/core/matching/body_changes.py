"""What would make two bodies equal: places left out, patterns taken out of texts.

The smallest change comes first: where two texts differ only in UUIDs, dates, temporary paths or
numbers these are normalised, else the member is ignored. Whether that would hide what was asked is
for `question_guard.py` to say.
"""

import copy
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wiretape.core.text.jsonpath import Finder, compiled
from wiretape.core.text.regex import Regex

from .normalise import Names, Normaliser, NormaliserKind, normalised, without
from .question_guard import PATTERN_KINDS, may_ask, member_names
from .structural_diff import Differing, Steps
from .text_context import literal, text_before

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DIGITS: Final = re.compile("[0-9]+")
_WORD: Final = re.compile(r"[^\W\d_]{3}")
"""Without a word in it a text is nothing but its numbers: it is ignored as a whole."""

_DATE_AND_TIME: Final = (
    "[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?"
    r"(?: ?(?:[Zz]|[+-][0-9]{2}:?[0-9]{2}))?)?"
)
_BEFORE: Final = 32
"""About so many characters before an announcing word tell one announcement from another."""
_ANNOUNCEMENT: Final = re.compile(rf"(?i:date|today|time|now)[^\n0-9]{{0,16}}(?={_DATE_AND_TIME})")
"""What says, on its line, that a date comes next: "Today's date is 2026-01-02"."""

SPREAD: Final = 3
"""When at least this many items of one list vary, the rule covers all of its items."""
LIST_DEPTHS: Final = range(3)
"""The lists of a path that are looked at, from the outermost."""


@dataclass(frozen=True, slots=True)
class BodyChange:
    """What a rule does to a body at one JSONPath, or everywhere where that is None."""

    path: str | None
    kind: NormaliserKind | None = None
    digits: int = 0
    pattern: str = _DIGITS.pattern
    replace: str = "0"


def changes_for(difference: Differing) -> tuple[BodyChange, ...]:
    """What would make one part the same; nothing where no rule can."""
    is_json = difference.steps[1] == "json"
    path = json_path(difference.steps[2:]) if is_json else None
    if is_json and path is None:
        return ()
    got, recorded = difference.got, difference.recorded
    if isinstance(got, str) and isinstance(recorded, str):
        if changes := _within(path, got, recorded):
            return changes
        masked = _DIGITS.sub("0", got)
        is_masked = masked == _DIGITS.sub("0", recorded) and _WORD.search(masked)
        if path and is_masked and not may_ask(member_names(path), got, recorded):
            return (BodyChange(path, "regex"),)
    types = {type(got), type(recorded)}
    if path and float in types and types <= {int, float}:
        digits = next((n for n in range(9, 2, -1) if round(got, n) == round(recorded, n)), 0)
        if digits:
            return (BodyChange(path, "round", digits),)
    return (BodyChange(path),) if path else ()


def _within(path: str | None, got: str, recorded: str) -> tuple[BodyChange, ...]:
    """The fewest patterns without which two texts are the same; empty where no patterns do that.
    In what may be a question only the pattern of a date that is announced as one is tried.
    """
    changes = [BodyChange(path, kind) for kind in PATTERN_KINDS]
    if may_ask(member_names(path), got, recorded):
        announced = {*_announced_dates(got), *_announced_dates(recorded)}
        changes = [change for change in changes if change.kind != "dates"]
        changes += [_announced(path, text) for text in sorted(announced)]
    return needed_for(got, recorded, changes) or ()


def _announced_dates(text: str) -> list[str]:
    """What announces a date, once for each line: the first on it.

    The words are looked for alone first: trying what may be before them at each character of a
    prompt of some megabytes would hold up all clients for seconds.
    """
    announced, line_end = [], -1
    for match in _ANNOUNCEMENT.finditer(text):
        if match.start() < line_end:
            continue
        line_start = text.rfind("\n", 0, match.start()) + 1
        if match[0].isprintable():
            announced.append(text_before(text[line_start : match.start()], _BEFORE) + match[0])
        line_end = text.find("\n", match.end())
        if line_end < 0:
            break
    return announced


def _announced(path: str | None, before: str) -> BodyChange:
    """A date behind the text that announces it."""
    return BodyChange(path, "regex", 0, literal(before) + _DATE_AND_TIME, f"{before}{{date}}")


def changed_text(text: str, changes: Iterable[BodyChange]) -> str:
    """A text as changes leave it, wherever they are for."""
    for change in changes:
        text = _apply(text, normaliser_of(change, None))
    return text


def _are_equal_texts(got: str, recorded: str, changes: Sequence[BodyChange]) -> bool:
    return changed_text(got, changes) == changed_text(recorded, changes)


def needed_for(
    got: str, recorded: str, changes: Sequence[BodyChange]
) -> tuple[BodyChange, ...] | None:
    """Those changes, as few as will do, that make two texts equal; None where all do not."""
    if not _are_equal_texts(got, recorded, changes):
        return None
    needed = tuple(changes)
    for change in changes:
        fewer = tuple(other for other in needed if other != change)
        if _are_equal_texts(got, recorded, fewer):
            needed = fewer
    return needed


def _apply(value: Any, normaliser: Normaliser) -> Any:
    return normalised(value, normaliser, Names(), lambda path, raw: None)


def normaliser_of(change: BodyChange, finder: Finder | None) -> Normaliser:
    """The normaliser of a change that is one, at what the finder finds, or everywhere."""
    assert change.kind is not None
    regex: Regex | None = re.compile(change.pattern) if change.kind == "regex" else None
    return Normaliser(
        change.kind, (finder,) if finder else (), regex, change.replace, change.digits
    )


def are_equal(got: Any, recorded: Any, changes: Iterable[BodyChange]) -> bool:
    """Whether two bodies are equal once the changes are made to both."""
    first, second = (_changed(body, changes) for body in (got, recorded))
    return bool(first == second)


def _changed(body: Any, changes: Iterable[BodyChange]) -> Any:
    """A copy of a body with the changes made, in the order a rule makes them: first it ignores."""
    finders = [
        finder for c in changes if c.kind is None and c.path and (finder := compiled(c.path))
    ]
    body = copy.deepcopy(body)  # a normaliser changes what it is given
    body = without(body, {tuple(path) for find in finders for path in find(body)})
    for change in changes:
        if change.kind is not None:
            body = _apply(
                body, normaliser_of(change, compiled(change.path) if change.path else None)
            )
    return body


def spread(got: Any, recorded: Any, changes: tuple[BodyChange, ...]) -> tuple[BodyChange, ...]:
    """The same for all items of a list where many of them have it: one path for all of them."""
    for depth in LIST_DEPTHS:
        fewer = tuple(dict.fromkeys(for_all_items(changes, depth)))
        if len(fewer) < len(changes) and are_equal(got, recorded, fewer):
            changes = fewer
    return changes


def for_all_items(changes: Sequence[BodyChange], depth: int) -> list[BodyChange]:
    """Changes, each for all items of a list where at least `SPREAD` of its items have it; the list
    is that of the index number `depth` of its path.
    """
    templates = [_template(change.path, depth) if change.path else None for change in changes]
    counts = Counter((path, without_path(c)) for path, c in zip(templates, changes, strict=True))
    return [
        BodyChange(path, *without_path(change))
        if path is not None and counts[path, without_path(change)] >= SPREAD
        else change
        for path, change in zip(templates, changes, strict=True)
    ]


def without_path(change: BodyChange) -> tuple[NormaliserKind | None, int, str, str]:
    """What a change does, wherever it does it."""
    return change.kind, change.digits, change.pattern, change.replace


def _template(path: str, depth: int) -> str | None:
    """A path with an asterisk for its index number `depth`, if it has one."""
    indexes = list(re.finditer(r"\[[0-9]+\]", path))
    if depth >= len(indexes) or indexes[depth].end() == len(path):
        return None
    return path[: indexes[depth].start()] + "[*]" + path[indexes[depth].end() :]


def json_path(steps: Steps) -> str | None:
    """Steps below a JSON body as a JSONPath (RFC 9535); None where it cannot be written down."""
    text = "$"
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _NAME.fullmatch(step):
            text += f".{step}"
        else:
            text += f"['{step}']"
    return text if steps and text.isprintable() and compiled(text) else None

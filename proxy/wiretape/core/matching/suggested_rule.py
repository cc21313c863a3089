"""The rule under which a request would match a recording, as YAML to paste, if there is one.

The smallest that does: where two texts differ only in UUIDs, dates, temporary paths or numbers
these are normalised, else the member is ignored. What was asked is never taken out: of prompts,
system texts and tools at most a pattern within them, of the model and of whether an answer streams
nothing (`question_guard.py`). Whether a rule harms other recordings is for `rule_trial.py`.
"""

import copy
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

from wiretape.core.text.jsonpath import Finder, compiled
from wiretape.core.text.regex import Regex

from .canonical import Canonical
from .normalise import Names, Normaliser, NormaliserKind, at, normalised, without
from .question_guard import (
    PATTERN_KINDS,
    deciding_header,
    deciding_parameter,
    depends_on,
    hides_question,
    in_question,
    may_ask,
    member_names,
)
from .rule import Rule
from .structural_diff import Differing, Steps

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER: Final = re.compile(r"[^\s=&?#]+")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'+.^_`|~-]+")
_DIGITS: Final = re.compile("[0-9]+")
_WORD: Final = re.compile(r"[^\W\d_]{3}")
"""Without a word in it a text is nothing but its numbers: it is ignored as a whole."""

_DATE_AND_TIME: Final = (
    "[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?"
    r"(?: ?(?:[Zz]|[+-][0-9]{2}:?[0-9]{2}))?)?"
)
_ANNOUNCED: Final = re.compile(
    rf"(?<![^\n])[^\n]*?([^\n]{{0,32}}(?i:date|today|time|now)[^\n0-9]{{0,16}}){_DATE_AND_TIME}"
)
"""A date that the text before it, on its line, says is one: "Today's date is 2026-01-02"."""

_SPREAD: Final = 3
"""From so many items of one list on a rule is for all of its items."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rule, its YAML as an item of `match.rules`, and what to mind before it is taken."""

    yaml: str
    warnings: tuple[str, ...] = ()
    _: KW_ONLY
    rule: Rule


@dataclass(frozen=True, slots=True)
class NoRule:
    """No rule can be suggested: `hidden` are the parts of the question that each would hide."""

    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Change:
    """What a rule does to a body at one JSONPath, or everywhere where that is None."""

    path: str | None
    kind: NormaliserKind | None = None
    digits: int = 0
    pattern: str = _DIGITS.pattern
    replace: str = "0"


def suggest(
    request: Canonical,
    recorded: Canonical,
    differences: Sequence[Differing],
    taken_names: Mapping[str, str] | None = None,
) -> Suggestion | NoRule:
    """The smallest rule that lets a request match a recording, given where the two differ.

    `taken_names` has the names of rules that there are, each with its YAML ("" where it is not
    known): a rule that does something else gets another name.
    """
    query, headers, body = [], [], []
    hidden = []
    for difference in differences:
        match difference.steps:
            case ("query", str(name), *_) if _PARAMETER.fullmatch(name):
                query.append(name.lower())
                if deciding_parameter(name, difference.got, difference.recorded):
                    hidden.append(difference.path)
            case ("headers", str(name), *_) if _HEADER.fullmatch(name):
                headers.append(name.lower())
                if deciding_header(name) or request.key == recorded.key:
                    hidden.append(difference.path)
            case ("body", "json" | "text" | "form", *_):
                body.append(difference)
            case _:
                return NoRule()
    changes = _changes(request, recorded, body) if body else ()
    if isinstance(changes, NoRule) or hidden:
        return NoRule((*hidden, *(changes.hidden if isinstance(changes, NoRule) else ())))
    parts = (changes, list(dict.fromkeys(query)), list(dict.fromkeys(headers)))
    when = _when(request)
    name, yaml = _named(_lines(when, *parts), taken_names or {})
    warnings = tuple(_warnings(changes))
    return Suggestion(yaml, warnings, rule=_rule(name, when, *parts))


# ------------------------------------------------------------------ what would do


def _changes(
    request: Canonical, recorded: Canonical, differences: Sequence[Differing]
) -> tuple[_Change, ...] | NoRule:
    """The changes that make two bodies equal: the smallest, else those of whole lists."""
    bodies = [canonical.value["body"] or {} for canonical in (request, recorded)]
    if not bodies[0] or bodies[0].keys() != bodies[1].keys():
        return NoRule()
    ((kind, got),), ((_, stored),) = (body.items() for body in bodies)
    plans = [[_change(difference) for difference in differences]]
    if kind == "json":
        paths = [_above_list(difference.steps) for difference in differences]
        plans.append([(_Change(path),) if path else () for path in paths])
    hidden: tuple[str, ...] = ()
    for plan in plans:
        changes = tuple(dict.fromkeys(change for group in plan for change in group))
        if not all(plan) or not _are_equal(got, stored, changes):
            continue
        changes = _spread(got, stored, changes)
        hiding = _hidden(changes, got, stored)
        if not hiding:
            return changes
        hidden = hidden or hiding
    return NoRule(hidden)


def _hidden(changes: Iterable[_Change], *bodies: Any) -> tuple[str, ...]:
    """The parts of the question that changes would hide: "body.model"."""
    return tuple(
        f"body{(change.path or '$')[1:]}"
        for change in changes
        if hides_question(member_names(change.path), change.kind, _values(change.path, bodies))
    )


def _values(path: str | None, bodies: Iterable[Any]) -> list[Any]:
    """What bodies have at a path."""
    finder = compiled(path) if path else None
    return [at(body, tuple(steps)) for body in bodies for steps in (finder(body) if finder else ())]


def _change(difference: Differing) -> tuple[_Change, ...]:
    """What would make one part the same; nothing where no rule can."""
    is_json = difference.steps[1] == "json"
    path = _path(difference.steps[2:]) if is_json else None
    if is_json and path is None:
        return ()
    got, recorded = difference.got, difference.recorded
    if isinstance(got, str) and isinstance(recorded, str):
        if changes := _within(path, got, recorded):
            return changes
        masked = _DIGITS.sub("0", got)
        is_masked = masked == _DIGITS.sub("0", recorded) and _WORD.search(masked)
        if path and is_masked and not may_ask(member_names(path), got, recorded):
            return (_Change(path, "regex"),)
    types = {type(got), type(recorded)}
    if path and float in types and types <= {int, float}:
        digits = next((n for n in range(9, 2, -1) if round(got, n) == round(recorded, n)), 0)
        if digits:
            return (_Change(path, "round", digits),)
    return (_Change(path),) if path else ()


def _within(path: str | None, got: str, recorded: str) -> tuple[_Change, ...]:
    """The patterns, as few as will do, without which two texts are the same; none where that
    cannot be. In what may be a question only a date that is announced as one is such a pattern.
    """
    changes = [_Change(path, kind) for kind in PATTERN_KINDS]
    if may_ask(member_names(path), got, recorded):
        announced = {*_announced_dates(got), *_announced_dates(recorded)}
        changes = [change for change in changes if change.kind != "dates"]
        changes += [_announced(path, text) for text in sorted(announced)]
    if not _are_equal_texts(got, recorded, changes):
        return ()
    for change in tuple(changes):
        fewer = [needed for needed in changes if needed != change]
        if _are_equal_texts(got, recorded, fewer):
            changes = fewer
    return tuple(changes)


def _announced_dates(text: str) -> list[str]:
    return [match[1] for match in _ANNOUNCED.finditer(text) if match[1].isprintable()]


def _announced(path: str | None, before: str) -> _Change:
    """A date behind the text that announces it."""
    literal = re.sub(r"([\\.^$|?*+()\[\]{}])", r"\\\1", before)
    return _Change(path, "regex", 0, literal + _DATE_AND_TIME, f"{before}{{date}}")


def _are_equal_texts(got: str, recorded: str, changes: Iterable[_Change]) -> bool:
    for change in changes:
        got, recorded = (_apply(text, _normaliser(change, None)) for text in (got, recorded))
    return got == recorded


def _apply(value: Any, normaliser: Normaliser) -> Any:
    return normalised(value, normaliser, Names(), lambda path, raw: None)


def _normaliser(change: _Change, finder: Finder | None) -> Normaliser:
    assert change.kind is not None
    regex: Regex | None = re.compile(change.pattern) if change.kind == "regex" else None
    return Normaliser(
        change.kind, (finder,) if finder else (), regex, change.replace, change.digits
    )


def _are_equal(got: Any, recorded: Any, changes: Iterable[_Change]) -> bool:
    first, second = (_changed(body, changes) for body in (got, recorded))
    return bool(first == second)


def _changed(body: Any, changes: Iterable[_Change]) -> Any:
    """A copy of a body with the changes made, in the order a rule makes them: first it ignores."""
    finders = [
        finder for c in changes if c.kind is None and c.path and (finder := compiled(c.path))
    ]
    body = copy.deepcopy(body)  # a normaliser changes what it is given
    body = without(body, {tuple(path) for find in finders for path in find(body)})
    for change in changes:
        if change.kind is not None:
            body = _apply(body, _normaliser(change, compiled(change.path) if change.path else None))
    return body


def _spread(got: Any, recorded: Any, changes: tuple[_Change, ...]) -> tuple[_Change, ...]:
    """The same for all items of a list where many of them have it: one path for all of them."""
    for depth in range(3):
        general: list[_Change] = []
        for change in changes:
            path = _template(change.path, depth) if change.path else None
            similar = [c for c in changes if c.path and _but_path(c) == _but_path(change)]
            if path and sum(_template(c.path or "", depth) == path for c in similar) >= _SPREAD:
                change = _Change(path, *_but_path(change))
            general.append(change)
        fewer = tuple(dict.fromkeys(general))
        if len(fewer) < len(changes) and _are_equal(got, recorded, fewer):
            changes = fewer
    return changes


def _but_path(change: _Change) -> tuple[NormaliserKind | None, int, str, str]:
    return change.kind, change.digits, change.pattern, change.replace


def _template(path: str, depth: int) -> str | None:
    """A path with an asterisk for its index number `depth`, if it has one."""
    indexes = list(re.finditer(r"\[[0-9]+\]", path))
    if depth >= len(indexes) or indexes[depth].end() == len(path):
        return None
    return path[: indexes[depth].start()] + "[*]" + path[indexes[depth].end() :]


def _path(steps: Steps) -> str | None:
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


def _above_list(steps: Steps) -> str | None:
    """The member that holds the outermost list around a part, or the part itself."""
    inner = steps[2:]
    first = next((n for n, step in enumerate(inner) if isinstance(step, int)), len(inner))
    return _path(inner[:first])


# ------------------------------------------------------------------ the rule and its YAML


def _when(request: Canonical) -> dict[str, str]:
    """Which requests a rule is for: those of this request's endpoint."""
    provider, method, path = request.endpoint
    when = {}
    # What a rule leaves out is an asterisk, and of a placeholder the digest is gone: neither is
    # what a rule is asked about.
    if provider != "*" and provider.isprintable() and provider.strip():
        when["provider"] = provider
    if re.fullmatch("[A-Za-z]+", method):
        when["method"] = method
    if re.fullmatch(r"/[^?\[\]]*", path) and path.isprintable() and "REDACTED-" not in path:
        when["path"] = path
    return when


def _rule(
    name: str,
    when: Mapping[str, str],
    changes: Sequence[_Change],
    query: Iterable[str],
    headers: Iterable[str],
) -> Rule:
    """The rule as the configuration makes it of its YAML."""
    finders = {path: finder for c in changes if (path := c.path) and (finder := compiled(path))}
    normalise: dict[_Change, list[Finder]] = {}
    for change in changes:
        if change.kind is not None:
            normalise.setdefault(_Change(None, *_but_path(change)), []).extend(
                [finders[change.path]] if change.path else []
            )
    return Rule(
        name,
        provider=when.get("provider"),
        method=when.get("method"),
        path=when.get("path"),
        ignore=tuple(finders[c.path] for c in changes if c.kind is None and c.path),
        ignore_query=frozenset(query),
        ignore_headers=frozenset(headers),
        normalise=tuple(
            Normaliser(base.kind, tuple(at), base.regex, base.replace, base.digits)
            for change, at in normalise.items()
            for base in [_normaliser(change, None)]
        ),
    )


def _lines(
    when: Mapping[str, str],
    changes: Sequence[_Change],
    query: Sequence[str],
    headers: Sequence[str],
) -> str:
    lines = []
    if when:
        parts = [
            f"{key}: {value if key == 'method' else _quoted(value)}" for key, value in when.items()
        ]
        lines.append(f"      when: {{{', '.join(parts)}}}")
    ignored = [change.path for change in changes if change.kind is None and change.path]
    for key, values in (("ignore", ignored), ("ignore_query", query), ("ignore_headers", headers)):
        if values:
            lines.append(f"      {key}: [{', '.join(map(_quoted, values))}]")
    paths: dict[_Change, list[str]] = {}
    for change in changes:
        if change.kind is not None:
            paths.setdefault(_Change(None, *_but_path(change)), []).extend(
                [change.path] if change.path else []
            )
    if paths:
        lines.append("      normalise:")
        lines += [f"        - {_normaliser_yaml(change, at)}" for change, at in paths.items()]
    return "\n".join(lines)


def _named(lines: str, taken_names: Mapping[str, str]) -> tuple[str, str]:
    """A rule's name, which follows from what it does and is no other rule's, and its YAML."""
    base = f"rule-{hashlib.sha256(lines.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"
    number = 1
    while True:
        name = base if number == 1 else f"{base}-{number}"
        yaml = f"    - name: {name}\n{lines}"
        if taken_names.get(name, yaml) == yaml:
            return name, yaml
        number += 1


def _normaliser_yaml(change: _Change, paths: Sequence[str]) -> str:
    where = f", at: [{', '.join(map(_quoted, paths))}]" if paths else ""
    if change.kind == "regex":
        return f"{{regex: {_quoted(change.pattern)}, replace: {_quoted(change.replace)}{where}}}"
    if change.kind == "round":
        return f"{{round: {change.digits}{where}}}"
    return f"{{with: {change.kind}{where}}}" if where else str(change.kind)


def _quoted(text: str) -> str:
    """A printable text as a double-quoted YAML scalar."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _warnings(changes: Iterable[_Change]) -> Iterable[str]:
    """What of the rule would let different questions have one answer."""
    ignored: list[str] = []
    patterns: dict[str, list[str]] = {}
    for change in changes:
        names = member_names(change.path)
        if change.kind is None and depends_on(names):
            ignored.append(change.path or "")
        elif change.kind in ("uuids", "temporary-paths") and in_question(names):
            patterns.setdefault(change.kind.replace("-", " "), []).append(change.path or "")
    if ignored:
        yield f"an answer depends on {_listed(ignored)}, and other values would get this answer too"
    for kind, paths in patterns.items():
        yield f"a question that differs only in {kind} of {_listed(paths)} gets this answer too"


def _listed(paths: Sequence[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")

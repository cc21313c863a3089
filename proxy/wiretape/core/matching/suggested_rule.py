"""The rule under which a request would match a recording, as YAML to paste, if there is one.

The smallest that does: where two texts differ only in UUIDs, dates, temporary paths or numbers
these are normalised, else the member is ignored. What was asked is never taken out: of prompts,
system texts and tools at most a pattern within them, of the model and of whether an answer streams
nothing (`question_guard.py`). Whether a rule harms other recordings is for `rule_trial.py`.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

from wiretape.core.text.jsonpath import Finder, compiled

from .body_changes import (
    BodyChange,
    are_equal,
    changes_for,
    json_path,
    normaliser_of,
    spread,
    without_path,
)
from .canonical import Canonical
from .normalise import Normaliser, at
from .question_guard import (
    deciding_header,
    deciding_parameter,
    depends_on,
    hides_question,
    in_question,
    member_names,
)
from .rule import Rule
from .structural_diff import Differing, Steps

_PARAMETER: Final = re.compile(r"[^\s=&?#]+")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'+.^_`|~-]+")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rule, its YAML as an item of `match.rules`, and what to mind before it is taken."""

    yaml: str
    warnings: tuple[str, ...] = ()
    _: KW_ONLY
    rule: Rule


@dataclass(frozen=True, slots=True)
class RuleParts:
    """What a rule takes out of a request: changes of its body, parameters, headers."""

    changes: tuple[BodyChange, ...] = ()
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoRule:
    """No rule can be suggested: `hidden` are the parts of the question that each would hide."""

    hidden: tuple[str, ...] = ()


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
    parts = RuleParts(changes, tuple(dict.fromkeys(query)), tuple(dict.fromkeys(headers)))
    return suggestion_of(request.endpoint, parts, taken_names or {})


def suggestion_of(
    endpoint: tuple[str, str, str], parts: RuleParts, taken_names: Mapping[str, str]
) -> Suggestion:
    """A rule for the requests of an endpoint (provider, method, path), named as in `suggest`.

    >>> parts = RuleParts((BodyChange("$.run"),))
    >>> suggestion_of(("openai", "POST", "/v1/responses"), parts, {}).yaml.splitlines()[-1]
    '      ignore: ["$.run"]'
    """
    when = _when(endpoint)
    name, yaml = _named(_lines(when, parts), taken_names)
    return Suggestion(yaml, tuple(_warnings(parts.changes)), rule=_rule(name, when, parts))


# ------------------------------------------------------------------ what would do


def _changes(
    request: Canonical, recorded: Canonical, differences: Sequence[Differing]
) -> tuple[BodyChange, ...] | NoRule:
    """The changes that make two bodies equal: the smallest, else those of whole lists."""
    bodies = [canonical.value["body"] or {} for canonical in (request, recorded)]
    if not bodies[0] or bodies[0].keys() != bodies[1].keys():
        return NoRule()
    ((kind, got),), ((_, stored),) = (body.items() for body in bodies)
    plans = [[changes_for(difference) for difference in differences]]
    if kind == "json":
        paths = [_above_list(difference.steps) for difference in differences]
        plans.append([(BodyChange(path),) if path else () for path in paths])
    hidden: tuple[str, ...] = ()
    for plan in plans:
        changes = tuple(dict.fromkeys(change for group in plan for change in group))
        if not all(plan) or not are_equal(got, stored, changes):
            continue
        changes = spread(got, stored, changes)
        hiding = _hidden(changes, got, stored)
        if not hiding:
            return changes
        hidden = hidden or hiding
    return NoRule(hidden)


def _hidden(changes: Iterable[BodyChange], *bodies: Any) -> tuple[str, ...]:
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


def _above_list(steps: Steps) -> str | None:
    """The member that holds the outermost list around a part, or the part itself."""
    inner = steps[2:]
    first = next((n for n, step in enumerate(inner) if isinstance(step, int)), len(inner))
    return json_path(inner[:first])


# ------------------------------------------------------------------ the rule and its YAML


def _when(endpoint: tuple[str, str, str]) -> dict[str, str]:
    """Which requests a rule is for: those of an endpoint."""
    provider, method, path = endpoint
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


def _rule(name: str, when: Mapping[str, str], parts: RuleParts) -> Rule:
    """The rule as the configuration makes it of its YAML."""
    changes = parts.changes
    finders = {path: finder for c in changes if (path := c.path) and (finder := compiled(path))}
    normalise: dict[BodyChange, list[Finder]] = {}
    for change in changes:
        if change.kind is not None:
            normalise.setdefault(BodyChange(None, *without_path(change)), []).extend(
                [finders[change.path]] if change.path else []
            )
    return Rule(
        name,
        provider=when.get("provider"),
        method=when.get("method"),
        path=when.get("path"),
        ignore=tuple(finders[c.path] for c in changes if c.kind is None and c.path),
        ignore_query=frozenset(parts.query),
        ignore_headers=frozenset(parts.headers),
        normalise=tuple(
            Normaliser(base.kind, tuple(at), base.regex, base.replace, base.digits)
            for change, at in normalise.items()
            for base in [normaliser_of(change, None)]
        ),
    )


def _lines(when: Mapping[str, str], parts: RuleParts) -> str:
    lines = []
    if when:
        conditions = [
            f"{key}: {value if key == 'method' else _quoted(value)}" for key, value in when.items()
        ]
        lines.append(f"      when: {{{', '.join(conditions)}}}")
    ignored = [change.path for change in parts.changes if change.kind is None and change.path]
    taken_out = {
        "ignore": ignored,
        "ignore_query": parts.query,
        "ignore_headers": parts.headers,
    }
    for key, values in taken_out.items():
        if values:
            lines.append(f"      {key}: [{', '.join(map(_quoted, values))}]")
    paths: dict[BodyChange, list[str]] = {}
    for change in parts.changes:
        if change.kind is not None:
            paths.setdefault(BodyChange(None, *without_path(change)), []).extend(
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


def _normaliser_yaml(change: BodyChange, paths: Sequence[str]) -> str:
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


def _warnings(changes: Iterable[BodyChange]) -> Iterable[str]:
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

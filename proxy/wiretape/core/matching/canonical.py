"""What requests say, side by side: where two canonical forms differ, and what rules kept from being
compared.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wiretape.core.redaction.placeholder import WITH_DIGEST
from wiretape.core.text.jsonpath import Path

from . import normalise


@dataclass(frozen=True, slots=True, kw_only=True)
class Canonical:
    """What a request says; `endpoint` (place, method, path) is what requests must share to be
    compared at all.

    `ignored` is what rules left out or changed: readable place ("body.metadata.run_id",
    "query.trace") to the rule's name and the raw value, ids left out, which are compared by order
    or origin. `rules` names the rules that found something, `never_recorded` the one by which the
    request is not recorded.
    """

    endpoint: tuple[str, str, str]
    value: dict[str, Any]
    key: str
    ignored: Mapping[str, tuple[str, Any]] = field(default_factory=dict, compare=False)
    rules: tuple[str, ...] = field(default=(), compare=False)
    name_key: str = field(default="", compare=False)
    never_recorded: str = field(default="", compare=False)

    @property
    def file_key(self) -> str:
        """The key that a recording's file is named by: where the request holds placeholders, that
        of earlier versions, which tells them by their labels.
        """
        return self.name_key or self.key


def spelled(place: Path) -> str:
    """A place of the body as a reader sees it: "body.messages[0].id"."""
    return "body" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)


# ------------------------------------------------------------------ differences


class _Absent:
    def __repr__(self) -> str:
        return "absent"

    def __reduce__(self) -> str:
        return "ABSENT"  # there is one


ABSENT: Final = _Absent()
"""Stands for a member that one side lacks."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which a request differs from a recorded one; the path reads
    "body.messages[1].content".
    """

    path: str
    got: Any
    recorded: Any


def differences(got: Any, recorded: Any, limit: int = 50) -> list[Difference]:
    """Where two canonical values differ, leaf by leaf, at most `limit` of them."""
    found: list[Difference] = []
    stack: list[tuple[str, Any, Any]] = [("", got, recorded)]
    while stack and len(found) < limit:
        path, one, two = stack.pop()
        if isinstance(one, dict) and isinstance(two, dict):
            keys = sorted(one.keys() | two.keys(), reverse=True)
            stack += [
                (f"{path}.{k}" if path else k, one.get(k, ABSENT), two.get(k, ABSENT)) for k in keys
            ]
        elif isinstance(one, list) and isinstance(two, list):
            stack += [
                (
                    f"{path}[{i}]",
                    one[i] if i < len(one) else ABSENT,
                    two[i] if i < len(two) else ABSENT,
                )
                for i in reversed(range(max(len(one), len(two))))
            ]
        elif type(one) is not type(two) or one != two:
            found.append(Difference(_readable(path), _shown(one), _shown(two)))
    return found


def _readable(path: str) -> str:
    # The kind of body ("json", "form") is a level of the canonical form that no reader needs.
    path = re.sub(r"^body\.(json|form|multipart|text|sha256)\b", "body", path)
    return re.sub(r"\.\0(number|object|id)", "", path)


def _shown(value: Any) -> Any:
    """A value with ids' tokens and numbered names as a reader sees them."""
    if isinstance(value, str):
        return normalise.shown(value)
    if normalise.is_token(value):
        return normalise.shown_token(value)
    return value


# ------------------------------------------------------------------ the guard of stale passes


@dataclass(frozen=True, slots=True)
class Change:
    """Something that a rule kept from being compared, and that is not as it was recorded."""

    path: str
    rule: str
    got: Any
    recorded: Any


def changed(got: Canonical, recorded: Canonical) -> tuple[Change, ...]:
    """What rules left out of two requests with one key that is not the same in both."""
    if not got.ignored and not recorded.ignored:
        return ()
    paths = sorted(got.ignored.keys() | recorded.ignored.keys())
    sides = [_with_rest(one, paths) for one in (got, recorded)]
    return tuple(
        Change(_inner(path, found.path), rule, found.got, found.recorded)
        for path in paths
        for rule in [(got.ignored.get(path) or recorded.ignored[path])[0]]
        for found in differences(*(_bare(side.get(path, ABSENT)) for side in sides))
    )


def _with_rest(one: Canonical, paths: Iterable[str]) -> dict[str, Any]:
    """What was left out, and what stands at the other paths: nothing had to be changed there."""
    values = {path: raw for path, (_, raw) in one.ignored.items()}
    if any(path not in values and path.startswith("body") for path in paths):
        for body in (one.value["body"] or {}).values():
            for place, leaf in normalise.leaves(body):
                values.setdefault(spelled(place), leaf)
    return values


def _inner(path: str, rest: str) -> str:
    return path + (rest if not rest or rest.startswith("[") else f".{rest}")


def _bare(value: Any) -> Any:
    """A value without the digests of placeholders, which differ from key to key."""
    if isinstance(value, str):
        return WITH_DIGEST.sub(r"REDACTED-\1", value) if "REDACTED-" in value else value
    if isinstance(value, dict):
        return {name: _bare(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_bare(item) for item in value]
    return value

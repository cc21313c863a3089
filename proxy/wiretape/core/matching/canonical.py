"""Canonical forms of requests: where two differ, and what rules kept from being compared."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wiretape.core.redaction.placeholder import WITH_DIGEST
from wiretape.core.text.jsonpath import Path

from . import normalise


@dataclass(frozen=True, slots=True, kw_only=True)
class Canonical:
    """What is compared of a request; `endpoint` (host key, method, path) is what requests must
    share to be compared at all.

    `ignored` is what rules left out or changed: readable path ("body.metadata.run_id",
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


def spelled(path: Path) -> str:
    """Write a path of the body as a reader sees it.

    >>> spelled(("messages", 0, "id"))
    'body.messages[0].id'
    """
    return "body" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


# ------------------------------------------------------------------ differences


class _Absent:
    def __repr__(self) -> str:
        return "absent"

    def __reduce__(self) -> str:
        return "ABSENT"  # unpickled, it is the same object


ABSENT: Final = _Absent()
"""Stands for a member that one side lacks."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A path at which a request differs from a recorded one: "body.messages[1].content"."""

    path: str
    got: Any
    recorded: Any


def differences(got: Any, recorded: Any, limit: int = 50) -> list[Difference]:
    """List where two canonical values differ, leaf by leaf, at most `limit` of them.

    >>> differences({"body": {"json": {"a": 1}}}, {"body": {"json": {"a": 2}}})
    [Difference(path='body.a', got=1, recorded=2)]
    """
    results: list[Difference] = []
    stack: list[tuple[str, Any, Any]] = [("", got, recorded)]
    while stack and len(results) < limit:
        path, left, right = stack.pop()
        if isinstance(left, dict) and isinstance(right, dict):
            keys = sorted(left.keys() | right.keys(), reverse=True)
            stack += [
                (f"{path}.{k}" if path else k, left.get(k, ABSENT), right.get(k, ABSENT))
                for k in keys
            ]
        elif isinstance(left, list) and isinstance(right, list):
            stack += [
                (
                    f"{path}[{i}]",
                    left[i] if i < len(left) else ABSENT,
                    right[i] if i < len(right) else ABSENT,
                )
                for i in reversed(range(max(len(left), len(right))))
            ]
        elif type(left) is not type(right) or left != right:
            results.append(Difference(_readable(path), _shown(left), _shown(right)))
    return results


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
    """Something that a rule kept from being compared and that has changed since the recording."""

    path: str
    rule: str
    got: Any
    recorded: Any


def changed(got: Canonical, recorded: Canonical) -> tuple[Change, ...]:
    """List what rules left out of two requests of equal key that differs between them."""
    if not got.ignored and not recorded.ignored:
        return ()
    paths = sorted(got.ignored.keys() | recorded.ignored.keys())
    sides = [_with_rest(canonical, paths) for canonical in (got, recorded)]
    return tuple(
        Change(_inner(path, difference.path), rule, difference.got, difference.recorded)
        for path in paths
        for rule in [(got.ignored.get(path) or recorded.ignored[path])[0]]
        for difference in differences(*(_bare(side.get(path, ABSENT)) for side in sides))
    )


def _with_rest(canonical: Canonical, paths: Iterable[str]) -> dict[str, Any]:
    """What rules left out or changed, and the values at the other paths, which they left alone."""
    values = {path: raw for path, (_, raw) in canonical.ignored.items()}
    if any(path not in values and path.startswith("body") for path in paths):
        for body in (canonical.value["body"] or {}).values():
            for steps, leaf in normalise.leaves(body):
                values.setdefault(spelled(steps), leaf)
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

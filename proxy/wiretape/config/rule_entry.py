"""Rules as they are written, in config.yaml and in provider packs, into rules that take effect."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from wiretape.core.matching.body import plain_numbers
from wiretape.core.matching.normalise import Normaliser, at
from wiretape.core.matching.rule import Condition, MemberCondition, Rule
from wiretape.core.text.exact_json import Json
from wiretape.core.text.jsonpath import Finder, compiled

MEMBERS: Final = (
    *("on", "ignore", "only", "ignore_query", "ignore_headers", "normalise", "null_is_absent"),
    "record",
)
"""The keys of a rule that say what it does."""

if TYPE_CHECKING:
    from jsonpath import JSONPathEnvironment

    from wiretape.core.text.regex import Linear


def rule(
    entry: Mapping[str, Any],
    name: str | None = None,
    *,
    provider: str | None = None,
    own: bool = True,
    origin: str = "",
) -> Rule:
    """Make the rule of a checked entry; `name` and `provider` go before the entry's."""
    when: Mapping[str, Any] = entry.get("when") or {}
    nulls = entry.get("null_is_absent", False)
    on = entry.get("on")
    return Rule(
        name or entry["name"],
        provider=provider or when.get("provider"),
        method=when.get("method"),
        path=when.get("path"),
        ignore=_finders(entry.get("ignore", ())),
        ignore_query=frozenset(entry.get("ignore_query", ())),
        ignore_headers=frozenset(entry.get("ignore_headers", ())),
        host=when.get("host"),
        body=_condition(json.dumps(when["body"])) if when.get("body") is not None else None,
        on=frozenset(on) if on is not None else None,
        only=_finders(entry.get("only", ())),
        null_is_absent=None if nulls is False else () if nulls is True else _finders(nulls),
        normalise=tuple(map(normaliser, entry.get("normalise", ()))),
        never_recorded=entry.get("record") == "never",
        own=own,
        origin=origin,
        text={key: entry[key] for key in ("when", *MEMBERS) if entry.get(key) not in _NOTHING},
    )


_NOTHING: Final[tuple[Any, ...]] = (None, [], {}, (), False)


def normaliser(entry: str | Mapping[str, Any]) -> Normaliser:
    """Make the normaliser of one item of `normalise`, which has been checked."""
    if isinstance(entry, str):
        return Normaliser(entry)  # type: ignore[arg-type]  # checked: one of the names
    finders = _finders(entry.get("at", ()))
    if "with" in entry:
        return Normaliser(entry["with"], finders)
    if "regex" in entry:
        return Normaliser("regex", finders, _checked_regex(entry["regex"]), entry["replace"])
    if "round" in entry:
        return Normaliser("round", finders, digits=entry["round"])
    return Normaliser("sorted", _finders(entry["sorted"]))


@cache
def _condition(text: str) -> Condition:
    """The condition of a JSON text: rules with one condition share it, so it is tested once."""
    return condition(json.loads(text))


def condition(expected: str | Mapping[str, Any]) -> Condition:
    """Make the condition of `when.body`: a JSONPath that must find something, or JSONPaths each of
    which must find one of its values (texts may be globs).
    """
    if isinstance(expected, str):
        find = finder(expected)
        return _of_members([expected], lambda body: any(True for _ in find(body)))
    tests = [
        (finder(path), [_equal(item) for item in (value if isinstance(value, list) else [value])])
        for path, value in expected.items()
    ]

    def holds(body: Json) -> bool:
        return all(
            any(test(at(body, tuple(path))) for path in find(body) for test in values)
            for find, values in tests
        )

    return _of_members(expected, holds)


_MEMBER: Final = re.compile(r"\$\.([A-Za-z_][A-Za-z0-9_]*)")


def _of_members(paths: Iterable[str], holds: Condition) -> Condition:
    """The same condition, which is not tested for a body without the members in which its paths
    begin.
    """
    members = {match[1] for path in paths if (match := _MEMBER.match(path))}
    return MemberCondition(frozenset(members), holds) if members else holds


def _equal(expected: Any) -> Callable[[Json], bool]:
    if isinstance(expected, str):
        return lambda value: isinstance(value, str) and fnmatchcase(value, expected)
    number = plain_numbers(expected)
    return lambda value: type(value) is type(number) and value == number


def _finders(paths: Iterable[str]) -> tuple[Finder, ...]:
    return tuple(finder(path) for path in paths)


@cache
def linear_regex(text: str) -> "Linear":
    """Compile a regular expression that runs in linear time; ValueError if it cannot."""
    # Imported late: only who has patterns of his own needs it.
    from wiretape.core.text.regex import Linear

    return Linear(text)


@cache
def _checked_regex(text: str) -> "Linear":
    from wiretape.core.text.regex import Linear

    return Linear(text, is_checked=True)


@cache
def _environment() -> "JSONPathEnvironment":
    # Imported late: it takes a third of the time that all other imports here take.
    from jsonpath import JSONPathEnvironment

    environment = JSONPathEnvironment(strict=True)
    # Deeper than a body that is JSON to us (jsontext.MAX_DEPTH).
    environment.max_recursion_depth = 1000
    return environment


@cache
def finder(path: str) -> Finder:
    """Compile a JSONPath (RFC 9535) to what finds its paths in a value; ValueError if invalid."""
    return compiled(path) or _full(path)


def _full(path: str) -> Finder:
    from jsonpath import JSONPathError

    try:
        query = _environment().compile(path)
    except JSONPathError as error:
        index = error.token.index if error.token else -1
        where = f" at position {index}" if index >= 0 else " at the end"
        reason = re.sub(r"( token)? ('.*'|\".*\")", r"\1", str(error.args[0]), flags=re.DOTALL)
        raise ValueError(f"not a JSONPath (RFC 9535): {reason}{where}") from None

    def find(value: Any) -> Iterable[tuple[str | int, ...]]:
        # The library reads a string as JSON.
        if not isinstance(value, dict | list):
            return ()
        return (match.parts for match in query.finditer(value))

    return find

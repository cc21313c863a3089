"""The JSONPaths most rules are written with, found without a library: `$.messages[*].id`.

`compiled` reads names, indexes from 0, `[*]`, and `[?@.type=='x']` (or `!=`) where the member is
text; for all else of RFC 9535 it gives None, and a full implementation has to be asked. Loading one
takes longer than all that wiretape itself does at its start.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from .exact_json import Json

type Path = tuple[str | int, ...]
"""A place in a JSON value: ("messages", 0, "content")."""

type Finder = Callable[[Json], Iterable[Path]]
"""Finds places in a JSON value, as a compiled JSONPath does (RFC 9535)."""

type _Places = list[tuple[Path, Json]]
type _Step = Callable[[_Places], _Places]

_STEP: Final = re.compile(
    r"\.(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\['(?P<quoted>[^'\"\\\x00-\x1f]*)'\]"
    r"|\[(?P<index>0|[1-9][0-9]{0,8})\]"
    r"|(?P<all>\[\*\]|\.\*)"
    r"|\[\?@\.(?P<member>[A-Za-z_][A-Za-z0-9_]*) ?(?P<sign>==|!=) ?'(?P<value>[^'\"\\]*)'\]"
)


def compiled(path: str) -> Finder | None:
    """What finds the places of a JSONPath, or None where it is not a simple one."""
    if not path.startswith("$"):
        return None
    steps: list[_Step] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            return None
        steps.append(_step(found))
        at = found.end()

    def find(value: Json) -> Iterable[Path]:
        places: _Places = [((), value)]
        for step in steps:
            if not places:
                return ()
            places = step(places)
        return [place for place, _ in places]

    return find if steps else None


def _step(found: re.Match[str]) -> _Step:
    name = found["name"] if found["name"] is not None else found["quoted"]
    if name is not None:
        return lambda places: [
            ((*place, name), value[name])
            for place, value in places
            if type(value) is dict and name in value
        ]
    if found["index"] is not None:
        index = int(found["index"])
        return lambda places: [
            ((*place, index), value[index])
            for place, value in places
            if type(value) is list and index < len(value)
        ]
    if found["all"]:
        return lambda places: [child for one in places for child in _children(*one)]
    member, text, equal = found["member"], found["value"], found["sign"] == "=="
    return lambda places: [
        (place, value)
        for one in places
        for place, value in _children(*one)
        if (type(value) is dict and value.get(member) == text) is equal
    ]


def _children(place: Path, value: Any) -> Iterable[tuple[Path, Json]]:
    if type(value) is dict:
        return (((*place, name), item) for name, item in value.items())
    if type(value) is list:
        return (((*place, index), item) for index, item in enumerate(value))
    return ()

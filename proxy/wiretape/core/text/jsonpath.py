"""Evaluate the JSONPaths most rules are written with, without a library: `$.messages[*].id`.

`compiled` reads names, indexes from 0, `[*]`, and `[?@.type=='x']` (or `!=`) comparing text. For
everything else of RFC 9535 it gives None and a full implementation has to be used; loading one
takes longer than the rest of wiretape's start.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from .exact_json import Json

type Path = tuple[str | int, ...]
"""The path to a value within a JSON value: ("messages", 0, "content")."""

type Finder = Callable[[Json], Iterable[Path]]
"""Gives the paths of what it selects in a JSON value, as a compiled JSONPath does (RFC 9535)."""

type _Nodes = list[tuple[Path, Json]]
type _Step = Callable[[_Nodes], _Nodes]

_STEP: Final = re.compile(
    r"\.(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\['(?P<quoted>[^'\"\\\x00-\x1f]*)'\]"
    r"|\[(?P<index>0|[1-9][0-9]{0,8})\]"
    r"|(?P<all>\[\*\]|\.\*)"
    r"|\[\?@\.(?P<member>[A-Za-z_][A-Za-z0-9_]*) ?(?P<sign>==|!=) ?'(?P<value>[^'\"\\]*)'\]"
)


def compiled(path: str) -> Finder | None:
    """Compile a JSONPath, or give None if it is not among the simple ones.

    >>> find = compiled("$.messages[*].id")
    >>> list(find({"messages": [{"id": "a"}, {"role": "user"}, {"id": "b"}]}))
    [('messages', 0, 'id'), ('messages', 2, 'id')]
    """
    if not path.startswith("$"):
        return None
    steps: list[_Step] = []
    at = 1
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            return None
        steps.append(_step(match))
        at = match.end()

    def find(value: Json) -> Iterable[Path]:
        nodes: _Nodes = [((), value)]
        for step in steps:
            if not nodes:
                return ()
            nodes = step(nodes)
        return [path for path, _ in nodes]

    return find if steps else None


def _step(match: re.Match[str]) -> _Step:
    name = match["name"] if match["name"] is not None else match["quoted"]
    if name is not None:
        return lambda nodes: [
            ((*path, name), value[name])
            for path, value in nodes
            if type(value) is dict and name in value
        ]
    if match["index"] is not None:
        index = int(match["index"])
        return lambda nodes: [
            ((*path, index), value[index])
            for path, value in nodes
            if type(value) is list and index < len(value)
        ]
    if match["all"]:
        return lambda nodes: [child for node in nodes for child in _children(*node)]
    member, text, equal = match["member"], match["value"], match["sign"] == "=="
    return lambda nodes: [
        (path, value)
        for node in nodes
        for path, value in _children(*node)
        if (type(value) is dict and value.get(member) == text) is equal
    ]


def _children(path: Path, value: Any) -> Iterable[tuple[Path, Json]]:
    if type(value) is dict:
        return (((*path, name), item) for name, item in value.items())
    if type(value) is list:
        return (((*path, index), item) for index, item in enumerate(value))
    return ()

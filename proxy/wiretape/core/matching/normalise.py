"""Take out of bodies what changes from run to run: UUIDs, dates, temporary paths, ids.

What is volatile gets a numbered name in the order of first appearance, so that the same id twice
still differs from two ids. Names begin with a NUL, which no usual text has; `shown` gives them as a
reader sees them.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from wiretape.core.text.exact_json import Json
from wiretape.core.text.jsonpath import Finder, Path
from wiretape.core.text.regex import Regex

from .body import MARK

type NormaliserKind = Literal[
    "uuids", "dates", "temporary-paths", "ids", "regex", "round", "sorted"
]

NAMED: Final[Mapping[str, str]] = {
    "uuids": "uuid",
    "dates": "date",
    "temporary-paths": "path",
    "ids": "id",
}
"""The normalisers that go by a name alone, and what their numbered names are called."""

_UUID: Final = re.compile(
    r"(?<![0-9A-Za-z-])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Za-z-])"
)  # RFC 9562
# ISO 8601 / RFC 3339: a day, with a time perhaps. After a hyphen it is the end of a model's name
# (gpt-4o-2024-08-06), which counts.
_DATE: Final = re.compile(
    r"(?<![0-9A-Za-z-])"
    r"(?:[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:[Tt ][0-2][0-9]:[0-5][0-9](?::[0-6][0-9](?:[.,][0-9]{1,9})?)?"
    r"(?: ?(?:[Zz]|[+-][0-2][0-9]:?[0-5][0-9]))?)?"
    r"|[0-9]{8}T[0-2][0-9][0-5][0-9](?:[0-6][0-9](?:[.,][0-9]{1,9})?)?(?:Z|[+-][0-9]{4})?)"
    r"(?![0-9A-Za-z-])"
)
# The folder for temporary files and the name below it; what follows (a file's own name) counts.
_PART: Final = r"[\w+~@%-]+(?:\.[\w+~@%-]+)*"
_TEMPORARY: Final = re.compile(
    r"(?<![\w.-])"
    r"(?:(?:/private)?/(?:var/)?tmp|(?:/private)?/var/folders/[\w+-]{1,64}/[\w+-]{1,64}/T"
    r"|[A-Za-z]:[\\/]{1,4}Users[\\/]{1,4}[^\\/\s\"']{1,64}[\\/]{1,4}AppData[\\/]{1,4}Local"
    r"[\\/]{1,4}Temp)"
    rf"[\\/]{{1,4}}(?:pytest-of-[\w.+-]{{1,64}}[\\/]{{1,4}}pytest-(?:[0-9]+|current)|{_PART})"
)
_REGEXES: Final = {"uuids": _UUID, "dates": _DATE, "temporary-paths": _TEMPORARY}


@dataclass(frozen=True, slots=True)
class Normaliser:
    """One change of bodies. `at` finds the paths it is for, with all that is below them; without
    any it is for the whole body. `regex` and `replace` are the kind regex's, `digits` is round's.
    """

    kind: NormaliserKind
    at: tuple[Finder, ...] = ()
    regex: Regex | None = None
    replace: str = ""
    digits: int = 0


@dataclass(slots=True)
class Names:
    """The numbered names that one request's values have been given."""

    given: dict[str, dict[str, str]] = field(default_factory=dict)

    def name(self, kind: str, text: str) -> str:
        """The name of a text: its number is that of its first appearance."""
        known = self.given.setdefault(kind, {})
        return known.setdefault(text, f"{MARK}{kind}-{len(known) + 1}{MARK}")


type Touched = Callable[[Path, Json], None]
"""Called with the path of each value that is changed, and the value before."""


def normalised(value: Json, normaliser: Normaliser, names: Names, touched: Touched) -> Json:
    """Make one change to a body and give the result; objects and lists are changed in place.

    >>> texts = ["run 0b0e7b5a-7c1e-4b8e-9c5d-000000000001", "run 7"]
    >>> values = normalised(texts, Normaliser("uuids"), Names(), lambda path, before: None)
    >>> [shown(value) for value in values]
    ['run <uuid-1>', 'run 7']
    """
    if normaliser.kind == "sorted":
        return _sorted(value, normaliser, touched)
    if normaliser.kind == "ids" and normaliser.at:
        return edited(value, _ids(value, normaliser, names, touched))
    change = _CHANGES[normaliser.kind]
    edits: dict[Path, Json] = {}
    for path, leaf in _leaves(value, normaliser):
        if normaliser.kind == "ids" and isinstance(leaf, str) and leaf.startswith(MARK):
            continue
        new = change(leaf, normaliser, names)
        # Python holds True for 1 and 1 for 1.0.
        if new is not leaf and (type(new) is not type(leaf) or new != leaf):
            edits[path] = new
            touched(path, leaf)
    return edited(value, edits)


def _ids(value: Json, normaliser: Normaliser, names: Names, touched: Touched) -> dict[Path, Json]:
    """What ids at certain paths become: the fast way, of most requests."""
    paths: dict[Path, Json] = {}
    for find in normaliser.at:
        for path in find(value):
            paths[tuple(path)] = None
    edits: dict[Path, Json] = {}
    for path in sorted(paths):
        leaf = at(value, path)
        if isinstance(leaf, str):
            if leaf[:1] != MARK:
                edits[path] = names.name("id", leaf)
                touched(path, leaf)
        elif isinstance(leaf, dict | list):
            for inner, text in leaves(leaf, path):
                if isinstance(text, str) and text[:1] != MARK:
                    edits[inner] = names.name("id", text)
                    touched(inner, text)
    return edits


def _leaves(value: Json, normaliser: Normaliser) -> Iterator[tuple[Path, Json]]:
    if not normaliser.at:
        yield from (
            (path, leaf)
            for path, leaf in leaves(value)
            if normaliser.kind != "ids" or is_id_place(path)
        )
        return
    seen: set[Path] = set()
    # In order of path: the order in which a request wrote its members does not count.
    for start in sorted({tuple(path) for find in normaliser.at for path in find(value)}):
        for path, leaf in leaves(at(value, start), start):
            if path not in seen:
                seen.add(path)
                yield path, leaf


def leaves(value: Json, start: Path = ()) -> Iterator[tuple[Path, Json]]:
    """Each text, number, boolean and null below a path, members in order of their names."""
    stack: list[tuple[Path, Json]] = [(start, value)]
    while stack:
        path, item = stack.pop()
        if isinstance(item, dict):
            if not is_token(item):
                stack += [((*path, name), item[name]) for name in sorted(item, reverse=True)]
        elif isinstance(item, list):
            stack += [((*path, index), item[index]) for index in reversed(range(len(item)))]
        else:
            yield path, item


def _sorted(value: Json, normaliser: Normaliser, touched: Touched) -> Json:
    # The innermost first: what a set holds may be sets.
    for path in sorted(
        {tuple(path) for find in normaliser.at for path in find(value)}, reverse=True
    ):
        items = at(value, path)
        if isinstance(items, list):
            spelled = [(json.dumps(item, sort_keys=True), item) for item in items]
            ordered = sorted(spelled, key=lambda pair: pair[0])
            if [text for text, _ in ordered] != [text for text, _ in spelled]:
                touched(path, items)
                value = edited(value, {path: [item for _, item in ordered]})
    return value


# ------------------------------------------------------------------ what each kind does


def _named(leaf: Json, normaliser: Normaliser, names: Names) -> Json:
    if not isinstance(leaf, str):
        return leaf
    kind = NAMED[normaliser.kind]
    fold = str.lower if normaliser.kind == "uuids" else str
    return _REGEXES[normaliser.kind].sub(lambda match: names.name(kind, fold(match[0])), leaf)


def _id(leaf: Json, normaliser: Normaliser, names: Names) -> Json:
    return names.name("id", leaf) if isinstance(leaf, str) else leaf


def _replaced(leaf: Json, normaliser: Normaliser, names: Names) -> Json:
    if not isinstance(leaf, str) or normaliser.regex is None:
        return leaf
    parts: list[str] = []
    end = 0
    for match in normaliser.regex.finditer(leaf):
        start, stop = match.span()
        parts += (leaf[end:start], normaliser.replace)
        end = stop
    return "".join((*parts, leaf[end:])) if parts else leaf


def _rounded(leaf: Json, normaliser: Normaliser, names: Names) -> Json:
    if type(leaf) is not float:
        return leaf
    number = round(leaf, normaliser.digits)
    return int(number) if number.is_integer() else number


_CHANGES: Final[dict[NormaliserKind, Callable[[Json, Normaliser, Names], Json]]] = {
    "uuids": _named,
    "dates": _named,
    "temporary-paths": _named,
    "ids": _id,
    "regex": _replaced,
    "round": _rounded,
}


# ------------------------------------------------------------------ ids

TOKEN: Final = MARK + "id"
"""The only member of what stands for an id that a recorded answer gave out: {TOKEN: "KEY12#0"}."""

_ID_NAME: Final = re.compile(r"(?:.*_)?ids?|.*[a-z0-9]Ids?", re.DOTALL)


def is_id_name(name: str) -> bool:
    """Whether a member's name says that it holds an id: id, response_id, file_ids, toolUseId."""
    return _ID_NAME.fullmatch(name) is not None


def is_id_place(path: Path, more: frozenset[str] = frozenset()) -> bool:
    """Whether a path's last member is named as ids are, or among `more`."""
    name = next((step for step in reversed(path) if isinstance(step, str)), "")
    return name in more or is_id_name(name)


def is_token(value: Json) -> bool:
    """Whether a value stands for an id that an answer gave out."""
    return isinstance(value, dict) and len(value) == 1 and TOKEN in value


def with_tokens(value: Json, ids: Mapping[str, str], more: frozenset[str]) -> Json:
    """Replace the ids in a body, in place, by tokens of where they came from."""
    return edited(
        value,
        {
            path: {TOKEN: ids[leaf]}
            for path, leaf in leaves(value)
            if isinstance(leaf, str) and leaf in ids and is_id_place(path, more)
        },
    )


def path_with_tokens(path: str, ids: Mapping[str, str]) -> tuple[str, str]:
    """A URL's path with the ids in it as tokens, and as asterisks. An id may be several segments
    (files/abc), and a method may follow it (:generateContent).
    """
    compared = template = path
    # The longest first: files/abc before abc.
    for spelled in sorted(ids, key=lambda text: (-len(text), text)):
        if spelled in compared:
            bounds = re.compile(rf"(?<=/){re.escape(spelled)}(?=[/:]|$)")
            token = f"{MARK}{ids[spelled]}{MARK}"
            compared = bounds.sub(lambda _, token=token: token, compared)  # type: ignore[misc]  # bound now
            template = bounds.sub("*", template)
    return compared, template


# ------------------------------------------------------------------ paths


def at(value: Json, path: Path) -> Json:
    """The value at a path, which has to be there."""
    for step in path:
        value = value[step]
    return value


def edited(value: Json, edits: Mapping[Path, Json]) -> Json:
    """Change `value` at these paths, none of which is inside another; gives `value` itself."""
    for path, new in edits.items():
        if not path:
            return new
        parent = value
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] = new
    return value


def without(value: Json, paths: Iterable[Path]) -> Json:
    """A copy of `value` without the members and items at `paths`; () empties it."""
    doomed = {tuple(path) for path in paths}
    if () in doomed:
        return {} if isinstance(value, dict) else []
    return _pruned(value, (), doomed) if doomed else value


def _pruned(value: Json, here: Path, doomed: set[Path]) -> Json:
    if isinstance(value, dict):
        return {
            name: _pruned(item, path, doomed)
            for name, item in value.items()
            if (path := (*here, name)) not in doomed
        }
    if isinstance(value, list):
        return [
            _pruned(item, path, doomed)
            for index, item in enumerate(value)
            if (path := (*here, index)) not in doomed
        ]
    return value


def others(value: Json, paths: Iterable[Path]) -> list[Path]:
    """The outermost paths of `value` that neither are among `paths` nor lead to one."""
    wanted = {tuple(path) for path in paths}
    above = {path[:depth] for path in wanted for depth in range(len(path))}
    if () not in wanted | above:
        return [()] if value not in ({}, []) else []
    outermost: list[Path] = []
    stack: list[tuple[Path, Json]] = [((), value)]
    while stack:
        here, item = stack.pop()
        if here not in wanted and here not in above:
            outermost.append(here)
        elif here not in wanted:
            pairs = item.items() if isinstance(item, dict) else enumerate(item)
            stack += [((*here, step), child) for step, child in pairs]
    return outermost


def nulls(value: Json, finders: Iterable[Finder]) -> set[Path]:
    """The members that are null, at or below what the finders find; without finders all."""
    finders = tuple(finders)
    starts = {tuple(path) for find in finders for path in find(value)} if finders else {()}
    return {
        path
        for start in starts
        for path, leaf in leaves(at(value, start), start)
        if leaf is None and path and isinstance(path[-1], str)
    }


# ------------------------------------------------------------------ for a reader

_SHOWN: Final = re.compile(rf"{MARK}([^{MARK}]+){MARK}")


def shown(text: str) -> str:
    """A text with numbered names as a reader sees them: "<uuid-1>"."""
    return _SHOWN.sub(r"<\1>", text) if MARK in text else text


def shown_token(value: Mapping[str, str]) -> str:
    """An id's token as a reader sees it: the recording that gave it, and which of its ids."""
    key, _, number = value[TOKEN].partition("#")
    return f"<id {number} of {key}>"

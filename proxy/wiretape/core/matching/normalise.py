"""Bodies with what changes from run to run taken out of them: UUIDs, dates, temporary paths, ids.

What is volatile gets a numbered name in the order of first appearance, so that the same id twice
still differs from two ids. Names begin with a NUL, which no text that is met has; `shown` gives
them as a reader sees them.
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
    """One change of bodies. `at` are the places it is for, all that is below them too; none:
    everywhere. `regex` and `replace` are the kind regex's, `digits` is round's.
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
"""Is told each place that is changed, and what was there."""


def normalised(value: Json, one: Normaliser, names: Names, touched: Touched) -> Json:
    """A body with one change made to it, in place where it is no text alone."""
    if one.kind == "sorted":
        return _sorted(value, one, touched)
    if one.kind == "ids" and one.at:
        return edited(value, _ids(value, one, names, touched))
    change = _CHANGES[one.kind]
    edits: dict[Path, Json] = {}
    for place, leaf in _leaves(value, one):
        if one.kind == "ids" and isinstance(leaf, str) and leaf.startswith(MARK):
            continue
        new = change(leaf, one, names)
        # Python holds True for 1 and 1 for 1.0.
        if new is not leaf and (type(new) is not type(leaf) or new != leaf):
            edits[place] = new
            touched(place, leaf)
    return edited(value, edits)


def _ids(value: Json, one: Normaliser, names: Names, touched: Touched) -> dict[Path, Json]:
    """What ids at places become: the way of most requests, which have few of them or none."""
    found: dict[Path, Json] = {}
    for find in one.at:
        for place in find(value):
            found[tuple(place)] = None
    edits: dict[Path, Json] = {}
    for place in sorted(found):
        leaf = at(value, place)
        if isinstance(leaf, str):
            if leaf[:1] != MARK:
                edits[place] = names.name("id", leaf)
                touched(place, leaf)
        elif isinstance(leaf, dict | list):
            for inner, text in leaves(leaf, place):
                if isinstance(text, str) and text[:1] != MARK:
                    edits[inner] = names.name("id", text)
                    touched(inner, text)
    return edits


def _leaves(value: Json, one: Normaliser) -> Iterator[tuple[Path, Json]]:
    if not one.at:
        yield from (
            (place, leaf)
            for place, leaf in leaves(value)
            if one.kind != "ids" or is_id_place(place)
        )
        return
    seen: set[Path] = set()
    # In order of place: members come as a request wrote them, and their order does not count.
    for start in sorted({tuple(place) for find in one.at for place in find(value)}):
        for place, leaf in leaves(at(value, start), start):
            if place not in seen:
                seen.add(place)
                yield place, leaf


def leaves(value: Json, start: Path = ()) -> Iterator[tuple[Path, Json]]:
    """Each text, number, boolean and null below a place, members in order of their names."""
    stack: list[tuple[Path, Json]] = [(start, value)]
    while stack:
        place, item = stack.pop()
        if isinstance(item, dict):
            if not is_token(item):
                stack += [((*place, name), item[name]) for name in sorted(item, reverse=True)]
        elif isinstance(item, list):
            stack += [((*place, index), item[index]) for index in reversed(range(len(item)))]
        else:
            yield place, item


def _sorted(value: Json, one: Normaliser, touched: Touched) -> Json:
    # The innermost first: what a set holds may be sets.
    for place in sorted({tuple(place) for find in one.at for place in find(value)}, reverse=True):
        items = at(value, place)
        if isinstance(items, list):
            spelled = [(json.dumps(item, sort_keys=True), item) for item in items]
            ordered = sorted(spelled, key=lambda pair: pair[0])
            if [text for text, _ in ordered] != [text for text, _ in spelled]:
                touched(place, items)
                value = edited(value, {place: [item for _, item in ordered]})
    return value


# ------------------------------------------------------------------ what each kind does


def _named(leaf: Json, one: Normaliser, names: Names) -> Json:
    if not isinstance(leaf, str):
        return leaf
    kind = NAMED[one.kind]
    fold = str.lower if one.kind == "uuids" else str
    return _REGEXES[one.kind].sub(lambda found: names.name(kind, fold(found[0])), leaf)


def _id(leaf: Json, one: Normaliser, names: Names) -> Json:
    return names.name("id", leaf) if isinstance(leaf, str) else leaf


def _replaced(leaf: Json, one: Normaliser, names: Names) -> Json:
    if not isinstance(leaf, str) or one.regex is None:
        return leaf
    parts: list[str] = []
    end = 0
    for found in one.regex.finditer(leaf):
        start, stop = found.span()
        parts += (leaf[end:start], one.replace)
        end = stop
    return "".join((*parts, leaf[end:])) if parts else leaf


def _rounded(leaf: Json, one: Normaliser, names: Names) -> Json:
    if type(leaf) is not float:
        return leaf
    number = round(leaf, one.digits)
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
"""The one member of what stands for an id that a recorded answer gave out: {TOKEN: "KEY12#0"}."""

_ID_NAME: Final = re.compile(r"(?:.*_)?ids?|.*[a-z0-9]Ids?", re.DOTALL)


def is_id_name(name: str) -> bool:
    """Whether a member's name says that it holds an id: id, response_id, file_ids, toolUseId."""
    return _ID_NAME.fullmatch(name) is not None


def is_id_place(place: Path, more: frozenset[str] = frozenset()) -> bool:
    """Whether a place's member (its list's, for an item) is named as ids are, or one of `more`."""
    name = next((step for step in reversed(place) if isinstance(step, str)), "")
    return name in more or is_id_name(name)


def is_token(value: Json) -> bool:
    """Whether a value stands for an id that an answer gave out."""
    return isinstance(value, dict) and len(value) == 1 and TOKEN in value


def with_tokens(value: Json, ids: Mapping[str, str], more: frozenset[str]) -> Json:
    """A body with the ids in id places, in place, as tokens of where they came from."""
    return edited(
        value,
        {
            place: {TOKEN: ids[leaf]}
            for place, leaf in leaves(value)
            if isinstance(leaf, str) and leaf in ids and is_id_place(place, more)
        },
    )


def path_with_tokens(path: str, ids: Mapping[str, str]) -> tuple[str, str]:
    """A URL's path with the ids in it as tokens, and as asterisks. An id may be several segments
    (files/abc), and a method may follow it (:generateContent).
    """
    told, starred = path, path
    # The longest first: files/abc before abc.
    for spelled in sorted(ids, key=lambda one: (-len(one), one)):
        if spelled in told:
            bounds = re.compile(rf"(?<=/){re.escape(spelled)}(?=[/:]|$)")
            token = f"{MARK}{ids[spelled]}{MARK}"
            told = bounds.sub(lambda _, token=token: token, told)  # type: ignore[misc]  # bound now
            starred = bounds.sub("*", starred)
    return told, starred


# ------------------------------------------------------------------ places


def at(value: Json, place: Path) -> Json:
    """What stands at a place of a value that has it."""
    for step in place:
        value = value[step]
    return value


def edited(value: Json, edits: Mapping[Path, Json]) -> Json:
    """`value` itself with other values at these places, none of which is inside another."""
    for place, new in edits.items():
        if not place:
            return new
        parent = value
        for step in place[:-1]:
            parent = parent[step]
        parent[place[-1]] = new
    return value


def without(value: Json, places: Iterable[Path]) -> Json:
    """A copy of `value` with the members and items at `places` left out; () leaves it empty."""
    doomed = {tuple(place) for place in places}
    if () in doomed:
        return {} if isinstance(value, dict) else []
    return _pruned(value, (), doomed) if doomed else value


def _pruned(value: Json, here: Path, doomed: set[Path]) -> Json:
    if isinstance(value, dict):
        return {
            name: _pruned(item, place, doomed)
            for name, item in value.items()
            if (place := (*here, name)) not in doomed
        }
    if isinstance(value, list):
        return [
            _pruned(item, place, doomed)
            for index, item in enumerate(value)
            if (place := (*here, index)) not in doomed
        ]
    return value


def others(value: Json, places: Iterable[Path]) -> list[Path]:
    """The outermost places of `value` that neither are among `places` nor lead to one."""
    wanted = {tuple(place) for place in places}
    above = {place[:depth] for place in wanted for depth in range(len(place))}
    if () not in wanted | above:
        return [()] if value not in ({}, []) else []
    found: list[Path] = []
    stack: list[tuple[Path, Json]] = [((), value)]
    while stack:
        here, item = stack.pop()
        if here not in wanted and here not in above:
            found.append(here)
        elif here not in wanted:
            pairs = item.items() if isinstance(item, dict) else enumerate(item)
            stack += [((*here, step), child) for step, child in pairs]
    return found


def nulls(value: Json, finders: Iterable[Finder]) -> set[Path]:
    """The members that are null, at or below what the finders find; without finders all."""
    finders = tuple(finders)
    starts = {tuple(place) for find in finders for place in find(value)} if finders else {()}
    return {
        place
        for start in starts
        for place, leaf in leaves(at(value, start), start)
        if leaf is None and place and isinstance(place[-1], str)
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

"""Join the strings of a stream's chunks by their text paths, only to look at them.

`stream_texts.leaves` takes each chunk apart by itself, which a search needs and a look does not. A
stream's chunks are of a few shapes, so here all of one shape go side by side: a member at a time,
its values of all chunks in one list. What is not alike is walked chunk by chunk.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Final

from wiretape.core.text import exact_json

from . import stream_texts, token_lists
from .stream_texts import (
    ANY_NUMBER,
    NUMBERS,
    TextPath,
    is_text,
    kind_of,
    merged,
)

_FEW: Final = 4
"""So few values alike are walked one by one, which takes less time."""
_DEEP: Final = 20
"""Levels below this one are walked chunk by chunk."""

type _TextStep = str | int | tuple[str, int]
type _Names = tuple[object, object]
"""The last two steps of a JSON path."""


class _Path:
    """A text path: the paths that go on from it, its strings, and the chunk of each."""

    __slots__ = ("chunks", "next", "path", "texts")

    def __init__(self, path: TextPath) -> None:
        self.path = path
        self.next: dict[_TextStep, _Path] = {}
        self.texts: list[str] = []
        self.chunks: list[int] = []

    def step(self, step: _TextStep) -> "_Path":
        after = self.next.get(step)
        if after is None:
            after = self.next[step] = _Path((*self.path, step))
        return after

    def take(self, text: str, chunk: int) -> None:
        self.texts.append(text)
        self.chunks.append(chunk)

    def each(self) -> "Iterator[_Path]":
        yield self
        for after in self.next.values():
            yield from after.each()

    def take_all(self, texts: Sequence[str], chunks: Sequence[int]) -> None:
        self.texts += texts
        self.chunks += chunks

    @property
    def text(self) -> str:
        """The strings joined in the order of their chunks; those of one chunk stand as it has
        them.
        """
        order = sorted(self.chunks)
        if order == self.chunks:
            return "".join(self.texts)
        order = sorted(range(len(self.chunks)), key=self.chunks.__getitem__)
        return "".join(map(self.texts.__getitem__, order))

    @property
    def varies(self) -> bool:
        """Whether there are several different strings."""
        return self.texts.count(self.texts[0]) < len(self.texts)


class JoinedTexts:
    """Joins the strings of a stream's chunks by their text paths, as those of `leaves` would be.

    >>> texts = JoinedTexts()
    >>> texts.add([{"delta": {"text": "Hel"}}, {"delta": {"text": "lo"}}], [0, 1])
    >>> texts.joined()
    ['Hello']
    """

    def __init__(self) -> None:
        self._first = _Path(())
        self._chunk = 0

    def add(self, values: Sequence[exact_json.Json], chunks: Sequence[int]) -> None:
        """Take the JSON of some chunks, which are given by their numbers, in order."""
        if not any(type(value) is dict and "type" in value for value in values):
            self._items(values, chunks, self._first.step(kind_of(None)), (None, None), 0)
            return
        for kind, alike, of_each in _divided(kind_of, values, chunks):
            self._items(alike, of_each, self._first.step(kind), (None, None), 0)

    def add_data(self, text: str, chunk: int) -> None:
        """Take the data of a chunk's event, which is not JSON."""
        self._first.step("data").take(text, chunk)

    def joined(self, *, singles: bool = False) -> list[str] | None:
        """The texts of several different strings; with `singles` those of one as well. None if
        paths of one would have to be merged.
        """
        paths = [path for path in self._first.each() if path.texts]
        if merged((path.path, path.chunks[0]) for path in paths if len(path.texts) == 1):
            return None
        return [
            path.text
            for path in paths
            if (singles if len(path.texts) == 1 else is_text(path.path) or path.varies)
        ]

    # ------------------------------------------------------------------ side by side

    def _items(
        self, values: Sequence[Any], chunks: Sequence[int], path: _Path, names: _Names, depth: int
    ) -> None:
        """Take values that stand at one place in their chunks."""
        for kind, alike, of_each in _divided(type, values, chunks):
            if kind is str:
                path.take_all(alike, of_each)
            elif kind is not dict and kind is not list:
                continue
            elif len(alike) < _FEW or depth > _DEEP:
                self._singly(alike, of_each, path, names, depth)
            elif kind is dict:
                self._objects(alike, of_each, path, names, depth)
            else:
                self._lists(alike, of_each, path, names, depth)

    def _objects(
        self, values: Sequence[Any], chunks: Sequence[int], path: _Path, names: _Names, depth: int
    ) -> None:
        # A block's own members go on in others, so there their order counts.
        is_block = not depth and any("content_block" in value for value in values)
        columns = None if is_block else _columns(values)
        if columns is not None:
            self._alike(values, columns, chunks, path, names, depth)
            return
        for _, alike, of_each in _divided(tuple, values, chunks):
            columns = _columns(alike)
            if columns is None or (is_block and str in map(type, columns.get("content_block", ()))):
                self._singly(alike, of_each, path, names, depth)
            else:
                self._alike(alike, columns, of_each, path, names, depth)

    def _alike(
        self,
        values: Sequence[Any],
        columns: dict[str, list[Any]],
        chunks: Sequence[int],
        path: _Path,
        names: _Names,
        depth: int,
    ) -> None:
        """Take objects of which the members are given as well."""
        if len(values) < _FEW or any(map(str.isdecimal, columns)):
            self._singly(values, chunks, path, names, depth)
            return
        for numbered, some, of_some in _numbered_alike(tuple(columns), path, values, chunks):
            members = columns if some is values else _columns(some) or {}
            for name, column in members.items():
                step = "delta" if name == "content_block" and not depth else name
                self._items(column, of_some, numbered.step(step), (names[1], name), depth + 1)

    def _lists(
        self, values: Sequence[Any], chunks: Sequence[int], path: _Path, names: _Names, depth: int
    ) -> None:
        is_joined = stream_texts.is_joined(*names)
        for length, alike, of_each in _divided(len, values, chunks):
            if length and (
                len(alike) < max(_FEW, length)
                or _may_be_tokens(names, [value[0] for value in alike])
            ):
                self._singly(alike, of_each, path, names, depth)
                continue
            # `zip` would make an iterator of each, thousands at once for the garbage collector.
            columns = [[value[at] for value in alike] for at in range(length)]
            for at, column in enumerate(columns):
                for step, some, of_some in _steps(at, column, of_each, is_joined=is_joined):
                    self._items(some, of_some, path.step(step), (names[1], at), depth + 1)

    # ------------------------------------------------------------------ chunk by chunk

    def _singly(
        self, values: Sequence[Any], chunks: Sequence[int], path: _Path, names: _Names, depth: int
    ) -> None:
        for value, self._chunk in zip(values, chunks, strict=True):
            self._into(value, path, *names, depth)

    def _into(self, value: Any, path: _Path, above: object, name: object, depth: int) -> None:
        """Do as `_Walk.into` and `_into_list`; the JSON path ends with `above` and `name`."""
        # This runs for each object and list of each chunk.
        if depth > exact_json.MAX_DEPTH:
            return
        members: Iterable[tuple[Any, Any]]
        if type(value) is dict:
            if not ANY_NUMBER.isdisjoint(value):
                path = _numbered(path, value)
            members, step_of = value.items(), None
        else:
            members, step_of = enumerate(value), _step_of(above, name, value)
        paths = path.next
        for key, item in members:
            kind = type(item)
            if kind is str:
                step = key if step_of is None else step_of(key, item)
                (paths.get(step) or path.step(step)).take(item, self._chunk)
            elif kind is dict or kind is list:
                if step_of is not None:
                    step = step_of(key, item)
                elif key == "content_block" and not depth:
                    step = "delta"
                elif kind is dict and "decoded_token" in item and token_lists.is_by_id(value):
                    step = "*" if key == next(iter(value)) else key
                else:
                    step = key
                after = paths.get(step) or path.step(step)
                self._into(item, after, name, key, depth + 1)


def _divided[Value, Label: Hashable](
    label_of: Callable[[Value], Label], values: Sequence[Value], chunks: Sequence[int]
) -> Iterator[tuple[Label, Sequence[Value], Sequence[int]]]:
    """The values of each label, with their chunks, in order."""
    labels = set(map(label_of, values))
    if len(labels) < 2:
        for label in labels:
            yield label, values, chunks
        return
    groups: dict[Label, tuple[list[Value], list[int]]] = {}
    for value, chunk in zip(values, chunks, strict=True):
        group = groups.setdefault(label_of(value), ([], []))
        group[0].append(value)
        group[1].append(chunk)
    for label, group in groups.items():
        yield label, *group


def _columns(objects: Sequence[dict[str, Any]]) -> dict[str, list[Any]] | None:
    """The values of each member of objects that all have the same; None if they do not."""
    if len(set(map(len, objects))) > 1:
        return None
    try:
        return {name: [each[name] for each in objects] for name in objects[0]}
    except KeyError:
        return None


def _numbered_alike(
    shape: tuple[str, ...], path: _Path, values: Sequence[Any], chunks: Sequence[int]
) -> Iterator[tuple[_Path, Sequence[Any], Sequence[int]]]:
    """Objects of one shape by what numbers them, with the path that goes on from that."""
    name = next((name for name in NUMBERS if name in shape), None)
    if name is None:
        yield path, values, chunks
        return
    rest = tuple(other for other in shape if other != name)

    def number_of(value: Any) -> int | None:
        number = value[name]
        return number if isinstance(number, int) else None

    for number, alike, of_each in _divided(number_of, values, chunks):
        after = path if number is None else path.step((name, number))
        yield from _numbered_alike(rest, after, alike, of_each)


def _steps(
    at: int, column: Sequence[Any], chunks: Sequence[int], *, is_joined: bool
) -> Iterator[tuple[str | int, Sequence[Any], Sequence[int]]]:
    """The items in one place of several lists, by what they add to the path."""
    kinds = {type(item.get("index")) if type(item) is dict else None for item in column}
    if is_joined or kinds == {int}:
        yield "*", column, chunks
    elif kinds.isdisjoint((int, bool)):
        yield at, column, chunks
    else:
        for is_numbered, some, of_some in _divided(_is_numbered, column, chunks):
            yield "*" if is_numbered else at, some, of_some


def _may_be_tokens(names: _Names, first_items: Sequence[Any]) -> bool:
    """Whether lists that begin with these items could be the tokens of a text; False is certain."""
    if any(isinstance(name, str) and name.endswith("logprobs") for name in names):
        return True
    if not set(map(type, first_items)) <= _NO_TOKENS:
        return True
    objects = [item for item in first_items if type(item) is dict]
    return any(map(token_lists.may_be_token, set(map(tuple, objects))))


_NO_TOKENS: Final = frozenset((dict, str, int, float, bool))
"""Types of which an item says whether its list is one of tokens."""


def _numbered(path: _Path, value: dict[str, Any]) -> _Path:
    for name in NUMBERS:
        number = value.get(name)
        if isinstance(number, int):
            step = name, number
            path = path.next.get(step) or path.step(step)
    return path


def _step_of(above: object, name: object, value: list[Any]) -> Callable[[int, Any], str | int]:
    """What the items of a list add to its path, by position and item."""
    if stream_texts.is_joined(above, name) or token_lists.is_token_list(name, value):
        is_row = token_lists.is_row(above, value)
        return lambda at, item: "token" if is_row and type(item) is str else "*"
    if token_lists.is_row(above, value):
        return lambda at, item: "token" if type(item) is str else _item_step(at, item)
    return _item_step


def _item_step(at: int, item: Any) -> str | int:
    return "*" if _is_numbered(item) else at


def _is_numbered(item: Any) -> bool:
    return type(item) is dict and isinstance(item.get("index"), int)

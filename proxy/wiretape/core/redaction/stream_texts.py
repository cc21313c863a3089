"""Find the strings of a stream's chunks that a client joins to one text.

A text path leads through the JSON of the chunks. If the provider numbers an item (a choice, a tool
call, a content block), the path has that number, otherwise the item's position in its list. Strings
with the same text path, joined in order, are one text:

    {"choices": [{"index": 0, "delta": {"content": "Hel"}}]}
    {"choices": [{"index": 0, "delta": {"content": "lo"}}]}
    both have the path ("", "choices", "*", ("index", 0), "delta", "content"): the text is "Hello"
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from wiretape.core.text import exact_json

from . import token_lists

type JsonPath = tuple[str | int, ...]
type TextPath = tuple[str | int | tuple[str, int], ...]

# Members that number the object they are in. OpenAI's `item_id` would too, but some providers of
# the same protocol give a new one with each event.
_NUMBERS: Final = ("content_index", "index", "output_index", "summary_index", "thought")
_ANY_NUMBER: Final = frozenset(_NUMBERS)
# Lists whose items a client joins: Gemini's parts, the tokens of log probabilities, and Mistral's
# content if it is a list.
_JOINED: Final = frozenset(("parts", "token_strings", "token_strs", "tokens"))
_CONTENT_IN: Final = frozenset(("delta", "logprobs"))

_TEXTS: Final = frozenset(
    (
        "",  # a string that is a chunk's whole JSON
        "arguments",
        "content",
        "data",
        "decoded_token",
        "delta",
        "generated_text",
        "output_text",
        "partial_json",
        "piece",
        "reasoning",
        "reasoning_content",
        "reasoning_text",
        "refusal",
        "response",
        "string_token",
        "summary_text",
        "text",
        "thinking",
        "tok_str",
        "token",
        "token_strings",
        "token_strs",
        "tokens",
        "transcript",
    )
)
_JSON_TEXTS: Final = frozenset(("arguments", "partial_json"))


class Leaf(NamedTuple):
    """A string in a JSON value: its text path, its JSON path, and how many strings precede it,
    including members' names. `again`: its neighbours repeat it.
    """

    path: TextPath
    json_path: JsonPath
    text: str
    number: int
    again: bool = False


def is_text(path: TextPath) -> bool:
    """Whether a path is known to hold a text."""
    return _name(path) in _TEXTS


def is_json_text(path: TextPath) -> bool:
    """Whether a path's text is known to be JSON."""
    name = _name(path)
    return name in _JSON_TEXTS or (
        name == "delta" and isinstance(path[0], str) and "arguments" in path[0]
    )


def _name(path: TextPath) -> str | None:
    return next((step for step in reversed(path) if isinstance(step, str) and step != "*"), None)


def leaves(value: exact_json.Json) -> tuple[list[Leaf], int]:
    """The strings of a chunk's JSON in order, and their number including members' names.

    >>> parsed, count = leaves({"delta": {"text": "hi"}})
    >>> [leaf.path for leaf in parsed], count
    ([('', 'delta', 'text')], 3)
    """
    walk = _Walk()
    walk.into(value, (), (_kind(value),))
    return walk.leaves, walk.strings


def _kind(value: exact_json.Json) -> str:
    """The first step of a value's paths."""
    # In events of two types a path may be two texts, but Anthropic's blocks begin in one type and
    # go on in another.
    kind = value.get("type") if isinstance(value, dict) else None
    kind = kind if isinstance(kind, str) else ""
    return "block" if kind.startswith("content_block_") else kind


class _Walk:
    def __init__(self) -> None:
        self.leaves: list[Leaf] = []
        self.strings = 0

    def into(self, value: exact_json.Json, json_path: JsonPath, path: TextPath) -> None:
        # This runs for each string of each chunk.
        kind = type(value)
        if kind is str:
            self.leaves.append(Leaf(path, json_path, value, self.strings))
            self.strings += 1
        elif len(json_path) > exact_json.MAX_DEPTH:
            return
        elif kind is dict:
            for name in () if _ANY_NUMBER.isdisjoint(value) else _NUMBERS:
                number = value.get(name)
                if isinstance(number, int):
                    path = (*path, (name, number))
            again = token_lists.spells_again(value)
            first = next(iter(value)) if token_lists.is_by_id(value) else None
            for name, item in value.items():
                self.strings += 1
                kind = type(item)
                if kind is str:
                    self.leaves.append(
                        Leaf((*path, name), (*json_path, name), item, self.strings, again)
                    )
                    self.strings += 1
                elif kind is dict or kind is list:
                    step = "delta" if name == "content_block" and not json_path else name
                    if name == first:
                        step = "*"
                    self.into(item, (*json_path, name), (*path, step))
        elif kind is list:
            self._into_list(value, json_path, path)

    def _into_list(self, value: list[Any], json_path: JsonPath, path: TextPath) -> None:
        name = json_path[-1] if json_path else None
        joined = _is_joined(json_path) or token_lists.is_token_list(name, value)
        is_row = len(json_path) > 1 and token_lists.is_row(json_path[-2], value)
        for at, item in enumerate(value):
            kind = type(item)
            if kind is str:
                step = "token" if is_row else "*" if joined else at
                again = is_row or name in token_lists.CHOSEN
                self.leaves.append(Leaf((*path, step), (*json_path, at), item, self.strings, again))
                self.strings += 1
            elif kind is dict or kind is list:
                numbered = kind is dict and isinstance(item.get("index"), int)
                step = "*" if joined or numbered else at
                self.into(item, (*json_path, at), (*path, step))


def _is_joined(json_path: JsonPath) -> bool:
    if not json_path or json_path[-1] in _JOINED:
        return bool(json_path)
    return json_path[-1] == "content" and len(json_path) > 1 and json_path[-2] in _CONTENT_IN


# ------------------------------------------------------------------ the texts alone


class _Path:
    """A text path: the paths that go on from it, its strings, and the chunk of the first."""

    __slots__ = ("chunk", "next", "path", "texts")

    def __init__(self, path: TextPath) -> None:
        self.path = path
        self.next: dict[str | int | tuple[str, int], _Path] = {}
        self.texts: list[str] = []
        self.chunk = 0

    def step(self, step: str | int | tuple[str, int]) -> "_Path":
        after = self.next.get(step)
        if after is None:
            after = self.next[step] = _Path((*self.path, step))
        return after

    def take(self, text: str, chunk: int) -> None:
        if not self.texts:
            self.chunk = chunk
        self.texts.append(text)

    def each(self) -> "Iterator[_Path]":
        yield self
        for after in self.next.values():
            yield from after.each()


class JoinedTexts:
    """Joins the strings of a stream's chunks by their text paths, as those of `leaves` would be:
    what is only looked at needs no `Leaf`, which takes most of the time.

    >>> texts = JoinedTexts()
    >>> texts.add({"delta": {"text": "Hel"}}, 0)
    >>> texts.add({"delta": {"text": "lo"}}, 1)
    >>> texts.joined()
    ['Hello']
    """

    def __init__(self) -> None:
        self._first = _Path(())
        self._chunk = 0

    def add(self, value: exact_json.Json, chunk: int) -> None:
        """Take the JSON of a chunk."""
        self._chunk = chunk
        path = self._first.step(_kind(value))
        if type(value) is str:
            path.take(value, chunk)
        elif type(value) in (dict, list):
            self._into(value, path, None, None, 0)

    def add_data(self, text: str, chunk: int) -> None:
        """Take the data of a chunk's event, which is not JSON."""
        self._first.step("data").take(text, chunk)

    def joined(self, *, singles: bool = False) -> list[str] | None:
        """The texts of several different strings; with `singles` those of one as well. None if
        paths of one would have to be merged.
        """
        paths = [path for path in self._first.each() if path.texts]
        if merged((path.path, path.chunk) for path in paths if len(path.texts) == 1):
            return None
        return [
            "".join(path.texts)
            for path in paths
            if (singles if len(path.texts) == 1 else is_text(path.path) or len(set(path.texts)) > 1)
        ]

    def _into(self, value: Any, path: _Path, above: object, name: object, depth: int) -> None:
        """Do as `_Walk.into` and `_into_list`; the JSON path ends with `above` and `name`."""
        # This runs for each object and list of each chunk.
        if depth > exact_json.MAX_DEPTH:
            return
        members: Iterable[tuple[Any, Any]]
        if type(value) is dict:
            if not _ANY_NUMBER.isdisjoint(value):
                path = _numbered(path, value)
            members, step_of = value.items(), None
        else:
            members, step_of = enumerate(value), _step_of(above, name, value)
        paths = path.next
        for key, item in members:
            kind = type(item)
            if kind is str:
                step = key if step_of is None else step_of(key, item)
                after = paths.get(step)
                if after is None or not after.texts:
                    path.step(step).take(item, self._chunk)
                else:
                    after.texts.append(item)
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


def _numbered(path: _Path, value: dict[str, Any]) -> _Path:
    for name in _NUMBERS:
        number = value.get(name)
        if isinstance(number, int):
            step = name, number
            path = path.next.get(step) or path.step(step)
    return path


def _step_of(above: object, name: object, value: list[Any]) -> Callable[[int, Any], str | int]:
    """What the items of a list add to its path, by position and item."""
    if (
        name in _JOINED
        or (name == "content" and above in _CONTENT_IN)
        or token_lists.is_token_list(name, value)
    ):
        is_row = token_lists.is_row(above, value)
        return lambda at, item: "token" if is_row and type(item) is str else "*"
    if token_lists.is_row(above, value):
        return lambda at, item: "token" if type(item) is str else _item_step(at, item)
    return _item_step


def _item_step(at: int, item: Any) -> str | int:
    return "*" if type(item) is dict and isinstance(item.get("index"), int) else at


def merged(single: Iterable[tuple[TextPath, object]]) -> dict[TextPath, TextPath]:
    """Merge text paths that have a single string each, given by path and chunk.

    If a path has as many numbers as there are chunks, the numbers count chunks, not choices.
    """
    groups: dict[TextPath, dict[TextPath, object]] = {}
    for path, chunk in single:
        plain = tuple(step for step in path if not isinstance(step, tuple))
        if plain != path:
            groups.setdefault(plain, {})[path] = chunk
    return {
        path: plain
        for plain, group in groups.items()
        if 2 < len(group) == len(set(group.values()))
        for path in group
    }


# ---------------------------------------------------------------------- in a text

_EVENT_DATA: Final = re.compile(r"(?:\A\ufeff?|(?<=[\r\n]))data: ?([^\r\n]*+)")
_BEFORE: Final = re.compile(r"(?:[\s,\[\]]++|(?:data|[0-9a-z]{1,2}):(?=[ \[{\"]))*+")
_QUOTED: Final = r'"(?:[^"\\\x00-\x1f]++|\\.)*+"'
_VALUE: Final = re.compile(rf"{_QUOTED}|\{{\s*+(?:\}}|{_QUOTED}\s*+:)")
_STRING: Final = re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_decoder: Final = json.JSONDecoder()


class FoundString(NamedTuple):
    """A JSON string in a text: where its content starts, the content with its escapes, and where
    the JSON value starts that it belongs to.
    """

    leaf: Leaf
    start: int
    raw: str
    value: int


def in_text(text: str, member: str, *, events: bool) -> Iterator[FoundString]:
    """The strings of the JSON in a text. Data of events that is not JSON is a string too, without
    escapes and numbered -1.
    """
    if member == "data":
        data = [(0, text)]
    elif events:
        data = [(match.start(1), match[1]) for match in _EVENT_DATA.finditer(text)]
    else:
        yield from _in_values(text)
        return
    for start, item in data:
        inside = list(_in_values(item)) if item[:1] in ("{", "[", '"') else []
        whole = FoundString(Leaf(("data",), (), item, -1), 0, "", 0)
        for leaf, at, raw, value in inside or [whole]:
            yield FoundString(leaf, start + at, raw, start + value)


def _in_values(text: str) -> Iterator[FoundString]:
    """The strings of a text's JSON values: in a row, in a list, or at the start of lines."""
    at = 0
    budget = 4 * len(text)
    while budget > 0 and (at := _BEFORE.match(text, at).end()) < len(text):  # type: ignore[union-attr]  # it always matches
        if _VALUE.match(text, at):
            try:
                value, end = _decoder.raw_decode(text, at)
            except (ValueError, RecursionError) as error:
                # A failed read is repeated, and counting the lines of its error reads all before
                # it, so the number of attempts is bounded.
                end = getattr(error, "pos", len(text))
                budget -= end - at + end // 64 + 1
            else:
                yield from _in_value(text, at, end, value)
                at = end
                continue
        end = text.find("\n", at)
        at = end + 1 if end >= 0 else len(text)


def _in_value(text: str, start: int, end: int, value: exact_json.Json) -> Iterator[FoundString]:
    tokens = list(_STRING.finditer(text, start, end))
    parsed, count = leaves(value)
    # A duplicate member has a string too many; such a value is only searched as text.
    if count == len(tokens):
        for leaf in parsed:
            token = tokens[leaf.number]
            yield FoundString(leaf, token.start(1), token[1], start)

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
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from wiretape.core.text import exact_json

from . import token_lists

type JsonPath = tuple[str | int, ...]
type TextPath = tuple[str | int | tuple[str, int], ...]

# Members that number the object they are in. OpenAI's `item_id` would too, but some providers of
# the same protocol give a new one with each event.
NUMBERS: Final = ("content_index", "index", "output_index", "summary_index", "thought")
ANY_NUMBER: Final = frozenset(NUMBERS)
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
    walk.into(value, (), (kind_of(value),))
    return walk.leaves, walk.strings


def kind_of(value: exact_json.Json) -> str:
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
            for name in () if ANY_NUMBER.isdisjoint(value) else NUMBERS:
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
        above, name = (None, None, *json_path)[-2:]
        joined = is_joined(above, name) or token_lists.is_token_list(name, value)
        is_row = len(json_path) > 1 and token_lists.is_row(above, value)
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


def is_joined(above: object, name: object) -> bool:
    """Whether a client joins the items of a list, by the last two steps of its JSON path."""
    return name in _JOINED or (name == "content" and above in _CONTENT_IN)


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

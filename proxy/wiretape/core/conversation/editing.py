"""Change what an answer says, and write it back into its chunks, in the provider's own dialect.

A part of an answer (its text, a call's arguments) stands in its chunks in pieces, and often once
more in events at the end, as in OpenAI's responses. Every string, or run of strings that a client
joins, that reads as the part did before reads as the new text after; the chunks stay as many.
"""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from wiretape.core.cost.usage import members_of
from wiretape.core.errors import FormatError
from wiretape.core.model import SWITCHING
from wiretape.core.recording.document import Document
from wiretape.core.redaction.stream_texts import is_text, leaves
from wiretape.core.text import exact_json

from .conversation import conversation
from .turns import HIDDEN, arguments, spaced, text_of

_EDITABLE: Final = ("text", "reasoning", "refusal", "call")
_TOKEN: Final = re.compile(r"\s*\S+|\s+")
_ARGUMENTS: Final = frozenset(("args", "arguments", "input", "parameters"))
_IN: Final = members_of("in", "apart")
_OUT: Final = members_of("out")
_TEXTS_TOO: Final = frozenset(("input", "tool_plan"))
_TOTALS: Final = frozenset(("total_tokens", "totalTokenCount", "totalTokens"))
_NOT_WRITTEN: Final = frozenset(
    ("logprobs", "logprobsResult", "token_id", "citations", "annotations")
)


@dataclass(frozen=True, slots=True)
class EditablePart:
    """A part of an answer by its name ("text", "call[1]"), with what it says and whose call it is.

    `raw` is its text as it stands in the chunks.
    """

    name: str
    text: str
    raw: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class EditedRecording:
    """A changed document, and what in it does not fit the new words: estimates, left-overs."""

    document: Document
    notes: tuple[str, ...]


def editable_parts(document: Document) -> list[EditablePart]:
    """The parts of an answer that can be edited, in order."""
    seen = [
        part
        for turn in conversation(document).answer
        if turn.role != "error"
        for part in turn.parts
        if part.kind in _EDITABLE and part.text != HIDDEN
    ]
    several = {kind: sum(part.kind == kind for part in seen) > 1 for kind in _EDITABLE}
    numbers = {kind: count() for kind in _EDITABLE}
    parts = []
    for part in seen:
        number = next(numbers[part.kind])
        name = f"{part.kind}[{number}]" if several[part.kind] else part.kind
        text = spaced(part.text) if part.kind == "call" else part.text
        parts.append(EditablePart(name, text, part.text, part.name))
    return parts


# ------------------------------------------------------------------ as text


def to_text(parts: Sequence[EditablePart], about: str) -> str:
    """Write parts as text to be edited, each below a mark of its own; `about` goes on top."""
    mark = _mark(parts)
    head = (
        f"# {about}\n# Below each line of {mark} stands what the answer says: change that, and"
        " leave the lines.\n"
    )
    return head + "".join(f"{_line(mark, part)}\n{part.text}\n" for part in parts)


def from_text(text: str, parts: Sequence[EditablePart]) -> dict[str, str]:
    """What was changed in a text that `to_text` wrote: the new words by the part's name.

    FormatError where a mark is missing, or is there twice.
    """
    if not any("\r" in part.text for part in parts):
        text = text.replace("\r\n", "\n")
    mark, changed = _mark(parts), {}
    lines = text.split("\n")
    places = [number for number, line in enumerate(lines) if line.startswith(mark + " ")]
    expected = [_line(mark, part) for part in parts]
    if [lines[number].rstrip() for number in places] != expected:
        raise FormatError(f"expected these lines, in this order: {', '.join(expected)}")
    for part, start, end in zip(parts, places, [*places[1:], len(lines)], strict=True):
        section = lines[start + 1 : end]
        if end == len(lines) and section and section[-1] == "":
            section.pop()  # the line end at the end of the file
        words = "\n".join(section)
        if words != part.text:
            changed[part.name] = words
    return changed


def _mark(parts: Sequence[EditablePart]) -> str:
    """A mark that begins no line of any part."""
    mark = "==="
    while any(line.startswith(mark) for part in parts for line in part.text.split("\n")):
        mark += "="
    return mark


def _line(mark: str, part: EditablePart) -> str:
    return f"{mark} {part.name} {part.title}".rstrip()


# ------------------------------------------------------------------ into the chunks


def edited(
    document: Document, changes: Mapping[str, str], at: str | None = None
) -> EditedRecording:
    """Change the parts of an answer; `at` is when, as the document will say (RFC 3339).

    FormatError, with nothing changed, for an unknown part, arguments that are no JSON object, a
    text that was JSON and would not be any more, and where the words cannot be written back.
    """
    if document["response"].get("status") == SWITCHING:
        raise FormatError("the messages of a WebSocket cannot be edited")
    parts = editable_parts(document)
    by_name = {part.name: part for part in parts}
    by_name |= {f"{name}[0]": part for name, part in by_name.items() if "[" not in name}
    chosen: dict[str, tuple[EditablePart, str]] = {}
    for name, words in changes.items():
        if name not in by_name:
            names = ", ".join(part.name for part in parts) or "none"
            raise FormatError(f"{name}: no part of this answer; it has: {names}")
        chosen[by_name[name].name] = by_name[name], _checked(by_name[name], words)
    mark: dict[str, Any] = {"at": at} if at else {}
    mark["parts"] = sorted(chosen)
    result = copy.deepcopy(_with_mark(document, mark))
    style = _joined(result)
    values = [item["__data__"] for item in _items(result) if "__data__" in item]
    for part, words in {part.raw: (part, words) for part, words in chosen.values()}.values():
        for other in parts:
            if other.raw == part.raw and chosen.get(other.name, (part, None))[1] != words:
                raise FormatError(f"{part.name} and {other.name} read the same: change both, alike")
        if not _write(result, values, part, words):
            raise FormatError(f"{part.name}: its words cannot be found in the answer's chunks")
    notes = list(_usage(document, values, parts, chosen))
    notes += _left_over(values)
    if style is not None:
        [item] = _items(result)
        item["text"] = exact_json.dumps(item.pop("__data__"), style)
    _verify(result, parts, chosen)
    return EditedRecording(result, tuple(notes))


def _with_mark(document: Document, mark: Mapping[str, Any]) -> Document:
    """The document with the mark of an edit among its first members."""
    head: Document = {
        name: document[name] for name in ("wiretape", "recorded_at") if name in document
    }
    return {**head, "edited": mark, **{k: v for k, v in document.items() if k != "edited"}}


def _checked(part: EditablePart, words: str) -> str:
    """New words in the style of the old ones, if these are JSON."""
    if not part.raw:
        raise FormatError(f"{part.name}: it is empty, and has no place in the answer's chunks")
    if not isinstance(arguments(part.raw), (dict, list)):
        return words
    style = exact_json.read(part.raw)
    is_call = part.name.startswith("call")
    try:
        value = exact_json.parse(words)
    except ValueError as error:
        raise FormatError(f"{part.name}: was JSON and is not any more: {error}") from None
    if is_call and not isinstance(value, dict):
        raise FormatError(f"{part.name}: expected the arguments as a JSON object")
    return exact_json.dumps(value, style[1] if style else "spaced") if is_call else words


def _items(document: Document) -> list[dict[str, Any]]:
    body = document["response"].get("body")
    return [item for item in (body if isinstance(body, list) else [body]) if isinstance(item, dict)]


def _joined(document: Document) -> str | None:
    """Make one item with a JSON value of several that are pieces of its text, as an answer in one
    piece is stored that came in several reads; gives the style of its text.
    """
    items = _items(document)
    if not items or not all(isinstance(item.get("text"), str) for item in items):
        return None
    text = "".join(item["text"] for item in items)
    parsed = exact_json.read(text)
    if parsed is None or not isinstance(parsed[0], (dict, list)):
        return None
    whole = {**items[-1], "__data__": parsed[0]}
    is_list = isinstance(document["response"]["body"], list)
    document["response"]["body"] = [whole] if is_list else whole
    return parsed[1]


def _write(document: Document, values: list[Any], part: EditablePart, words: str) -> int:
    """Put new words wherever the old ones stand; gives in how many places."""
    written = 0
    groups: dict[object, list[tuple[int, tuple[Any, ...], str]]] = {}
    for number, value in enumerate(values):
        for leaf in leaves(value)[0]:
            if leaf.json_path and (is_text(leaf.path) or leaf.path[-1] in _TEXTS_TOO):
                groups.setdefault(leaf.path, []).append((number, leaf.json_path, leaf.text))
    for group in groups.values():
        if "".join(text for _, _, text in group) != part.raw:
            continue
        places = [(number, path) for number, path, text in group if text]
        for (number, path), piece in zip(places, _pieces(words, len(places)), strict=True):
            _put(values, number, path, piece)
        written += 1
    for name in ("text", "data"):
        plain = [item for item in _items(document) if "__data__" not in item and item.get(name)]
        slots = [item for item in plain if item[name] != "[DONE]"]
        if "".join(item[name] for item in slots) == part.raw:
            for item, piece in zip(slots, _pieces(words, len(slots)), strict=True):
                item[name] = piece
            written += 1
    if part.name.startswith("call"):
        for holder, name in _holders(values):
            if isinstance(holder[name], dict) and text_of(holder[name]) == part.raw:
                holder[name] = exact_json.parse(words)
                written += 1
    return written


def _put(values: list[Any], number: int, path: tuple[Any, ...], text: str) -> None:
    node = values[number]
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = text


def _holders(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Each object in a value that has a tool's arguments, and the member's name."""
    if isinstance(value, list):
        for item in value:
            yield from _holders(item)
    elif isinstance(value, dict):
        for name, item in list(value.items()):
            if name in _ARGUMENTS:
                yield value, name
            yield from _holders(item)


def _pieces(words: str, slots: int) -> list[str]:
    """Words divided among so many chunks; where there are fewer words the last are empty."""
    tokens = _TOKEN.findall(words)
    if len(tokens) <= slots:
        return tokens + [""] * (slots - len(tokens))
    ends = [(number + 1) * len(tokens) // slots for number in range(slots)]
    return ["".join(tokens[a:b]) for a, b in zip([0, *ends], ends, strict=False)]


# ------------------------------------------------------------------ what has to fit


def _usage(
    document: Document,
    values: list[Any],
    parts: Sequence[EditablePart],
    chosen: Mapping[str, tuple[EditablePart, str]],
) -> Iterator[str]:
    """Scale the counts of tokens by the length of the words, and tell so."""
    usage = conversation(document).usage
    before = sum(len(part.raw) for part in parts)
    after = sum(len(chosen[p.name][1] if p.name in chosen else p.raw) for p in parts)
    if usage.estimated or not usage.tokens_out or not before or before == after:
        return
    tokens = max(1, round(usage.tokens_out * after / before))
    stack: list[Any] = [*values]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack += node
        elif isinstance(node, dict):
            tokens_in = next((node[n] for n in _IN if type(node.get(n)) is int), None)
            for name, item in node.items():
                if name in _OUT and item == usage.tokens_out:
                    node[name] = tokens
                elif name in _TOTALS and item == (tokens_in or 0) + usage.tokens_out:
                    node[name] = (tokens_in or 0) + tokens
            stack += node.values()
    yield f"{usage.tokens_out} tokens became {tokens}, an estimate by the length of the words"


def _left_over(values: list[Any]) -> Iterator[str]:
    names: set[str] = set()
    stack: list[Any] = [*values]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            names |= {name for name in _NOT_WRITTEN & node.keys() if node[name]}
            stack += node.values()
        elif isinstance(node, list):
            stack += node
    yield from (f"{name}: still those of the old words" for name in sorted(names))


def _verify(
    document: Document,
    parts: Sequence[EditablePart],
    chosen: Mapping[str, tuple[EditablePart, str]],
) -> None:
    """Read the answer again: it has to say what it was to say, and nothing else."""
    expected = [chosen[part.name][1] if part.name in chosen else part.raw for part in parts]
    if [part.raw for part in editable_parts(document)] != [text for text in expected if text]:
        raise FormatError("the answer does not read as it was edited; it has been left as it was")

"""Read what is compared of an answer: status, events, JSON structure, calls, tokens, words, times.

Values that differ in every answer (ids, times, the words themselves) are not part of the structure:
it has the members of each kind of event and the types of their values.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from wiretape.core.conversation.conversation import conversation
from wiretape.core.conversation.turns import Turn, arguments, first, objects, text_of
from wiretape.core.recording.document import Document
from wiretape.core.text import exact_json
from wiretape.core.wire import sse
from wiretape.core.wire.framing import media_type

STEERING: Final = ("content-type", "deprecation", "location", "retry-after", "sunset", "warning")
"""The headers of an answer that steer its client; RFC 9110, 9745 (Deprecation), 8594 (Sunset)."""

DONE: Final = "[DONE]"

# The model's or the caller's own JSON, not the provider's.
_OPAQUE: Final = frozenset(
    ("args", "arguments", "input", "metadata", "parameters", "properties", "schema", "labels")
)


@dataclass(slots=True)
class Structure:
    """The structure of some JSON values: the types at each path, how often each path was there, and
    how many objects lie at it.

    >>> structure = Structure()
    >>> structure.add("chunk", {"choices": [{"index": 0, "delta": {"content": "hi"}}]})
    >>> sorted(structure.types)[-2:]
    ['chunk.choices[].delta.content', 'chunk.choices[].index']
    """

    types: dict[str, set[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=dict)
    variants: dict[str, set[str]] = field(default_factory=dict)
    """The values of `type` among the objects at a path."""

    def add(self, path: str, value: exact_json.Json) -> None:
        """Add a value at a path: a kind of event, or a place in one."""
        stack = [(path, value, True)]
        while stack:
            path, node, is_top = stack.pop()
            if isinstance(node, list):
                for item in node:
                    self.types.setdefault(f"{path}[]", set()).add(type_name(item))
                    stack.append((f"{path}[]", item, False))
            elif isinstance(node, dict):
                kind = node.get("type")
                if isinstance(kind, str) and not is_top:
                    self.variants.setdefault(path, set()).add(kind)
                    path = f"{path}({kind})"
                self.objects[path] = self.objects.get(path, 0) + 1
                for name, item in node.items():
                    below = f"{path}.{name}"
                    self.types.setdefault(below, set()).add(type_name(item))
                    self.counts[below] = self.counts.get(below, 0) + 1
                    self.parents[below] = path
                    if name not in _OPAQUE or not isinstance(item, dict):
                        stack.append((below, item, False))

    def is_always(self, path: str) -> bool:
        """Whether each object that may have this member had it."""
        return self.counts[path] == self.objects[self.parents[path]]


def type_name(value: exact_json.Json) -> str:
    """The name of a JSON value's type; whole numbers are numbers."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool; `arguments` is text if they are not JSON."""

    name: str
    arguments: exact_json.Json


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFacts:
    """What is compared of one answer; times in seconds, None where they were not measured.

    `texts` are the words by choice and kind: ("0", "text"). `rate` is in characters a second.
    """

    status: int
    end: str
    streamed: bool
    headers: Mapping[str, str] | None
    """Of `STEERING`; None for a recording that kept no headers."""
    kinds: tuple[str, ...]
    """The kinds of its events, in order, each run of equal ones once."""
    structure: Structure
    is_json: bool
    calls: tuple[ToolCall, ...]
    texts: Mapping[tuple[str, str], str]
    finishes: tuple[str | None, ...]
    tokens: Mapping[str, int]
    first_chunk: float | None
    whole: float | None
    rate: float | None


def answer_facts(document: Document) -> AnswerFacts:
    """Read the facts of a document, of wiretape's own format or made by `llamastack.convert`."""
    response = document["response"]
    headers = response.get("headers") or None
    seen = conversation(document)
    events = list(_events(response))
    structure = Structure()
    for kind, value in events:
        if value is not _NO_JSON:
            structure.add(kind, value)
    texts = _texts(seen.answer)
    steps = [_step(kind, value) for kind, value in events]
    counts = (("in", seen.usage.tokens_in), ("out", seen.usage.tokens_out))
    usage = {} if seen.usage.estimated else dict(counts)
    return AnswerFacts(
        status=response["status"],
        end=response.get("end", "complete"),
        streamed=response.get("is_streaming") is True and whole_json(response) is None,
        headers=None if headers is None else _steering(headers),
        kinds=tuple(b for a, b in pairwise(["", *steps]) if a != b),
        structure=structure,
        is_json=any(value is not _NO_JSON for _, value in events),
        calls=tuple(_calls(seen.answer)),
        texts=texts,
        finishes=tuple(turn.finish for turn in seen.answer),
        tokens={name: number for name, number in usage.items() if number is not None},
        **_times(response, sum(map(len, texts.values()))),
    )


def _steering(headers: Mapping[str, Any]) -> dict[str, str]:
    lower = {name.lower(): text_of(value) for name, value in headers.items()}
    values: dict[str, str] = {name: lower[name] for name in STEERING if name in lower}
    if "content-type" in values:
        values["content-type"] = media_type((("content-type", values["content-type"]),))
    return values


# ------------------------------------------------------------------ events

_NO_JSON: Final = object()
_NAMING: Final = ("type", "event_type", "object")


def _events(response: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The kind and the JSON of each of an answer's chunks; chunks of neither are left out."""
    items = response.get("body")
    whole = whole_json(response)
    chunks = items if isinstance(items, list) else [items] if isinstance(items, dict) else []
    untyped = "chunk" if response.get("is_streaming") and whole is None else "answer"
    for item in chunks if whole is None else whole:
        if not isinstance(item, dict):
            continue
        value, name = _value(item), item.get("event")
        headers = item.get("headers")
        if isinstance(headers, dict):
            name = headers.get(":event-type") or headers.get(":exception-type")
        if value is _NO_JSON:
            if item.get("data") == DONE:
                yield DONE, value
            continue
        if isinstance(value, dict):
            name = next((value[n] for n in _NAMING if isinstance(value.get(n), str)), name)
            name = name or ("error" if value.get("error") is not None else None)
        yield (name if isinstance(name, str) else untyped), value


def whole_json(response: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The items of an answer that is one JSON text, though it came in several reads; None if it is
    not. A list counts as so many values.
    """
    items = response.get("body")
    if not isinstance(items, list) or not items or not all(map(_is_text, items)):
        return None
    try:
        value = exact_json.parse("".join(item["text"] for item in items))
    except ValueError:
        return None
    if not isinstance(value, (dict, list)):
        return None
    return [{"__data__": each} for each in (value if isinstance(value, list) else [value])]


def _is_text(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("text"), str) and "charset" not in item


def _value(item: Mapping[str, Any]) -> Any:
    if "__data__" in item:
        return item["__data__"]
    text = item.get("data", item.get("text"))
    if isinstance(text, str) and text.startswith(("data:", "event:")):
        event = sse.parse(text.encode("utf-8", "surrogatepass"))
        text = event.data if event else None
    if isinstance(text, str) and text.lstrip()[:1] in ("{", "["):
        try:
            return exact_json.parse(text)
        except ValueError:
            pass
    return _NO_JSON


_PIECES: Final = ("tool_calls", "reasoning_content", "reasoning", "refusal", "content")


def _step(kind: str, value: Any) -> str:
    """An event's kind for the order of events: chunks of one type differ by what they carry."""
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list) or not kind.endswith("chunk"):
        return kind
    if not choices:
        return f"{kind} usage" if value.get("usage") else kind
    if any(choice.get("finish_reason") for choice in objects(choices)):
        return f"{kind} finish"
    pieces = {n for choice in objects(choices) for n in _PIECES if first(choice.get("delta"), n)}
    return f"{kind} {next((n for n in _PIECES if n in pieces), 'start')}"


# ------------------------------------------------------------------ words and calls


def _texts(turns: Sequence[Turn]) -> dict[tuple[str, str], str]:
    texts: dict[tuple[str, str], str] = {}
    for number, turn in enumerate(turns):
        for part in turn.parts:
            if part.kind not in ("call", "result"):
                slot = str(number), "error" if turn.role == "error" else part.kind
                texts[slot] = texts.get(slot, "") + part.text
    return texts


def _calls(turns: Sequence[Turn]) -> Iterator[ToolCall]:
    for turn in turns:
        for part in turn.parts:
            if part.kind == "call":
                yield ToolCall(part.name, arguments(part.text or "{}"))


def declared_tools(body: exact_json.Json) -> dict[str, Mapping[str, Any]]:
    """The JSON Schemas of the tools that a request offers, by name.

    >>> declared_tools({"tools": [{"name": "now", "input_schema": {"type": "object"}}]})
    {'now': {'type': 'object'}}
    """
    schemas: dict[str, Mapping[str, Any]] = {}
    offered = first(body, "tools", "functions") or first(first(body, "toolConfig"), "tools")
    for tool in objects(offered):
        inner = first(tool, "function", "toolSpec") or tool
        declared = first(tool, "functionDeclarations", "function_declarations")
        for function in objects(declared) if declared is not None else objects([inner]):
            schema = first(function, "parameters", "input_schema", "inputSchema")
            schema = first(schema, "json") or schema
            if isinstance(schema, dict):
                schemas[text_of(function.get("name"))] = schema
    return schemas


_FEWEST_CHUNKS: Final = 5


def _times(response: Mapping[str, Any], characters: int) -> dict[str, float | None]:
    """Seconds to the first chunk and to the end, and characters a second between the chunks."""
    items = response.get("body")
    chunks = items if isinstance(items, list) else []
    times = [item["at"] for item in chunks if isinstance(item, dict) and item.get("at") is not None]
    span = times[-1] - times[0] if len(times) >= _FEWEST_CHUNKS else 0
    return {
        "first_chunk": times[0] if times else None,
        "whole": None if chunks else response.get("end_at"),
        "rate": characters / span if span > 0 and characters else None,
    }

"""Put an answer's text, reasoning and tool calls together from its chunks.

Each JSON value of an answer (an event's, a line's, or the whole body) is read by the row of
`_SHAPES` that knows it and adds to a `Draft`. Unknown values are skipped, and shown as JSON if
there is nothing else. Shapes: OpenAI (chat, completions, responses, embeddings, images), Anthropic,
Gemini (also interactions), Ollama, Cohere, Bedrock, and providers compatible with them.
"""

import base64
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final

from wiretape.core.text import exact_json
from wiretape.core.text.printable import count

from .turns import (
    Part,
    PartKind,
    Turn,
    call,
    decoded_size,
    first,
    media,
    message,
    objects,
    parts,
    text_of,
)

type Value = dict[str, exact_json.Json]


@dataclass(slots=True)
class _DraftPart:
    kind: PartKind
    texts: list[str]
    name: str = ""
    id: str = ""
    base64: str = ""


@dataclass(slots=True)
class _DraftTurn:
    role: str
    pieces: dict[Hashable, _DraftPart] = field(default_factory=dict)
    finish: str | None = None


class Draft:
    """The turns of an answer as they grow: one for each choice, with its pieces by slot."""

    def __init__(self) -> None:
        self._turns: dict[Hashable, _DraftTurn] = {}

    def turn(self, index: exact_json.Json = 0, role: str = "assistant") -> _DraftTurn:
        return self._turns.setdefault(index if isinstance(index, int) else 0, _DraftTurn(role))

    def add(self, index: exact_json.Json, slot: Hashable, part: Part) -> None:
        """Append a part to its slot."""
        pieces = self.turn(index).pieces
        piece = pieces.get(slot)
        if piece is None:
            pieces[slot] = _DraftPart(part.kind, [part.text], part.name, part.id, part.base64)
        else:
            piece.texts.append(part.text)
            piece.name, piece.id = piece.name or part.name, piece.id or part.id

    def say(self, index: exact_json.Json, parts: Sequence[Part]) -> None:
        """Append parts to a turn; words and thoughts join the last piece if it is of their kind."""
        pieces = self.turn(index).pieces
        for part in parts:
            last = next(reversed(pieces), None)
            joins = last is not None and part.kind in ("text", "reasoning", "refusal")
            if not joins or pieces[last].kind != part.kind:
                last = ("part", len(pieces))
            self.add(index, last, part)

    def end(self, index: exact_json.Json, reason: exact_json.Json) -> None:
        if reason not in (None, ""):
            self.turn(index).finish = text_of(reason)

    def fail(self, error: exact_json.Json) -> None:
        """Add a turn with an error."""
        text = first(error, "message", "detail", "error") or error
        self._turns[("error", len(self._turns))] = _DraftTurn(
            "error", {0: _DraftPart("text", [text_of(text)])}
        )

    def turns(self) -> tuple[Turn, ...]:
        turns = []
        for turn in self._turns.values():
            parts = [
                Part(piece.kind, "".join(piece.texts), piece.name, piece.id, piece.base64)
                for piece in turn.pieces.values()
            ]
            spoken = tuple(part for part in parts if part.text or part.name)
            if spoken or turn.finish:
                turns.append(Turn(turn.role, spoken, turn.finish))
        return tuple(turns)


def answer_turns(values: Sequence[exact_json.Json]) -> tuple[Turn, ...]:
    """The turns of an answer's JSON values: one for each choice and for an error.

    >>> answer_turns([{"error": {"message": "slow down"}}])
    (Turn(role='error', parts=(Part(kind='text', text='slow down', name='', id=''),), finish=None),)
    """
    turns = known_turns(values)
    if turns or not values:
        return turns
    return (Turn("answer", tuple(Part("data", text_of(value)) for value in values)),)


def known_turns(values: Sequence[exact_json.Json]) -> tuple[Turn, ...]:
    """The turns of the values whose shape is known."""
    draft = Draft()
    for value in values:
        _read(value, draft)
    return draft.turns()


def _read(value: exact_json.Json, draft: Draft) -> None:
    if isinstance(value, list):
        for item in value:
            _read(item, draft)
    elif isinstance(value, dict):
        read = next((read for fits, read in _SHAPES if fits(value)), None)
        if read is not None:
            read(value, draft)


def _type(value: Value) -> str:
    kind = value.get("type")
    return kind if isinstance(kind, str) else ""


# ------------------------------------------------------------------ OpenAI


def _choices(value: Value, draft: Draft) -> None:
    for number, choice in enumerate(objects(value["choices"])):
        index = choice.get("index", number)
        content = first(choice, "delta", "message")
        if isinstance(content, dict):
            _chat(content, index, draft)
        elif choice.get("text") is not None:
            draft.add(index, "text", Part("text", text_of(choice["text"])))
        draft.end(index, choice.get("finish_reason"))
    if value.get("error") is not None:
        draft.fail(value["error"])


def _chat(message: Value, index: exact_json.Json, draft: Draft) -> None:
    thoughts = first(message, "reasoning_content", "reasoning", "thinking")
    if thoughts is not None:
        draft.add(index, "reasoning", Part("reasoning", text_of(thoughts)))
    content = message.get("content")
    if isinstance(content, str):
        if content:
            draft.add(index, "text", Part("text", content))
    else:
        draft.say(index, parts(content))
    if message.get("refusal") is not None:
        draft.add(index, "refusal", Part("refusal", text_of(message["refusal"])))
    audio = message.get("audio")
    if isinstance(audio, dict) and audio.get("transcript") is not None:
        draft.add(index, "text", Part("text", text_of(audio["transcript"])))
    for image in objects(message.get("images")):
        draft.say(index, [media("image", image)])
    calls = message.get("tool_calls")
    for number, item in enumerate(calls if isinstance(calls, list) else []):
        _tool_call(item, number, index, draft)
    if message.get("function_call") is not None:
        draft.add(index, "function_call", call(message["function_call"]))


def _tool_call(item: exact_json.Json, number: int, index: exact_json.Json, draft: Draft) -> None:
    part = call(item)
    at = item.get("index") if isinstance(item, dict) else None
    pieces = draft.turn(index).pieces
    slot: tuple[str, int | str] = ("call", at if isinstance(at, int) else number)
    piece = pieces.get(slot)
    # Some providers number all calls of a stream 0; then only the ids distinguish them.
    if piece is not None and part.id and piece.id and part.id != piece.id:
        slot = ("call", part.id)
    draft.add(index, slot, part)


_DELTAS: Final[dict[str, PartKind]] = {
    "output_text.delta": "text",
    "text.delta": "text",
    "output_audio_transcript.delta": "text",
    "audio_transcript.delta": "text",
    "refusal.delta": "refusal",
    "reasoning_summary_text.delta": "reasoning",
    "reasoning_text.delta": "reasoning",
    "function_call_arguments.delta": "call",
    "mcp_call_arguments.delta": "call",
    "custom_tool_call_input.delta": "call",
    "code_interpreter_call_code.delta": "call",
}


def _response_event(value: Value, draft: Draft) -> None:
    event = _type(value).removeprefix("response.")
    at = value.get("output_index")
    index = at if isinstance(at, int) else 0
    kind = _DELTAS.get(event)
    item = value.get("item")
    if kind is not None:
        within = next(
            (value[n] for n in ("summary_index", "content_index") if isinstance(value.get(n), int)),
            0,
        )
        slot = (index, "call") if kind == "call" else (index, kind, within)
        draft.add(0, slot, Part(kind, text_of(value.get("delta"))))
    elif event == "output_item.added" and isinstance(item, dict) and item.get("name"):
        part = call(item)
        draft.add(0, (index, "call"), Part("call", "", part.name, part.id))
    elif event == "output_item.done" and isinstance(item, dict):
        pieces = draft.turn().pieces
        if not any(
            isinstance(slot, tuple) and slot[0] == index and "".join(piece.texts)
            for slot, piece in pieces.items()
        ):
            for number, part in enumerate(parts([item])):
                slot = (index, "call") if part.kind == "call" else (index, part.kind, number)
                draft.add(0, slot, part)
    response = value.get("response")
    if isinstance(response, dict):
        _response(response, draft, whole=not draft.turn().pieces)


def _response(value: Value, draft: Draft, *, whole: bool = True) -> None:
    if whole:
        draft.say(0, [part for item in objects(value.get("output")) for part in parts([item])])
    status = value.get("status")
    if status not in ("in_progress", "queued", None):
        why = first(value.get("incomplete_details"), "reason")
        draft.end(0, why if why is not None else status)
    if value.get("error") is not None:
        draft.fail(value["error"])


# ------------------------------------------------------------------ Anthropic


def _message_event(value: Value, draft: Draft) -> None:
    kind = _type(value)
    slot = ("block", value.get("index") if isinstance(value.get("index"), int) else 0)
    if kind == "content_block_start":
        block = value.get("content_block")
        for part in parts(block)[:1]:
            # A call starts with the arguments {}; the deltas have the real ones.
            text = "" if part.text == "{}" else part.text
            draft.add(0, slot, Part(part.kind, text, part.name, part.id))
    elif kind == "content_block_delta":
        delta = value.get("delta")
        for name, part_kind in _BLOCK_DELTAS.items():
            if isinstance(delta, dict) and delta.get(name) is not None:
                draft.add(0, slot, Part(part_kind, text_of(delta[name])))
    elif kind == "message_delta":
        draft.end(0, first(value.get("delta"), "stop_reason"))
    elif kind == "message_start" and isinstance(value.get("message"), dict):
        draft.say(0, parts(value["message"].get("content")))


_BLOCK_DELTAS: Final[dict[str, PartKind]] = {
    "text": "text",
    "thinking": "reasoning",
    "partial_json": "call",
}


def _message(value: Value, draft: Draft) -> None:
    draft.say(0, message(value).parts)
    draft.end(0, first(value, "stop_reason"))


# ------------------------------------------------------------------ Gemini


def _candidates(value: Value, draft: Draft) -> None:
    for number, candidate in enumerate(objects(value.get("candidates"))):
        index = candidate.get("index", number)
        draft.say(index, parts(first(candidate.get("content"), "parts")))
        draft.end(index, candidate.get("finishReason"))
    blocked = first(value.get("promptFeedback"), "blockReason")
    if blocked is not None:
        draft.say(0, [Part("refusal", text_of(blocked))])


def _interaction(value: Value, draft: Draft) -> None:
    interaction = value.get("interaction")
    holder = interaction if isinstance(interaction, dict) else value
    piece = first(value, "delta", "step", "content")
    if piece is not None:
        index = value.get("index") if isinstance(value.get("index"), int) else 0
        for number, part in enumerate(parts(piece)):
            if part.kind != "data":
                draft.add(0, (index, number, part.kind), part)
    elif not draft.turn().pieces:
        draft.say(0, parts(first(holder, "outputs", "steps")))
    if holder.get("status") not in (None, "in_progress"):
        draft.end(0, holder["status"])


# ------------------------------------------------------------------ Ollama, Cohere


def _ollama(value: Value, draft: Draft) -> None:
    content = value.get("message")
    if isinstance(content, dict):
        draft.say(0, message(content).parts)
    else:
        if value.get("thinking") is not None:
            draft.say(0, [Part("reasoning", text_of(value["thinking"]))])
        draft.say(0, [Part("text", text_of(value.get("response")))])
    draft.end(0, value.get("done_reason"))


def _cohere(value: Value, draft: Draft) -> None:
    kind = _type(value) or text_of(value.get("event_type"))
    delta = value.get("delta")
    content = delta.get("message") if isinstance(delta, dict) else value.get("message")
    if kind == "text-generation" or "generation_id" in value:
        draft.say(0, [Part("text", text_of(value.get("text")))])
        calls = value.get("tool_calls")
        draft.say(0, [call(item) for item in calls] if isinstance(calls, list) else [])
    elif isinstance(content, dict):
        if content.get("tool_plan"):
            draft.say(0, [Part("reasoning", text_of(content["tool_plan"]))])
        draft.say(0, parts(content.get("content")))
        calls = content.get("tool_calls")
        for number, item in enumerate(
            calls if isinstance(calls, list) else [calls] if calls else []
        ):
            at = value.get("index")
            _tool_call(item, at if isinstance(at, int) else number, 0, draft)
    draft.end(0, first(delta, "finish_reason") or first(value, "finish_reason"))


# ------------------------------------------------------------------ Bedrock


def _converse(value: Value, draft: Draft) -> None:
    output = value["output"]
    content = output.get("message") if isinstance(output, dict) else None
    if isinstance(content, dict):
        draft.say(0, message(content).parts)
    draft.end(0, value.get("stopReason"))


def _converse_event(value: Value, draft: Draft) -> None:
    for name in ("contentBlockStart", "contentBlockDelta", "messageStop"):
        if isinstance(value.get(name), dict):
            value = value[name]
    at = value.get("contentBlockIndex")
    slot = ("block", at if isinstance(at, int) else 0)
    for part in parts(first(value, "delta", "start")):
        draft.add(0, slot, part)
    draft.end(0, value.get("stopReason"))


def _invoked(value: Value, draft: Draft) -> None:
    """A piece of invoke-with-response-stream: the model's own event, in base64 or decoded."""
    holder = value["chunk"] if isinstance(value.get("chunk"), dict) else value
    inner = holder.get("bytes")
    try:
        if isinstance(inner, str):
            inner = exact_json.parse(base64.b64decode(inner, validate=True))
    except ValueError:
        return
    if isinstance(inner, dict) and "bytes" not in inner and "chunk" not in inner:
        _read(inner, draft)


# ------------------------------------------------------------------ embeddings, images


def _embeddings(value: Value, draft: Draft) -> None:
    vectors = [item.get("embedding") for item in objects(value.get("data"))]
    if not vectors:
        holder = first(value, "embeddings", "embedding")
        if isinstance(holder, dict):
            holder = first(holder, "float", "values") or next(iter(holder.values()), None)
        vectors = holder if isinstance(holder, list) else []
        vectors = vectors if vectors and isinstance(vectors[0], (list, dict)) else [vectors]
    vector = vectors[0].get("values") if isinstance(vectors[0], dict) else vectors[0]
    # In base64 a number takes four bytes.
    length = len(vector) if isinstance(vector, list) else decoded_size(text_of(vector)) // 4
    draft.say(0, [Part("media", f"[{count(len(vectors), 'embedding')} of {length} numbers]")])


def _images(value: Value, draft: Draft) -> None:
    draft.say(0, [media("image", item) for item in objects(value["data"])])


def _is_list_of(value: Value, *names: str) -> bool:
    item = next(objects(value.get("data")), {})
    return any(name in item for name in names)


def _starts(value: Value, *starts: str) -> bool:
    return _type(value).startswith(starts)


type _Fits = Callable[[Value], bool]
_COHERE: Final = ("content-", "tool-", "message-", "citation-")
_INTERACTION: Final = ("interaction.", "content.", "step.")

_SHAPES: Final[tuple[tuple[_Fits, Callable[[Value, Draft], None]], ...]] = (
    (lambda v: "choices" in v, _choices),
    (lambda v: _starts(v, "response."), _response_event),
    (lambda v: v.get("object") == "response", _response),
    (lambda v: v.get("object") == "interaction", _interaction),
    (lambda v: text_of(v.get("event_type")).startswith(_INTERACTION), _interaction),
    (lambda v: v.get("error") is not None, lambda v, draft: draft.fail(v["error"])),
    (lambda v: _type(v) == "error", lambda v, draft: draft.fail(v)),
    (lambda v: _type(v) == "message", _message),
    (lambda v: _starts(v, "message_", "content_block_"), _message_event),
    (lambda v: "candidates" in v or "promptFeedback" in v, _candidates),
    (lambda v: "done" in v and ("message" in v or "response" in v), _ollama),
    (lambda v: _starts(v, *_COHERE) or "event_type" in v or "generation_id" in v, _cohere),
    (lambda v: isinstance(v.get("message"), dict) and "finish_reason" in v, _cohere),
    (lambda v: "output" in v and "stopReason" in v, _converse),
    (lambda v: any(n.startswith("contentBlock") for n in v) or "messageStop" in v, _converse_event),
    (lambda v: "stopReason" in v, _converse_event),
    (lambda v: "bytes" in v or "chunk" in v, _invoked),
    (lambda v: "embeddings" in v or "embedding" in v or _is_list_of(v, "embedding"), _embeddings),
    (lambda v: _is_list_of(v, "b64_json", "url"), _images),
    (
        lambda v: isinstance(v.get("text"), str),
        lambda v, draft: draft.say(0, [Part("text", v["text"])]),
    ),
    (lambda v: v.get("detail") is not None, lambda v, draft: draft.fail(v["detail"])),
)

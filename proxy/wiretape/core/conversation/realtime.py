"""Show a WebSocket connection as turns: OpenAI's realtime and responses, Gemini's live API, and
conversations of JSON-RPC as they are.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Final

from wiretape.core.text import exact_json
from wiretape.core.text.printable import size
from wiretape.core.wire.jsonrpc import is_message

from .answers import known_turns
from .turns import (
    Part,
    Turn,
    call,
    decoded_size,
    first,
    message,
    objects,
    parts,
    request_turns,
    text_of,
)

type RealtimeMessage = tuple[str, exact_json.Json]
"""A message: its sender ("client" or "server") and its JSON, or its text, or its number of bytes if
it is binary."""


def turns(messages: Iterable[RealtimeMessage]) -> tuple[Turn, ...]:
    """The turns of both sides in the order of their messages."""
    result: list[Turn] = []
    for sender, run in groupby(messages, key=lambda message: message[0]):
        values = [value for _, value in run]
        result += _client(values) if sender == "client" else _server(values)
    return tuple(result)


def _client(values: list[exact_json.Json]) -> list[Turn]:
    result: list[Turn] = []
    audio = 0
    for value in values:
        audio_size = _audio(value)
        if audio_size is not None:
            audio += audio_size
            continue
        if isinstance(value, str):
            result.append(Turn("user", (Part("text", value),)))
        if is_message(value):
            result.append(Turn("request", (Part("data", text_of(value)),)))
        if not isinstance(value, dict):
            continue
        settings = first(value, "session", "setup", "response")
        if isinstance(settings, dict):
            result += [turn for turn in request_turns(settings) if turn.role != "request"]
        if isinstance(value.get("item"), dict):
            result.append(message(value["item"]))
        if "input" in value:
            result += request_turns(value)
        content = first(value, "clientContent", "client_content")
        result += [message(turn) for turn in objects(first(content, "turns"))]
        answers = first(first(value, "toolResponse", "tool_response"), "functionResponses")
        for answer in objects(answers):
            result.append(Turn("tool", tuple(parts({"functionResponse": answer}))))
    if audio:
        result.append(Turn("user", (Part("media", f"[audio {size(audio)}]"),)))
    return result


_CHUNKS: Final = ("mediaChunks", "media_chunks")


def _audio(value: exact_json.Json) -> int | None:
    """The number of bytes of sound in a message; None for other messages."""
    if isinstance(value, int):
        return value
    sent = first(value, "realtimeInput", "realtime_input")
    if isinstance(sent, dict):
        pieces = [*objects(first(sent, *_CHUNKS)), *objects([sent.get("audio"), sent.get("video")])]
        return sum(_size(piece.get("data")) for piece in pieces)
    kind = text_of(first(value, "type"))
    return _size(first(value, "audio")) if kind == "input_audio_buffer.append" else None


def _size(data: exact_json.Json) -> int:
    return decoded_size(data) if isinstance(data, str) else 0


def _server(values: list[exact_json.Json]) -> list[Turn]:
    """The provider's turns; each response of the realtime API numbers its items from 0."""
    result: list[Turn] = []
    run: list[exact_json.Json] = []
    audio = 0
    for value in values:
        if isinstance(value, int):
            audio += value
        elif is_message(value):
            result.append(Turn("answer", (Part("data", text_of(value)),)))
        elif isinstance(value, str):
            result.append(Turn("assistant", (Part("text", value),)))
        elif text_of(first(value, "type")) == "response.created":
            result += known_turns(run)
            run = [value]
        else:
            kind = text_of(first(value, "type"))
            if kind in ("response.audio.delta", "response.output_audio.delta"):
                audio += _size(first(value, "delta"))
            run.append(value)
    result += known_turns(run)
    if audio:
        result.append(Turn("assistant", (Part("media", f"[audio {size(audio)}]"),)))
    return [*result, *_gemini(values)]


def _gemini(values: list[exact_json.Json]) -> list[Turn]:
    spoken: list[Part] = []
    for value in values:
        content = first(value, "serverContent", "server_content")
        turn = first(content, "modelTurn", "model_turn")
        spoken += parts(first(turn, "parts"))
        transcript = first(first(content, "outputTranscription", "output_transcription"), "text")
        spoken += [Part("text", text_of(transcript))] if transcript is not None else []
        calls = first(first(value, "toolCall", "tool_call"), "functionCalls", "function_calls")
        spoken += [call(request) for request in objects(calls)]
    return [Turn("assistant", tuple(_joined(spoken)))] if spoken else []


def _joined(spoken: list[Part]) -> list[Part]:
    result: list[Part] = []
    for part in spoken:
        if result and part.kind == result[-1].kind and part.kind in ("text", "reasoning"):
            result[-1] = Part(part.kind, result[-1].text + part.text)
        else:
            result.append(part)
    return result

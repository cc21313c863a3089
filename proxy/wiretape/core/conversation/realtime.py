"""Show a WebSocket connection as turns: OpenAI's realtime and responses, Gemini's live API."""

from collections.abc import Iterable
from itertools import groupby
from typing import Final

from wiretape.core.text import exact_json
from wiretape.core.text.printable import size

from .answers import known
from .turns import Part, Turn, asked, call, first, message, objects, parts, text_of

type RealtimeMessage = tuple[str, exact_json.Json]
"""One message: who sent it ("client" or "server") and its JSON, or its text, or its number of bytes
where it is binary."""


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
        weight = _audio(value)
        if weight is not None:
            audio += weight
            continue
        if isinstance(value, str):
            result.append(Turn("user", (Part("text", value),)))
        if not isinstance(value, dict):
            continue
        held = first(value, "session", "setup", "response")
        if isinstance(held, dict):
            result += [turn for turn in asked(held) if turn.role != "request"]
        if isinstance(value.get("item"), dict):
            result.append(message(value["item"]))
        if "input" in value:
            result += asked(value)
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
    """The bytes of sound that a message carries; None for a message of another kind."""
    if isinstance(value, int):
        return value
    sent = first(value, "realtimeInput", "realtime_input")
    if isinstance(sent, dict):
        pieces = [*objects(first(sent, *_CHUNKS)), *objects([sent.get("audio"), sent.get("video")])]
        return sum(_weight(piece.get("data")) for piece in pieces)
    kind = text_of(first(value, "type"))
    return _weight(first(value, "audio")) if kind == "input_audio_buffer.append" else None


def _weight(data: exact_json.Json) -> int:
    return len(data.rstrip("=")) * 3 // 4 if isinstance(data, str) else 0


def _server(values: list[exact_json.Json]) -> list[Turn]:
    """Each response of the realtime API counts its items anew."""
    result: list[Turn] = []
    run: list[exact_json.Json] = []
    audio = 0
    for value in values:
        if isinstance(value, int):
            audio += value
        elif isinstance(value, str):
            result.append(Turn("assistant", (Part("text", value),)))
        elif text_of(first(value, "type")) == "response.created":
            result += known(run)
            run = [value]
        else:
            kind = text_of(first(value, "type"))
            if kind in ("response.audio.delta", "response.output_audio.delta"):
                audio += _weight(first(value, "delta"))
            run.append(value)
    result += known(run)
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

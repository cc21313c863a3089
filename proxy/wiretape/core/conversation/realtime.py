"""A WebSocket connection told as turns: OpenAI's realtime and responses, Gemini's live API."""

from collections.abc import Iterable
from itertools import groupby
from typing import Final

from wiretape.core.text import exact_json
from wiretape.core.text.printable import size

from .answers import known
from .turns import Part, Turn, asked, call, first, message, objects, parts, text_of

type Said = tuple[str, exact_json.Json]
"""One message: who sent it ("client" or "server") and its JSON, or its text, or its number of bytes
where it is binary."""


def turns(messages: Iterable[Said]) -> tuple[Turn, ...]:
    """The turns of both sides in the order of their messages."""
    found: list[Turn] = []
    for sender, run in groupby(messages, key=lambda said: said[0]):
        values = [value for _, value in run]
        found += _client(values) if sender == "client" else _server(values)
    return tuple(found)


def _client(values: list[exact_json.Json]) -> list[Turn]:
    found: list[Turn] = []
    audio = 0
    for value in values:
        weight = _audio(value)
        if weight is not None:
            audio += weight
            continue
        if isinstance(value, str):
            found.append(Turn("user", (Part("text", value),)))
        if not isinstance(value, dict):
            continue
        held = first(value, "session", "setup", "response")
        if isinstance(held, dict):
            found += [turn for turn in asked(held) if turn.role != "request"]
        if isinstance(value.get("item"), dict):
            found.append(message(value["item"]))
        if "input" in value:
            found += asked(value)
        said = first(value, "clientContent", "client_content")
        found += [message(turn) for turn in objects(first(said, "turns"))]
        answers = first(first(value, "toolResponse", "tool_response"), "functionResponses")
        for answer in objects(answers):
            found.append(Turn("tool", tuple(parts({"functionResponse": answer}))))
    if audio:
        found.append(Turn("user", (Part("media", f"[audio {size(audio)}]"),)))
    return found


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
    found: list[Turn] = []
    run: list[exact_json.Json] = []
    audio = 0
    for value in values:
        if isinstance(value, int):
            audio += value
        elif isinstance(value, str):
            found.append(Turn("assistant", (Part("text", value),)))
        elif text_of(first(value, "type")) == "response.created":
            found += known(run)
            run = [value]
        else:
            kind = text_of(first(value, "type"))
            if kind in ("response.audio.delta", "response.output_audio.delta"):
                audio += _weight(first(value, "delta"))
            run.append(value)
    found += known(run)
    if audio:
        found.append(Turn("assistant", (Part("media", f"[audio {size(audio)}]"),)))
    return [*found, *_gemini(values)]


def _gemini(values: list[exact_json.Json]) -> list[Turn]:
    said: list[Part] = []
    for value in values:
        content = first(value, "serverContent", "server_content")
        turn = first(content, "modelTurn", "model_turn")
        said += parts(first(turn, "parts"))
        heard = first(first(content, "outputTranscription", "output_transcription"), "text")
        said += [Part("text", text_of(heard))] if heard is not None else []
        asks = first(first(value, "toolCall", "tool_call"), "functionCalls", "function_calls")
        said += [call(one) for one in objects(asks)]
    return [Turn("assistant", tuple(_joined(said)))] if said else []


def _joined(said: list[Part]) -> list[Part]:
    found: list[Part] = []
    for part in said:
        if found and part.kind == found[-1].kind and part.kind in ("text", "reasoning"):
            found[-1] = Part(part.kind, found[-1].text + part.text)
        else:
            found.append(part)
    return found

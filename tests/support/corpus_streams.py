"""The streams of the corpus: a secret cut into fragments, in each shape that providers stream in.

A `Shape` says how fragments become chunks and how a client puts them together again, so a test can
say what of an answer may change: one text, and nothing else.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random
from typing import Any, Final

from tests.support.corpus import (
    BINARY,
    CHAT,
    FORMS,
    JSON,
    SSE,
    Positive,
    Source,
    answer,
    known,
    request,
    shaped,
)

from wiretape.core.model import Exchange, Headers
from wiretape.core.wire import sse

type Event = dict[str, Any]
type Texts = dict[str, str]
"""The text of a stream by lane: what a client puts together for one choice, call or block."""

OTHER: Final = ("Some ", "other ", "words, ", "and ", "so ", "on.")


@dataclass(frozen=True)
class Shape:
    """A provider's way to stream; `event` wraps a fragment of lane 0, `other` one of lane 1."""

    name: str
    event: Callable[[str], Event]
    text: Callable[[Event], str | None]
    other: Callable[[str], Event] | None = None
    path: str = CHAT
    head: Sequence[Event] = ()
    typed: bool = False
    """Whether an event's `type` is also its SSE event name."""
    arguments: bool = False
    """Whether the text is JSON: a tool call's arguments."""


def _choice(delta: Event, index: int = 0, text: str | None = None) -> Event:
    choice = {"index": index, "delta": delta, "finish_reason": None}
    if text is not None:
        choice["text"] = text
    return {
        "id": "oCfxg3w-4Yz4kd-984c2d684c778f6d",
        "object": "chat.completion.chunk",
        "created": 1758820670,
        "model": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "choices": [choice],
    }


def _delta(name: str, *, together: bool = False) -> Shape:
    def event(text: str) -> Event:
        return _choice({name: text}, text=text if together else None)

    def text(event: Event) -> str | None:
        choice = event["choices"][0]
        return choice["delta"].get(name) if choice["index"] == 0 else None

    return Shape(
        f"delta.{name}" + (" and text" if together else ""),
        event,
        text,
        lambda text: _choice({name: text}, 1),
        head=[_choice({"role": "assistant", name: ""})],
    )


def _logprob(text: str, index: int = 0) -> Event:
    event = _choice({"content": text}, index)
    event["choices"][0]["logprobs"] = {"content": [{"token": text, "logprob": -0.5}]}
    return event


def _together_text() -> Shape:
    shape = _delta("content", together=True)
    return replace(shape, name="text beside delta", text=lambda e: e["choices"][0].get("text"))


def _call(text: str, index: int = 0) -> Event:
    return _choice({"tool_calls": [{"index": index, "function": {"arguments": text}}]})


def _call_text(event: Event) -> str | None:
    for call in event["choices"][0]["delta"].get("tool_calls", ()):
        if call["index"] == 0:
            return str(call["function"]["arguments"])
    return None


def _block(kind: str, member: str, *, arguments: bool = False) -> Shape:
    def event(text: str, index: int = 1) -> Event:
        delta = {"type": kind, member: text}
        return {"type": "content_block_delta", "index": index, "delta": delta}

    return Shape(
        f"Anthropic {kind}",
        event,
        lambda e: e["delta"].get(member) if e.get("index") == 1 and "delta" in e else None,
        lambda text: event(text, 2),
        "/v1/messages",
        [{"type": "message_start", "message": {"id": "msg_01XFDUDYJgAACzvnptvVoYEL"}}],
        typed=True,
        arguments=arguments,
    )


def _responses(kind: str, *, arguments: bool = False) -> Shape:
    def event(text: str, index: int = 0) -> Event:
        number = {"output_index": index, "content_index": 0, "sequence_number": 4}
        return {"type": kind, "item_id": "msg_67ccd2bf17f0", **number, "delta": text}

    return Shape(
        kind,
        event,
        lambda e: e["delta"] if e["output_index"] == 0 else None,
        lambda text: event(text, 1),
        "/v1/responses",
        typed=True,
        arguments=arguments,
    )


def _gemini(text: str, index: int = 0) -> Event:
    content = {"parts": [{"text": text}], "role": "model"}
    return {"candidates": [{"content": content, "index": index}], "modelVersion": "gemini-2.5-pro"}


def _completion(text: str, index: int = 0) -> Event:
    return {"id": "cmpl-1", "choices": [{"index": index, "text": text, "logprobs": None}]}


def _first(*way: str | int) -> Callable[[Event], str | None]:
    """The string at a place, where the event's first choice or candidate is number 0."""

    def text(event: Event) -> str | None:
        item: Any = event
        for step in way:
            item = item[step]
            if isinstance(item, dict) and item.get("index", 0) != 0:
                return None
        return str(item)

    return text


SHAPES: Final = (
    _delta("content"),
    _delta("content", together=True),
    _together_text(),
    _delta("reasoning"),
    _delta("reasoning_content"),
    Shape(
        "logprobs",
        _logprob,
        _first("choices", 0, "logprobs", "content", 0, "token"),
        lambda text: _logprob(text, 1),
    ),
    Shape("tool_calls", _call, _call_text, lambda text: _call(text, 1), arguments=True),
    _block("text_delta", "text"),
    _block("thinking_delta", "thinking"),
    _block("input_json_delta", "partial_json", arguments=True),
    Shape(
        "completions text",
        _completion,
        _first("choices", 0, "text"),
        lambda text: _completion(text, 1),
        "/v1/completions",
    ),
    Shape(
        "Gemini parts",
        _gemini,
        _first("candidates", 0, "content", "parts", 0, "text"),
        lambda text: _gemini(text, 1),
        "/v1beta/models/gemini-2.5-pro:streamGenerateContent",
    ),
    _responses("response.output_text.delta"),
    _responses("response.function_call_arguments.delta", arguments=True),
    Shape(
        "Cohere",
        lambda t: {"type": "content-delta", "delta": {"message": {"content": {"text": t}}}},
        _first("delta", "message", "content", "text"),
        path="/v2/chat",
        typed=True,
    ),
    Shape(
        "unknown JSON",
        lambda t: {"token": {"id": 30, "text": t}, "details": [None, 4]},
        _first("token", "text"),
        path="/generate_stream",
    ),
)


def _sse(shape: Shape, event: Event) -> bytes:
    name = f"event: {event['type']}\n" if shape.typed else ""
    return f"{name}data: {json.dumps(event, separators=(',', ':'))}\n\n".encode()


# Other ways to spell the same events: lines that end otherwise, JSON that no style gives back.
_SPELLINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "CRLF": lambda chunk: chunk.replace(b"\n", b"\r\n"),
    "no space": lambda chunk: chunk.replace(b"data: ", b"data:"),
    "odd JSON": lambda chunk: chunk.replace(b'{"', b'{ "n" :1.0,"', 1),
    "padded": lambda chunk: chunk.replace(b"}\n", b"   }\n"),
    "lines": lambda chunk: chunk.replace(b',"', b',\ndata: "', 1),
    "comments": lambda chunk: b": x\n" + chunk,
}


def cut(random: Random, text: str, largest: int) -> list[str]:
    """Cut a text into fragments of 1 to `largest` characters."""
    borders = [0]
    while borders[-1] < len(text):
        borders.append(min(len(text), borders[-1] + random.randint(1, largest)))
    return [text[start:end] for start, end in pairwise(borders)]


def streamed(shape: Shape, fragments: Sequence[str]) -> list[bytes]:
    """The chunks of a stream in which another lane's fragments stand between the secret's."""
    chunks = [_sse(shape, event) for event in shape.head]
    others = iter(OTHER)
    for number, fragment in enumerate(fragments):
        chunks.append(_sse(shape, shape.event(fragment)))
        if shape.other is not None and number % 2 and (word := next(others, None)):
            chunks.append(_sse(shape, shape.other(word)))
        if number == 3:
            chunks.append(b": keep-alive\n\n")
    return chunks if shape.typed else [*chunks, b"data: [DONE]\n\n"]


def _piece(shape: Shape, chunk: bytes) -> str | None:
    """The fragment that a chunk holds; None where it holds something else."""
    found = sse.parse(chunk)
    if found is None or not (found.data or "").startswith("{"):
        return None
    event = json.loads(found.data or "")
    return None if event in shape.head else shape.text(event)


def _body(exchange: Exchange) -> str:
    return exchange.response.body.decode("latin-1")


def _whole(before: str, text: str, after: str, *, arguments: bool) -> str:
    if arguments:
        return json.dumps({"city": before, "token": text, "n": 1, "more": after})
    return f"{before} {text} {after}"


def streams(seed: int = 4) -> Iterator[Positive]:
    """Each shape with secrets of several sources, cut fine and coarse."""
    random = Random(seed)
    plain, shapes = known(random), shaped(random)
    turn = 0
    for shape in SHAPES:
        for largest in (1, 4, 12, 40):
            for sources in (plain, shapes):
                turn += 1
                source = sources[turn % len(sources)]
                whole = _whole("It is", source.secret, "indeed.", arguments=shape.arguments)
                yield _stream(shape, source, cut(random, whole, largest), f"cut to {largest}")
        for form in ("json", "percent", "base64 1", "base64url 2", "hex"):
            turn += 1
            source = plain[turn % len(plain)]
            text = FORMS[form](source.secret)
            whole = _whole("It is", text, "indeed.", arguments=shape.arguments)
            positive = _stream(shape, source, cut(random, whole, 9), form)
            # A fragment that is all of the new base64 stands under the name "token" there.
            yield replace(positive, may_refuse=shape.name == "logprobs")
    for shape in (SHAPES[1], SHAPES[-1]):
        for name, spell in _SPELLINGS.items():
            turn += 1
            source = (plain if turn % 2 else shapes)[turn % len(shapes) % len(plain)]
            fragments = cut(random, f"It is {source.secret} indeed.", 9)
            positive = _stream(shape, source, fragments, name)
            chunks = tuple(spell(chunk.data) for chunk in positive.exchange.response.chunks)
            respelled = answer(*chunks, headers=SSE, streaming=True)
            exchange = Exchange(positive.exchange.request, respelled)
            yield replace(positive, exchange=exchange)
    for shape in SHAPES:
        turn += 1
        source = plain[turn % len(plain)]
        yield _two(random, shape, source)
    for source in (plain[0], plain[-1], shapes[0], shapes[4]):
        for largest in (1, 5, 30):
            whole = f"It is {source.secret} indeed."
            fragments = cut(random, whole, largest)
            yield from _unframed(source, fragments, f"cut to {largest}")


def _stream(shape: Shape, source: Source, fragments: list[str], how: str) -> Positive:
    body = json.dumps({"model": "m", "stream": True}).encode()
    return Positive(
        f"{how}, {shape.name}, {source.name}",
        Exchange(
            request(source, body, JSON, shape.path),
            answer(*streamed(shape, fragments), headers=SSE, streaming=True),
        ),
        source,
        lambda e: "".join(_piece(shape, chunk.data) or "" for chunk in e.response.chunks),
        lambda chunk: _piece(shape, chunk) is not None,
    )


def _two(random: Random, shape: Shape, source: Source) -> Positive:
    """The same secret twice in one lane, and once in the lane beside it, fragment by fragment."""
    whole = _whole(source.secret, source.secret, "done", arguments=shape.arguments)
    alone = replace(shape, other=None)
    positive = _stream(alone, source, cut(random, whole, 7), "twice")
    beside = cut(random, source.secret, 6)
    chunks = []
    for chunk in positive.exchange.response.chunks:
        chunks.append(chunk.data)
        if beside and shape.other is not None:
            chunks.append(_sse(shape, shape.other(beside.pop(0))))
    exchange = Exchange(positive.exchange.request, answer(*chunks, headers=SSE, streaming=True))
    read = positive.read or _body
    other = shape.other

    def both(exchange: Exchange) -> str:
        texts = [read(exchange)]
        if other is not None:
            # What is not of the one lane is of the other.
            left = [c.data for c in exchange.response.chunks if _piece(shape, c.data) is None]
            texts += [_strings(left)]
        return " | ".join(texts)

    return replace(positive, exchange=exchange, read=both, is_fragment=None)


def _strings(chunks: list[bytes]) -> str:
    """Every string of some events, one after another, by the place they have in them."""
    lanes: Texts = {}

    def walk(value: Any, place: str) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                walk(item, f"{place}.{key}")
        elif isinstance(value, list):
            for item in value:
                walk(item, f"{place}[]")
        elif isinstance(value, str):
            lanes[place] = lanes.get(place, "") + value

    for chunk in chunks:
        found = sse.parse(chunk)
        if found is not None and (found.data or "").startswith("{"):
            walk(json.loads(found.data or ""), "")
    return " ".join(lanes.values())


def _unframed(source: Source, fragments: list[str], how: str) -> Iterator[Positive]:
    def positive(
        name: str,
        headers: Headers,
        chunks: list[bytes],
        read: Callable[[Exchange], str] | None,
        *,
        may_refuse: bool = False,
        path: str = CHAT,
    ) -> Positive:
        asked = request(source, b'{"model":"m"}', JSON, path)
        given = answer(*chunks, headers=headers, streaming=True)
        what = f"{how}, {name}, {source.name}"
        return Positive(what, Exchange(asked, given), source, read, may_refuse=may_refuse)

    pieces = [text.encode() for text in fragments]
    yield positive("text reads", BINARY, pieces, _body)
    noise = [b"\xff\x00", *pieces, b"\x80\xfe"]
    yield positive("binary reads", BINARY, noise, None)
    lines = [json.dumps({"message": {"content": text}}).encode() + b"\n" for text in fragments]
    yield positive(
        "lines",
        (("content-type", "application/x-ndjson"),),
        [*lines, b'{"done":true}\n'],
        lambda e: "".join(
            json.loads(chunk.data).get("message", {}).get("content", "")
            for chunk in e.response.chunks
        ),
        path="/api/chat",
    )
    data = [f"data: {text}\n\n".encode() for text in fragments]
    yield positive(
        "text events",
        SSE,
        data,
        lambda e: "".join(
            event.data or "" for c in e.response.chunks if (event := sse.parse(c.data)) is not None
        ),
    )
    array = [("[" if n == 0 else ",\r\n") + json.dumps(_gemini(t)) for n, t in enumerate(fragments)]
    yield positive(
        "Gemini's array",
        JSON,
        [*(text.encode() for text in array), b"]"],
        lambda e: "".join(
            part["candidates"][0]["content"]["parts"][0]["text"] for part in json.loads(_body(e))
        ),
        may_refuse=True,
        path="/v1beta/models/gemini-2.5-pro:streamGenerateContent",
    )

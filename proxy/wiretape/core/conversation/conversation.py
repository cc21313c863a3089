"""Show a recording as a conversation: the turns of both sides, the model and the tokens.

It is for readers and for comparing: any recording has one, whatever its bodies hold, and nothing is
matched or replayed by it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from wiretape.core.cost.usage import Usage, usage_of
from wiretape.core.model import models_in_path
from wiretape.core.recording.document import Document
from wiretape.core.text import exact_json
from wiretape.core.text.printable import size
from wiretape.core.wire import sse

from . import realtime
from .answers import answer_turns
from .estimate import estimated, is_unbilled_path
from .turns import Part, Turn, decoded_size, first, request_turns, spaced, text_of, tools


@dataclass(frozen=True, slots=True)
class Conversation:
    """An exchange as turns. Each choice of an answer is a turn; a turn with the role "error" is an
    error.
    """

    model: str | None
    request: tuple[Turn, ...]
    answer: tuple[Turn, ...]
    tools: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)

    @property
    def prompt(self) -> str:
        """The last text of the user."""
        return _prompt(self.request)

    @property
    def text(self) -> str:
        """All words of both sides, for searching."""
        turns = (*self.request, *self.answer)
        return "\n".join(text for turn in turns for part in turn.parts for text in _words(part))

    def as_json(self) -> dict[str, Any]:
        """The conversation for `--json`."""
        return {
            "model": self.model,
            "tools": list(self.tools),
            "request": [_turn_as_json(turn) for turn in self.request],
            "answer": [_turn_as_json(turn) for turn in self.answer],
            "tokens_in": self.usage.tokens_in,
            "tokens_out": self.usage.tokens_out,
            "usage": self.usage.as_json(),
        }


def _turn_as_json(turn: Turn) -> dict[str, Any]:
    document = asdict(turn)
    for part in document["parts"]:
        # It is in the recording, and may be megabytes.
        del part["base64"]
    return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a list shows of a recording; much quicker to read than a conversation."""

    model: str | None
    prompt: str
    usage: Usage
    chunks: int
    status: int | None
    streamed: bool
    end: str


def conversation(document: Document) -> Conversation:
    """The conversation of a document, of wiretape's own format or made by `llamastack.convert`."""
    request, response = document["request"], document["response"]
    body = _request_body(request)
    answer = read(response)
    messages = list(_messages(response))
    turns = realtime.turns(messages) if messages else answer_turns(answer.values)
    if not messages and (answer.text or answer.size):
        parts = [Part("text", answer.text)] if answer.text else []
        if answer.size:
            media = text_of(first(response.get("headers"), "content-type")).partition(";")[0]
            parts.append(Part("media", f"[{media or 'binary'} {size(answer.size)}]"))
        turns = (*turns, Turn("answer", tuple(parts)))
    return Conversation(
        _model(request, body, answer.values),
        tuple(_request_turns(request, body)),
        turns,
        tools(body),
        _usage(request, response, body, answer),
    )


def summary(document: Document, whole: Conversation | None = None) -> Summary:
    """Read what a list shows of a document; `whole` is its conversation, if it was read before."""
    request, response = document["request"], document["response"]
    if whole is not None:
        model, turns, usage = whole.model, whole.request, whole.usage
    else:
        body, answer = _request_body(request), read(response)
        model, turns = _model(request, body, answer.values), tuple(_request_turns(request, body))
        usage = _usage(request, response, body, answer)
    items, status = response.get("body"), response.get("status")
    return Summary(
        model=model,
        prompt=_prompt(turns),
        usage=usage,
        chunks=len(items) if isinstance(items, list) else int(items is not None),
        status=status if isinstance(status, int) else None,
        streamed=response.get("is_streaming") is True,
        end=text_of(response.get("end", "complete")),
    )


def _request_turns(request: Mapping[str, Any], body: exact_json.Json) -> list[Turn]:
    if body is not _NO_JSON:
        return request_turns(body)
    for name, noun in (("body_base64", "binary"), ("body_file", "binary")):
        if isinstance(request.get(name), str):
            size_ = len(request[name]) * 3 // 4 if name == "body_base64" else None
            label = f"[{noun} {size(size_)}]" if size_ is not None else f"[{noun}]"
            return [Turn("request", (Part("media", label),))]
    text = request.get("body_text")
    return [Turn("request", (Part("text", text),))] if isinstance(text, str) and text else []


_NO_JSON: Final = object()


def _request_body(request: Mapping[str, Any]) -> exact_json.Json:
    if "body" in request:
        return request["body"]
    text = request.get("body_text")
    value = _json(text) if isinstance(text, str) else None
    return _NO_JSON if value is None else value


def _prompt(turns: Sequence[Turn]) -> str:
    texts = [
        (turn.role, " ".join(part.text for part in turn.parts if part.kind == "text"))
        for turn in turns
    ]
    spoken = [(role, text) for role, text in texts if text]
    # The last text of the user; of several in a row, such as texts to embed, the first.
    prompt = ""
    for (role, text), (before, _) in zip(spoken, [("", ""), *spoken], strict=False):
        if role == "user" and before != "user":
            prompt = text
    if not prompt and spoken:
        prompt = spoken[-1][1]
    if not prompt and turns:
        prompt = " ".join(part.text for part in turns[-1].parts)
    return prompt


def _words(part: Part) -> Iterator[str]:
    if part.name:
        yield part.name
    yield part.text


# ------------------------------------------------------------------ the answer's values


@dataclass(frozen=True, slots=True)
class Body:
    """The content of an answer's chunks: JSON values, other text, and the number of other bytes."""

    values: list[exact_json.Json]
    text: str = ""
    size: int = 0


def read(response: Mapping[str, Any]) -> Body:
    """Read the content of the chunks of a document's `response` part."""
    items = response.get("body")
    events = "event-stream" in text_of(first(response.get("headers"), "content-type"))
    values: list[exact_json.Json] = []
    texts: list[str] = []
    size_ = 0
    for item in items if isinstance(items, list) else [items]:
        if not isinstance(item, dict):
            continue
        if "__data__" in item:
            values.append(item["__data__"])
        elif isinstance(item.get("data"), str):
            _put(item["data"], values, texts)
        elif isinstance(item.get("text"), str) and events:
            event = sse.parse(item["text"].encode("utf-8", "surrogatepass"))
            if event is not None and event.data is not None:
                _put(event.data, values, texts)
        elif isinstance(item.get("text"), str):
            texts.append(item["text"])
        elif isinstance(item.get("base64"), str):
            size_ += decoded_size(item["base64"])
    text = "".join(texts)
    in_text = list(_sequence(text)) if not events else []
    return Body(values + in_text, "" if in_text else text, size_)


def _messages(response: Mapping[str, Any]) -> Iterator[realtime.RealtimeMessage]:
    """The messages of a WebSocket connection; empty for other answers."""
    items = response.get("body")
    for item in items if isinstance(items, list) else []:
        sender = item.get("from") if isinstance(item, dict) else None
        if not isinstance(sender, str):
            continue
        if "__data__" in item:
            yield sender, item["__data__"]
        elif isinstance(item.get("text"), str):
            yield sender, item["text"]
        elif isinstance(item.get("base64"), str):
            yield sender, decoded_size(item["base64"])


def _put(data: str, values: list[exact_json.Json], texts: list[str]) -> None:
    value = _json(data)
    if isinstance(value, (dict, list)):
        values.append(value)
    # OpenAI's end of a stream has no content.
    elif data != "[DONE]":
        texts.append(data)


def _json(text: str) -> exact_json.Json:
    try:
        return exact_json.parse(text) if text.lstrip()[:1] in ("{", "[") else None
    except ValueError:
        return None


_decoder: Final = json.JSONDecoder()
_BETWEEN: Final = re.compile(r"[\s,\[\]]*")


def _sequence(text: str) -> Iterator[exact_json.Json]:
    """The JSON objects of a text: one, one a line, or those of a list that may be cut."""
    whole = _json(text)
    if whole is not None:
        yield from whole if isinstance(whole, list) else [whole]
        return
    at = _end(_BETWEEN, text, 0)
    while text.startswith("{", at):
        try:
            end = _decoder.raw_decode(text, at)[1]
            yield exact_json.parse(text[at:end])
        except (ValueError, RecursionError):
            return
        at = _end(_BETWEEN, text, end)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


# ------------------------------------------------------------------ model and tokens


def _model(
    request: Mapping[str, Any], body: exact_json.Json, values: list[exact_json.Json]
) -> str | None:
    """The model that the request names, else the one that the answer names."""
    named = first(request, "model") or first(body, "model", "modelId")
    if isinstance(named, str):
        return named
    in_path = models_in_path(text_of(request.get("url")))
    if in_path and request.get("method") != "GET":
        return in_path[0]
    return answering_model(values)


def answering_model(values: list[exact_json.Json]) -> str | None:
    """The model that an answer names."""
    for value in values:
        for holder in (value, first(value, "response", "message", "interaction")):
            name = first(holder, "model", "modelVersion")
            if isinstance(name, str):
                return name
    return None


def _usage(
    request: Mapping[str, Any], response: Mapping[str, Any], body: exact_json.Json, answer: Body
) -> Usage:
    """The tokens that the answer tells, else an estimate where they were billed."""
    method, path = text_of(request.get("method")), urlsplit(text_of(request.get("url"))).path
    if is_unbilled_path(path):
        return Usage()
    usage = usage_of(answer.values)
    status = response.get("status")
    succeeded = isinstance(status, int) and 200 <= status < 300
    if usage.is_known or not succeeded or method != "POST":
        return usage
    return estimated(body, answer.values) if _model(request, body, answer.values) else usage


# ------------------------------------------------------------------ as text

type Style = Literal["role", "text", "faint", "call", "error"]


def lines(conversation: Conversation) -> Iterator[tuple[Style, str]]:
    """Write a conversation as lines, each with its style."""
    if conversation.tools:
        yield "faint", f"tools: {', '.join(conversation.tools)}"
    for turn in conversation.request:
        yield from _turn(turn, turn.role)
    several = sum(turn.role != "error" for turn in conversation.answer) > 1
    for number, turn in enumerate(conversation.answer):
        head = turn.role if turn.role in ("error", "answer") else "answer"
        yield from _turn(turn, f"{head} {number + 1}" if several and head != "error" else head)


def _turn(turn: Turn, head: str) -> Iterator[tuple[Style, str]]:
    yield "text", ""
    yield ("error" if turn.role == "error" else "role"), head
    for part in turn.parts:
        yield from _part(part)
    if turn.finish is not None:
        yield "faint", f"  ({turn.finish})"


def _part(part: Part) -> Iterator[tuple[Style, str]]:
    of = f"  {part.id}" if part.id else ""
    if part.kind == "call":
        yield "call", f"  → {part.name}({_indented(spaced(part.text))}){of}"
    elif part.kind == "result":
        name = f" {part.name}" if part.name else ""
        yield "call", f"  ←{name}{of}"
        yield "text", _indented("  " + part.text)
    elif part.kind == "reasoning":
        yield "faint", _indented("  (thinks) " + part.text)
    elif part.kind == "refusal":
        yield "error", _indented("  (refuses) " + part.text)
    else:
        yield "text", _indented("  " + part.text)


def _indented(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\n  ")


def printable_body(data: bytes) -> str | None:
    """A body as text; None if it is not text."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text

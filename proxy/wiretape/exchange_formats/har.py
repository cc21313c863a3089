"""HAR 1.2, as browsers, Charles, Fiddler, Insomnia and mitmproxy write it, and Polly.JS's.

Entries are read one after the other by ijson, so that a file of any size takes the memory of one.
Source: http://www.softwareishard.com/blog/har-12-spec/
"""

import base64
import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO, Final
from urllib.parse import urlencode

import ijson  # type: ignore[import-untyped]  # it has no annotations

from wiretape.core.errors import FormatError
from wiretape.core.model import SWITCHING, Headers, Message, Request, Sender, header
from wiretape.core.wire.framing import charset

from .foreign import (
    ForeignExchange,
    ForeignItems,
    LeftOut,
    NotCarriedOver,
    final_status,
    from_base64,
    instant,
    listed_headers,
    request_of,
)

_PIECE: Final = 4096
"""Bytes that are parsed before their events come: with paths of any length at worst."""
_LONGEST_PATH: Final = 10_000
_FORM: Final = "application/x-www-form-urlencoded"


def read(file: BinaryIO, _hint: Request | None = None) -> ForeignItems:
    """The exchanges of a HAR file; FormatError, after those before it, where the JSON breaks."""
    number = 0
    try:
        events = _bounded(ijson.parse(file, buf_size=_PIECE))
        for number, entry in enumerate(ijson.items(events, "log.entries.item"), 1):
            try:
                yield _exchange(f"#{number}", entry)
            except NotCarriedOver as error:
                yield LeftOut(f"#{number}", str(error))
    except (ijson.JSONError, UnicodeDecodeError, RecursionError):
        raise FormatError(
            f"the JSON is broken after entry {number}; those before it were read"
        ) from None
    if not number:
        raise FormatError("no log.entries in it, which HAR has, or none of them")


def _bounded(events: Iterator[tuple[str, str, Any]]) -> Iterator[tuple[str, str, Any]]:
    """The events of a JSON text; RecursionError where it is nested so deeply that the paths, which
    each event has whole, would fill the memory.
    """
    for event in events:
        if len(event[0]) > _LONGEST_PATH:
            raise RecursionError
        yield event


def _exchange(where: str, entry: Any) -> ForeignExchange:
    sent, received = _object(entry, "request"), _object(entry, "response")
    headers = _headers(received)
    request_headers = _headers(sent)
    began = instant(entry.get("startedDateTime"))
    wait, receive = (_seconds(entry, name) for name in ("wait", "receive"))
    return ForeignExchange(
        where=where,
        request=request_of(
            str(sent.get("method", "")),
            str(sent.get("url", "")),
            request_headers,
            _sent_body(sent, request_headers),
        ),
        status=final_status(received.get("status")),
        headers=headers,
        body=_received_body(received, headers),
        recorded_at=began,
        headers_at=wait,
        end_at=None if wait is None or receive is None else wait + receive,
        messages=_messages(entry, received, began),
    )


def _object(holder: Any, name: str) -> dict[str, Any]:
    value = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(value, dict):
        raise NotCarriedOver(f"it has no {name}")
    return value


def _messages(
    entry: dict[str, Any], received: dict[str, Any], began: datetime | None
) -> tuple[Message, ...]:
    """The messages of a WebSocket, where it is one: Chrome's, for HAR itself has no place."""
    if received.get("status") != SWITCHING:
        return ()
    messages = entry.get("_webSocketMessages")
    if not isinstance(messages, list) or began is None:
        raise NotCarriedOver("a WebSocket, of which the HAR keeps no messages")
    return tuple(_message(message, began.timestamp()) for message in messages)


def _message(message: Any, began: float) -> Message:
    try:
        is_binary = message["opcode"] == 2
        data = _decoded(str(message["data"]), "base64" if is_binary else None, "")
        at = max(float(message["time"]) - began, 0.0)
        sender: Sender = "client" if message["type"] == "send" else "server"
    except (KeyError, TypeError, ValueError):
        raise NotCarriedOver("a message of its WebSocket cannot be read") from None
    return Message(data, at, sender, is_binary)


def _headers(message: dict[str, Any]) -> Headers:
    return listed_headers(message.get("headers"))


def _sent_body(sent: dict[str, Any], headers: Headers) -> bytes:
    data = sent.get("postData")
    if not isinstance(data, dict):
        return b""
    media = str(data.get("mimeType") or header(headers, "content-type") or "")
    text = data.get("text")
    if isinstance(text, str) and (text or not data.get("params")):
        return _decoded(text, data.get("encoding") or data.get("_encoding"), media)
    fields = data.get("params")
    if media.lower().startswith(_FORM) and isinstance(fields, list):
        pairs = [(str(field.get("name")), str(field.get("value", ""))) for field in fields]
        return urlencode(pairs).encode()
    raise NotCarriedOver(f"the HAR keeps no bytes of its {media.partition(';')[0] or 'request'}")


def _received_body(received: dict[str, Any], headers: Headers) -> bytes:
    content = received.get("content")
    if not isinstance(content, dict):
        return b""
    text, media = content.get("text"), header(headers, "content-type") or ""
    if text is None:
        size = content.get("size")
        if isinstance(size, (int, Decimal)) and size > 0 and received.get("status") != 304:
            raise NotCarriedOver("the HAR keeps no body of its answer: save it with content")
        return b""
    if content.get("encoding") == "base64" and content.get("_isBinary") is not None:
        return _polly_chunks(str(text))
    return _decoded(str(text), content.get("encoding"), media)


def _polly_chunks(text: str) -> bytes:
    """Polly.JS's bodies with a content coding: a JSON list of the base64 of each read."""
    try:
        chunks = json.loads(text)
        return b"".join(base64.b64decode(str(chunk), validate=True) for chunk in chunks)
    except (ValueError, TypeError):
        return _decoded(text, "base64", "")


def _decoded(text: str, encoding: object, media: str) -> bytes:
    if encoding == "base64":
        return from_base64(text)
    try:
        return text.encode(charset((("content-type", media),), b"") or "utf-8")
    except (LookupError, UnicodeEncodeError):
        return text.encode("utf-8", "surrogatepass")


def _seconds(entry: dict[str, Any], name: str) -> float | None:
    timings = entry.get("timings")
    value = timings.get(name) if isinstance(timings, dict) else None
    # -1 says that it does not apply.
    if not isinstance(value, (int, Decimal)) or isinstance(value, bool) or not 0 <= value < 1e9:
        return None
    return float(value) / 1000

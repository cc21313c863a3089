"""Recordings in one file of another tool's format: HAR, vcrpy's cassettes, lines of JSON.

Each writer yields pieces of text, so that no folder has to fit in memory, and gives back the text
that a client would have got: what a recording has redacted stays redacted.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

import yaml

from wiretape import __version__
from wiretape.core.conversation.conversation import conversation
from wiretape.core.model import Exchange, Headers, WebSocket, header
from wiretape.core.recording.document import Document

_LONG_AGO: Final = "1970-01-01T00:00:00.000000Z"


@dataclass(frozen=True, slots=True)
class Stored:
    """A recording to be written: its name, its exchange, and its document."""

    name: str
    exchange: Exchange
    document: Document


type LeaveOut = Callable[[str, str], None]
"""Told a recording's name, and why the format has no place for it."""

type Writer = Callable[[Iterable[Stored], LeaveOut], Iterator[str]]


def to_har(recordings: Iterable[Stored], _leave_out: LeaveOut) -> Iterator[str]:
    """One HAR 1.2 file; messages of WebSockets as Chrome keeps them."""
    creator = json.dumps({"name": "wiretape", "version": __version__})
    yield f'{{"log": {{"version": "1.2", "creator": {creator}, "entries": ['
    separator = "\n"
    for stored in recordings:
        yield separator + json.dumps(_har_entry(stored.exchange))
        separator = ",\n"
    yield "\n]}}\n"


def _har_entry(exchange: Exchange) -> dict[str, Any]:
    request, response = exchange.request, exchange.response
    body = b"" if isinstance(response, WebSocket) else response.body
    began = exchange.recorded_at or _LONG_AGO
    wait, end = response.headers_at, response.end_at
    receive = None if wait is None or end is None else max(end - wait, 0.0)
    entry: dict[str, Any] = {
        "startedDateTime": began,
        "time": _milliseconds(end),
        "request": {
            "method": request.method,
            "url": request.url,
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": _pairs(request.headers),
            "queryString": [
                {"name": name, "value": value}
                for name, value in parse_qsl(request.query, keep_blank_values=True)
            ],
            "headersSize": -1,
            "bodySize": len(request.body),
        },
        "response": {
            "status": response.status,
            "statusText": _reason(response.status),
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": _pairs(response.headers),
            "content": _content(body, response.headers),
            "redirectURL": header(response.headers, "location") or "",
            "headersSize": -1,
            "bodySize": len(body),
        },
        "cache": {},
        "timings": {"send": 0, "wait": _milliseconds(wait), "receive": _milliseconds(receive)},
    }
    if request.body:
        entry["request"]["postData"] = _post_data(request.body, request.headers)
    if isinstance(response, WebSocket):
        entry["_webSocketMessages"] = _messages(response, began)
    return entry


def _messages(response: WebSocket, began: str) -> list[dict[str, Any]]:
    start = datetime.fromisoformat(began)
    return [
        {
            "type": "send" if message.sender == "client" else "receive",
            "time": (start + timedelta(seconds=message.at or 0.0)).timestamp(),
            "opcode": 2 if message.binary else 1,
            "data": base64.b64encode(message.data).decode()
            if message.binary
            else message.data.decode("utf-8", "surrogateescape"),
        }
        for message in response.messages
    ]


def _milliseconds(seconds: float | None) -> float:
    # HAR's number for what does not apply.
    return -1 if seconds is None else round(seconds * 1000, 3)


def _pairs(headers: Headers) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers]


def _content(body: bytes, headers: Headers) -> dict[str, Any]:
    media = header(headers, "content-type") or "application/octet-stream"
    return {"size": len(body), "mimeType": media, **_text(body)}


def _post_data(body: bytes, headers: Headers) -> dict[str, Any]:
    return {"mimeType": header(headers, "content-type") or "", **_text(body)}


def _text(body: bytes) -> dict[str, Any]:
    try:
        return {"text": body.decode("utf-8")}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(body).decode(), "encoding": "base64"}


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def to_cassette(recordings: Iterable[Stored], leave_out: LeaveOut) -> Iterator[str]:
    """One cassette of vcrpy's, version 1, with content codings undone."""
    yield "interactions:"
    line_end = "\n"
    for stored in recordings:
        if isinstance(stored.exchange.response, WebSocket):
            leave_out(stored.name, "a cassette has no form for WebSockets")
            continue
        interaction = _interaction(stored.exchange)
        yield line_end + yaml.dump([interaction], Dumper=_CassetteDumper, allow_unicode=True)
        line_end = ""
    yield " []\nversion: 1\n" if line_end else "version: 1\n"


class _CassetteDumper(yaml.CSafeDumper):
    """YAML without anchors: interactions are written one by one."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _interaction(exchange: Exchange) -> dict[str, Any]:
    request, response = exchange.request, exchange.response
    return {
        "request": {
            "body": _yaml_text(request.body) if request.body else None,
            "headers": _by_name(request.headers),
            "method": request.method,
            "uri": request.url,
        },
        "response": {
            "body": {"string": _yaml_text(response.body)},
            "headers": _by_name(response.headers),
            "status": {"code": response.status, "message": _reason(response.status)},
        },
    }


def _by_name(headers: Headers) -> dict[str, list[str]]:
    by_name: dict[str, list[str]] = {}
    for name, value in headers:
        by_name.setdefault(name, []).append(value)
    return by_name


def _yaml_text(data: bytes) -> str | bytes:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


def to_json_lines(recordings: Iterable[Stored], _leave_out: LeaveOut) -> Iterator[str]:
    """A line of JSON a recording: prompt, answer, and the conversation they are from."""
    for stored in recordings:
        seen = conversation(stored.document)
        answer = "\n".join(
            part.text for turn in seen.answer for part in turn.parts if part.kind == "text"
        )
        row = {
            "recording": stored.name,
            "url": stored.exchange.request.url,
            "status": stored.exchange.response.status,
            "prompt": seen.prompt,
            "answer_text": answer,
            **seen.as_json(),
        }
        yield json.dumps(row, ensure_ascii=False) + "\n"


WRITERS: Final[dict[str, Writer]] = {"har": to_har, "vcr": to_cassette, "jsonl": to_json_lines}
"""By what `--to` calls them."""

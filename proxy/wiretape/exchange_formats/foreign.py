"""What a reader gives: an exchange as another tool kept it, or why it cannot be carried over."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from wiretape.core.capture.recorder import Recorder
from wiretape.core.capture.websocket import WebSocketRecorder
from wiretape.core.model import (
    SWITCHING,
    Close,
    Exchange,
    Headers,
    Message,
    Outcome,
    Request,
    header,
    split_url,
)
from wiretape.core.text import exact_json
from wiretape.core.wire.content_coding import decoded
from wiretape.core.wire.header_names import TOKEN

_LINE_END: Final = re.compile(r"\s*[\r\n]+\s*")


class NotCarriedOver(Exception):
    """An exchange cannot become a recording; `str()` says why, without a value of it."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An exchange that is not carried over: where in its file it stands ("#3"), and why."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignExchange:
    """An exchange from another tool's file.

    `body` may have its content coding on it or not, whatever the headers say. Times are in seconds
    after the request was sent, None where the tool kept none. A WebSocket has `messages`.
    """

    where: str
    request: Request
    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    recorded_at: datetime | None = None
    headers_at: float | None = None
    end_at: float | None = None
    outcome: Outcome = "ended"
    messages: tuple[Message, ...] = ()
    close: Close | None = None

    def recorder(self) -> Recorder:
        """The exchange as if it had just been seen on the wire."""
        if self.status == SWITCHING:
            return self._websocket_recorder()
        recorder = _ImportRecorder(self)
        headers = _readable_headers(self.headers, self.body)
        if self.body or self.request.method != "HEAD":
            headers = tuple(pair for pair in headers if pair[0].lower() != "content-length")
        if self.body and header(headers, "transfer-encoding") is None:
            # The tool kept whole answers: without a length this says that it is one.
            headers = (*headers, ("transfer-encoding", "chunked"))
        recorder.start(self.status, headers, self.headers_at or 0.0)
        if self.body:
            recorder.read(self.body, self.end_at or 0.0)
        return recorder

    def _websocket_recorder(self) -> WebSocketRecorder:
        recorder = WebSocketRecorder(self.request)
        recorder.start(self.status, self.headers, self.headers_at or 0.0)
        for message in self.messages:
            recorder.message(message.sender, message.data, message.at or 0.0, binary=message.binary)
        recorder.close = self.close
        return recorder


type ForeignItem = ForeignExchange | LeftOut
type ForeignItems = Iterator[ForeignItem]


class _ImportRecorder(Recorder):
    """A recorder of what another tool kept: chunks have no times, for nobody measured them."""

    def __init__(self, exchange: ForeignExchange) -> None:
        super().__init__(exchange.request)
        self._times: Final = exchange.headers_at, exchange.end_at

    def finish(self, outcome: Outcome, at: float, recorded_at: str | None = None) -> Exchange:
        exchange = super().finish(outcome, at, recorded_at)
        headers_at, end_at = self._times
        response = exchange.response
        at_end = None if response.streaming else end_at
        chunks = tuple(replace(chunk, at=at_end) for chunk in response.chunks)
        timed = replace(response, chunks=chunks, headers_at=headers_at, end_at=end_at)
        return replace(exchange, response=timed)


def _readable_headers(headers: Headers, body: bytes) -> Headers:
    """An answer's headers without a content coding that the tool has undone already."""
    if header(headers, "content-encoding") is None:
        return headers
    try:
        decoded(headers, body)
    except ValueError:
        return tuple(pair for pair in headers if pair[0].lower() != "content-encoding")
    return headers


def request_of(method: str, url: str, headers: Headers, body: bytes) -> Request:
    """A request from another tool's format; NotCarriedOver if it has no URL."""
    try:
        scheme, host, port, target = split_url(url)
    except ValueError:
        raise NotCarriedOver("its URL is not an http or https URL with a host") from None
    if not TOKEN.fullmatch(method):
        raise NotCarriedOver("its method is not one of HTTP's")
    target = target.partition("#")[0]
    return Request(method.upper(), scheme, host, port, target, headers=headers, body=body)


def checked_headers(pairs: Iterator[tuple[str, str]]) -> Headers:
    """Header lines as HTTP/1.1 has them: no pseudo headers of HTTP/2, no line ends.

    >>> checked_headers(iter([(":status", "200"), ("A", "b\\n c")]))
    (('A', 'b c'),)
    """
    headers = []
    for name, value in pairs:
        if name.startswith(":"):  # RFC 9113, section 8.3
            continue
        if not TOKEN.fullmatch(name) or "\0" in value:
            raise NotCarriedOver("a header of it has a name or a value that HTTP does not allow")
        headers.append((name, _LINE_END.sub(" ", value).strip()))
    return tuple(headers)


def listed_headers(lines: object) -> Headers:
    """Header lines from a list of objects with a name and a value; NotCarriedOver for another."""
    if not isinstance(lines, list) or not all(
        isinstance(line, dict) and "name" in line for line in lines
    ):
        raise NotCarriedOver("its headers are not a list of names and values")
    return checked_headers((str(line["name"]), to_text(line.get("value"))) for line in lines)


def to_text(value: object) -> str:
    """A value as the text it was before YAML or JSON took it for something else; NotCarriedOver for
    what never was one.

    >>> to_text(True), to_text(None), to_text(b"a")
    ('true', '', 'a')
    """
    if value is None:
        return ""
    if isinstance(value, dict | list):
        raise NotCarriedOver("a header or a body of it is not text")
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, bool):
        return str(value).lower()
    return value.text if isinstance(value, exact_json.Number) else str(value)


def from_base64(text: str) -> bytes:
    """The bytes of a body that is kept as base64, on one line or several."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise NotCarriedOver("a body of it is not base64, which it says it is") from None


def final_status(value: object) -> int:
    """A status from another tool's format; NotCarriedOver if there is no answer."""
    try:
        status = int(str(value))
    except ValueError:
        raise NotCarriedOver("its answer has no status") from None
    if not (200 <= status <= 599 or status == SWITCHING):
        raise NotCarriedOver(f"its status is {status}: there was no final answer")
    return status


def answered_at(headers: Headers) -> datetime | None:
    """When an answer was made, by its Date header (RFC 9110, section 6.6.1); None without one."""
    try:
        return _plausible(parsedate_to_datetime(header(headers, "date") or ""))
    except ValueError:
        return None


def instant(text: object) -> datetime | None:
    """A time that a tool wrote as ISO 8601 or as a Date header; None for anything else."""
    if isinstance(text, datetime):
        return _plausible(text)
    try:
        return _plausible(datetime.fromisoformat(str(text)))
    except ValueError:
        return answered_at((("date", str(text)),))


def _plausible(at: datetime) -> datetime | None:
    """A time with its zone, UTC where it has none; None where nobody can have recorded then."""
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return at if 1990 <= at.year < 9000 else None

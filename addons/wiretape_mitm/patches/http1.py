"""What we change in mitmproxy's HTTP/1: each thing it meets in the field ends in an answer.

mitmproxy 12 takes the first head for the answer, so that a 103 is the end of it; trailers end in
NotImplementedError and a client that waits for ever; heads have no bound. RFC 9110 and RFC 9112 say
what is right. `install` puts these classes in the place of mitmproxy's; tests pin what they rely
on.
"""

import re
from typing import Final

import h11
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy import http
from mitmproxy.net.http.http1.read import expected_http_body_size
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import _http1
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestEndOfMessage,
    RequestHeaders,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
)

from .quick_parts import handle_event
from .transport import authorizations, to_reset

HEAD_LIMIT: Final = 64 * 1024
"""Bytes of a provider's head, of all its interim heads, of a chunk's first line and of trailers."""
REQUEST_HEAD_LIMIT: Final = 256 * 1024
"""Bytes of a client's head; a long query is the client's own matter."""
HEAD_LINES: Final = 256

_END: Final = re.compile(rb"\n\r?\n")
_STATUS_LINE: Final = re.compile(rb"HTTP/[0-9]\.[0-9] +([1-9][0-9]{2})(?: |\Z)")
_FOLD: Final = re.compile(rb"[ \t]*\r?\n[ \t]+")
_CONTROLS: Final = re.compile(rb"[\0\r]")
_START: Final = b"HTTP/"


class BadHead(ValueError):
    """A provider's head that cannot be taken for an answer."""


def status_of(head: bytes) -> int:
    """The status of an answer's head; BadHead if it has none."""
    line = head.partition(b"\n")[0].rstrip(b"\r")
    match = _STATUS_LINE.match(line)
    if match is None:
        raise BadHead("it begins with no status line")
    return int(match[1])


def cleaned(head: bytes) -> bytes:
    """An answer's head with what a proxy must not hand on put right; the same bytes where it is.

    A folded line becomes one (RFC 9112 5.2), a bare CR and a NUL become spaces (RFC 9110 5.5), so
    that nothing in a value starts a header of its own. Of Content-Length beside Transfer-Encoding
    the latter counts alone, and equal lengths count once (RFC 9112 6.3). Raises BadHead for more
    lines than `HEAD_LINES`.
    """
    line, end, fields = head.partition(b"\n")
    folded = b"\n " in fields or b"\n\t" in fields
    if folded:
        fields = _FOLD.sub(b" ", fields)
    lines = [text.removesuffix(b"\r") for text in (line + end + fields).split(b"\n")]
    if len(lines) > HEAD_LINES:
        raise BadHead(f"its head has more than {HEAD_LINES} lines")
    cleaned_lines = [_CONTROLS.sub(b" ", text) for text in lines]
    names = [text.partition(b":")[0].lower() for text in cleaned_lines]
    if names.count(b"content-length"):
        coded = b"transfer-encoding" in names
        lengths = {
            text.partition(b":")[2].strip()
            for text, name in zip(cleaned_lines, names, strict=True)
            if name == b"content-length"
        }
        first_length = names.index(b"content-length")
        if coded or len(lengths) == 1:
            cleaned_lines = [
                text
                for at, (text, name) in enumerate(zip(cleaned_lines, names, strict=True))
                if name != b"content-length" or (at == first_length and not coded)
            ]
    if cleaned_lines == lines and not folded:
        return head
    return b"\r\n".join(cleaned_lines)


class Chunked(ChunkedReader):
    """h11's reader, with bounds, and with the trailers apart from the end they come with."""

    def __init__(self) -> None:
        super().__init__()
        self.trailers: list[tuple[bytes, bytes]] = []

    def __call__(self, buf: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        event = super().__call__(buf)
        if event is None and len(buf) > HEAD_LIMIT:
            raise h11.RemoteProtocolError(
                f"a chunk's first line or the trailers are larger than {HEAD_LIMIT // 1024} KiB"
            )
        if isinstance(event, h11.EndOfMessage) and event.headers:
            self.trailers = list(event.headers.raw_items())
            return h11.EndOfMessage()
        return event


_make_body_reader: Final = _http1.make_body_reader


def body_reader(expected_size: int | None) -> _http1.TBodyReader:
    """mitmproxy's choice of a reader, with ours for a chunked body."""
    return Chunked() if expected_size is None else _make_body_reader(expected_size)


def _with_trailers(
    connection: _http1.Http1Connection,
    sent: layer.CommandGenerator[None],
    trailers: http.Headers | None,
) -> layer.CommandGenerator[None]:
    """The end of a chunked message, and before its blank line the trailers (RFC 9112 7.1.2)."""
    for command in sent:
        if (
            trailers
            and isinstance(command, commands.SendData)
            and command.connection is connection.conn
            and command.data == b"0\r\n\r\n"
        ):
            command = commands.SendData(connection.conn, b"0\r\n" + bytes(trailers) + b"\r\n")
        yield command


class PatchedHttp1Server(_http1.Http1Server):
    """The side of the client."""

    _trailers: http.Headers | None = None
    _is_chunked = False
    handle_event = handle_event

    def send(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        if isinstance(event, ResponseData):
            # mitmproxy asks the head for its coding with each chunk.
            data = event.data
            if self._is_chunked:
                data = b"%x\r\n%s\r\n" % (len(data), data)
            if data:
                yield commands.SendData(self.conn, data)
            return
        if isinstance(event, ResponseTrailers):
            self._trailers = event.trailers
            return
        if isinstance(event, ResponseProtocolError) and self.conn in to_reset:
            # The provider's reset before a head is one to the client, not an answer of ours.
            yield commands.CloseConnection(self.conn)
            return
        if isinstance(event, ResponseHeaders):
            event = self._framed(event)
            coding = event.response.headers.get("transfer-encoding", "")
            self._is_chunked = "chunked" in coding.lower()
        yield from _with_trailers(self, super().send(event), self._trailers)
        if isinstance(event, ResponseEndOfMessage):
            self._trailers = None
        elif isinstance(event, ResponseHeaders) and _interim(event.response.status_code):
            # Or a failure after `100 Continue` would find the client answered.
            self.response = None

    def _framed(self, event: ResponseHeaders) -> ResponseHeaders:
        """An answer that comes before its request has ended, with an end of its own: the connection
        has to stay open for the rest of the request.
        """
        request, response = self.request, event.response
        if self.request_done or request is None or request.http_version != "HTTP/1.1":
            return event
        if expected_http_body_size(request, response) != -1:
            return event
        response = response.copy()
        response.headers["transfer-encoding"] = "chunked"
        return ResponseHeaders(event.stream_id, response, event.end_stream)

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        if isinstance(event, events.DataReceived):
            if len(self.buf) == len(event.data) or not event.data:
                # Before the first byte of a head; later ones are not searched again.
                _drop_blank_lines(self.buf)
            if len(self.buf) > REQUEST_HEAD_LIMIT and not _END.search(bytes(self.buf)):
                message = f"the request's head is larger than {REQUEST_HEAD_LIMIT // 1024} KiB"
                yield commands.SendData(self.conn, _http1.make_error_response(431, message))
                yield commands.CloseConnection(self.conn)
                self.state = self.done
                return
        elif isinstance(event, events.ConnectionClosed):
            # mitmproxy would log what has come, a key perhaps.
            yield commands.CloseConnection(self.conn)
            return
        yield from super().read_headers(event)

    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        for command in super().read_body(event):
            if isinstance(command, ReceiveHttp) and isinstance(command.event, RequestEndOfMessage):
                trailers = self._read_trailers()
                if trailers is not None:
                    yield ReceiveHttp(RequestTrailers(command.event.stream_id, trailers))
            yield command

    def _read_trailers(self) -> http.Headers | None:
        return _trailers_of(self.body_reader, lower=False)


class PatchedHttp1Client(_http1.Http1Client):
    """The side of the provider."""

    _trailers: http.Headers | None = None
    _interim_bytes = 0
    handle_event = handle_event
    _searched = 0

    def send(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        if isinstance(event, RequestTrailers):
            self._trailers = event.trailers
            return
        if isinstance(event, RequestHeaders):
            event = self._framed(event)
            if self.conn in authorizations:
                event.request = event.request.copy()
                event.request.headers["Proxy-Authorization"] = authorizations[self.conn]
        yield from _with_trailers(self, super().send(event), self._trailers)
        if isinstance(event, RequestEndOfMessage):
            self._trailers = None

    def _framed(self, event: RequestHeaders) -> RequestHeaders:
        """HTTP/2 needs no length; HTTP/1 takes a body without one for the next request."""
        request = event.request
        if request.is_http2 and not event.end_stream and "content-length" not in request.headers:
            request = request.copy()
            request.headers["transfer-encoding"] = "chunked"
            return RequestHeaders(event.stream_id, request, end_stream=False)
        return event

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        if isinstance(event, events.DataReceived) and not self.request:
            # mitmproxy would log the bytes, a secret perhaps.
            yield commands.Log("the provider sent what nobody asked for")
            yield commands.CloseConnection(self.conn)
            return
        try:
            whole = self._prepare_head(closed=isinstance(event, events.ConnectionClosed))
        except BadHead as error:
            assert self.stream_id is not None
            yield commands.CloseConnection(self.conn)
            yield ReceiveHttp(
                ResponseProtocolError(
                    self.stream_id,
                    f"the provider's answer is not HTTP: {error}",
                    ErrorCode.GENERIC_SERVER_ERROR,
                )
            )
            self.state = self.done
            return
        if whole or isinstance(event, events.ConnectionClosed):
            yield from super().read_headers(event)

    def _prepare_head(self, *, closed: bool) -> bool:
        """Drop interim heads and clean the final one; whether that is there."""
        if self.stream_id is None or self.request is None:
            return False
        while True:
            if not self._searched:
                _drop_blank_lines(self.buf)
            data = bytes(self.buf)
            if not data.startswith(_START[: len(data)]):
                raise BadHead("it begins with no status line")
            end = _END.search(data, max(0, self._searched - 2))
            size = end.end() if end else len(data)
            if self._interim_bytes + size > HEAD_LIMIT:
                raise BadHead(f"its head is larger than {HEAD_LIMIT // 1024} KiB")
            if end is None:
                if closed and data:
                    raise BadHead("the connection ended in the middle of its head")
                self._searched = size
                return False
            self._searched = 0
            status = status_of(data)
            if not _interim(status):
                if status == 101 and "upgrade" not in self.request.headers:
                    raise BadHead("it switches to a protocol that was not asked for (101)")
                self._interim_bytes = 0
                head = cleaned(data[:size])
                if head != data[:size]:
                    self.buf = ReceiveBuffer()
                    self.buf += head + data[size:]
                return True
            # RFC 9110 15.2: any number may come before the final answer. A proxy may keep them.
            self._interim_bytes += size
            self.buf.maybe_extract_at_most(size)

    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        for command in super().read_body(event):
            if isinstance(command, ReceiveHttp) and isinstance(command.event, ResponseEndOfMessage):
                trailers = _trailers_of(self.body_reader, lower=self.context.client.alpn == b"h2")
                if trailers is not None:
                    yield ReceiveHttp(ResponseTrailers(command.event.stream_id, trailers))
            yield command


def _trailers_of(reader: object, *, lower: bool) -> http.Headers | None:
    """The trailers a chunked body came with; in lower case for HTTP/2 (RFC 9113 8.2.1)."""
    if not isinstance(reader, Chunked) or not reader.trailers:
        return None
    fields, reader.trailers = reader.trailers, []
    return http.Headers([(name.lower() if lower else name, value) for name, value in fields])


def _interim(status: int) -> bool:
    return 100 <= status < 200 and status != 101


def _drop_blank_lines(buf: ReceiveBuffer) -> None:
    # RFC 9112 2.2: an empty line before a message is to be ignored. h11 gives one at a time, and
    # mitmproxy then waits for more.
    data = bytes(buf)
    blank = len(data) - len(data.lstrip(b"\r\n"))
    if blank:
        buf.maybe_extract_at_most(blank)

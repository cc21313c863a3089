"""What we change in mitmproxy's HTTP/2 towards a client: bounds, and errors worded as over HTTP/1.

mitmproxy takes from the provider whatever comes and keeps it until the client opens its window.
`transport.py` asks here how much that is and lets the provider wait; where it cannot, because
other streams share the provider's connection, the stream ends at `HELD_MOST`.
"""

from collections import defaultdict, deque
from typing import Final

import h2.errors
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import _http1, _http2, _http_h2
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestProtocolError,
    ResponseData,
    ResponseProtocolError,
)

from .transport import HELD_MOST, UnreadStreams, held

# RFC 9113 8.2.2: headers that speak of a connection have no place in HTTP/2.
_CONNECTION: Final = (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding")


class CountedBuffer(deque[_http_h2.SendH2Data]):
    """What is kept for a stream, and how much that is: it is asked for with each frame."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    def append(self, piece: _http_h2.SendH2Data) -> None:
        self.size += len(piece.data)
        super().append(piece)

    def appendleft(self, piece: _http_h2.SendH2Data) -> None:
        self.size += len(piece.data)
        super().appendleft(piece)

    def popleft(self) -> _http_h2.SendH2Data:
        piece = super().popleft()
        self.size -= len(piece.data)
        return piece


class PatchedHttp2Server(_http2.Http2Server, UnreadStreams):
    """The side of the client."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.h2_conn.stream_buffers = defaultdict(CountedBuffer)
        held[context.client] = self

    def sizes(self) -> dict[int, int]:
        return {number: self._size(number) for number in self.h2_conn.stream_buffers}

    def _size(self, stream_id: int) -> int:
        buffer = self.h2_conn.stream_buffers.get(stream_id)
        return buffer.size if isinstance(buffer, CountedBuffer) else 0

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, ResponseProtocolError) and self._answerable(event):
            yield from self._answer(event)
            return
        yield from super()._handle_event(event)
        if isinstance(event, ResponseData) and self._size(event.stream_id) > HELD_MOST:
            yield from self._give_up(event.stream_id)

    def _answerable(self, event: ResponseProtocolError) -> bool:
        return (
            event.code.http_status_code() is not None
            and self.is_open_for_us(event.stream_id)
            and not self.h2_conn.streams[event.stream_id].state_machine.headers_sent
        )

    def _answer(self, event: ResponseProtocolError) -> layer.CommandGenerator[None]:
        """The error's answer as HTTP/1 has it (`error_answers.py`: in the provider's shape)."""
        status = event.code.http_status_code()
        assert status is not None
        head, _, body = _http1.make_error_response(status, event.message).partition(b"\r\n\r\n")
        fields = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
        headers = [(name.lower(), value.strip()) for name, _, value in fields]
        self.h2_conn.send_headers(
            event.stream_id,
            [
                (b":status", b"%d" % status),
                *(field for field in headers if field[0] not in _CONNECTION),
            ],
        )
        self.h2_conn.send_data(event.stream_id, body, end_stream=True)
        yield commands.SendData(self.conn, self.h2_conn.data_to_send())

    def _give_up(self, stream_id: int) -> layer.CommandGenerator[None]:
        self.h2_conn.reset_stream(stream_id, h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
        self.streams.pop(stream_id, None)
        yield commands.SendData(self.conn, self.h2_conn.data_to_send())
        message = f"the client left more than {HELD_MOST // 1024 // 1024} MiB of it unread"
        yield ReceiveHttp(RequestProtocolError(stream_id, message, ErrorCode.CANCEL))

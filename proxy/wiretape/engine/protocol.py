"""Answer requests on a connection: in one write, at a pace, or by aiohttp.

A request that came whole is looked up here. Most answers are ready then: whole ones, and streams
without a pace. A stream at a pace is written by a timer. Whatever else there is (a miss, an end in
the middle, an upload, a WebSocket, what is not HTTP) has aiohttp's protocol take the connection
over, from that request's first byte on, and with the take that was chosen for it.
"""

import asyncio
from functools import partial
from typing import Final, cast

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time

from .aiohttp_server import close
from .handler import Begun, Handler
from .http_request import END, Head, Heads, Origin, WholeRequest, acknowledge
from .paced_stream import PacedAnswer, PacedStream
from .sender import ReadyAnswer

_MOST_WAITING: Final = 64 * 1024
"""Bytes of requests that wait for the one before; beyond that nothing is read."""
IDLE_SECONDS: Final = 3630.0
"""After so long without a request a connection is closed; aiohttp's time for it."""
_SWEEP_SECONDS: Final = 60.0
_KEEP: Final = b"\r\n\r\n"
_CLOSE: Final = b"\r\nConnection: close\r\n\r\n"

type _Outcome = ReadyAnswer | PacedAnswer | Begun | None
"""What becomes of a request; None: aiohttp is to answer all of it."""


class HttpServer:
    """Serves connections; call it for one protocol a connection, with the tunnel it is in."""

    def __init__(self, handler: Handler) -> None:
        self.handler: Final = handler
        self.aiohttp: Final[web.Server] = handler.server()
        """Takes over what is not answered here."""
        self.loop: Final = asyncio.get_running_loop()
        self.heads: Final = Heads(self.loop)
        self.connections: Final[set[HttpProtocol]] = set()
        self._sweeping = self.loop.call_later(_SWEEP_SECONDS, self._sweep)

    def __call__(self, tunnel: Origin | None = None) -> "HttpProtocol":
        return HttpProtocol(self, tunnel)

    def _sweep(self) -> None:
        """Close the connections that have been idle for long."""
        since = self.loop.time() - IDLE_SECONDS
        for connection in list(self.connections):
            if connection.is_idle(since):
                connection.close()
        self._sweeping = self.loop.call_later(_SWEEP_SECONDS, self._sweep)

    async def close(self) -> None:
        """End the connections."""
        self._sweeping.cancel()
        for connection in list(self.connections):
            connection.close()
        await close(self.aiohttp)


class HttpProtocol(asyncio.Protocol):
    """One connection."""

    __slots__ = (
        *("_buffer", "_handler", "_is_over", "_is_reading", "_is_writable", "_needed", "_server"),
        *("_seen", "_stream", "_task", "_transport", "_tunnel"),
    )

    def __init__(self, server: HttpServer, tunnel: Origin | None = None) -> None:
        self._server = server
        self._handler = server.handler
        self._transport: asyncio.Transport
        self._tunnel = tunnel
        self._buffer = bytearray()
        # How many bytes the request at the beginning of the buffer has.
        self._needed = 0
        self._is_reading = self._is_writable = True
        self._is_over = False
        self._task: asyncio.Task[_Outcome] | None = None
        self._stream: PacedStream | None = None
        # The loop's time when something last came or an answer ended.
        self._seen = server.loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._is_over = True
        if self._task is not None:
            self._task.cancel()
        self._leave_stream()

    def close(self) -> None:
        """End the connection once what was written is sent."""
        self._is_over = True
        self._leave_stream()
        self._transport.close()

    def _leave_stream(self) -> None:
        if self._stream is not None:
            self._stream.leave()
            self._stream = None
            self._handler.end_answer()

    def pause_writing(self) -> None:
        self._is_writable = False
        if self._stream is not None:
            self._stream.pause()

    def resume_writing(self) -> None:
        self._is_writable = True
        if self._stream is not None:
            self._stream.resume()
        self._go_on()

    @property
    def _is_free(self) -> bool:
        """Whether the next request may be answered."""
        is_idle = self._task is None and self._stream is None
        return self._is_writable and is_idle and not self._is_over

    def is_idle(self, since: float) -> bool:
        """Whether nothing has come, and no answer was under way, since a time of the loop."""
        return self._seen < since and self._task is None and self._stream is None

    def data_received(self, data: bytes) -> None:
        self._seen = self._server.loop.time()
        if self._buffer or not self._is_free:
            self._buffer += data
            if self._is_free:
                self._go_on()
            elif len(self._buffer) > _MOST_WAITING and self._is_reading:
                self._is_reading = False
                self._transport.pause_reading()
            return
        self._answer(data)

    def _go_on(self) -> None:
        """Answer what has come meanwhile."""
        if self._is_free and self._buffer and len(self._buffer) >= self._needed:
            data = bytes(self._buffer)
            self._buffer.clear()
            self._answer(data)
        if not self._is_reading and self._is_free:
            self._is_reading = True
            self._transport.resume_reading()

    def _answer(self, data: bytes) -> None:
        """Answer the requests in `data`, of which the first begins there."""
        end = 0
        while end < len(data):
            start, body = end, data.find(END, end) + len(END)
            head = self._server.heads.read(data[start:body]) if body >= len(END) else None
            if head is None:
                return self._hand_over(data[start:])
            end = body + head.length
            if end > len(data):
                # Some clients send head and body apart.
                acknowledge(self._transport)
                return self._wait(data[start:], end - start)
            outcome = self._ask(WholeRequest(head, data[body:end], self._transport))
            if isinstance(outcome, asyncio.Task):
                self._task = outcome
                self._wait(data[start:], end - start)
                return outcome.add_done_callback(partial(self._answer_late, head))
            if outcome is None or isinstance(outcome, Begun):
                return self._hand_over(data[start:], outcome)
            self._send(outcome, head)
            if not self._is_free:
                return self._wait(data[end:])
        return None

    def _wait(self, data: bytes, needed: int = 0) -> None:
        self._buffer += data
        self._needed = needed

    def _ask(self, request: WholeRequest) -> "_Outcome | asyncio.Task[_Outcome]":
        direct = self._handler.direct(request, self._tunnel)
        if direct is not None:
            return direct
        asking = self._handler.answer(request, self._tunnel)
        task = asyncio.Task(asking, loop=self._server.loop, eager_start=True)
        return task.result() if task.done() else task

    def _answer_late(self, head: Head, task: "asyncio.Task[_Outcome]") -> None:
        """Send the answer to the request that the buffer begins with."""
        self._task = None
        if self._is_over:
            return
        outcome = task.result()
        if outcome is None or isinstance(outcome, Begun):
            data = bytes(self._buffer)
            self._buffer.clear()
            return self._hand_over(data, outcome)
        del self._buffer[: self._needed]
        self._needed = 0
        self._send(outcome, head)
        self._go_on()

    def _send(self, answer: ReadyAnswer | PacedAnswer, head: Head) -> None:
        date = rfc822_formatted_time().encode()
        last = _KEEP if head.keep_alive else _CLOSE
        if isinstance(answer, PacedAnswer):
            first = b"".join((answer.head, date, last))
            ended = partial(self._stream_ended, head)
            self._stream = PacedStream(answer, first, self._transport.write, ended)
            self._handler.begin_answer()
            self._stream.begin()
            return
        self._transport.write(b"".join((answer.head, date, last, answer.body)))
        if not head.keep_alive:
            self.close()

    def _stream_ended(self, head: Head) -> None:
        self._stream = None
        self._seen = self._server.loop.time()
        self._handler.end_answer()
        if not head.keep_alive:
            self.close()
        self._go_on()

    def _hand_over(self, data: bytes, begun: Begun | None = None) -> None:
        """Have aiohttp answer the request that `data` begins with, and all that follow."""
        self._server.connections.discard(self)
        transport, protocol = self._transport, self._server.aiohttp()
        if self._tunnel is not None:
            self._handler.tunnels[transport] = self._tunnel
        if begun is not None:
            self._handler.begun[transport] = begun
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if not self._is_writable:
            protocol.pause_writing()
        protocol.data_received(data)
        if not self._is_reading:
            transport.resume_reading()

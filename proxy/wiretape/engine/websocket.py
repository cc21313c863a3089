"""Replay a WebSocket: the upgrade, then the recorded conversation in lock step."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from wiretape.core.model import Close, Message, WebSocket, header
from wiretape.core.playback.pace import Pace
from wiretape.core.playback.websocket import (
    ConnectionEnd,
    LockStep,
    Mismatch,
    ReplayedConnection,
    Step,
)
from wiretape.core.wire.websocket import subprotocols

from .abrupt_end import end

MISS_CODE: Final = 4004
"""Closing code of a miss: one for private use (RFC 6455, section 7.4.2), after HTTP's Not Found."""

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
_CLOSE_SECONDS: Final = 5.0
_MAX_REASON: Final = 123
"""Bytes. A control frame has room for 125, two are the code's (RFC 6455, section 5.5.1)."""


async def play(
    http: web.BaseRequest,
    lock: LockStep,
    pace: Pace,
    report: Callable[[ReplayedConnection], None],
    explain: Callable[[Mismatch], Awaitable[object]],
    headers: Iterable[tuple[str, str]] = (),
) -> web.StreamResponse:
    """Answer an opening request from a recording; `headers` go into the upgrade's answer.

    A request that does not ask for a WebSocket is answered with 426. A connection that misses is
    closed once `explain` is done. `report` is called once, at the end, also if this is cancelled.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    recorded = lock.recorded
    socket = web.WebSocketResponse(
        protocols=_protocols(http, recorded),
        compress="permessage-deflate"
        in (header(recorded.headers, "sec-websocket-extensions") or "").lower(),
        max_msg_size=MAX_MESSAGE_BYTES,
        timeout=_CLOSE_SECONDS,
    )
    if not socket.can_prepare(http):
        text = "wiretape: what is recorded here is a WebSocket: ask for an upgrade\n"
        note = "not a WebSocket's opening request"
        report(
            ReplayedConnection(
                recording=lock.recording,
                sent=0,
                received=0,
                first=None,
                duration=loop.time() - started,
                note=note,
            )
        )
        return web.Response(status=426, text=text, headers={"Upgrade": "websocket"})
    socket.headers.extend(headers)
    if pace.factor is not None:
        await _until(started + (recorded.headers_at or 0.0) / pace.factor)
    await socket.prepare(http)
    talk = _Talk(http, socket, lock, pace, started, explain)
    try:
        await talk.run()
    finally:
        report(talk.outcome())
    return socket


def _protocols(http: web.BaseRequest, recorded: WebSocket) -> tuple[str, ...]:
    """The subprotocol to agree on, as recorded; if none was recorded, the first requested: some
    clients leave if it is not answered.
    """
    agreed = subprotocols(recorded.headers)
    requested = subprotocols(tuple(http.headers.items()))
    return agreed or requested[:1]


class _Talk:
    """One connection: reads the client's messages while a task sends those that are due."""

    def __init__(
        self,
        http: web.BaseRequest,
        socket: web.WebSocketResponse,
        lock: LockStep,
        pace: Pace,
        started: float,
        explain: Callable[[Mismatch], Awaitable[object]],
    ) -> None:
        self._http = http
        self._socket = socket
        self._lock = lock
        self._factor = pace.factor
        self._started = started
        self._explain = explain
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[tuple[float, Message | ConnectionEnd]] = asyncio.Queue()
        self._due = 0
        self._sent = 0
        self._received = 0
        self._first: float | None = None
        self._ending = False
        self._mismatch: Mismatch | None = None

    async def run(self) -> None:
        """Converse until one side ends it."""
        self._queue_step(self._lock.begin())
        sender = asyncio.create_task(self._send())
        try:
            while self._mismatch is None:
                received = await self._socket.receive()
                if received.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    break
                self._feed(received.data)
            if self._mismatch is not None:
                sender.cancel()
                await self._explain(self._mismatch)
                reason = f"wiretape: {self._mismatch.reason}"
                await self._socket.close(code=MISS_CODE, message=_close_message(reason))
        finally:
            # A sender that is ending the connection itself may finish.
            if not self._ending:
                sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        if not sender.cancelled() and (error := sender.exception()) is not None:
            raise error

    def outcome(self) -> ReplayedConnection:
        """What was exchanged, and how it ended."""
        return ReplayedConnection(
            recording=self._lock.recording,
            sent=self._sent,
            received=self._received,
            first=self._first,
            duration=self._loop.time() - self._started,
            note=None if self._mismatch else self._note(),
            mismatch=self._mismatch,
            stale=self._lock.stale,
            rules=self._lock.rules,
        )

    def _feed(self, data: str | bytes) -> None:
        binary = isinstance(data, bytes)
        raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
        self._received += 1
        step = self._lock.feed(Message(raw, None, "client", binary))
        if isinstance(step, Mismatch):
            self._mismatch = step
        else:
            self._queue_step(step)

    def _queue_step(self, step: Step) -> None:
        """Queue a step's messages, each after the recorded delay since what released it."""
        now = self._loop.time()
        factor = self._factor
        for due in step.due:
            self._queue.put_nowait(
                (0.0 if factor is None else now + due.after / factor, due.message)
            )
            self._due += 1
        if step.ending is not None:
            at = 0.0 if factor is None else now + step.ending.after / factor
            self._queue.put_nowait((at, step.ending))

    async def _send(self) -> None:
        try:
            while not self._ending:
                at, item = await self._queue.get()
                await _until(at)
                if isinstance(item, ConnectionEnd):
                    self._ending = True
                    await self._end(item.close)
                else:
                    await self._message(item)
        except ConnectionError:
            pass  # the client left; the reader gets the same error

    async def _message(self, message: Message) -> None:
        if message.binary:
            await self._socket.send_bytes(message.data)
        else:
            # Unchecked: the client refuses what is not UTF-8 in an edited recording.
            await self._socket.send_frame(message.data, WSMsgType.TEXT)
        if self._first is None:
            self._first = self._loop.time() - self._started
        self._sent += 1

    async def _end(self, close: Close | None) -> None:
        transport = self._http.transport
        if close is None:
            if transport is not None:
                await end(transport, self._lock.recorded.end)
        elif close.code is None:
            await self._socket.send_frame(b"", WSMsgType.CLOSE)
        else:
            await self._socket.close(code=close.code, message=_close_message(close.reason))

    def _note(self) -> str | None:
        recorded = self._lock.recorded
        broke = self._socket.close_code in (None, WSCloseCode.ABNORMAL_CLOSURE)
        if recorded.end != "complete" and (self._ending or (broke and self._is_all_sent)):
            return f"ended as recorded: {recorded.end}"
        return "the client left" if not self._ending and (broke or not self._is_all_sent) else None

    @property
    def _is_all_sent(self) -> bool:
        """Whether the whole recorded conversation was sent."""
        return self._lock.is_over and self._sent == self._due


def _close_message(reason: str) -> bytes:
    """A closing reason, cut to what a frame has room for: the report has ours in full, and a
    placeholder may have made a provider's longer.
    """
    data = reason.encode("utf-8", "replace")
    if len(data) > _MAX_REASON:
        data = data[: _MAX_REASON - 3].decode("utf-8", "ignore").encode() + "…".encode()
    return data


async def _until(deadline: float) -> None:
    delay = deadline - asyncio.get_running_loop().time()
    if delay > 0:
        await asyncio.sleep(delay)

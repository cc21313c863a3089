"""Sends a recorded answer: each chunk an HTTP chunk, at its time, and ended as it was."""

import asyncio
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from time import perf_counter
from typing import Final
from urllib.parse import quote

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_writer import StreamWriter
from multidict import CIMultiDict

from wiretape.core.model import Headers, Response, header
from wiretape.core.playback.faults import Fault
from wiretape.core.playback.pace import Pace, Schedule
from wiretape.core.providers.base_url import links_to_door
from wiretape.core.providers.registry import Providers
from wiretape.core.wire import content_coding
from wiretape.report.report import Report

from .abrupt_end import end, reset
from .replayer import ReplayAnswer, played_row
from .request import ReplayRequest

_READY: Final = 256
_READY_BYTES: Final = 1 << 20
_PIECE: Final = 1 << 18
"""The most bytes of an answer that are written at once."""
UNTYPED: Final = "wiretape.untyped"
"""A key of a request: its answer has no content type."""
DOOR: Final = "wiretape.door"
"""A key of a request: the URL of the base-URL port it came to."""
_LONGEST_SILENCE: Final = 3600.0
BODILESS: Final = frozenset((204, 304))
# What wiretape writes itself, for this connection and this body.
_OWN_HEADERS: Final = frozenset(
    ("connection", "content-length", "transfer-encoding", "keep-alive", "date", "server", "trailer")
)


class AnswerSender:
    """Sends answers at a pace and tells the report of each."""

    def __init__(self, pace: Pace, report: Report, providers: Providers) -> None:
        self._pace = pace
        self._report = report
        self._providers = providers
        self._recoded: dict[tuple[str, str | None], tuple[Response, Headers, Response]] = {}
        self._ready: dict[str, tuple[Response, bytes]] = {}

    async def send(
        self,
        http: web.BaseRequest,
        asked: ReplayRequest,
        played: ReplayAnswer,
        started: float,
        fault: Fault | None = None,
    ) -> web.StreamResponse:
        """Answer a request that came at the loop's time `started`."""
        answer, headers = played.response, played.response.headers
        begun = started
        if fault is not None:
            answer = fault.apply(answer, asked.shape)
            headers = answer.headers
            started += fault.delay or 0.0
            played = replace(played, response=answer, fault=fault.name)
        due = None if self._pace.is_instant else self._pace.schedule(answer)
        if due is None and fault is not None and fault.delay:
            due = Schedule(0.0, (0.0,) * len(answer.chunks), 0.0)
        if answer.coding is not None:
            accepted = http.headers.get("accept-encoding")
            headers, answer = self._coded(played.entry.name, answer, accepted)
        if DOOR in http:
            headers = links_to_door(headers, asked.request.url, http[DOOR], self._providers)
        sent_headers = played_headers(headers, played.entry.name).copy()
        if fault is not None:
            sent_headers["x-wiretape-fault"] = fault.name
        if http.method == "HEAD":
            answer = replace(answer, chunks=(), streaming=False)
            length = header(headers, "content-length")
            if length is not None and length.isdecimal():
                sent_headers["content-length"] = length
        elif answer.status in BODILESS:
            answer = replace(answer, chunks=())
        if due is None and not answer.streaming and _is_whole(answer):
            # What most requests of a test suite get, at half the cost of the long way.
            http[UNTYPED] = "content-type" not in sent_headers
            took = asyncio.get_running_loop().time() - begun
            self._report.add(played_row(asked, played, None, took))
            return whole(answer.status, sent_headers, answer.body)
        times = _Times(due=due, begun=begun, started=started)
        sending = _Sending(self, http, asked, played, answer, times)
        return await sending.run(sent_headers)

    def _coded(self, name: str, answer: Response, accepted: str | None) -> tuple[Headers, Response]:
        """An answer in the coding that its provider chose, where the client takes it; the latest
        few are kept ready.
        """
        known = self._recoded.get((name, accepted))
        if known is not None and known[0] is answer:
            return known[1:]
        headers, coded = content_coding.encode(answer, accepted)
        chunks = zip(answer.chunks, coded, strict=True)
        made = replace(answer, chunks=tuple(replace(chunk, data=data) for chunk, data in chunks))
        if sum(map(len, coded)) <= _READY_BYTES:
            self._recoded[name, accepted] = (answer, headers, made)
            if len(self._recoded) > _READY:
                del self._recoded[next(iter(self._recoded))]
        return headers, made

    def framed(self, name: str, answer: Response) -> Iterable[bytes]:
        """The chunked body of a recording's answer, in pieces; the latest few small ones are kept
        ready.
        """
        known = self._ready.get(name)
        if known is None or known[0] is not answer:
            if sum(len(chunk.data) for chunk in answer.chunks) > _READY_BYTES:
                return _joined(_in_chunks(answer))
            known = self._ready[name] = (answer, b"".join(_in_chunks(answer)))
            if len(self._ready) > _READY:
                del self._ready[next(iter(self._ready))]
        return (known[1],)

    @property
    def report(self) -> Report:
        return self._report


@dataclass(frozen=True, slots=True, kw_only=True)
class _Times:
    """When an answer's chunks are due, counted from `started`; a delay on demand lies between
    `begun`, when its request came, and that. In the loop's time.
    """

    due: Schedule | None
    begun: float
    started: float


class _Sending:
    """One answer on its way."""

    def __init__(
        self,
        sender: AnswerSender,
        http: web.BaseRequest,
        asked: ReplayRequest,
        played: ReplayAnswer,
        answer: Response,
        times: _Times,
    ) -> None:
        self._sender, self._http, self._asked, self._played = sender, http, asked, played
        self._answer, self._due = answer, times.due
        self._begun, self._started = times.begun, times.started
        self._loop = asyncio.get_running_loop()
        self._first: float | None = None
        self._note: str | None = None
        self._sent = 0

    async def run(self, headers: CIMultiDict[str]) -> web.StreamResponse:
        report, answer, due = self._sender.report, self._answer, self._due
        self._http[UNTYPED] = "content-type" not in headers
        token = object()
        if report.watched and due is not None:
            row = played_row(self._asked, self._played)
            report.begin(token, row, perf_counter(), lambda: self._sent)
        try:
            if due is not None:
                await _until(self._started + due.headers)
            if _never_answered(answer):
                return await self._reset()
            if not answer.streaming and answer.end in ("complete", "failed"):
                if due is not None:
                    await _until(self._started + (due.chunks[0] if due.chunks else due.end))
                if _is_whole(answer):
                    return whole(answer.status, headers, answer.body)
            return await self._stream(headers)
        except asyncio.CancelledError:
            # The server cancels what answers a client that has left.
            self._note = self._note or "the client left"
            raise
        finally:
            report.end(token)
            took = self._loop.time() - self._begun
            report.add(played_row(self._asked, self._played, self._first, took, self._note))

    async def _stream(self, headers: CIMultiDict[str]) -> web.StreamResponse:
        http, answer = self._http, self._answer
        # HTTP/1.0 has no chunks: there the connection's end is the body's.
        chunked = http.version >= HttpVersion11
        response = _streamed(answer, headers, chunked=chunked)
        try:
            writer = await response.prepare(http)
            if isinstance(writer, StreamWriter) and writer.chunked:
                # Framed by us: all chunks may leave in one write, and trailers are sent.
                writer.chunked = False
                await self._framed(writer)
            elif writer is not None:
                await self._plain(response)
            if answer.end not in ("complete", "failed") and http.transport is not None:
                self._note = self._ended()
                await end(http.transport, answer.end, _silence(self._played.response))
            else:
                await response.write_eof()
        except ConnectionError:
            self._note = "the client left"
        return response

    def _ended(self) -> str | None:
        # The row tells of a fault by its name.
        return f"ended as recorded: {self._answer.end}" if self._played.fault is None else None

    async def _reset(self) -> web.StreamResponse:
        self._note = self._ended()
        if self._http.transport is not None:
            await reset(self._http.transport)
        return web.Response(status=self._answer.status)

    async def _framed(self, writer: AbstractStreamWriter) -> None:
        answer = self._answer
        if self._due is None:
            for piece in self._sender.framed(self._played.entry.name, answer):
                # A client that does not read is waited for, and little is kept for it.
                await writer.write(piece)
                self._note_first()
            return
        for number, chunk in enumerate(answer.chunks):
            await _until(self._started + self._due.chunks[number])
            if chunk.data:
                for piece in _framed(chunk.data):
                    await writer.write(piece)
                self._note_first()
        await _until(self._started + self._due.end)
        if answer.end == "complete":
            await writer.write(_last_chunk(answer))

    async def _plain(self, response: web.StreamResponse) -> None:
        for number, chunk in enumerate(self._answer.chunks):
            if self._due is not None:
                await _until(self._started + self._due.chunks[number])
            for piece in _pieces(chunk.data):
                await response.write(piece)
            self._note_first()
        if self._due is not None:
            await _until(self._started + self._due.end)

    def _note_first(self) -> None:
        self._sent += 1
        if self._first is None:
            self._first = self._loop.time() - self._begun


def _never_answered(answer: Response) -> bool:
    """Whether the provider reset its connection before it answered: the status is wiretape's."""
    return answer.end == "reset" and answer.status == 502 and not answer.chunks


def _silence(recorded: Response) -> float:
    """The seconds that passed between the last a client got and its leaving."""
    last = recorded.chunks[-1].at if recorded.chunks else recorded.headers_at
    if last is None or recorded.end_at is None:
        return 0.0
    return min(max(recorded.end_at - last, 0.0), _LONGEST_SILENCE)


def _in_chunks(response: Response) -> Iterator[bytes]:
    """A body in chunked transfer coding, its end only if it had one."""
    for chunk in response.chunks:
        if chunk.data:
            yield from _framed(chunk.data)
    if response.end == "complete":
        yield _last_chunk(response)


def _framed(data: bytes) -> Iterator[bytes]:
    """A chunk (RFC 9112, section 7.1)."""
    if len(data) <= _PIECE:
        yield b"%x\r\n%b\r\n" % (len(data), data)
        return
    yield b"%x\r\n" % len(data)
    yield from _pieces(data)
    yield b"\r\n"


def _joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The parts, put together so that each write is worth its while."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= _PIECE:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
    yield b"".join(waiting)


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _PIECE] for start in range(0, len(data), _PIECE))


def _last_chunk(response: Response) -> bytes:
    """The end of a chunked body, with its trailers (RFC 9112, section 7.1.2)."""
    lines = [
        f"{name}: {value}\r\n".encode("utf-8", "surrogateescape")
        for name, value in response.trailers
    ]
    return b"0\r\n" + b"".join(lines) + b"\r\n"


def _is_whole(answer: Response) -> bool:
    """Whether an answer that is not streamed leaves in one piece."""
    return (
        answer.end in ("complete", "failed") and not answer.trailers and len(answer.body) <= _PIECE
    )


def whole(status: int, headers: CIMultiDict[str], body: bytes) -> web.Response:
    """An answer that is sent in one piece."""
    response = web.Response(status=status, headers=headers)
    if status not in BODILESS:
        response.body = body
    return response


class _UntilClose(web.StreamResponse):
    """A body that only the closing of the connection ends (RFC 9112, section 6.3, rule 8)."""

    # Else aiohttp sends it in chunks, which would tell the client that the end is missing.
    _length_check = False


def _streamed(
    recorded: Response, headers: CIMultiDict[str], *, chunked: bool
) -> web.StreamResponse:
    if recorded.until_close:
        return _UntilClose(status=recorded.status, headers=headers)
    response = web.StreamResponse(status=recorded.status, headers=headers)
    if not recorded.streaming and not recorded.trailers:
        # Of a whole body that was cut it says that more was to come.
        more = recorded.end not in ("complete", "failed")
        response.content_length = len(recorded.body) + more
    elif chunked and recorded.status not in BODILESS:
        response.enable_chunked_encoding()
        if recorded.trailers:
            names = dict.fromkeys(name for name, _ in recorded.trailers)
            response.headers["Trailer"] = ", ".join(names)
    return response


class RawHeaderWriter(StreamWriter):
    """Writes header values that are not UTF-8 (RFC 9110, section 5.5) as the bytes they were.

    They stand as lone surrogates, which aiohttp's own writer leaves out.
    """

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        await super().write_headers(status_line, headers)
        if any(_ESCAPED.search(value) for value in headers.values()):
            lines = (status_line, *(f"{name}: {value}" for name, value in headers.items()), "", "")
            self._headers_buf = "\r\n".join(lines).encode("utf-8", "surrogateescape")


_ESCAPED: Final = re.compile("[\udc80-\udcff]")


@lru_cache(maxsize=1024)
def played_headers(headers: Headers, name: str) -> CIMultiDict[str]:
    """A recorded answer's headers as they are sent."""
    return plain_headers((*headers, ("x-wiretape", f"replay {quote(name)}")))


def plain_headers(headers: Headers) -> CIMultiDict[str]:
    """Headers in aiohttp's form, without those that belong to a connection."""
    kept = CIMultiDict((n, value) for n, value in headers if n.lower() not in _OWN_HEADERS)
    kept["Server"] = "wiretape"
    return kept


async def _until(deadline: float) -> None:
    # Absolute deadlines: relative sleeps drift by their overhead, chunk after chunk.
    delay = deadline - asyncio.get_running_loop().time()
    if delay > 0:
        await asyncio.sleep(delay)

"""One answer under way through aiohttp: at its pace, with its trailers and the recorded end."""

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_writer import StreamWriter
from multidict import CIMultiDict

from wiretape.core.model import Response
from wiretape.core.playback.pace import Schedule
from wiretape.core.wire.http1 import BODILESS, framed, is_whole, last_chunk, pieces
from wiretape.report.report import Report

from .abrupt_end import end, reset
from .answer import ReplayAnswer, replayed_row
from .framing import ChunkedBodies
from .request import ReplayRequest

UNTYPED: Final = "wiretape.untyped"
"""A key of a request: its answer has no content type."""
_LONGEST_SILENCE: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What is sent, and when its chunks are due, counted from `started`; a delay on demand lies
    between `begun`, when its request came, and that. In the loop's time.
    """

    response: Response
    due: Schedule | None
    begun: float
    started: float


class AnswerUnderWay:
    """One answer on its way."""

    def __init__(
        self,
        report: Report,
        chunked: ChunkedBodies,
        http: web.BaseRequest,
        request: ReplayRequest,
        answer: ReplayAnswer,
        delivery: Delivery,
    ) -> None:
        self._report, self._chunked = report, chunked
        self._http, self._request, self._answer = http, request, answer
        self._response, self._due = delivery.response, delivery.due
        self._begun, self._started = delivery.begun, delivery.started
        self._loop = asyncio.get_running_loop()
        self._first: float | None = None
        self._note: str | None = None
        self._sent = 0

    async def run(self, headers: CIMultiDict[str]) -> web.StreamResponse:
        """Send the answer with these headers, and report it."""
        report, response, due = self._report, self._response, self._due
        self._http[UNTYPED] = "content-type" not in headers
        token = object()
        if report.watched and due is not None:
            row = replayed_row(self._request, self._answer)
            report.begin(token, row, perf_counter(), lambda: self._sent)
        try:
            if due is not None:
                await _until(self._started + due.headers)
            if _is_reset_unanswered(response):
                return await self._reset()
            if not response.streaming and response.end in ("complete", "failed"):
                if due is not None:
                    await _until(self._started + (due.chunks[0] if due.chunks else due.end))
                if is_whole(response):
                    return whole_response(response.status, headers, response.body)
            return await self._stream(headers)
        except asyncio.CancelledError:
            # The server cancels the answer to a client that has left.
            self._note = self._note or "the client left"
            raise
        finally:
            report.end(token)
            took = self._loop.time() - self._begun
            report.add(replayed_row(self._request, self._answer, self._first, took, self._note))

    async def _stream(self, headers: CIMultiDict[str]) -> web.StreamResponse:
        http, recorded = self._http, self._response
        # HTTP/1.0 has no chunks: its body ends when the connection does.
        chunked = http.version >= HttpVersion11
        response = _streamed(recorded, headers, chunked=chunked)
        try:
            writer = await response.prepare(http)
            if isinstance(writer, StreamWriter) and writer.chunked:
                # Framed by us: all chunks may leave in one write, and trailers are sent.
                writer.chunked = False
                await self._framed(writer)
            elif writer is not None:
                await self._plain(response)
            if recorded.end not in ("complete", "failed") and http.transport is not None:
                self._note = self._end_note()
                await end(http.transport, recorded.end, _silence(self._answer.response))
            else:
                await response.write_eof()
        except ConnectionError:
            self._note = "the client left"
        return response

    def _end_note(self) -> str | None:
        # The row already names the fault; a held answer ends when the client leaves.
        if self._answer.fault is not None or self._answer.held:
            return None
        return f"ended as recorded: {self._response.end}"

    async def _reset(self) -> web.StreamResponse:
        self._note = self._end_note()
        if self._http.transport is not None:
            await reset(self._http.transport)
        return web.Response(status=self._response.status)

    async def _framed(self, writer: AbstractStreamWriter) -> None:
        response = self._response
        if self._due is None:
            for piece in self._chunked.of(self._answer.entry.name, response):
                # Waits for a client that does not read, so that little is buffered.
                await writer.write(piece)
                self._note_first()
            return
        is_measured = self._report.lateness is not None
        for number, chunk in enumerate(response.chunks):
            await _until(self._started + self._due.chunks[number])
            if is_measured:
                self._tell_lateness(number)
            if chunk.data:
                for piece in framed(chunk.data):
                    await writer.write(piece)
                self._note_first()
        await _until(self._started + self._due.end)
        if response.end == "complete":
            await writer.write(last_chunk(response))

    async def _plain(self, response: web.StreamResponse) -> None:
        for number, chunk in enumerate(self._response.chunks):
            if self._due is not None:
                await _until(self._started + self._due.chunks[number])
                self._tell_lateness(number)
            for piece in pieces(chunk.data):
                await response.write(piece)
            self._note_first()
        if self._due is not None:
            await _until(self._started + self._due.end)

    def _tell_lateness(self, number: int) -> None:
        """Tell how much later than its time a chunk leaves."""
        assert self._due is not None
        deadline = self._started + self._due.chunks[number]
        if (tell := self._report.lateness) is not None:
            tell(max(0.0, self._loop.time() - deadline))

    def _note_first(self) -> None:
        self._sent += 1
        if self._first is None:
            self._first = self._loop.time() - self._begun


def _is_reset_unanswered(response: Response) -> bool:
    """Whether the provider reset its connection before it answered: the status is wiretape's."""
    return response.end == "reset" and response.status == 502 and not response.chunks


def _silence(recorded: Response) -> float:
    """The seconds between the last bytes a client got and the end."""
    last = recorded.chunks[-1].at if recorded.chunks else recorded.headers_at
    if last is None or recorded.end_at is None:
        return 0.0
    return min(max(recorded.end_at - last, 0.0), _LONGEST_SILENCE)


def whole_response(status: int, headers: CIMultiDict[str], body: bytes) -> web.Response:
    """An answer that is sent in one piece."""
    response = web.Response(status=status, headers=headers)
    if status not in BODILESS:
        response.body = body
    return response


class _UntilClose(web.StreamResponse):
    """A body that only the closing of the connection ends (RFC 9112, section 6.3, rule 8)."""

    # Without this aiohttp sends chunks, and the client would miss the last one.
    _length_check = False


def _streamed(
    recorded: Response, headers: CIMultiDict[str], *, chunked: bool
) -> web.StreamResponse:
    if recorded.until_close:
        return _UntilClose(status=recorded.status, headers=headers)
    response = web.StreamResponse(status=recorded.status, headers=headers)
    if not recorded.streaming and not recorded.trailers:
        # One byte more than there is if the body was cut short.
        more = recorded.end not in ("complete", "failed")
        response.content_length = len(recorded.body) + more
    elif chunked and recorded.status not in BODILESS:
        response.enable_chunked_encoding()
        if recorded.trailers:
            names = dict.fromkeys(name for name, _ in recorded.trailers)
            response.headers["Trailer"] = ", ".join(names)
    return response


async def _until(deadline: float) -> None:
    # Absolute deadlines: relative sleeps drift by their overhead, chunk after chunk.
    delay = deadline - asyncio.get_running_loop().time()
    if delay > 0:
        await asyncio.sleep(delay)

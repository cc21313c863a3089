"""Send a recorded answer: each chunk as an HTTP chunk, at its time, with the recorded end."""

import asyncio
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from http import HTTPStatus
from time import perf_counter
from typing import Final, NamedTuple
from urllib.parse import quote

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_writer import StreamWriter
from multidict import CIMultiDict

from wiretape.core.model import Headers, Response, WebSocket, header
from wiretape.core.playback.faults import Fault
from wiretape.core.playback.pace import Pace, Schedule
from wiretape.core.providers.base_url import links_to_door
from wiretape.core.providers.registry import Providers
from wiretape.core.wire import content_coding
from wiretape.report.report import Report

from .abrupt_end import end, reset
from .answer import ReplayAnswer, replayed_row
from .http_request import HttpRequest
from .paced_stream import PacedAnswer
from .request import ReplayRequest

_MOST_CACHED: Final = 256
_MOST_CACHED_BYTES: Final = 1 << 20
_MOST_LINKED: Final = 1024
_MOST_READY_STREAM: Final = 1 << 16
_PIECE: Final = 1 << 18
"""The most bytes of an answer that are written at once."""
UNTYPED: Final = "wiretape.untyped"
"""A key of a request: its answer has no content type."""
BASE_URL: Final = "wiretape.door"
"""A key of a request: the URL of the base-URL port it came to."""
_LONGEST_SILENCE: Final = 3600.0
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}
BODILESS: Final = frozenset((204, 304))
# wiretape writes these itself, for its own connection and framing.
_CONNECTION_HEADERS: Final = frozenset(
    ("connection", "content-length", "transfer-encoding", "keep-alive", "date", "server", "trailer")
)


class ReadyAnswer(NamedTuple):
    """An answer in HTTP/1.1 that leaves in one write: its head up to the time in the `Date` that
    ends it, and the body.
    """

    head: bytes
    body: bytes


class AnswerSender:
    """Sends answers at a pace and tells the report of each."""

    def __init__(self, pace: Pace, report: Report, providers: Providers) -> None:
        self._pace = pace
        self._report = report
        self._providers = providers
        self._encoded: dict[tuple[str, str | None], tuple[Response, Headers, Response]] = {}
        self._chunked: dict[str, tuple[Response, bytes]] = {}
        self._ready: dict[tuple[str, str | None, str | None], tuple[Response, ReadyAnswer]] = {}
        self._linked: dict[tuple[Headers, str, str, int], Headers] = {}

    async def send(
        self,
        http: web.BaseRequest,
        request: ReplayRequest,
        answer: ReplayAnswer,
        due_from: float,
        fault: Fault | None = None,
    ) -> web.StreamResponse:
        """Answer a request that came at the loop's time `started`."""
        response, headers = answer.response, answer.response.headers
        request_time = due_from
        if fault is not None:
            response = fault.apply(response, request.shape)
            headers = response.headers
            due_from += fault.delay or 0.0
            answer = replace(answer, response=response, fault=fault.name)
        due = None if self._pace.is_instant else self._pace.schedule(response)
        if due is None and fault is not None and fault.delay:
            due = Schedule(0.0, (0.0,) * len(response.chunks), 0.0)
        if response.coding is not None:
            accepted = http.headers.get("accept-encoding")
            headers, response = self._coded(answer.entry.name, response, accepted)
        if BASE_URL in http:
            headers = self._links_to_door(headers, request.live.url, http[BASE_URL])
        sent_headers = replayed_headers(headers, answer.entry.name).copy()
        if fault is not None:
            sent_headers["x-wiretape-fault"] = fault.name
        if http.method == "HEAD":
            response = replace(response, chunks=(), streaming=False)
            length = header(headers, "content-length")
            if length is not None and length.isdecimal():
                sent_headers["content-length"] = length
        elif response.status in BODILESS:
            response = replace(response, chunks=())
        if due is None and not response.streaming and _is_whole(response):
            http[UNTYPED] = "content-type" not in sent_headers
            took = asyncio.get_running_loop().time() - request_time
            self._report.add(replayed_row(request, answer, None, took))
            return whole_response(response.status, sent_headers, response.body)
        times = _Times(due=due, begun=request_time, started=due_from)
        sending = _Sending(self, http, request, answer, response, times)
        return await sending.run(sent_headers)

    def ready(
        self,
        http: HttpRequest,
        request: ReplayRequest,
        answer: ReplayAnswer,
        started: float,
        door: str | None,
    ) -> ReadyAnswer | PacedAnswer | None:
        """The answer to a request in HTTP/1.1, not HEAD, if it can leave in one write, or is a
        stream at a pace. What leaves in one write is reported then. Arguments as `send` has them;
        `door` is the URL of the base-URL port.
        """
        if not _is_ready(answer.response):
            return None
        if not self._pace.is_instant:
            return self._paced(http, request, answer, started, door)
        ready = self._ready_answer(http, request, answer, door)
        if ready is not None:
            took = asyncio.get_running_loop().time() - started
            first = took if answer.response.streaming else None
            self._report.add(replayed_row(request, answer, first, took))
        return ready

    def _ready_answer(
        self, http: HttpRequest, request: ReplayRequest, answer: ReplayAnswer, door: str | None
    ) -> ReadyAnswer | None:
        response, name = answer.response, answer.entry.name
        accepted = http.headers.get("accept-encoding") if response.coding is not None else None
        cached = self._ready.get((name, door, accepted))
        if cached is not None and cached[0] is response:
            return cached[1]
        headers, coded = response.headers, response
        if response.coding is not None:
            headers, coded = self._coded(name, response, accepted)
        linked = self._linked_headers(headers, request, door)
        pieces = self.framed(name, coded) if response.streaming else (coded.body,)
        if not isinstance(pieces, tuple):
            return None
        body = pieces[0]
        if response.streaming and len(body) > _MOST_READY_STREAM:
            return None
        ready = ReadyAnswer(_ready_head(coded, linked, name, len(body)), body)
        # Relative links lead elsewhere from another URL.
        if linked == headers:
            self._ready[name, door, accepted] = response, ready
            if len(self._ready) > _MOST_CACHED:
                del self._ready[next(iter(self._ready))]
        return ready

    def _linked_headers(
        self, headers: Headers, request: ReplayRequest, door: str | None
    ) -> Headers:
        return headers if door is None else self._links_to_door(headers, request.live.url, door)

    def _paced(
        self,
        http: HttpRequest,
        request: ReplayRequest,
        answer: ReplayAnswer,
        started: float,
        door: str | None,
    ) -> PacedAnswer | None:
        response, name = answer.response, answer.entry.name
        if not response.streaming:
            return None
        headers, coded = response.headers, response
        if response.coding is not None:
            accepted = http.headers.get("accept-encoding")
            headers, coded = self._coded(name, response, accepted)
        return PacedAnswer(
            head=_ready_head(coded, self._linked_headers(headers, request, door), name, 0),
            chunks=coded.chunks,
            due=self._pace.schedule(response),
            started=started,
            framed=_framed,
            end=_last_chunk(coded),
            row_of=partial(replayed_row, request, answer),
            report=self._report,
        )

    def _coded(
        self, name: str, response: Response, accepted: str | None
    ) -> tuple[Headers, Response]:
        """Encode an answer in the content coding that its provider chose, if the client accepts it;
        the latest few are cached.
        """
        cached = self._encoded.get((name, accepted))
        if cached is not None and cached[0] is response:
            return cached[1:]
        headers, coded = content_coding.encode(response, accepted)
        chunks = zip(response.chunks, coded, strict=True)
        encoded = replace(
            response, chunks=tuple(replace(chunk, data=data) for chunk, data in chunks)
        )
        if sum(map(len, coded)) <= _MOST_CACHED_BYTES:
            self._encoded[name, accepted] = (response, headers, encoded)
            if len(self._encoded) > _MOST_CACHED:
                del self._encoded[next(iter(self._encoded))]
        return headers, encoded

    def _links_to_door(self, headers: Headers, url: str, door: str) -> Headers:
        """An answer's headers with links that lead back to a base-URL port."""
        providers = self._providers
        key = (headers, url, door, providers.changes)
        if key not in self._linked:
            if len(self._linked) >= _MOST_LINKED:
                self._linked.clear()
            self._linked[key] = links_to_door(headers, url, door, providers)
        return self._linked[key]

    def framed(self, name: str, response: Response) -> Iterable[bytes]:
        """The chunked body of a recording's answer, in pieces; the latest few small ones are
        cached.
        """
        cached = self._chunked.get(name)
        if cached is None or cached[0] is not response:
            if sum(len(chunk.data) for chunk in response.chunks) > _MOST_CACHED_BYTES:
                return _joined(_in_chunks(response))
            cached = self._chunked[name] = (response, b"".join(_in_chunks(response)))
            if len(self._chunked) > _MOST_CACHED:
                del self._chunked[next(iter(self._chunked))]
        return (cached[1],)

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
        request: ReplayRequest,
        answer: ReplayAnswer,
        response: Response,
        times: _Times,
    ) -> None:
        self._sender, self._http, self._request, self._answer = sender, http, request, answer
        self._response, self._due = response, times.due
        self._begun, self._started = times.begun, times.started
        self._loop = asyncio.get_running_loop()
        self._first: float | None = None
        self._note: str | None = None
        self._sent = 0

    async def run(self, headers: CIMultiDict[str]) -> web.StreamResponse:
        report, response, due = self._sender.report, self._response, self._due
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
                if _is_whole(response):
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
            for piece in self._sender.framed(self._answer.entry.name, response):
                # Waits for a client that does not read, so that little is buffered.
                await writer.write(piece)
                self._note_first()
            return
        is_measured = self._sender.report.lateness is not None
        for number, chunk in enumerate(response.chunks):
            await _until(self._started + self._due.chunks[number])
            if is_measured:
                self._tell_lateness(number)
            if chunk.data:
                for piece in _framed(chunk.data):
                    await writer.write(piece)
                self._note_first()
        await _until(self._started + self._due.end)
        if response.end == "complete":
            await writer.write(_last_chunk(response))

    async def _plain(self, response: web.StreamResponse) -> None:
        for number, chunk in enumerate(self._response.chunks):
            if self._due is not None:
                await _until(self._started + self._due.chunks[number])
                self._tell_lateness(number)
            for piece in _pieces(chunk.data):
                await response.write(piece)
            self._note_first()
        if self._due is not None:
            await _until(self._started + self._due.end)

    def _tell_lateness(self, number: int) -> None:
        """Tell how much later than its time a chunk leaves."""
        assert self._due is not None
        deadline = self._started + self._due.chunks[number]
        if (tell := self._sender.report.lateness) is not None:
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


def _in_chunks(response: Response) -> Iterator[bytes]:
    """A body in chunked transfer coding; the last chunk only if the body was complete."""
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
    """Join small parts into pieces of about `_PIECE` bytes."""
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


def _is_whole(response: Response) -> bool:
    """Whether an answer that is not streamed leaves in one piece."""
    return (
        response.end in ("complete", "failed")
        and not response.trailers
        and len(response.body) <= _PIECE
    )


def _is_ready(response: Response) -> bool:
    """Whether an answer may leave in one write."""
    if isinstance(response, WebSocket) or response.status in BODILESS or response.status < 200:
        return False
    if response.streaming:
        return response.end == "complete" and not response.trailers
    return _is_whole(response)


def _ready_head(response: Response, headers: Headers, name: str, length: int) -> bytes:
    """The head of a recorded answer, as aiohttp writes it."""
    line = f"HTTP/1.1 {response.status} {_REASONS.get(response.status, '')}"
    lines = [f"{name}: {value}" for name, value in replayed_headers(headers, name).items()]
    framing = "Transfer-Encoding: chunked" if response.streaming else f"Content-Length: {length}"
    return "\r\n".join((line, *lines, framing, "Date: ")).encode("utf-8", "surrogateescape")


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


class RawHeaderWriter(StreamWriter):
    """Writes header values that are not UTF-8 (RFC 9110, section 5.5) as their original bytes.

    They are lone surrogates in the text, which aiohttp's own writer leaves out.
    """

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        await super().write_headers(status_line, headers)
        if any(_ESCAPED.search(value) for value in headers.values()):
            lines = (status_line, *(f"{name}: {value}" for name, value in headers.items()), "", "")
            self._headers_buf = "\r\n".join(lines).encode("utf-8", "surrogateescape")


_ESCAPED: Final = re.compile("[\udc80-\udcff]")


@lru_cache(maxsize=1024)
def replayed_headers(headers: Headers, name: str) -> CIMultiDict[str]:
    """A recorded answer's headers as they are sent."""
    return connection_headers((*headers, ("x-wiretape", f"replay {quote(name)}")))


def connection_headers(headers: Headers) -> CIMultiDict[str]:
    """Headers in aiohttp's form, without those that belong to a connection."""
    result = CIMultiDict((n, value) for n, value in headers if n.lower() not in _CONNECTION_HEADERS)
    result["Server"] = "wiretape"
    return result


async def _until(deadline: float) -> None:
    # Absolute deadlines: relative sleeps drift by their overhead, chunk after chunk.
    delay = deadline - asyncio.get_running_loop().time()
    if delay > 0:
        await asyncio.sleep(delay)

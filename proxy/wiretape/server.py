"""The replay engine's HTTP side: one aiohttp handler behind every door.

A request comes decrypted out of a CONNECT tunnel, in absolute form as a plain-HTTP proxy gets it,
or in origin form as `/HOST/path` (base-URL mode). The answer's chunks leave one HTTP chunk each, at
the recording's pace.
"""

import asyncio
import logging
import socket
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter
from typing import Final
from urllib.parse import quote
from weakref import WeakKeyDictionary

from aiohttp import HttpVersion11, web
from aiohttp.http_writer import StreamWriter
from multidict import CIMultiDict

from .model import Headers, Request, Response, split_url
from .pace import Pace
from .providers import error_body
from .replay import (
    MISS_HEADERS,
    MISS_STATUS,
    Asked,
    Played,
    Replayer,
    Tickets,
    base_url_place,
    miss_body,
    missed_row,
    played_row,
)
from .report import Row

log = logging.getLogger(__name__)

MAX_REQUEST_BYTES: Final = 1 << 30
_READY: Final = 256
_READY_BYTES: Final = 1 << 20
_MEMO: Final = 1024
_MEMO_BODY: Final = 64 * 1024
JSON: Final = (("content-type", "application/json"),)
_BODILESS: Final = frozenset((204, 304))
# What wiretape writes itself, for this connection and this body.
_OWN_HEADERS: Final = frozenset(
    ("connection", "content-length", "transfer-encoding", "keep-alive", "date", "server")
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a tunnel's client believes it is."""

    scheme: str
    host: str
    port: int


class BadTarget(Exception):
    """A request that names no place wiretape may answer for; `str()` says what to do."""


class Handler:
    """Answers what the doors let in; `tunnels` tells which transport is a tunnel to where."""

    def __init__(self, replayer: Replayer, pace: Pace, tickets: Tickets | None = None) -> None:
        self._replayer = replayer
        self._pace = pace
        self._tickets = tickets
        self._ready: dict[str, tuple[Response, bytes]] = {}
        self._asked: dict[object, Asked] = {}
        self._under_way = 0
        self._idle: asyncio.Event | None = None
        self.tunnels: Final[WeakKeyDictionary[asyncio.BaseTransport, Origin]] = WeakKeyDictionary()

    def server(self) -> web.Server:
        """An aiohttp server whose protocol factory the doors call, one protocol a connection."""
        loop = asyncio.get_running_loop()

        def make_request(message, payload, protocol, writer, task):  # type: ignore[no-untyped-def]  # aiohttp's private signature
            return web.BaseRequest(
                message, payload, protocol, writer, task, loop, client_max_size=MAX_REQUEST_BYTES
            )

        return web.Server(
            self.handle,
            request_factory=make_request,
            access_log=None,
            auto_decompress=False,
            max_line_size=64 * 1024,
            max_field_size=64 * 1024,
        )

    def _framed(self, played: Played) -> bytes:
        """The chunked body of a recording; the latest few are kept ready."""
        known = self._ready.get(played.entry.name)
        if known is None or known[0] is not played.response:
            known = (played.response, _in_chunks(played.response))
            if len(known[1]) > _READY_BYTES:
                return known[1]
            self._ready[played.entry.name] = known
            if len(self._ready) > _READY:
                del self._ready[next(iter(self._ready))]
        return known[1]

    async def idle(self) -> None:
        """Wait until no answer is under way."""
        if self._under_way:
            self._idle = asyncio.Event()
            await self._idle.wait()

    async def handle(self, http: web.BaseRequest) -> web.StreamResponse:
        """One request. Nothing here opens a connection: what is not recorded is a miss."""
        self._under_way += 1
        try:
            return await self._answer(http)
        except Exception as error:
            # Whatever it is, the client gets an answer and the run fails; nothing goes out.
            log.debug("a request could not be answered", exc_info=True)
            return self._failed(http, error)
        finally:
            self._under_way -= 1
            if not self._under_way and self._idle is not None:
                self._idle.set()

    async def _answer(self, http: web.BaseRequest) -> web.StreamResponse:
        started = asyncio.get_running_loop().time()
        if self._tickets is not None:
            issued = self._tickets.take(http.headers.get("x-wiretape-ticket", ""))
            if issued is not None:
                return await self._play(http, *issued, started)
        try:
            asked = await self._ask(http)
        except BadTarget as error:
            body = error_body("openai", 403, f"wiretape: {error}", "wiretape_refused")
            return _whole(403, _headers(JSON), body)
        played = self._replayer.play(asked)
        if played is None:
            return self._miss(asked)
        return await self._play(http, played, asked, started)

    def _failed(self, http: web.BaseRequest, error: Exception) -> web.StreamResponse:
        note = f"wiretape failed inside ({type(error).__name__}); -v shows where"
        path = self._replayer.told(http.path.partition("?")[0])
        self._replayer.report.add(Row("failed", "wiretape", http.method, path, note=note))
        return _whole(500, _headers(JSON), error_body("openai", 500, note, "wiretape_error"))

    def _miss(self, asked: Asked) -> web.StreamResponse:
        replayer, request = self._replayer, asked.request
        miss = replayer.explain(asked)
        provider = replayer.providers.find(request.host, request.port)
        replayer.report.add(missed_row(asked, miss))
        return _whole(MISS_STATUS, _headers(MISS_HEADERS), miss_body(miss, provider))

    async def _ask(self, http: web.BaseRequest) -> Asked:
        body = b""
        if http.can_read_body:
            if not http.content.is_eof():
                _acknowledge(http.transport)
            body = await http.read()
        tunnel = self.tunnels.get(http.transport) if http.transport is not None else None
        # A test suite asks the same things again and again, alike to the last byte.
        spelled = (tunnel, http.method, http.raw_path, http.raw_headers, body)
        asked = self._asked.get(spelled)
        if asked is None:
            asked = self._replayer.ask(self._request(http, tunnel, body))
            if len(body) <= _MEMO_BODY:
                if len(self._asked) >= _MEMO:
                    del self._asked[next(iter(self._asked))]
                self._asked[spelled] = asked
        return asked

    def _request(self, http: web.BaseRequest, tunnel: Origin | None, body: bytes) -> Request:
        scheme, host, port, target = self._place(http.raw_path, tunnel)
        headers: Headers = tuple(
            (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
            for name, value in http.raw_headers
        )
        return Request(http.method, scheme, host, port, target, headers, body)

    def _place(self, raw: str, tunnel: Origin | None) -> tuple[str, str, int, str]:
        if tunnel is not None and raw.startswith("/"):
            return tunnel.scheme, tunnel.host, tunnel.port, raw
        providers = self._replayer.providers
        try:
            place = base_url_place(raw) if raw.startswith("/") else split_url(raw)
        except ValueError as error:
            raise BadTarget(str(error)) from None
        if providers.find(place[1], place[2]) is None:
            raise BadTarget(
                f"{place[1]} is not a configured provider host: add it under `providers` in"
                " config.yaml"
            )
        return place

    async def _play(
        self, http: web.BaseRequest, played: Played, asked: Asked, started: float
    ) -> web.StreamResponse:
        """Send a recorded answer; `started` is the loop's time when its request came."""
        loop = asyncio.get_running_loop()
        recorded = played.response
        report = self._replayer.report
        due = None if self._pace.is_instant else self._pace.schedule(recorded)
        headers = _played_headers(recorded.headers, played.entry.name).copy()
        first: float | None = None
        note = None
        sent = 0
        token = object()
        if report.watched and due is not None:
            report.begin(token, played_row(asked, played), perf_counter(), lambda: sent)
        if due is not None:
            await _until(started + due.headers)
        if not recorded.streaming and recorded.end == "complete":
            if due is not None:
                await _until(started + (due.chunks[0] if due.chunks else due.end))
            response: web.StreamResponse = _whole(recorded.status, headers, recorded.body)
        else:
            # HTTP/1.0 has no chunks: there the connection's end is the body's.
            chunked = http.version >= HttpVersion11
            response = _streamed(recorded, headers, chunked=chunked)
            try:
                writer = await response.prepare(http)
                if due is None and isinstance(writer, StreamWriter) and writer.chunked:
                    # Framed by us, all chunks leave in one write: five times as many streams.
                    writer.chunked = False
                    await writer.write(self._framed(played))
                    first = loop.time() - started
                else:
                    for number, chunk in enumerate(recorded.chunks):
                        if due is not None:
                            await _until(started + due.chunks[number])
                        await response.write(chunk.data)
                        sent += 1
                        first = loop.time() - started if first is None else first
                    if due is not None:
                        await _until(started + due.end)
                if recorded.end != "complete" and http.transport is not None:
                    note = f"ended as recorded: {recorded.end}"
                    # Flushes what was written; what is missing is the end of the body.
                    http.transport.close()
                else:
                    await response.write_eof()
            except ConnectionError:
                note = "the client left"
        report.end(token)
        report.add(played_row(asked, played, first, loop.time() - started, note))
        return response


def _in_chunks(response: Response) -> bytes:
    """A body in chunked transfer coding (RFC 9112, section 7.1), its end only if it had one."""
    end = b"0\r\n\r\n" if response.end == "complete" else b""
    chunks = (chunk.data for chunk in response.chunks if chunk.data)
    return b"".join(b"%x\r\n%b\r\n" % (len(data), data) for data in chunks) + end


def _acknowledge(transport: asyncio.BaseTransport | None) -> None:
    """Let what has come be acknowledged at once (Linux; elsewhere nothing is done).

    urllib3 sends head and body apart and leaves Nagle's algorithm on towards a proxy: its body
    waits for our acknowledgement of the head, which the kernel puts off by 40 ms.
    """
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is not None and hasattr(socket, "TCP_QUICKACK"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _whole(status: int, headers: CIMultiDict[str], body: bytes) -> web.Response:
    response = web.Response(status=status, headers=headers)
    if status not in _BODILESS:
        response.body = body
    return response


def _streamed(
    recorded: Response, headers: CIMultiDict[str], *, chunked: bool
) -> web.StreamResponse:
    response = web.StreamResponse(status=recorded.status, headers=headers)
    if not recorded.streaming:
        # A whole body that was cut: say that more was to come.
        response.content_length = len(recorded.body) + 1
    elif chunked and recorded.status not in _BODILESS:
        response.enable_chunked_encoding()
    return response


@lru_cache(maxsize=1024)
def _played_headers(headers: Headers, name: str) -> CIMultiDict[str]:
    return _headers((*headers, ("x-wiretape", f"replay {quote(name)}")))


def _headers(headers: Headers) -> CIMultiDict[str]:
    # aiohttp writes UTF-8; bytes that were none (RFC 9110, section 5.5) stand as lone surrogates.
    kept = CIMultiDict(
        (name, value.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        for name, value in headers
        if name.lower() not in _OWN_HEADERS
    )
    kept["Server"] = "wiretape"
    return kept


async def _until(deadline: float) -> None:
    # Absolute deadlines: relative sleeps drift by their overhead, chunk after chunk.
    delay = deadline - asyncio.get_running_loop().time()
    if delay > 0:
        await asyncio.sleep(delay)


async def close(server: web.Server) -> None:
    """End a server's connections."""
    server.pre_shutdown()
    # To aiohttp a timeout of 0 is none at all.
    await server.shutdown(timeout=0.1)


class Engine:
    """The replay engine on a loopback port, for a proxy that hands tickets over to it."""

    def __init__(self, replayer: Replayer, pace: Pace, tickets: Tickets | None) -> None:
        self._handler = Handler(replayer, pace, tickets)
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen on any free port; gives its number."""
        self._server = self._handler.server()
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._server, "127.0.0.1", 0)
        return int(self._listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and end the connections."""
        if self._listener is not None and self._server is not None:
            self._listener.close()
            await close(self._server)

"""The replay engine's HTTP side: one aiohttp handler behind every door.

A request comes decrypted out of a CONNECT tunnel, in absolute form as a plain-HTTP proxy gets it,
or in origin form as `/HOST/path` (base-URL mode). The answer's chunks leave one HTTP chunk each, at
the recording's pace.
"""

import asyncio
import logging
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote
from weakref import WeakKeyDictionary, WeakSet

from aiohttp import web
from aiohttp.web_protocol import ERROR as NOT_A_REQUEST

from wiretape import descriptors
from wiretape.core.errors import StoreError
from wiretape.core.model import MAX_BODY, Headers, Request, WebSocket, split_url
from wiretape.core.playback.faults import HEADER as FAULT_HEADER
from wiretape.core.playback.faults import Fault
from wiretape.core.playback.pace import Pace
from wiretape.core.providers.base_url import Destination
from wiretape.core.providers.registry import error_body
from wiretape.core.redaction.subprotocols import credentials_as_headers
from wiretape.core.text.exact_json import dumps
from wiretape.core.wire.content_coding import TooLarge
from wiretape.report.report import Row
from wiretape.sessions.control import Control, LocalNames
from wiretape.sessions.own_port import JSON, ForControl, Refusal, purpose_of
from wiretape.sessions.sessions import HEADER as SESSION_HEADER
from wiretape.sessions.sessions import Session, UnknownSession, of_credentials, session_error_text

from . import local_servers, websocket
from .replayer import (
    MISS_HEADERS,
    ReplayAnswer,
    Replayer,
    Tickets,
)
from .request import ReplayRequest
from .sender import DOOR, UNTYPED, AnswerSender, RawHeaderWriter, plain_headers, whole

log = logging.getLogger(__name__)

_MEMO: Final = 1024
_MEMO_BODY: Final = 64 * 1024
_MEMO_BYTES: Final = 4 * 1024 * 1024
_LOCAL_NAMES: Final = LocalNames()


class _Request(web.BaseRequest):
    """A request whose answer has no content type where its recording has none."""

    async def _prepare_hook(self, resp: web.StreamResponse) -> None:
        # aiohttp calls every body without a type a stream of octets.
        if self.get(UNTYPED):
            resp.headers.pop("content-type", None)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a tunnel's client believes it is, and the session it named when it asked for it."""

    scheme: str
    host: str
    port: int
    session: str | None = None


class BadTarget(Exception):
    """A request that names no place wiretape may answer for; `str()` says what to do."""


class Handler:
    """Answers what the doors let in; `tunnels` tells which transport is a tunnel to where.

    `control` answers for the sessions; only a door that has it does. A request of more than
    `max_body` bytes is in no recording: nothing of it is kept.
    """

    def __init__(
        self,
        replayer: Replayer,
        pace: Pace,
        tickets: Tickets | None = None,
        control: Control | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        self._max_body = max_body
        self._control = control
        self._replayer = replayer
        self._pace = pace
        self._sender = AnswerSender(pace, replayer.report, replayer.providers)
        self._tickets = tickets
        self._asked: dict[object, tuple[ReplayRequest, int]] = {}
        self._asked_bytes = 0
        self._under_way = 0
        self._idle: asyncio.Event | None = None
        self.tunnels: Final[WeakKeyDictionary[asyncio.BaseTransport, Origin]] = WeakKeyDictionary()
        self.refused: Final[WeakSet[asyncio.BaseTransport]] = WeakSet()
        """Connections that came when no descriptors were left to serve them."""
        self.passes_local = False
        """Whether servers of this machine that are no provider's may be gone on to."""

    def server(self) -> web.Server:
        """An aiohttp server whose protocol factory the doors call, one protocol a connection."""
        loop = asyncio.get_running_loop()

        def make_request(message, payload, protocol, writer, task):  # type: ignore[no-untyped-def]  # aiohttp's private signature
            if message is NOT_A_REQUEST:
                self._tell_of_unreadable()
            raw = RawHeaderWriter(protocol, loop)
            return _Request(
                message, payload, protocol, raw, task, loop, client_max_size=self._max_body
            )

        return web.Server(
            self.handle,
            request_factory=make_request,
            # Who waits for a chunk's time learns that the client has left.
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            max_line_size=64 * 1024,
            max_field_size=64 * 1024,
        )

    def _tell_of_unreadable(self) -> None:
        """What is not HTTP, or has a header twice that may be there once, aiohttp answers with 400:
        no recording did, so the run does not succeed.
        """
        note = "not a request as HTTP has it; answered with 400 (-v shows why)"
        self._replayer.report.add(Row("failed", "wiretape", "?", "?", note=note))

    def open(self, session: str | None) -> None:
        """Open a session, so that a fault of it is told before anything is answered in it."""
        self._replayer.sessions.get(session)

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
        if http.transport in self.refused:
            return self._unavailable()
        try:
            _wanted_fault(http)
            if self._tickets is not None:
                issued = self._tickets.take(http.headers.get("x-wiretape-ticket", ""))
                if issued is not None:
                    return await self._play(http, *issued, started)
            tunnel = self.tunnels.get(http.transport) if http.transport is not None else None
            if tunnel is not None:
                self._replayer.report.tunnels[tunnel.host] = True
            if tunnel is None and (place := self._local_server(http)) is not None:
                self._replayer.report.bypassed(place[0], place[1], "unrecorded")
                return await local_servers.pass_on(http, *place)
            purpose = self._purpose(http, tunnel)
            if isinstance(purpose, Refusal):
                return self._refused(purpose)
            if isinstance(purpose, ForControl):
                return await self._control_reply(http)
            asked = await self._ask(http, tunnel, purpose)
            played = self._replayer.play(asked)
        except (BadTarget, UnknownSession) as error:
            return self._refused(Refusal(str(error)))
        except TooLarge as error:
            return self._too_large(http, str(error))
        except StoreError as error:
            if descriptors.is_exhaustion(error):
                return self._unavailable()
            return self._refused(Refusal(session_error_text(error)))
        if played is None:
            status, headers, body = self._replayer.miss(asked)
            return whole(status, plain_headers(headers), body)
        return await self._play(http, played, asked, started)

    def _unavailable(self) -> web.StreamResponse:
        advice = descriptors.advice()
        self._replayer.report.not_served(advice)
        body = error_body("openai", 503, f"wiretape: {advice}", "wiretape_unavailable")
        response = whole(503, plain_headers((*JSON, ("retry-after", "1"))), body)
        response.force_close()
        return response

    def _failed(self, http: web.BaseRequest, error: Exception) -> web.StreamResponse:
        note = f"wiretape failed inside ({type(error).__name__}); -v shows where"
        path = self._replayer.told(http.path.partition("?")[0])
        self._replayer.report.add(Row("failed", "wiretape", http.method, path, note=note))
        return whole(500, plain_headers(JSON), error_body("openai", 500, note, "wiretape_error"))

    def _too_large(self, http: web.BaseRequest, why: str) -> web.StreamResponse:
        path = self._replayer.told(http.path.partition("?")[0])
        self._replayer.report.add(Row("missed", "wiretape", http.method, path, note=why))
        status = self._replayer.miss_status
        body = error_body("openai", status, f"wiretape: {why}", "wiretape_miss")
        return whole(status, plain_headers(MISS_HEADERS), body)

    async def _control_reply(self, http: web.BaseRequest) -> web.StreamResponse:
        assert self._control is not None
        reply = await self._control.handle(http.method, http.raw_path, _by_name(http))
        return whole(reply.status, plain_headers(JSON), dumps(reply.document).encode())

    def _refused(self, refusal: Refusal) -> web.StreamResponse:
        if refusal.other_host is not None:
            self._replayer.report.bypassed(*refusal.other_host, "refused")
        return whole(refusal.status, plain_headers(JSON), refusal.body())

    def _purpose(
        self, http: web.BaseRequest, tunnel: Origin | None
    ) -> ForControl | Destination | Refusal:
        raw = http.raw_path
        if tunnel is not None and raw.startswith("/"):
            return Destination(tunnel.scheme, tunnel.host, tunnel.port, raw)
        local_names = self._control.local_names if self._control else _LOCAL_NAMES
        providers, has_control = self._replayer.providers, self._control is not None
        found = purpose_of(raw, _by_name(http), local_names, providers, has_control=has_control)
        if isinstance(found, Destination) and raw.startswith("/"):
            # Where its client came in, links of the answer have to lead to.
            http[DOOR] = f"http://{http.host}"
        return found

    def _local_server(self, http: web.BaseRequest) -> tuple[str, int, str] | None:
        """The place that a request in absolute form names, where it may be passed on there."""
        if not self.passes_local:
            return None
        try:
            scheme, host, port, target = split_url(http.raw_path)
        except ValueError:
            return None
        is_ours = self._replayer.providers.find(host, port) is not None
        if is_ours or scheme != "http" or not local_servers.addresses_of(host):
            return None
        return (host, port, target) if local_servers.is_near(http.transport) else None

    def _session(self, http: web.BaseRequest, tunnel: Origin | None) -> Session:
        name = http.headers.get(SESSION_HEADER) or (tunnel.session if tunnel else None)
        if not name and tunnel is None:
            name = of_credentials(http.headers.get("proxy-authorization"))
        return self._replayer.sessions.get(name)

    async def _ask(
        self, http: web.BaseRequest, tunnel: Origin | None, destination: Destination
    ) -> ReplayRequest:
        session = self._session(http, tunnel)
        body = b""
        if http.can_read_body:
            if not http.content.is_eof():
                _acknowledge(http.transport)
            body = await self._body(http)
        # A test suite asks the same things again and again, alike to the last byte.
        spelled = (tunnel, http.method, http.raw_path, http.raw_headers, body)
        known = self._asked.get(spelled)
        if known is not None:
            return self._replayer.now(known[0], session)
        asked = self._replayer.ask(_request_of(http, destination, body), session)
        if len(body) <= _MEMO_BODY:
            self._asked[spelled] = asked, len(body)
            self._asked_bytes += len(body)
            while len(self._asked) > _MEMO or self._asked_bytes > _MEMO_BYTES:
                self._asked_bytes -= self._asked.pop(next(iter(self._asked)))[1]
        return self._replayer.now(asked, session)

    async def _body(self, http: web.BaseRequest) -> bytes:
        """A request's body; TooLarge, once all of it has come, where it is more than is kept."""
        if (http.content_length or self._max_body + 1) <= self._max_body:
            return await http.read()
        pieces: list[bytes] = []
        size = 0
        async for piece in http.content.iter_any():
            size += len(piece)
            if size <= self._max_body:
                pieces.append(piece)
            else:
                pieces.clear()
        if size > self._max_body:
            most = self._max_body >> 20
            raise TooLarge(f"no recording has a request of more than {most} MiB (record.max_body)")
        return b"".join(pieces)

    async def _play(
        self, http: web.BaseRequest, played: ReplayAnswer, asked: ReplayRequest, started: float
    ) -> web.StreamResponse:
        """Send a recorded answer; `started` is the loop's time when its request came."""
        if isinstance(played.response, WebSocket):
            replayer = self._replayer
            return await websocket.play(
                http,
                replayer.lock_step(asked, played),
                self._pace,
                lambda ended: replayer.report.add(replayer.conversed(asked, played, ended)),
                [("x-wiretape", f"replay {quote(played.entry.name)}")],
            )
        fault = self._replayer.fault(asked, _wanted_fault(http))
        return await self._sender.send(http, asked, played, started, fault)


def _by_name(http: web.BaseRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in http.headers.items()}


def _request_of(http: web.BaseRequest, destination: Destination, body: bytes) -> Request:
    headers: Headers = tuple(
        (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
        for name, value in http.raw_headers
    )
    request = Request(http.method, *destination, headers=headers, body=body)
    return credentials_as_headers(request)


def _wanted_fault(http: web.BaseRequest) -> Fault | None:
    """The fault that a request asks for; only loopback may. BadTarget where it cannot be read."""
    if FAULT_HEADER not in http.headers or http.transport is None:
        return None
    peer = http.transport.get_extra_info("peername")
    if not peer or not ip_address(peer[0]).is_loopback:
        return None
    try:
        return Fault.parse(http.headers[FAULT_HEADER])
    except ValueError as error:
        raise BadTarget(f"{FAULT_HEADER}: {error}") from None


def _acknowledge(transport: asyncio.BaseTransport | None) -> None:
    """Let what has come be acknowledged at once (Linux; elsewhere nothing is done).

    urllib3 sends head and body apart and leaves Nagle's algorithm on towards a proxy: its body
    waits for our acknowledgement of the head, which the kernel puts off by 40 ms.
    """
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is not None and hasattr(socket, "TCP_QUICKACK"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


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

"""Answer HTTP requests from recordings: one handler for every way in.

A request comes decrypted out of a CONNECT tunnel, in absolute form as a plain-HTTP proxy gets it,
or in origin form as `/HOST/path` (base-URL mode). The answer's chunks leave one HTTP chunk each, at
the recording's pace.

`protocol.py` asks for answers that are ready (`answer_at_once`); aiohttp for the others (`handle`),
some of which were begun there.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import quote
from weakref import WeakKeyDictionary, WeakSet

from aiohttp import web
from aiohttp.web_protocol import ERROR as NOT_A_REQUEST

from wiretape import descriptors
from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.miss import Miss
from wiretape.core.model import MAX_BODY, Headers, Request, WebSocket, split_url
from wiretape.core.playback.faults import HEADER as FAULT_HEADER
from wiretape.core.playback.faults import Fault
from wiretape.core.playback.pace import Pace
from wiretape.core.playback.websocket import Mismatch, ReplayedConnection
from wiretape.core.providers.base_url import Destination
from wiretape.core.providers.registry import error_body
from wiretape.core.redaction.subprotocols import credentials_as_headers
from wiretape.core.wire.content_coding import TooLarge
from wiretape.library.on_demand import NotHere, deferring
from wiretape.report.report import Row
from wiretape.sequences.shared_log import SequencesLost
from wiretape.sessions.control import DECIDING, Control, LocalNames
from wiretape.sessions.own_port import JSON, ForControl, Refusal, purpose_of
from wiretape.sessions.sessions import HEADER as SESSION_HEADER
from wiretape.sessions.sessions import UnknownSession, of_credentials, session_error_text
from wiretape.sessions.shared import SessionsChanged

from . import local_servers, websocket
from .answer import ReplayAnswer
from .http_request import MOST_FIELD, HttpRequest, WholeRequest
from .misses import MISS_HEADERS
from .paced_stream import PacedAnswer
from .replayer import Replayer
from .request import ReplayRequest
from .sender import (
    BASE_URL,
    UNTYPED,
    AnswerSender,
    RawHeaderWriter,
    ReadyAnswer,
    connection_headers,
    whole_response,
)
from .tickets import Tickets

log = logging.getLogger(__name__)

_MOST_MEMOS: Final = 1024
_MOST_MEMO_BODY: Final = 64 * 1024
_MOST_MEMO_BYTES: Final = 4 * 1024 * 1024
_LOCAL_NAMES: Final = LocalNames()


class ReceivedRequest(web.BaseRequest):
    """A request whose answer has no content type if its recording has none."""

    async def _prepare_hook(self, resp: web.StreamResponse) -> None:
        # aiohttp gives every body without a type application/octet-stream.
        if self.get(UNTYPED):
            resp.headers.pop("content-type", None)


class Origin(NamedTuple):
    """The host a tunnel's client asked for, and the session it named in its CONNECT."""

    scheme: str
    host: str
    port: int
    session: str | None = None


class BadTarget(Exception):
    """A request that wiretape may not answer; `str()` says what to do."""


class _NotFetched(Exception):
    """A recording that would answer cannot be had from its store now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What became of a request before aiohttp took it over: an answer (None: a miss), or an error.
    `started` is the loop's time when it came.
    """

    started: float
    request: ReplayRequest | None = None
    answer: ReplayAnswer | None = None
    door: str | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """What the same bytes from the same tunnel always mean; `door` as `_door` has it."""

    request: ReplayRequest
    session_name: str | None
    door: str | None


class Handler:
    """Answers the requests of every port; `tunnels` says which transport is a tunnel to where.

    `control` answers requests about sessions. A request of more than `max_body` bytes cannot be
    recorded: it is not kept, and it is a miss.
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
        self._memo: dict[object, _Known] = {}
        self._memo_bytes = 0
        self._destinations: dict[tuple[str, tuple[tuple[str, ...], ...]], Destination] = {}
        self._under_way = 0
        self._idle: asyncio.Event | None = None
        self.tunnels: Final[WeakKeyDictionary[asyncio.BaseTransport, Origin]] = WeakKeyDictionary()
        self.begun: Final[WeakKeyDictionary[asyncio.BaseTransport, Begun]] = WeakKeyDictionary()
        """What became of the next request on a connection that aiohttp takes over."""
        self.refused: Final[WeakSet[asyncio.BaseTransport]] = WeakSet()
        """Connections accepted when no descriptors were left to serve them."""
        self.passes_local = False
        """Whether requests may be passed on to servers of this machine that are not providers."""

    def server(self) -> web.Server:
        """An aiohttp server; call it for one protocol a connection."""
        loop = asyncio.get_running_loop()

        def make_request(message, payload, protocol, writer, task):  # type: ignore[no-untyped-def]  # aiohttp's private signature
            if message is NOT_A_REQUEST:
                self._report_unreadable()
            raw = RawHeaderWriter(protocol, loop)
            return ReceivedRequest(
                message, payload, protocol, raw, task, loop, client_max_size=self._max_body
            )

        return web.Server(
            self.handle,
            request_factory=make_request,
            # An answer that waits for a chunk's time is cancelled when the client leaves.
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            max_line_size=MOST_FIELD,
            max_field_size=MOST_FIELD,
        )

    def _report_unreadable(self) -> None:
        """Report that aiohttp answered 400: the request was not HTTP, or repeats a header that may
        be there once. No recording answered, so the run fails.
        """
        note = "not a request as HTTP has it; answered with 400 (-v shows why)"
        self._replayer.report.add(Row("failed", "wiretape", "?", "?", note=note))

    def open(self, session: str | None) -> None:
        """Open a session, so that its faults are reported before anything is answered in it."""
        self._replayer.sessions.get(session)

    @property
    def under_way(self) -> int:
        """How many answers are under way."""
        return self._under_way

    def begin_answer(self) -> None:
        """Count an answer that is under way."""
        self._under_way += 1

    def end_answer(self) -> None:
        """Count it no more."""
        self._under_way -= 1
        if not self._under_way and self._idle is not None:
            self._idle.set()

    async def idle(self) -> None:
        """Wait until no answer is under way."""
        if self._under_way:
            self._idle = asyncio.Event()
            await self._idle.wait()

    @property
    def is_alone(self) -> bool:
        """Whether no other process answers for the same run."""
        return self._replayer.is_alone

    def answer_at_once(
        self, http: WholeRequest, tunnel: Origin | None
    ) -> ReadyAnswer | PacedAnswer | Begun | None:
        """The answer to a request, if it is ready; else what aiohttp goes on with, None where it is
        to begin anew. Of a run that `is_alone`.
        """
        started = asyncio.get_running_loop().time()
        try:
            with deferring():
                known = self._known(http, tunnel)
                if known is None:
                    return None
                request = self._in_session(known)
                answer = self._replayer.answer(request)
            return self._ready(http, known, request, answer, started)
        except NotHere:
            return None
        except Exception as error:
            return Begun(started=started, error=error)

    async def answer_in_turn(
        self, http: WholeRequest, tunnel: Origin | None
    ) -> ReadyAnswer | PacedAnswer | Begun | None:
        """As `answer_at_once`, of a run that has other processes too."""
        started = asyncio.get_running_loop().time()
        try:
            with deferring():
                known = self._known(http, tunnel)
                if known is None:
                    return None
                while True:
                    with suppress(SessionsChanged):
                        request, answer = await self._replayer.hand_out(self._in_session(known))
                        return self._ready(http, known, request, answer, started)
        except NotHere:
            return None
        except Exception as error:
            return Begun(started=started, error=error)

    def _ready(
        self,
        http: WholeRequest,
        known: _Known,
        request: ReplayRequest,
        answer: ReplayAnswer | None,
        started: float,
    ) -> ReadyAnswer | PacedAnswer | Begun:
        if answer is not None and not self._replayer.is_faulty:
            ready = self._sender.ready(http, request, answer, started, known.door)
            if ready is not None:
                return ready
        return Begun(started=started, request=request, answer=answer, door=known.door)

    async def handle(self, http: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. A request without a recording is a miss; it is not sent on."""
        self.begin_answer()
        try:
            return await self._answer(http)
        except Exception as error:
            # The client gets an answer and the run fails; nothing is sent to the provider.
            log.debug("a request could not be answered", exc_info=True)
            return self._failed(http, error)
        finally:
            self.end_answer()

    async def _answer(self, http: web.BaseRequest) -> web.StreamResponse:
        started = asyncio.get_running_loop().time()
        if http.transport in self.refused:
            return self._unavailable()
        try:
            begun = self.begun.pop(http.transport, None) if http.transport else None
            if begun is None:
                answered = await self._begin(http, started)
                if isinstance(answered, web.StreamResponse):
                    return answered
                begun = answered
            if begun.error is not None:
                raise begun.error
            if begun.answer is None and begun.request is not None:
                begun = await self._seek(begun, begun.request)
        except (SequencesLost, _NotFetched) as error:
            return self._unavailable(str(error))
        except (BadTarget, UnknownSession) as error:
            return self._refused(Refusal(str(error)))
        except TooLarge as error:
            return self._too_large(http, str(error))
        except StoreError as error:
            if descriptors.is_exhaustion(error):
                return self._unavailable()
            return self._refused(Refusal(session_error_text(error)))
        request, answer = begun.request, begun.answer
        assert request is not None
        if begun.door is not None:
            http[BASE_URL] = begun.door
        if answer is None:
            status, headers, body = await self._replayer.misses.answer_in_thread(request)
            with suppress(SequencesLost):  # the next request is told
                await self._replayer.share(request.session)
            return whole_response(status, connection_headers(headers), body)
        if isinstance(answer.response, WebSocket):
            await asyncio.to_thread(_read_takes, request, answer)  # it chooses among them
        return await self._send(http, answer, request, begun.started)

    async def _begin(self, http: web.BaseRequest, started: float) -> Begun | web.StreamResponse:
        """Look a request up; or the answer to one that no recording answers."""
        _requested_fault(http)
        if self._tickets is not None:
            issued = self._tickets.take(http.headers.get("x-wiretape-ticket", ""))
            if issued is not None:
                answer, request = issued
                return Begun(started=started, request=request, answer=answer)
        tunnel = self.tunnels.get(http.transport) if http.transport is not None else None
        if tunnel is not None:
            self._replayer.report.tunnels[tunnel.host] = True
        if tunnel is None and (local_server := self._local_server(http)) is not None:
            self._replayer.report.bypassed(local_server[0], local_server[1], "unrecorded")
            return await local_servers.pass_on(http, *local_server)
        purpose = self._purpose(http, tunnel)
        if isinstance(purpose, Refusal):
            return self._refused(purpose)
        if isinstance(purpose, ForControl):
            return await self._control_reply(http)
        request, taken = await self._hand_out(http, tunnel, purpose)
        return Begun(started=started, request=request, answer=taken, door=_door(http, tunnel))

    async def _hand_out(
        self, http: web.BaseRequest, tunnel: Origin | None, destination: Destination
    ) -> tuple[ReplayRequest, ReplayAnswer | None]:
        body = b""
        if http.can_read_body:
            if not http.content.is_eof():
                acknowledge(http.transport)
            body = await self._body(http)

        def find() -> ReplayRequest:
            return self._in_session(self._prepared(http, tunnel, destination, body))

        return await self._taken(find)

    async def _seek(self, begun: Begun, request: ReplayRequest) -> Begun:
        """The same, or what answers after all where a shared index has it under another key."""
        library = request.session.library
        if library.own_prepare is None or request.canonical.never_recorded:
            return begun
        sought = [await asyncio.to_thread(library.seek, form) for form in request.canonicals]
        if not any(sought):
            return begun
        session = request.session
        find = partial(self._replayer.with_current_ids, request, session)
        request, answer = await self._taken(find)
        return replace(begun, request=request, answer=answer)

    async def _taken(
        self, find: Callable[[], ReplayRequest]
    ) -> tuple[ReplayRequest, ReplayAnswer | None]:
        while True:
            try:
                with deferring():
                    return await self._replayer.hand_out(find())
            except SessionsChanged:
                continue
            except NotHere as error:
                await _fetch(error)

    def _unavailable(self, advice: str | None = None) -> web.StreamResponse:
        advice = advice or descriptors.advice()
        self._replayer.report.not_served(advice)
        body = error_body("openai", 503, f"wiretape: {advice}", "wiretape_unavailable")
        response = whole_response(503, connection_headers((*JSON, ("retry-after", "1"))), body)
        response.force_close()
        return response

    def _failed(self, http: web.BaseRequest, error: Exception) -> web.StreamResponse:
        note = f"wiretape failed inside ({type(error).__name__}); -v shows where"
        path = self._replayer.redact(http.path.partition("?")[0])
        self._replayer.report.add(Row("failed", "wiretape", http.method, path, note=note))
        return whole_response(
            500, connection_headers(JSON), error_body("openai", 500, note, "wiretape_error")
        )

    def _too_large(self, http: web.BaseRequest, why: str) -> web.StreamResponse:
        path = self._replayer.redact(http.path.partition("?")[0])
        self._replayer.report.add(Row("missed", "wiretape", http.method, path, note=why))
        status = self._replayer.miss_status
        body = error_body("openai", status, f"wiretape: {why}", "wiretape_miss")
        return whole_response(status, connection_headers(MISS_HEADERS), body)

    async def _control_reply(self, http: web.BaseRequest) -> web.StreamResponse:
        assert self._control is not None
        reply = await self._control.handle(http.method, http.raw_path, _by_name(http))
        return whole_response(reply.status, connection_headers(reply.headers), reply.body)

    def _refused(self, refusal: Refusal) -> web.StreamResponse:
        if refusal.other_host is not None:
            self._replayer.report.bypassed(*refusal.other_host, "refused")
        return whole_response(refusal.status, connection_headers(JSON), refusal.body())

    def _purpose(
        self, http: HttpRequest, tunnel: Origin | None
    ) -> ForControl | Destination | Refusal:
        raw = http.raw_path
        if tunnel is not None and raw.startswith("/"):
            return Destination(tunnel.scheme, tunnel.host, tunnel.port, raw)
        headers = http.headers
        who = tuple(tuple(headers.getall(name, ())) for name in DECIDING)
        known = self._destinations.get((http.raw_path, who))
        if known is not None:
            return known
        local_names = self._control.local_names if self._control else _LOCAL_NAMES
        providers, has_control = self._replayer.providers, self._control is not None
        purpose = purpose_of(
            http.raw_path, _by_name(http), local_names, providers, has_control=has_control
        )
        # Hosts are added and never taken away: a destination stays one.
        if isinstance(purpose, Destination):
            if len(self._destinations) >= _MOST_MEMOS:
                self._destinations.clear()
            self._destinations[http.raw_path, who] = purpose
        return purpose

    def _local_server(self, http: HttpRequest) -> tuple[str, int, str] | None:
        """Host, port and target of a request in absolute form, if it may be passed on there."""
        if not self.passes_local:
            return None
        try:
            scheme, host, port, target = split_url(http.raw_path)
        except ValueError:
            return None
        is_ours = self._replayer.providers.find(host, port) is not None
        if is_ours or scheme != "http" or not local_servers.addresses_of(host):
            return None
        return (host, port, target) if local_servers.is_on_this_machine(http.transport) else None

    def _known(self, http: WholeRequest, tunnel: Origin | None) -> _Known | None:
        """A request for a provider as it is prepared; None if it is for somebody else."""
        if tunnel is not None:
            self._replayer.report.tunnels[tunnel.host] = True
        # A test suite sends the same requests again and again, byte for byte.
        memo_key = (tunnel, http.head, http.body)
        known = self._memo.get(memo_key)
        if known is not None:
            return known
        if FAULT_HEADER in http.headers or len(http.body) > self._max_body:
            return None
        if tunnel is None and self._local_server(http) is not None:
            return None
        purpose = self._purpose(http, tunnel)
        if not isinstance(purpose, Destination):
            return None
        known = self._prepared(http, tunnel, purpose, http.body)
        if len(http.body) <= _MOST_MEMO_BODY:
            self._memo[memo_key] = known
            self._memo_bytes += len(http.body)
            while len(self._memo) > _MOST_MEMOS or self._memo_bytes > _MOST_MEMO_BYTES:
                self._memo_bytes -= len(self._memo.pop(next(iter(self._memo))).request.live.body)
        return known

    def _prepared(
        self, http: HttpRequest, tunnel: Origin | None, destination: Destination, body: bytes
    ) -> _Known:
        name = http.headers.get(SESSION_HEADER) or (tunnel.session if tunnel else None)
        if not name and tunnel is None:
            name = of_credentials(http.headers.get("proxy-authorization"))
        session = self._replayer.sessions.get(name)
        request = self._replayer.prepare(_request_of(http, destination, body), session)
        return _Known(request, name, _door(http, tunnel))

    def _in_session(self, known: _Known) -> ReplayRequest:
        """A request as its session knows it now."""
        session = self._replayer.sessions.get(known.session_name)
        return self._replayer.with_current_ids(known.request, session)

    async def _body(self, http: web.BaseRequest) -> bytes:
        """A request's body; TooLarge, once all of it has come, if it is over `max_body`."""
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

    async def _send(
        self, http: web.BaseRequest, answer: ReplayAnswer, request: ReplayRequest, started: float
    ) -> web.StreamResponse:
        """Send a recorded answer; `started` is the loop's time when its request came."""
        if isinstance(answer.response, WebSocket):
            return await self._converse(http, answer, request)
        fault = self._replayer.fault(request, _requested_fault(http))
        return await self._sender.send(http, request, answer, started, fault)

    async def _converse(
        self, http: web.BaseRequest, answer: ReplayAnswer, request: ReplayRequest
    ) -> web.StreamResponse:
        """Replay a WebSocket."""
        replayer, sockets = self._replayer, self._replayer.sockets
        misses: list[Miss] = []

        async def explain(mismatch: Mismatch) -> None:
            misses.append(await sockets.explain(request, mismatch))

        def report(connection: ReplayedConnection) -> None:
            replayer.report.add(sockets.row(request, answer, connection, *misses))

        response = await websocket.play(
            http,
            sockets.lock_step(request, answer),
            self._pace,
            report,
            explain,
            [("x-wiretape", f"replay {quote(answer.entry.name)}")],
        )
        with suppress(SequencesLost):
            await replayer.share(request.session)
        return response


def _by_name(http: HttpRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in http.headers.items()}


def _request_of(http: HttpRequest, destination: Destination, body: bytes) -> Request:
    headers: Headers = tuple(
        (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
        for name, value in http.raw_headers
    )
    request = Request(http.method, *destination, headers=headers, body=body)
    return credentials_as_headers(request)


def _requested_fault(http: web.BaseRequest) -> Fault | None:
    """The fault that a request asks for, from loopback only; BadTarget if it is not a fault."""
    if FAULT_HEADER not in http.headers or http.transport is None:
        return None
    peer = http.transport.get_extra_info("peername")
    if not peer or not ip_address(peer[0]).is_loopback:
        return None
    try:
        return Fault.parse(http.headers[FAULT_HEADER])
    except ValueError as error:
        raise BadTarget(f"{FAULT_HEADER}: {error}") from None


def _door(http: HttpRequest, tunnel: Origin | None) -> str | None:
    """The URL of the base-URL port that a request came to: links in the answer lead back there."""
    is_base_url = tunnel is None and http.raw_path.startswith("/")
    return f"http://{http.host}" if is_base_url else None


def acknowledge(transport: asyncio.BaseTransport | None) -> None:
    """Acknowledge received data at once (Linux only).

    urllib3 sends head and body apart and leaves Nagle's algorithm on towards a proxy: its body
    waits for our acknowledgement of the head, which the kernel delays by 40 ms.
    """
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is not None and hasattr(socket, "TCP_QUICKACK"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


async def _fetch(absent: NotHere) -> None:
    """Fetch a recording without keeping others waiting; _NotFetched if it cannot be had."""
    try:
        await asyncio.to_thread(absent.fetch)
    except FormatError:
        pass  # it is here, and who looks it up again reports it
    except StoreError as error:
        raise _NotFetched(str(error)) from None


def _read_takes(request: ReplayRequest, answer: ReplayAnswer) -> None:
    for entry in answer.takes:
        with suppress(FormatError, StoreError):
            request.session.library.read(entry.name)


async def close(server: web.Server) -> None:
    """End a server's connections."""
    server.pre_shutdown()
    # aiohttp takes a timeout of 0 for no timeout.
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

    @property
    def under_way(self) -> int:
        """How many answers are under way."""
        return self._handler.under_way

    async def stop(self) -> None:
        """Stop listening and end the connections."""
        if self._listener is not None and self._server is not None:
            self._listener.close()
            await close(self._server)

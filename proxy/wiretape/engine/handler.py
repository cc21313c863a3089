"""Answer HTTP requests from recordings: one handler for every way in.

A request comes decrypted out of a CONNECT tunnel, in absolute form as a plain-HTTP proxy gets it,
or in origin form as `/HOST/path` (base-URL mode). The answer's chunks leave one HTTP chunk each, at
the recording's pace.

`protocol.py` asks for answers that are ready (`direct`, `answer`); aiohttp for the others
(`handle`), some of which were begun there.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote
from weakref import WeakKeyDictionary, WeakSet

from aiohttp import web

from wiretape import descriptors
from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.miss import Miss
from wiretape.core.model import MAX_BODY, WebSocket
from wiretape.core.playback.faults import HEADER as FAULT_HEADER
from wiretape.core.playback.faults import Fault
from wiretape.core.playback.pace import Pace
from wiretape.core.playback.websocket import Mismatch, ReplayedConnection
from wiretape.core.providers.base_url import Destination
from wiretape.core.wire.content_coding import TooLarge
from wiretape.library.on_demand import NotHere, deferring
from wiretape.sequences.shared_log import SequencesLost
from wiretape.sessions.control import Control
from wiretape.sessions.own_port import ForControl, Refusal
from wiretape.sessions.sessions import UnknownSession, session_error_text
from wiretape.sessions.shared import SessionsChanged

from . import local_servers, websocket
from .aiohttp_server import aiohttp_server
from .answer import ReplayAnswer
from .direct_answers import DirectAnswers
from .error_answers import ErrorAnswers
from .fetched import fetch, is_under_other_key
from .framing import connection_headers
from .http_request import Origin, WholeRequest, acknowledge
from .known_requests import KnownRequests, PreparedRequest, by_name, door_of
from .paced_stream import PacedAnswer
from .replayer import Replayer
from .request import ReplayRequest
from .sender import BASE_URL, AnswerSender, ReadyAnswer
from .tickets import Tickets
from .under_way import whole_response

log = logging.getLogger(__name__)


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
        self._errors = ErrorAnswers(replayer)
        self._sender = AnswerSender(pace, replayer.report, replayer.providers)
        self._tickets = tickets
        self.requests: Final = KnownRequests(replayer, control, max_body)
        is_plain = pace.is_instant and tickets is None and replayer.may_be_direct
        self._direct = DirectAnswers(replayer, self.requests) if is_plain else None
        self._under_way = 0
        self._idle: asyncio.Event | None = None
        self.tunnels: Final[WeakKeyDictionary[asyncio.BaseTransport, Origin]] = WeakKeyDictionary()
        self.begun: Final[WeakKeyDictionary[asyncio.BaseTransport, Begun]] = WeakKeyDictionary()
        """What became of the next request on a connection that aiohttp takes over."""
        self.refused: Final[WeakSet[asyncio.BaseTransport]] = WeakSet()
        """Connections accepted when no descriptors were left to serve them."""

    def server(self) -> web.Server:
        """An aiohttp server; call it for one protocol a connection."""
        return aiohttp_server(self.handle, self._errors.unreadable, self._max_body)

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

    def direct(self, http: WholeRequest, tunnel: Origin | None) -> ReadyAnswer | Begun | None:
        """The answer to a request that the index has ready; None if `answer` is to give one. Begun
        holds an error.
        """
        if self._direct is None:
            return None
        started = asyncio.get_running_loop().time()
        try:
            return self._direct.answer(http, tunnel, started)
        except Exception as error:
            return Begun(started=started, error=error)

    async def answer(
        self, http: WholeRequest, tunnel: Origin | None
    ) -> ReadyAnswer | PacedAnswer | Begun | None:
        """The answer to a request, if it is ready; else what aiohttp goes on with, None where it is
        to begin anew. Nothing is waited for but other processes of the run.
        """
        started = asyncio.get_running_loop().time()
        try:
            with deferring():
                known = self.requests.known(http, tunnel)
                if known is None:
                    return None
                while True:
                    with suppress(SessionsChanged):
                        request, answer = await self._replayer.hand_out(
                            self.requests.in_session(known)
                        )
                        break
            return self._ready(http, known, request, answer, started)
        except NotHere:
            return None
        except Exception as error:
            return Begun(started=started, error=error)

    def _ready(
        self,
        http: WholeRequest,
        known: PreparedRequest,
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
            return self._errors.failed(http, error)
        finally:
            self.end_answer()

    async def _answer(self, http: web.BaseRequest) -> web.StreamResponse:
        started = asyncio.get_running_loop().time()
        if http.transport in self.refused:
            return self._errors.unavailable()
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
            return self._errors.unavailable(str(error))
        except (BadTarget, UnknownSession) as error:
            return self._errors.refused(Refusal(str(error)))
        except TooLarge as error:
            return self._errors.too_large(http, str(error))
        except StoreError as error:
            if descriptors.is_exhaustion(error):
                return self._errors.unavailable()
            return self._errors.refused(Refusal(session_error_text(error)))
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
        if tunnel is None and (local_server := self.requests.local_server(http)) is not None:
            self._replayer.report.bypassed(local_server[0], local_server[1], "unrecorded")
            return await local_servers.pass_on(http, *local_server)
        purpose = self.requests.purpose(http, tunnel)
        if isinstance(purpose, Refusal):
            return self._errors.refused(purpose)
        if isinstance(purpose, ForControl):
            return await self._control_reply(http)
        request, taken = await self._hand_out(http, tunnel, purpose)
        return Begun(started=started, request=request, answer=taken, door=door_of(http, tunnel))

    async def _hand_out(
        self, http: web.BaseRequest, tunnel: Origin | None, destination: Destination
    ) -> tuple[ReplayRequest, ReplayAnswer | None]:
        body = b""
        if http.can_read_body:
            if not http.content.is_eof():
                acknowledge(http.transport)
            body = await self._body(http)

        def find() -> ReplayRequest:
            return self.requests.in_session(self.requests.prepared(http, tunnel, destination, body))

        return await self._taken(find)

    async def _seek(self, begun: Begun, request: ReplayRequest) -> Begun:
        """The same, or what answers after all where a shared index has it under another key."""
        if not await is_under_other_key(request):
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
                try:
                    await fetch(error)
                except StoreError as fault:
                    raise _NotFetched(str(fault)) from None

    async def _control_reply(self, http: web.BaseRequest) -> web.StreamResponse:
        assert self._control is not None
        reply = await self._control.handle(http.method, http.raw_path, by_name(http))
        return whole_response(reply.status, connection_headers(reply.headers), reply.body)

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


def _read_takes(request: ReplayRequest, answer: ReplayAnswer) -> None:
    for entry in answer.takes:
        with suppress(FormatError, StoreError):
            request.session.library.read(entry.name)

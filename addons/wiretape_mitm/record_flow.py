"""Hooks of a recorded flow: each read is teed to a recorder, and the exchange put once it is over.

A request goes out while it comes, unless it has to be looked up first: a client may wait for an
answer before it sends the rest.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from mitmproxy import connection, http

from wiretape.core.capture.recorder import Recorder
from wiretape.core.capture.websocket import WebSocketRecorder
from wiretape.core.errors import StoreError
from wiretape.core.model import MAX_BODY, Outcome, Request
from wiretape.core.playback.faults import HEADER as FAULT_HEADER
from wiretape.core.playback.policy import OnMiss
from wiretape.core.providers.registry import Providers
from wiretape.core.redaction.subprotocols import credentials_as_headers
from wiretape.core.text.wire_quotes import without_quotes
from wiretape.core.wire.websocket import is_opening
from wiretape.intake.exchange_writer import forget
from wiretape.intake.intake import Intake
from wiretape.report.report import Report
from wiretape.sessions.own_port import JSON, Refusal
from wiretape.sessions.sessions import Session, UnknownSession, session_error_text

from . import websocket
from .flow_sessions import FlowSessions
from .messages import answer_of, fields_of, headers_of, request_of
from .patches import transport
from .patches.error_answers import answer_error
from .replay_flow import ANSWERED, PASS
from .routes import Routes
from .spending import SpendingGate
from .upload import IN_MEMORY, Upload

_EXCHANGE: Final = "wiretape.exchange"
_PIECE: Final = 1 << 20
_EARLY: Final = "the answer came before its upload had ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRules:
    """How flows are recorded: bodies of at most `max_body` bytes; to their end though the client
    leaves, where `drain` says so; after a look-up whose miss does `on_miss`, or without one (None).
    """

    providers: Providers
    routes: Routes
    on_miss: OnMiss | None = None
    max_body: int = MAX_BODY
    drain: bool = False
    spending: SpendingGate | None = None


@dataclass(slots=True, eq=False, kw_only=True)
class _Exchange:
    """One that is under way; `ended_at` is there where the answer is whole and the request not."""

    recorder: Recorder
    session: Session
    client: str
    flow: str
    started: float
    ended_at: float | None = None


class RecordFlow:
    """Records what providers answer; what is under way when the proxy stops is kept as a cut."""

    def __init__(
        self, intake: Intake, sessions: FlowSessions, report: Report, rules: RecordRules
    ) -> None:
        self._intake = intake
        self._sessions = sessions
        self._report = report
        self._rules = rules
        self._under_way: set[_Exchange] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    # -------------------------------------------------------------- requests

    def requestheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Let an upload go out as it comes: at once, or once it is in no recording for its size."""
        on_miss = self._rules.on_miss
        if flow.response is not None or not self._is_provider_s(flow):
            return None
        if self._rules.spending is not None:
            # What a request may cost is known once it is whole.
            return None
        if on_miss is None:
            if self._open(flow) is None and flow.response is not None:
                return None
            upload = flow.metadata[transport.UPLOAD] = Upload(self._begin)
            # Of a request without a body mitmproxy takes no notice of it.
            flow.request.stream = upload.tee
            return None if self._intake.has_room else self._intake.wait_for_room()
        if on_miss.action == "record" or on_miss.passes(
            flow.request.data.host, flow.request.data.port
        ):
            flow.metadata[transport.UPLOAD] = Upload(self._begin, self._rules.max_body)
        return None

    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        upload: Upload | None = flow.metadata.get(transport.UPLOAD)
        if upload is not None and upload.has_begun:
            # It went out where its beginning sent it: a route may have changed its host.
            self._take_upload(flow, upload)
        elif flow.response is None and self._is_provider_s(flow):
            flow.request.stream = False
            if self._open(flow) is not None or flow.response is None:
                return self._begin_whole(flow)
        return None

    async def _begin_whole(self, flow: http.HTTPFlow) -> None:
        await self._intake.wait_for_room()
        if await self._may_spend(flow):
            self._begin(flow)

    async def _may_spend(self, flow: http.HTTPFlow) -> bool:
        """Whether a request may go out under the run's budget; if not, its client has an answer."""
        spending = self._rules.spending
        if spending is None:
            return True
        request = credentials_as_headers(request_of(flow))
        reason = await spending.admit(flow, request)
        if reason is None:
            return True
        with suppress(UnknownSession, StoreError):
            self._intake.report_unrecorded(request, "missed", reason, self._sessions.of(flow))
        return False

    def _is_provider_s(self, flow: http.HTTPFlow) -> bool:
        data = flow.request.data
        is_answered = ANSWERED in flow.metadata
        return not is_answered and self._rules.providers.find(data.host, data.port) is not None

    def _open(self, flow: http.HTTPFlow) -> Session | None:
        """The session of a flow; None, with an answer, where its client has to be refused.

        What cannot be recorded for want of a folder is not the client's fault: None, without one.
        """
        try:
            return self._sessions.of(flow)
        except UnknownSession as error:
            flow.response = answer_of(Refusal(session_error_text(error)))
        except StoreError as error:
            if self._rules.on_miss is not None:
                flow.response = answer_of(Refusal(session_error_text(error)))
        return None

    def _begin(self, flow: http.HTTPFlow) -> None:
        """A request goes out: whole, or as its upload comes."""
        # Keys among WebSocket's subprotocols become headers, which are known to be secret.
        request = credentials_as_headers(request_of(flow))
        try:
            session = self._sessions.of(flow)
        except (UnknownSession, StoreError) as error:
            self._rules.routes.apply(flow, request)
            self._intake.report_unrecorded(
                request, "refused", f"not recorded: {session_error_text(error)}"
            )
            self._settle(flow.id)
            return
        on_miss = self._rules.on_miss
        upload: Upload | None = flow.metadata.get(transport.UPLOAD)
        is_passed = upload is not None and upload.has_begun and on_miss is not None
        if flow.metadata.get(PASS) or (is_passed and on_miss and on_miss.action != "record"):
            self._rules.routes.apply(flow, request)
            self._intake.report_unrecorded(
                request, "passed", "on_miss: passthrough; not recorded", session
            )
            self._settle(flow.id)
        else:
            self._record(flow, request, session)

    def _record(self, flow: http.HTTPFlow, request: Request, session: Session) -> None:
        kind = WebSocketRecorder if is_opening(request) else Recorder
        recorder = kind(request, self._rules.max_body)
        # An answer that is live has no fault on demand.
        flow.request.headers.pop(FAULT_HEADER, None)
        if self._rules.drain and not is_opening(request):
            flow.metadata[transport.DRAIN] = lambda: recorder.unrecorded is None
        self._rules.routes.apply(flow, request)
        started = perf_counter()
        exchange = _Exchange(
            recorder=recorder,
            session=session,
            client=flow.client_conn.id,
            flow=flow.id,
            started=started,
        )
        flow.metadata[_EXCHANGE] = exchange
        self._under_way.add(exchange)
        self._idle.clear()
        self._intake.begin(recorder, session)
        self._watch(exchange)

    def _watch(self, exchange: _Exchange) -> None:
        """Show what is under way; again once its body is here, which names a model."""
        recorder = exchange.recorder
        if self._report.watched and recorder.size <= IN_MEMORY:
            row = self._intake.row(recorder.whole_request, "passed")
            self._report.begin(recorder, row, exchange.started, recorder.reads.__len__)

    def _take_upload(self, flow: http.HTTPFlow, upload: Upload) -> None:
        """An upload has gone out: what of it can be recorded goes to the recorder."""
        exchange: _Exchange | None = flow.metadata.get(_EXCHANGE)
        if exchange is None:
            upload.close()
            return
        recorder = exchange.recorder
        try:
            with upload.open() as file:
                while recorder.unrecorded is None and (data := file.read(_PIECE)):
                    recorder.sent(data)
        except OSError as error:
            recorder.unrecorded = f"its upload could not be kept: {error.strerror}"
        if exchange.ended_at is not None:
            self._put(flow, exchange, "ended", exchange.ended_at)
        else:
            self._watch(exchange)

    # -------------------------------------------------------------- answers

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange: _Exchange | None = flow.metadata.get(_EXCHANGE)
        if exchange is None or flow.response is None:
            return
        recorder, started = exchange.recorder, exchange.started
        recorder.start(
            flow.response.status_code, headers_of(flow.response), perf_counter() - started
        )
        read = recorder.read

        def tee(data: bytes) -> bytes:
            if data:
                read(data, perf_counter() - started)
            return data

        flow.response.stream = tee

    def response(self, flow: http.HTTPFlow) -> None:
        exchange: _Exchange | None = flow.metadata.get(_EXCHANGE)
        if exchange is None or websocket.is_open(exchange.recorder):
            return
        assert flow.response is not None
        exchange.recorder.trailers = fields_of(flow.response.trailers)
        if _is_coming(flow):
            # The rest of the request belongs to the recording.
            exchange.ended_at = perf_counter()
        else:
            self._put(flow, exchange, "ended")

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        exchange: _Exchange | None = flow.metadata.get(_EXCHANGE)
        recorder = exchange.recorder if exchange else None
        at = perf_counter() - exchange.started if exchange else 0.0
        websocket.take_message(flow, recorder, at)

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        exchange: _Exchange | None = flow.metadata.get(_EXCHANGE)
        if exchange is not None:
            self._put(flow, exchange, websocket.outcome_of(flow, exchange.recorder))

    def error(self, flow: http.HTTPFlow) -> None:
        exchange: _Exchange | None = flow.metadata.get(_EXCHANGE)
        if exchange is None or flow.error is None:
            return
        end = transport.ended(flow)
        # None: no connection broke, as where a provider was not reached.
        has_left = end == "client-closed" or (end is None and not flow.client_conn.connected)
        if exchange.recorder.status:
            self._put(flow, exchange, end or ("client-closed" if has_left else "cut"))
        elif has_left or transport.left_at(flow) is not None:
            note = "the client left before an answer came"
            self._intake.report_unrecorded(
                exchange.recorder.whole_request, "passed", note, exchange.session
            )
            forget(exchange.recorder)
            self._leave(flow, exchange)
        else:
            self._fail(flow, exchange, flow.error.msg, is_reset=end == "reset")

    def _fail(
        self, flow: http.HTTPFlow, exchange: _Exchange, message: str, *, is_reset: bool
    ) -> None:
        """The provider gave no answer: what the client gets instead is what it would get again."""
        recorder = exchange.recorder
        reason = without_quotes(message)
        self._intake.report_unrecorded(recorder.whole_request, "failed", reason, exchange.session)
        if _is_coming(flow):
            # Of a part of a request nothing would be found again.
            answer_error(message, reason, recorder.request, self._rules.providers)
            forget(recorder)
            self._leave(flow, exchange)
            return
        at = perf_counter() - exchange.started
        if is_reset:
            # A client of a provider that reset its connection was reset too, and got nothing.
            recorder.start(502, (), at)
        else:
            body = answer_error(message, reason, recorder.request, self._rules.providers)
            recorder.start(502, (*JSON, ("x-wiretape", "upstream-error")), at)
            recorder.read(body, at)
        self._put(flow, exchange, "reset" if is_reset else "failed")

    # -------------------------------------------------------------- ends

    def client_disconnected(self, client: connection.Client) -> None:
        """Give up answers whose requests will not be whole any more; mitmproxy calls no hook."""
        given_up = [item for item in self._under_way if item.client == client.id]
        for exchange in given_up:
            if exchange.ended_at is not None:
                self._give_up(exchange)

    def _put(
        self, flow: http.HTTPFlow, exchange: _Exchange, outcome: Outcome, now: float | None = None
    ) -> None:
        if exchange not in self._under_way:
            return  # mitmproxy may call both `error` and `response`
        recorder = exchange.recorder
        if _is_coming(flow):
            recorder.unrecorded = _EARLY
        client_closed_at = transport.left_at(flow)
        if client_closed_at is not None:
            recorder.client_closed_at = client_closed_at - exchange.started
        at = (now or perf_counter()) - exchange.started
        self._settle(exchange.flow, recorder, outcome)
        self._intake.put(recorder, outcome, at, exchange.session)
        self._leave(flow, exchange)

    def _give_up(self, exchange: _Exchange) -> None:
        """The proxy stops, or the client has gone: what has come is kept, marked as cut."""
        recorder = exchange.recorder
        if exchange.ended_at is not None:
            recorder.unrecorded = _EARLY
        if recorder.status:
            at = perf_counter() - exchange.started
            self._intake.put(recorder, "cut", at, exchange.session)
        self._leave(None, exchange)

    def _leave(self, flow: http.HTTPFlow | None, exchange: _Exchange) -> None:
        self._under_way.discard(exchange)
        self._report.end(exchange.recorder)
        self._settle(exchange.flow)
        if not self._under_way:
            self._idle.set()
        if flow is None:
            return
        # Flows sit in reference cycles until the collector comes; their bodies need not.
        if flow.response is not None:
            flow.response.stream = False
        flow.metadata.pop(_EXCHANGE, None)
        flow.metadata.pop(transport.DRAIN, None)
        upload: Upload | None = flow.metadata.pop(transport.UPLOAD, None)
        if upload is not None:
            upload.close()

    def _settle(
        self, flow: str, recorder: Recorder | None = None, outcome: Outcome = "ended"
    ) -> None:
        if self._rules.spending is not None:
            self._rules.spending.settle(flow, recorder, outcome)

    @property
    def under_way(self) -> int:
        """How many exchanges are under way."""
        return len(self._under_way)

    async def idle(self) -> None:
        """Wait until no exchange is under way."""
        await self._idle.wait()

    def abandon(self) -> None:
        """The proxy stops: what is still under way is kept as far as it came."""
        for exchange in list(self._under_way):
            self._give_up(exchange)


def _is_coming(flow: http.HTTPFlow) -> bool:
    """Whether a request that went out as it came is not whole yet."""
    upload: Upload | None = flow.metadata.get(transport.UPLOAD)
    return upload is not None and upload.has_begun and flow.request.timestamp_end is None

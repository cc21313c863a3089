"""Look up a replayed flow, and answer it by a miss or through the replay engine."""

from typing import Final

from mitmproxy import connection, http

from wiretape.core.errors import StoreError
from wiretape.core.model import Request
from wiretape.core.playback.faults import HEADER as FAULT_HEADER
from wiretape.core.redaction.subprotocols import credentials_as_headers
from wiretape.engine.fetched import is_under_other_key, when_here
from wiretape.engine.replayer import Replayer
from wiretape.engine.request import ReplayRequest
from wiretape.engine.tickets import Tickets
from wiretape.engine.verdict import Verdict
from wiretape.intake.intake import Intake
from wiretape.sessions.own_port import Refusal
from wiretape.sessions.sessions import Session, UnknownSession, session_error_text

from .connections import Exits
from .flow_sessions import FlowSessions
from .messages import answer_of, rejoined, request_of, response_of

PASS: Final = "wiretape.pass"
"""A key of `flow.metadata`: the request goes to the provider and is not recorded."""
ANSWERED: Final = "wiretape.answered"
"""A key of `flow.metadata`: the replay engine answers."""
_SIZES: Final = "wiretape.sizes"


class ReplayFlow:
    """Answers from disk; with an `intake` a miss may go on to the provider.

    mitmproxy sends an addon's answer as one block, so the engine, a port on loopback, has to give
    those that come in chunks or at a pace.
    """

    def __init__(
        self,
        replayer: Replayer,
        tickets: Tickets,
        sessions: FlowSessions,
        exits: Exits,
        intake: Intake | None = None,
    ) -> None:
        self._replayer = replayer
        self._tickets = tickets
        self._sessions = sessions
        self._exits = exits
        self._intake = intake

    async def request(self, flow: http.HTTPFlow) -> None:
        data = flow.request.data
        is_ours = self._replayer.providers.find(data.host, data.port) is not None
        if flow.response is not None or flow.request.stream or not is_ours:
            return
        try:
            session = self._sessions.of(flow)
        except (UnknownSession, StoreError) as error:
            flow.response = answer_of(Refusal(session_error_text(error)))
            return
        live = credentials_as_headers(request_of(flow))
        try:
            request = await self._look_up(live, session)
            verdict = await self._decide(request)
            if verdict == "pass":
                flow.metadata[PASS] = True
            if verdict not in ("pass", "record"):
                await self._answer(flow, request)
        except StoreError as error:  # a recording is there, and cannot be fetched
            self._replayer.report.not_served(str(error))
            flow.response = answer_of(Refusal(str(error), 503, "wiretape_unavailable"))

    async def _decide(self, request: ReplayRequest) -> Verdict:
        if self._intake is None:
            return "replay"
        verdict = await when_here(lambda: self._replayer.decide(request))
        if verdict != "replay" and await is_under_other_key(request):
            verdict = await when_here(lambda: self._replayer.decide(request))
        return verdict

    async def _look_up(self, live: Request, session: Session) -> ReplayRequest:
        request = self._replayer.with_current_ids(self._replayer.prepare(live, session))
        if self._intake is not None and request.request_ids and self._intake.is_busy:
            # What is sent back may have come with an answer that is being written just now.
            await self._intake.drain()
            request = self._replayer.with_current_ids(request)
        return request

    async def _answer(self, flow: http.HTTPFlow, request: ReplayRequest) -> None:
        replayer = self._replayer
        answer = await when_here(lambda: replayer.answer(request))
        if answer is None:
            flow.response = response_of(*await replayer.misses.answer_in_thread(request))
            return
        has_fault = replayer.is_faulty or FAULT_HEADER in flow.request.headers
        response = answer.response
        if response.streaming and response.coding is None and not has_fault:
            flow.metadata[_SIZES] = [len(chunk.data) for chunk in response.chunks if chunk.data]
        self._to_engine(flow, request.live, self._tickets.issue(answer, request))

    def _to_engine(self, flow: http.HTTPFlow, live: Request, ticket: str) -> None:
        engine = self._exits.engine or 0
        flow.metadata[ANSWERED] = True
        data, headers = flow.request.data, flow.request.headers
        data.scheme, data.host, data.port = b"http", "127.0.0.1", engine
        data.path = f"/{live.authority}{live.target}".encode("utf-8", "surrogateescape")
        data.content = b""
        flow.server_conn = connection.Server(address=("127.0.0.1", engine))
        for name in ("content-length", "transfer-encoding", "expect"):
            headers.pop(name, None)
        headers["x-wiretape-ticket"] = ticket

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        sizes = flow.metadata.pop(_SIZES, None)
        if sizes is not None and flow.response is not None:
            flow.response.stream = rejoined(sizes)

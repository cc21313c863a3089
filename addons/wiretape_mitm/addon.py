"""mitmproxy's hooks in, core calls out: the addon that records and, in `auto`, replays.

Together with `embedded.py` the only module that imports mitmproxy. A provider's exchanges are teed
read by read; everything else goes through as it came. A hook that fails lets mitmproxy send the
request out, so where nothing may go out `server_connect` says so again.
"""

import asyncio
import logging
from collections.abc import Mapping
from time import perf_counter
from typing import Final

from mitmproxy import connection, http, tls
from mitmproxy.proxy import server_hooks

from wiretape.core.capture.recorder import Recorder
from wiretape.core.capture.websocket import WebSocketRecorder
from wiretape.core.errors import StoreError
from wiretape.core.model import MAX_BODY, Outcome, Request, split_url
from wiretape.core.playback.faults import HEADER as FAULT_HEADER
from wiretape.core.providers.base_url import destination_of
from wiretape.core.providers.registry import Providers, error_body
from wiretape.core.redaction.subprotocols import credentials_as_headers
from wiretape.core.text.exact_json import dumps
from wiretape.core.wire.websocket import is_opening
from wiretape.record.intake import Intake
from wiretape.replay.replayer import (
    Replayer,
    Tickets,
)
from wiretape.report.report import Report
from wiretape.sessions.control import Control, LocalNames, is_control, why_foreign
from wiretape.sessions.sessions import HEADER as SESSION_HEADER
from wiretape.sessions.sessions import Session, Sessions, UnknownSession, of_credentials, opened_by

from . import patch_transport, websocket
from .messages import fields_of, headers_of, is_near, refused, rejoined, request_of, response_of
from .upload import Upload
from .upstream_errors import answer_error

log = logging.getLogger(__name__)

BASE_URL_HOST: Final = "wiretape.invalid"
"""Where the base-URL port of `embedded.py` claims to lead: the path tells the real place."""

_RECORDER: Final = "wiretape.recorder"
_STARTED: Final = "wiretape.started"
_SESSION: Final = "wiretape.session"
_SIZES: Final = "wiretape.sizes"
_PIECE: Final = 1 << 20
_CONTENT: Final = (("content-type", "application/json"),)


class Addon:
    """Records with an `intake`, replays with a `replayer`, does both with both.

    `routes` sends what is meant for a host to another URL; `engine` is the port on loopback where
    the replay engine takes what must keep its chunks and its pace. Without an intake nothing goes
    out.
    """

    def __init__(
        self,
        providers: Providers,
        report: Report,
        sessions: Sessions,
        intake: Intake | None = None,
        replayer: Replayer | None = None,
        tickets: Tickets | None = None,
        routes: Mapping[str, str] | None = None,
        *,
        tunnel_others: bool = True,
        control: Control | None = None,
        max_body: int = MAX_BODY,
        drain: bool = False,
    ) -> None:
        self._max_body = max_body
        self._drain = drain
        self.sessions: Final = sessions
        self.control: Final = control
        self._named: dict[str, str | None] = {}
        self.providers: Final = providers
        self.report: Final = report
        self.intake: Final = intake
        self.replayer: Final = replayer
        self.tickets: Final = tickets
        self.engine: int | None = None
        self._routes = {host: split_url(url) for host, url in (routes or {}).items()}
        self._tunnel_others = tunnel_others
        self._under_way: dict[Recorder, tuple[float, Session]] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    # -------------------------------------------------------------- connections

    def client_connected(self, client: connection.Client) -> None:
        self.report.connections += 1

    def client_disconnected(self, client: connection.Client) -> None:
        self._named.pop(client.id, None)

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """A tunnel is asked for; to a host of no provider only where that is wanted."""
        host, port = flow.request.host, flow.request.port
        try:
            name = of_credentials(flow.request.headers.get("proxy-authorization"))
            self.sessions.get(name)
        except StoreError:
            pass  # told of each request, which may go on without a recording
        except UnknownSession as error:
            flow.response = refused(f"wiretape: {opened_by(error)}\n")
            return
        self._named[flow.client_conn.id] = name
        if self.providers.find(host, port) is not None:
            return
        self.report.bypassed(host, port, "unrecorded" if self._tunnel_others else "refused")
        if not self._tunnel_others:
            reason = (
                f"{host}:{port} is not a provider's host and replay goes nowhere else:"
                " add it under `providers`, or set `other_hosts: tunnel` in config.yaml"
            )
            self.report.notice(f"refused {reason}")
            flow.response = refused(f"wiretape: {reason}\n")
            return
        flow.metadata[patch_transport.RAW] = True

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Hosts of no provider are tunnelled: their TLS is between them and the client."""
        address = data.context.server.address
        if address is not None and self.providers.find(address[0], address[1]) is None:
            data.ignore_connection = True

    def tls_failed_client(self, data: tls.TlsData) -> None:
        error = (data.conn.error or "").lower()
        if "trust" in error or "unknown ca" in error:
            host = data.context.server.address[0] if data.context.server.address else "a provider"
            self.report.notice(
                f"a client does not trust wiretape's certificate for {host}: start it with"
                " `wiretape record -- CMD`, or set what `wiretape env` prints"
            )

    def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        """The last gate: without an intake nothing but the replay engine is ever connected to, and
        a base URL's request that a failed hook left where it came in is never resolved.
        """
        if data.server.address and data.server.address[0] == BASE_URL_HOST:
            data.server.error = "wiretape failed inside, so nothing was sent"
            return
        if self.intake is not None:
            return
        address = data.server.address
        if address == ("127.0.0.1", self.engine):
            return
        if self._tunnel_others and address and self.providers.find(address[0], address[1]) is None:
            return
        data.server.error = "wiretape replays: no provider is ever connected to"

    # -------------------------------------------------------------- requests

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        if flow.request.data.host == BASE_URL_HOST:
            await self._local(flow)
        if flow.response is not None:
            return
        if self._provider(flow) is None:
            goes_on = self._tunnel_others or self.intake is not None
            data = flow.request.data
            self.report.bypassed(data.host, data.port, "unrecorded" if goes_on else "refused")
            flow.request.stream = True
        elif self.replayer is None:
            flow.metadata[patch_transport.UPLOAD] = Upload(self._begin)
        elif self._goes_out_unknown(flow, self.replayer):
            # What is larger is in no recording, and need not be whole to be looked up.
            flow.metadata[patch_transport.UPLOAD] = Upload(self._begin, self._max_body)

    def _goes_out_unknown(self, flow: http.HTTPFlow, replayer: Replayer) -> bool:
        """Whether a miss of this host goes to the provider."""
        on_miss, data = replayer.policy.on_miss, flow.request.data
        return on_miss.action == "record" or on_miss.passes(data.host, data.port)

    def _begin(self, flow: http.HTTPFlow) -> None:
        """An upload is too large to wait for its end: it goes out while it comes."""
        try:
            session = self._session(flow)
        except (UnknownSession, StoreError) as error:
            self.report.notice(f"an upload passed unrecorded: {opened_by(error)}")
            self._route(flow, request_of(flow))
            return
        request = request_of(flow)
        if self.replayer is not None and self.replayer.policy.on_miss.action != "record":
            self._pass(flow, request, session)
        else:
            self._record(flow, request, session)

    async def _local(self, flow: http.HTTPFlow) -> None:
        """What is asked of this machine itself: the control endpoint, or a base URL."""
        headers = {name.lower(): value for name, value in flow.request.headers.items()}
        foreign = why_foreign(headers, self.control.local_names if self.control else LocalNames())
        if foreign:
            body = error_body("openai", 403, f"wiretape: {foreign}", "wiretape_refused")
            flow.response = response_of(403, _CONTENT, body)
        elif self.control is not None and is_control(flow.request.path):
            reply = await self.control.handle(flow.request.method, flow.request.path, headers)
            flow.response = response_of(reply.status, _CONTENT, dumps(reply.document).encode())
        else:
            self._base_url(flow)

    def _base_url(self, flow: http.HTTPFlow) -> None:
        """`/api.together.xyz/v1/…` on the base-URL port is `/v1/…` at api.together.xyz."""
        try:
            scheme, host, port, target = destination_of(flow.request.path)
            if self.providers.find(host, port) is None:
                raise ValueError(
                    f"{host} is not a configured provider host: add it under `providers` in"
                    " config.yaml"
                )
        except ValueError as error:
            body = error_body("openai", 403, f"wiretape: {error}", "wiretape_refused")
            flow.response = response_of(403, _CONTENT, body)
            return
        request = Request("GET", scheme, host, port, target)
        data = flow.request.data
        data.scheme, data.host, data.port = scheme.encode(), host, port
        data.path = target.encode("utf-8", "surrogateescape")
        flow.request.headers["host"] = request.authority

    def _provider(self, flow: http.HTTPFlow) -> str | None:
        provider = self.providers.find(flow.request.data.host, flow.request.data.port)
        return provider.name if provider else None

    async def request(self, flow: http.HTTPFlow) -> None:
        upload: Upload | None = flow.metadata.get(patch_transport.UPLOAD)
        if upload is not None and upload.spilled:
            # It went out where its beginning sent it: a route may have changed its host.
            self._uploaded(flow, upload)
            return
        if flow.response is not None or self._provider(flow) is None:
            return
        try:
            await self._request(flow)
        except (UnknownSession, StoreError) as error:
            body = error_body("openai", 403, f"wiretape: {opened_by(error)}", "wiretape_refused")
            flow.response = response_of(403, _CONTENT, body)
        except Exception:
            # mitmproxy would log this and send the request out.
            log.exception("a request could not be handled")
            if self.intake is None:
                body = error_body("openai", 500, "wiretape failed inside", "wiretape_error")
                flow.response = response_of(500, _CONTENT, body)

    def _session(self, flow: http.HTTPFlow) -> Session:
        """The session a request names; what names it goes no further."""
        headers = flow.request.headers
        name = headers.pop(SESSION_HEADER, None)
        if flow.request.headers.get(FAULT_HEADER) is not None and not is_near(flow):
            headers.pop(FAULT_HEADER)
        credentials = headers.pop("proxy-authorization", None)
        if not name:
            name = self._named.get(flow.client_conn.id) or of_credentials(credentials)
        return self.sessions.get(name)

    def _uploaded(self, flow: http.HTTPFlow, upload: Upload) -> None:
        """A large upload has gone out: what of it can be recorded goes to the recorder."""
        recorder: Recorder | None = flow.metadata.get(_RECORDER)
        if recorder is None:
            return
        try:
            with upload.open() as file:
                while recorder.unrecorded is None and (data := file.read(_PIECE)):
                    recorder.sent(data)
        except OSError as error:
            recorder.unrecorded = f"its upload could not be kept: {error.strerror}"

    async def _request(self, flow: http.HTTPFlow) -> None:
        try:
            session = self._session(flow)
        except StoreError as error:
            if self.intake is None or self.replayer is not None:
                raise
            # What cannot be recorded is not the client's fault.
            request = credentials_as_headers(request_of(flow))
            self._route(flow, request)
            self.intake.tell(request, "refused", f"not recorded: {opened_by(error)}")
            return
        # Keys among WebSocket's subprotocols become headers, which are known to be secret.
        request = credentials_as_headers(request_of(flow))
        if self.replayer is not None and await self._replay(flow, request, session, self.replayer):
            return
        if self.intake is not None:
            await self.intake.room()
        self._record(flow, request, session)

    def _record(self, flow: http.HTTPFlow, request: Request, session: Session) -> None:
        """Record what the provider answers."""
        kind = WebSocketRecorder if is_opening(request) else Recorder
        recorder = kind(request, self._max_body)
        # An answer that is live has no fault on demand.
        flow.request.headers.pop(FAULT_HEADER, None)
        flow.metadata[_RECORDER] = recorder
        if self._drain and isinstance(recorder, Recorder) and not is_opening(request):
            flow.metadata[patch_transport.DRAIN] = lambda: recorder.unrecorded is None
        flow.metadata[_SESSION] = session
        self._route(flow, request)
        started = flow.metadata[_STARTED] = perf_counter()
        self._under_way[recorder] = (started, session)
        self._idle.clear()
        if self.intake is not None:
            self.intake.begin(recorder, session)
        if self.report.watched and self.intake is not None:
            row = self.intake.row(request, "passed")
            self.report.begin(recorder, row, started, recorder.reads.__len__)

    async def _replay(
        self, flow: http.HTTPFlow, request: Request, session: Session, replayer: Replayer
    ) -> bool:
        """Answer from disk; False where the request is to go on to the provider."""
        asked = replayer.now(replayer.ask(request, session))
        if self.intake is not None:
            if asked.sent and self.intake.is_busy:
                # What is sent back may have come with an answer that is being written just now.
                await self.intake.drain()
                asked = replayer.now(asked)
            verdict = replayer.decide(asked)
            if verdict == "record":
                return False
            if verdict == "pass":
                self._pass(flow, request, session)
                return True
        played = replayer.play(asked)
        if played is not None:
            assert self.tickets is not None
            self._to_engine(flow, request, self.tickets.issue(played, asked))
            as_recorded = played.response.coding is None and not replayer.is_faulty
            if (
                played.response.streaming
                and as_recorded
                and FAULT_HEADER not in flow.request.headers
            ):
                flow.metadata[_SIZES] = [len(c.data) for c in played.response.chunks if c.data]
            return True
        flow.response = response_of(*replayer.miss(asked))
        return True

    def _pass(self, flow: http.HTTPFlow, request: Request, session: Session) -> None:
        """Send a request on that is not to be recorded."""
        assert self.intake is not None
        self._route(flow, request)
        self.intake.tell(request, "passed", "on_miss: passthrough; not recorded", session)

    def _to_engine(self, flow: http.HTTPFlow, request: Request, ticket: str) -> None:
        """mitmproxy sends an addon's answer as one block; the engine keeps chunks and pace."""
        data = flow.request.data
        data.scheme, data.host, data.port = b"http", "127.0.0.1", self.engine or 0
        data.path = f"/{request.authority}{request.target}".encode("utf-8", "surrogateescape")
        data.content = b""
        flow.server_conn = connection.Server(address=("127.0.0.1", self.engine or 0))
        headers = flow.request.headers
        for name in ("content-length", "transfer-encoding", "expect"):
            headers.pop(name, None)
        headers["x-wiretape-ticket"] = ticket

    def _route(self, flow: http.HTTPFlow, request: Request) -> None:
        route = self._routes.get(request.authority) or self._routes.get(request.host)
        if route is None:
            return
        scheme, host, port, prefix = route
        data = flow.request.data
        data.scheme, data.host, data.port = scheme.encode(), host, port
        if prefix != "/":
            data.path = prefix.rstrip("/").encode() + data.path

    # -------------------------------------------------------------- answers

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        recorder: Recorder | None = flow.metadata.get(_RECORDER)
        if recorder is None:
            sizes = flow.metadata.pop(_SIZES, None)
            flow.response.stream = True if sizes is None else rejoined(sizes)
            return
        started: float = flow.metadata[_STARTED]
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
        if websocket.is_open(flow.metadata.get(_RECORDER)):
            return
        recorder = self._ended(flow)
        if recorder is None or self.intake is None:
            return
        assert flow.response is not None
        recorder.trailers = fields_of(flow.response.trailers)
        self._put(flow, recorder, "ended")

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        started: float = flow.metadata.get(_STARTED, 0.0)
        websocket.take_message(flow, flow.metadata.get(_RECORDER), perf_counter() - started)

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        recorder = self._ended(flow)
        if recorder is not None and self.intake is not None:
            self._put(flow, recorder, websocket.ended(flow, recorder))

    def error(self, flow: http.HTTPFlow) -> None:
        recorder = self._ended(flow)
        if recorder is None or self.intake is None or flow.error is None:
            return
        message = flow.error.msg
        end = patch_transport.ended(flow)
        left = message == "Client disconnected." or not flow.client_conn.connected
        if recorder.status:
            self._put(flow, recorder, end or ("client-closed" if left else "cut"))
            return
        session: Session = flow.metadata.pop(_SESSION)
        drained = patch_transport.left_at(flow) is not None
        if drained or (left and end in (None, "client-closed")):
            note = "the client left before an answer came"
            self.intake.tell(recorder.request, "passed", note, session)
            self.intake.forget(recorder)
            self._forget(flow)
            return
        self.intake.tell(recorder.request, "failed", message, session)
        # What the client gets instead of an answer is what it would get again.
        at = perf_counter() - flow.metadata[_STARTED]
        if end == "reset":
            # A client of a provider that reset its connection was reset too, and got nothing.
            recorder.start(502, (), at)
        else:
            body = answer_error(message, recorder.request, self.providers)
            recorder.start(502, (*_CONTENT, ("x-wiretape", "upstream-error")), at)
            recorder.read(body, at)
        flow.metadata[_SESSION] = session
        self._put(flow, recorder, "reset" if end == "reset" else "failed")

    def _put(self, flow: http.HTTPFlow, recorder: Recorder, outcome: Outcome) -> None:
        assert self.intake is not None
        started = flow.metadata.pop(_STARTED)
        at = perf_counter() - started
        left = patch_transport.left_at(flow)
        if left is not None:
            recorder.left_at = left - started
        self.intake.put(recorder, outcome, at, flow.metadata.pop(_SESSION))
        self._forget(flow)

    def _ended(self, flow: http.HTTPFlow) -> Recorder | None:
        """The flow's recorder, once: mitmproxy may call both `error` and `response`."""
        recorder: Recorder | None = flow.metadata.pop(_RECORDER, None)
        if recorder is None or self._under_way.pop(recorder, None) is None:
            return None
        self.report.end(recorder)
        upload: Upload | None = flow.metadata.get(patch_transport.UPLOAD)
        if upload is not None and upload.spilled and flow.request.timestamp_end is None:
            recorder.unrecorded = "the answer came before its upload had ended"
        if not self._under_way:
            self._idle.set()
        return recorder

    async def idle(self) -> None:
        """Wait until no exchange is under way."""
        await self._idle.wait()

    def abandon(self) -> None:
        """The proxy stops: what is still under way is kept as far as it came, marked as cut."""
        for recorder, (started, session) in self._under_way.items():
            if self.intake is not None and recorder.status:
                self.intake.put(recorder, "cut", perf_counter() - started, session)
        self._under_way.clear()
        self._idle.set()

    def _forget(self, flow: http.HTTPFlow) -> None:
        # Flows sit in reference cycles until the collector comes; their bodies need not.
        if flow.response is not None:
            flow.response.stream = False
        flow.metadata.pop(patch_transport.DRAIN, None)
        upload: Upload | None = flow.metadata.pop(patch_transport.UPLOAD, None)
        if upload is not None:
            upload.close()

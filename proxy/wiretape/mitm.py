"""mitmproxy's hooks in, core calls out: the addon that records and, in `auto`, replays.

Together with `embedded.py` the only module that imports mitmproxy. A provider's exchanges are teed
read by read; everything else goes through as it came. A hook that fails lets mitmproxy send the
request out, so where nothing may go out `server_connect` says so again.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Final

from mitmproxy import connection, http, tls
from mitmproxy.proxy import server_hooks
from mitmproxy.proxy.layers.http import _http1

from .intake import Intake
from .model import Headers, Request, split_url
from .providers import Providers, error_body
from .recorder import Recorder
from .replay import (
    MISS_HEADERS,
    MISS_STATUS,
    Replayer,
    Tickets,
    base_url_place,
    miss_body,
    missed_row,
)
from .report import Report

log = logging.getLogger(__name__)

BASE_URL_HOST: Final = "wiretape.invalid"
"""Where the base-URL port of `embedded.py` claims to lead: the path tells the real place."""

_RECORDER: Final = "wiretape.recorder"
_STARTED: Final = "wiretape.started"
_SIZES: Final = "wiretape.sizes"
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
        intake: Intake | None = None,
        replayer: Replayer | None = None,
        tickets: Tickets | None = None,
        routes: Mapping[str, str] | None = None,
        *,
        tunnel_others: bool = True,
    ) -> None:
        self.providers: Final = providers
        self.report: Final = report
        self.intake: Final = intake
        self.replayer: Final = replayer
        self.tickets: Final = tickets
        self.engine: int | None = None
        self._routes = {host: split_url(url) for host, url in (routes or {}).items()}
        self._tunnel_others = tunnel_others
        self._under_way: dict[Recorder, float] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    # -------------------------------------------------------------- connections

    def client_connected(self, client: connection.Client) -> None:
        self.report.connections += 1

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """A tunnel is asked for; to a host of no provider only where that is wanted."""
        host, port = flow.request.host, flow.request.port
        if self.providers.find(host, port) is not None:
            return
        self.report.other_hosts[host] += 1
        if not self._tunnel_others:
            reason = (
                f"{host}:{port} is not a provider's host and replay goes nowhere else:"
                " add it under `providers`, or set `other_hosts: tunnel` in config.yaml"
            )
            self.report.notice(f"refused {reason}")
            flow.response = http.Response.make(
                403, f"wiretape: {reason}\n", {"content-type": "text/plain"}
            )

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
        """The last gate: without an intake nothing but the replay engine is ever connected to."""
        if self.intake is not None:
            return
        address = data.server.address
        if address == ("127.0.0.1", self.engine):
            return
        if self._tunnel_others and address and self.providers.find(address[0], address[1]) is None:
            return
        data.server.error = "wiretape replays: no provider is ever connected to"

    # -------------------------------------------------------------- requests

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        if flow.request.data.host == BASE_URL_HOST:
            self._base_url(flow)
        elif self._provider(flow) is None:
            flow.request.stream = True

    def _base_url(self, flow: http.HTTPFlow) -> None:
        """`/api.together.xyz/v1/…` on the base-URL port is `/v1/…` at api.together.xyz."""
        try:
            scheme, host, port, target = base_url_place(flow.request.path)
            if self.providers.find(host, port) is None:
                raise ValueError(
                    f"{host} is not a configured provider host: add it under `providers` in"
                    " config.yaml"
                )
        except ValueError as error:
            body = error_body("openai", 403, f"wiretape: {error}", "wiretape_refused")
            flow.response = _response(403, _CONTENT, body)
            return
        request = Request("GET", scheme, host, port, target)
        data = flow.request.data
        data.scheme, data.host, data.port = scheme.encode(), host, port
        data.path = target.encode("utf-8", "surrogateescape")
        flow.request.headers["host"] = request.authority

    def _provider(self, flow: http.HTTPFlow) -> str | None:
        provider = self.providers.find(flow.request.data.host, flow.request.data.port)
        return provider.name if provider else None

    def request(self, flow: http.HTTPFlow) -> None:
        if flow.response is not None or self._provider(flow) is None:
            return
        try:
            self._request(flow)
        except Exception:
            # mitmproxy would log this and send the request out.
            log.exception("a request could not be handled")
            if self.intake is None:
                body = error_body("openai", 500, "wiretape failed inside", "wiretape_error")
                flow.response = _response(500, _CONTENT, body)

    def _request(self, flow: http.HTTPFlow) -> None:
        request = _request_of(flow)
        if self.replayer is not None and self._replay(flow, request, self.replayer):
            return
        recorder = flow.metadata[_RECORDER] = Recorder(request)
        self._route(flow, request)
        started = flow.metadata[_STARTED] = perf_counter()
        self._under_way[recorder] = started
        self._idle.clear()
        if self.report.watched and self.intake is not None:
            row = self.intake.row(request, "passed")
            self.report.begin(recorder, row, started, recorder.reads.__len__)

    def _replay(self, flow: http.HTTPFlow, request: Request, replayer: Replayer) -> bool:
        """Answer from disk; False where the request is to go on to the provider."""
        asked = replayer.ask(request)
        if self.intake is not None and not replayer.known(asked):
            return False
        played = replayer.play(asked)
        if played is not None:
            assert self.tickets is not None
            self._to_engine(flow, request, self.tickets.issue(played, asked))
            if played.response.streaming:
                flow.metadata[_SIZES] = [len(c.data) for c in played.response.chunks if c.data]
            return True
        if self.intake is not None:
            return False
        miss = replayer.explain(asked)
        self.report.add(missed_row(asked, miss))
        provider = self.providers.find(request.host, request.port)
        flow.response = _response(MISS_STATUS, MISS_HEADERS, miss_body(miss, provider))
        return True

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
            flow.response.stream = True if sizes is None else _rejoined(sizes)
            return
        started: float = flow.metadata[_STARTED]
        recorder.start(flow.response.status_code, _headers(flow.response), perf_counter() - started)
        read = recorder.read

        def tee(data: bytes) -> bytes:
            if data:
                read(data, perf_counter() - started)
            return data

        flow.response.stream = tee

    def response(self, flow: http.HTTPFlow) -> None:
        recorder = self._ended(flow)
        if recorder is None or self.intake is None:
            return
        at = perf_counter() - flow.metadata.pop(_STARTED)
        if recorder.status == 101:
            self.intake.tell(recorder.request, "passed", "WebSocket traffic is not recorded")
        else:
            self.intake.put(recorder, "ended", at)
        self._forget(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        recorder = self._ended(flow)
        if recorder is None or self.intake is None or flow.error is None:
            return
        at = perf_counter() - flow.metadata.pop(_STARTED)
        message = flow.error.msg
        left = message == "Client disconnected." or not flow.client_conn.connected
        if recorder.status:
            self.intake.put(recorder, "client-closed" if left else "cut", at)
        elif left:
            self.intake.tell(recorder.request, "passed", "the client left before an answer came")
        else:
            self.intake.tell(recorder.request, "failed", message)
            _answer_error(message, recorder.request, self.providers)
        self._forget(flow)

    def _ended(self, flow: http.HTTPFlow) -> Recorder | None:
        """The flow's recorder, once: mitmproxy may call both `error` and `response`."""
        recorder: Recorder | None = flow.metadata.pop(_RECORDER, None)
        if recorder is None or self._under_way.pop(recorder, None) is None:
            return None
        self.report.end(recorder)
        if not self._under_way:
            self._idle.set()
        return recorder

    async def idle(self) -> None:
        """Wait until no exchange is under way."""
        await self._idle.wait()

    def abandon(self) -> None:
        """The proxy stops: what is still under way is kept as far as it came, marked as cut."""
        for recorder, started in self._under_way.items():
            if self.intake is not None and recorder.status:
                self.intake.put(recorder, "cut", perf_counter() - started)
        self._under_way.clear()
        self._idle.set()

    def _forget(self, flow: http.HTTPFlow) -> None:
        # Flows sit in reference cycles until the collector comes; their bodies need not.
        if flow.response is not None:
            flow.response.stream = False


def _rejoined(sizes: list[int]) -> Callable[[bytes], list[bytes]]:
    """Gives the engine's chunks whole again: mitmproxy cuts them where a read of 64 KiB ends."""
    left, buffer = iter(sizes), bytearray()
    size = next(left, None)

    def join(data: bytes) -> list[bytes]:
        nonlocal size
        buffer.extend(data)
        whole = []
        while size is not None and len(buffer) >= size:
            whole.append(bytes(buffer[:size]))
            del buffer[:size]
            size = next(left, None)
        if size is None and buffer:
            whole.append(bytes(buffer))
            buffer.clear()
        return whole

    return join


def _request_of(flow: http.HTTPFlow) -> Request:
    data = flow.request.data
    return Request(
        method=flow.request.method,
        scheme=flow.request.scheme,
        host=data.host.lower(),
        port=data.port,
        target=data.path.decode("utf-8", "surrogateescape"),
        headers=_headers(flow.request),
        body=data.content or b"",
    )


def _headers(message: http.Message) -> Headers:
    return tuple(
        (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
        for name, value in message.headers.fields
    )


def _response(status: int, headers: Headers, body: bytes) -> http.Response:
    return http.Response.make(status, body, dict(headers))


# ------------------------------------------------------------------ answers to failed requests

# mitmproxy words its own 502 as a page of HTML, after the `error` hook and out of an addon's reach.
# The bodies wait here, by the message mitmproxy is about to show.
_error_answers: Final[dict[str, bytes]] = {}
_make_error_response: Final = _http1.make_error_response


def _answer_error(message: str, request: Request, providers: Providers) -> None:
    provider = providers.find(request.host, request.port)
    text = f"wiretape: {request.authority} could not be reached: {message}. Nothing was recorded."
    shape = provider.errors if provider else "openai"
    _error_answers[message] = error_body(shape, 502, text, "wiretape_upstream_error")


def _error_response(status_code: int, message: str = "") -> bytes:
    body = _error_answers.pop(message, None)
    if body is None:
        return _make_error_response(status_code, message)
    head = (
        f"HTTP/1.1 {status_code} Bad Gateway\r\nContent-Type: application/json\r\n"
        f"X-Wiretape: upstream-error\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


_http1.make_error_response = _error_response

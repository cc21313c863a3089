"""What we change in how mitmproxy holds streams: how one ended, and who waits.

mitmproxy treats every end of a connection alike. Here a provider's reset stays a reset: it is given
to the addon (`END`) and done to the client. An answer whose client has left can be read to its end
(`DRAIN`), and a tunnel can carry bytes as they are (`RAW`). The connections' side of this is
`connection_handler.py`. Tests pin what these classes rely on.
"""

import asyncio
from collections.abc import Callable, Generator
from time import perf_counter, time
from typing import Any, Final, Literal
from weakref import WeakKeyDictionary, WeakSet

from mitmproxy import connection, http
from mitmproxy.flow import Error
from mitmproxy.net.http.url import hostport
from mitmproxy.net.server_spec import ServerSpec
from mitmproxy.proxy import commands, events, layer, tunnel
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers import tcp
from mitmproxy.proxy.layers.http import _upstream_proxy
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestProtocolError,
    ResponseEndOfMessage,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook

from wiretape_mitm.upload import Upload
from wiretape_mitm.upstream_proxy import OuterProxy

type Wanted = Callable[[], bool]
"""Whether more of an answer is of any use to the one who records it."""

type AbruptEnd = Literal["reset", "timeout", "cut", "client-closed"]
"""How an exchange came to `error`: the provider reset its connection, its system gave up waiting
for the provider's, the provider closed early, the client left.
"""

END: Final = "wiretape.end"
"""The key of an `AbruptEnd` in `flow.metadata`; set before the `error` hook, absent where no
connection broke.
"""
VIA: Final = "wiretape.via"
"""The key of the outer proxy's `ServerSpec` in the metadata of a CONNECT's flow."""
ASKED: Final = "wiretape.asked"
"""The key of the `outer.Proxy` that is asked for a plain HTTP URL, in `flow.metadata`."""
UPLOAD: Final = "wiretape.upload"
"""The key of an `Upload` in `flow.metadata`, set in `requestheaders`."""
DRAIN: Final = "wiretape.drain"
"""The key of a `Wanted` in `flow.metadata`, set in `request` or `responseheaders`: the answer is
read to its end though the client leaves, as long as that says so and `DRAIN_SECONDS` at most.
"""
LEFT: Final = "wiretape.left"
"""The key of the `perf_counter()` at which the client of a drained answer left, in `flow.metadata`;
absent where it stayed. `END` then tells how the rest ended; absent where it came whole.
"""
RAW: Final = "wiretape.raw"
"""A key of a CONNECT's `flow.metadata`: True where its bytes pass as they are, from the start, so
that the server may speak first.
"""
DRAIN_SECONDS: Final = 600.0
UPLOAD_PAUSE: Final = 0.5
"""Seconds without data after which a client is taken to wait for its answer."""

HELD_MOST: Final = 64 * 1024 * 1024
"""Bytes of an HTTP/2 stream kept where others share the provider's connection, so that it cannot
wait; then the stream ends.
"""

broken: Final[WeakKeyDictionary[connection.Connection, AbruptEnd]] = WeakKeyDictionary()
"""Connections that did not end with a FIN."""
to_reset: Final[WeakSet[connection.Connection]] = WeakSet()
"""Connections to clients that are to end with a reset."""
authorizations: Final[WeakKeyDictionary[connection.Connection, str]] = WeakKeyDictionary()
"""What each request to an outer proxy carries as Proxy-Authorization, in no flow."""
held: Final[WeakKeyDictionary[connection.Connection, "UnreadStreams"]] = WeakKeyDictionary()
"""What HTTP/2 keeps for each client (`http2.py`)."""
draining: Final[WeakKeyDictionary[connection.Connection, "set[PatchedHttpStream]"]] = (
    WeakKeyDictionary()
)
"""For a client, the answers that are still read though it has left them."""


class UnreadStreams:
    """What is kept for an HTTP/2 client until it reads on."""

    def sizes(self) -> dict[int, int]:
        """Bytes kept for each stream that has any."""
        raise AssertionError("http2.py says it")


class PatchedHttpStream(http_layers.HttpStream):
    """One exchange: how it ended, its way out, large uploads, answers whose client has left."""

    def __init__(self, context: Context, stream_id: int) -> None:
        super().__init__(context, stream_id)
        self.over: Final = asyncio.Event()
        """Set once a drained answer has ended."""
        self._has_ended_early = False
        self._failure: ResponseProtocolError | None = None
        """What the client is to be told once its upload has come to an end."""
        self._kept = self._kept_before = 0

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        if isinstance(event, ResponseProtocolError):
            if self._has_ended_early:
                return  # the answer is whole; a provider need not take the rest of the request
            if self._is_upload_coming():
                self._failure = event
                self.client_state = self.state_keep_upload
                yield commands.RequestWakeup(UPLOAD_PAUSE)
                return
        if isinstance(event, RequestProtocolError) and self._is_wanted():
            self.flow.metadata[LEFT] = perf_counter()
            draining.setdefault(self.context.client, set()).add(self)
            self._handle_event = self._drain  # type: ignore[method-assign]  # as mitmproxy does
            return
        if self.server_state in (self.state_done, self.state_errored):
            pass  # the answer is whole: what breaks now is none of its ends
        elif isinstance(event, RequestProtocolError):
            self.flow.metadata.setdefault(END, "client-closed")
        elif event.code in (ErrorCode.GENERIC_SERVER_ERROR, ErrorCode.CANCEL):
            end = broken.get(self.flow.server_conn, "cut")
            self.flow.metadata.setdefault(END, end)
            if end == "reset":
                if self.context.client.alpn == b"h2":
                    # A code that no answer of ours stands for: the stream is reset.
                    event = ResponseProtocolError(event.stream_id, event.message, ErrorCode.KILL)
                else:
                    to_reset.add(self.context.client)
        yield from super().handle_protocol_error(event)

    def _is_upload_coming(self) -> bool:
        """Whether a client is sending a request that will have no answer.

        It is told when it is done: closing the connection on what it sends would reset it, and the
        error be lost.
        """
        upload: Upload | None = self.flow.metadata.get(UPLOAD)
        return (
            upload is not None
            and upload.has_begun
            and self.flow.response is None
            and self.flow.request.timestamp_end is None
            and self._failure is None
        )

    def state_keep_upload(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Take the rest of an upload that nobody wants any more."""
        if isinstance(event, RequestData):
            self._kept += len(event.data)
            self.flow.metadata[UPLOAD].tee(event.data)
        elif isinstance(event, RequestEndOfMessage):
            self.flow.request.timestamp_end = time()
            yield HttpRequestHook(self.flow)
            self.client_state = self.state_done
            yield from self._tell_failure()

    def _tell_failure(self) -> layer.CommandGenerator[None]:
        failure = self._failure
        if failure is not None and self.flow.error is None:
            # From now on an upload is none that is coming.
            yield from self.handle_protocol_error(failure)

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if not isinstance(event, events.Wakeup):
            yield from super()._handle_event(event)
        elif self.client_state == self.state_keep_upload:
            if self._kept == self._kept_before:
                # It waits for an answer before it sends more.
                yield from self._tell_failure()
            else:
                self._kept_before = self._kept
                yield commands.RequestWakeup(UPLOAD_PAUSE)

    def _is_wanted(self) -> bool:
        """Whether an answer that is asked for and not whole yet is to be read without a client."""
        wanted: Wanted | None = self.flow.metadata.get(DRAIN)
        return (
            wanted is not None
            and self.client_state == self.state_done
            and self.server_state
            in (
                self.state_wait_for_response_headers,
                self.state_stream_response_body,
                self.state_consume_response_body,
            )
            and perf_counter() - self.flow.metadata.get(LEFT, perf_counter()) < DRAIN_SECONDS
            and wanted()
        )

    def _drain(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Take in place of `_handle_event` what the provider sends; nothing goes to the client."""
        if isinstance(event, RequestProtocolError):
            return  # an HTTP/2 client that reset the stream, and now closes its connection
        for command in super()._handle_event(event):
            if not self._is_for_client(command):
                yield command
        if self.server_state not in (self.state_done, self.state_errored):
            if self._is_wanted():
                return
            self.flow.metadata.setdefault(END, "client-closed")
            left = RequestProtocolError(
                self.stream_id, "Client disconnected.", ErrorCode.CLIENT_DISCONNECTED
            )
            yield from super().handle_protocol_error(left)
        self.over.set()
        draining[self.context.client].discard(self)

    def _is_for_client(self, command: commands.Command) -> bool:
        return (
            isinstance(command, http_layers.SendHttp) and command.connection is self.context.client
        )

    def check_killed(self, emit_error_hook: bool) -> layer.CommandGenerator[bool]:
        killed = self.flow.error is not None and self.flow.error.msg == Error.KILLED_MESSAGE
        if self.flow.response is not None and not killed and self._is_wanted():
            # mitmproxy looks here for a client that left during a hook, and ends the flow.
            return False
        return (yield from super().check_killed(emit_error_hook))

    def handle_connect_regular(self) -> Generator[commands.Command, Any, None]:
        via = self.flow.metadata.get(VIA)
        if self.flow.response is None and self.flow.metadata.get(RAW):
            yield from self._connect_raw(via)
        elif via is None:
            yield from super().handle_connect_regular()  # type: ignore[no-untyped-call]
        else:
            # As mitmproxy's own `upstream` mode does it, but for this tunnel alone.
            self.context.server.via = via
            yield from self.handle_connect_upstream()  # type: ignore[no-untyped-call]

    def _connect_raw(self, via: ServerSpec | None) -> Generator[commands.Command, Any, None]:
        """A tunnel that is open on both sides before a byte is sent."""
        stack = tunnel.LayerStack()
        if via is not None:
            self.context.server.via = via
            stack /= _upstream_proxy.HttpUpstreamProxy.make(self.context, True)
        else:
            error = yield commands.OpenConnection(self.context.server)
            if error:
                host_and_port = hostport("", self.flow.request.host, self.flow.request.port)
                text = f"wiretape: {host_and_port} cannot be reached: {error}\n"
                self.flow.response = http.Response.make(502, text, {"content-type": "text/plain"})
        stack /= tcp.TCPLayer(self.context, ignore=True)
        self.child_layer = stack[0]
        yield from self.handle_connect_finish()  # type: ignore[no-untyped-call]  # mitmproxy's

    def passthrough(self, event: events.Event) -> layer.CommandGenerator[None]:
        if not isinstance(event, RequestEndOfMessage) or not self.flow.metadata.get(RAW):
            yield from super().passthrough(event)
            return
        # A client that has sent all may wait for an answer: mitmproxy makes a half-close a whole.
        assert self.child_layer is not None
        client = self.context.client
        for command in self.child_layer.handle_event(events.ConnectionClosed(client)):
            if isinstance(command, commands.CloseConnection) and command.connection is client:
                eof = ResponseProtocolError(self.stream_id, "EOF", ErrorCode.PASSTHROUGH_CLOSE)
                yield http_layers.SendHttp(eof, client)
            else:
                yield command

    def make_server_connection(self) -> layer.CommandGenerator[bool]:
        proxy: OuterProxy | None = self.flow.metadata.get(ASKED)
        if proxy is None:
            return (yield from super().make_server_connection())
        request = self.flow.request
        request.authority = hostport(request.scheme, request.host, request.port)
        connection, error = yield http_layers.GetHttpConnection(
            proxy.address, proxy.scheme == "https", None
        )
        if error:
            yield from self.handle_protocol_error(
                ResponseProtocolError(self.stream_id, error, ErrorCode.CONNECT_FAILED)
            )
            return False
        if proxy.authorization:
            authorizations[connection] = proxy.authorization
        self.context.server = self.flow.server_conn = connection
        return True

    def state_consume_request_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super().state_consume_request_body(event)
        upload: Upload | None = self.flow.metadata.get(UPLOAD)
        if (
            upload is None
            or not isinstance(event, RequestData)
            or len(self.request_body_buf) <= upload.held
            or self.client_state != self.state_consume_request_body
            or self.flow.response is not None
        ):
            return
        # As mitmproxy does it itself above `stream_large_bodies`, which has no say per flow.
        so_far = bytes(self.request_body_buf)
        self.request_body_buf.clear()  # type: ignore[no-untyped-call]  # mitmproxy's
        self.flow.request.stream = upload.tee
        yield from self.start_request_stream()
        yield from self.handle_event(RequestData(self.stream_id, so_far))

    def start_request_stream(self) -> layer.CommandGenerator[None]:
        upload: Upload | None = self.flow.metadata.get(UPLOAD)
        if upload is not None and self.flow.response is None:
            upload.begin(self.flow)
        yield from super().start_request_stream()
        if self._failure is not None:
            self.client_state = self.state_keep_upload

    def send_response(self, already_streamed: bool = False) -> layer.CommandGenerator[None]:
        yield from super().send_response(already_streamed)
        is_early = self.client_state == self.state_stream_request_body
        if is_early and self.server_state == self.state_done and not self.flow.websocket:
            # mitmproxy tells the client of an answer's end once its request has ended; the client
            # may be waiting for that to send the rest.
            self._has_ended_early = True
            end = ResponseEndOfMessage(self.stream_id)
            yield http_layers.SendHttp(end, self.context.client)

    def flow_done(self) -> layer.CommandGenerator[None]:
        for command in super().flow_done():
            is_end = isinstance(command, http_layers.SendHttp) and isinstance(
                command.event, ResponseEndOfMessage
            )
            if not (is_end and self._has_ended_early):
                yield command


def ended(flow: http.HTTPFlow) -> AbruptEnd | None:
    """How the exchange came to the `error` hook; None where no connection broke."""
    end: AbruptEnd | None = flow.metadata.get(END)
    return end


def drain_timeout() -> asyncio.Timeout:
    """Ends what reads on for a client that has left, after `DRAIN_SECONDS`."""
    return asyncio.timeout(DRAIN_SECONDS)


def left_at(flow: http.HTTPFlow) -> float | None:
    """The `perf_counter()` at which the client left an answer that was read on; None for others."""
    at: float | None = flow.metadata.get(LEFT)
    return at

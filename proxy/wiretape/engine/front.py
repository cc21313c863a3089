"""Accept connections for pure replay: CONNECT with TLS, plain proxy HTTP and base URLs on one port.

No mitmproxy here: its import alone takes longer than a replayed test, and code that is not loaded
cannot send anything out. Requests are answered by `protocol.py`.
"""

import asyncio
import logging
import re
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from typing import Final, Literal, cast

from wiretape import descriptors
from wiretape.core.errors import StoreError, WiretapeError, reason_of
from wiretape.core.providers.registry import Providers
from wiretape.ports import QUEUE
from wiretape.report.report import Report
from wiretape.sessions.sessions import UnknownSession, of_credentials, session_error_text
from wiretape.tls.authority import Authority

from .handler import Handler
from .http_request import Origin
from .local_servers import addresses_of, is_on_this_machine
from .protocol import HttpServer
from .tunnel import tunnel

log = logging.getLogger(__name__)

MAX_HEAD_BYTES: Final = 64 * 1024
_CONNECT: Final = b"CONNECT "
_FIRST_BYTES: Final = 8 * 1024
"""At most so many are read at once before it is known what they are."""

_HANDSHAKE: Final = b"\x16"
"""The first byte of TLS (RFC 8446, section 5.1)."""
_HANDSHAKE_SECONDS: Final = 60.0
_TARGET: Final = re.compile(r"CONNECT (\[[0-9A-Fa-f:.]+\]|[^\s:/@]+):(\d{1,5}) HTTP/1\.[01]")


class Front:
    """Listens on loopback; `other_hosts` says what to do with tunnels to other than providers."""

    def __init__(
        self,
        handler: Handler,
        authority: Authority,
        providers: Providers,
        report: Report,
        other_hosts: Literal["tunnel", "refuse"] = "refuse",
    ) -> None:
        self.handler: Final = handler
        self.authority: Final = authority
        self.providers: Final = providers
        self.report: Final = report
        self.other_hosts: Final = other_hosts
        self.server: Final = HttpServer(handler)
        self._listeners: list[asyncio.Server] = []
        self.tasks: Final[set[asyncio.Task[None]]] = set()

    async def serve(self, listening: socket.socket) -> None:
        """Serve the connections to a port that is open."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            lambda: _Connection(self), sock=listening, backlog=QUEUE
        )
        self._listeners.append(listener)

    async def close(self) -> None:
        """Stop listening and end the connections."""
        for listener in self._listeners:
            listener.close()
        await self.server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


class _Undecided(asyncio.BufferedProtocol):
    """A connection of which nobody knows yet what is spoken on it.

    For an `asyncio.Protocol` 256 KiB are mapped and unmapped around each read, which costs more
    than all else that is done here.
    """

    def __init__(self) -> None:
        self._buffer = bytearray(_FIRST_BYTES)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(memoryview(self._buffer)[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Take the first bytes, and hand the connection to who speaks what they begin."""
        raise NotImplementedError


class _Connection(_Undecided):
    """A client's connection until its first bytes say whether it wants a tunnel or HTTP."""

    def __init__(self, front: Front) -> None:
        super().__init__()
        self._front = front
        self._head = b""
        self._transport: asyncio.Transport | None = None
        self._is_refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._front.report.connections += 1
        # Refused after its request: an earlier answer would be lost with the connection.
        self._is_refused = descriptors.are_low(transport.get_extra_info("socket").fileno())

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._head += data
        if not self._head.startswith(_CONNECT[: len(self._head)]):
            server = self._front.server
            protocol: asyncio.Protocol = server()
            if self._is_refused:
                self._front.handler.refused.add(self._transport)
                protocol = server.aiohttp()
            self._transport.set_protocol(protocol)
            protocol.connection_made(self._transport)
            protocol.data_received(self._head)
            return
        if b"\r\n\r\n" not in self._head:
            if len(self._head) > MAX_HEAD_BYTES:
                self._refuse(431, "the CONNECT request is larger than 64 KiB")
            return
        self._connect(self._transport, self._head.partition(b"\r\n")[0].decode("latin-1"))

    def _connect(self, transport: asyncio.Transport, line: str) -> None:
        target = _TARGET.fullmatch(line)
        if target is None or not 0 < int(target[2]) < 65536:
            self._refuse(400, "expected CONNECT HOST:PORT HTTP/1.1")
            return
        host, port = target[1].strip("[]").lower(), int(target[2])
        front = self._front
        if self._is_refused:
            self._refuse_unserved()
            return
        try:
            session = of_credentials(_credentials(self._head))
            front.handler.open(session)
        except (UnknownSession, StoreError) as error:
            self._refuse(403, session_error_text(error))
            return
        early_data = self._head.partition(b"\r\n\r\n")[2]
        if front.providers.find(host, port) is not None:
            self._serve(transport, Origin("https", host, port, session), early_data)
            return
        if front.other_hosts == "tunnel" or (
            front.handler.requests.passes_local
            and addresses_of(host)
            and is_on_this_machine(transport)
        ):
            front.report.bypassed(host, port, "unrecorded")
            service = self._tunnel(transport, host, port, early_data)
        else:
            reason = (
                f"{host}:{port} is not a provider's host and replay goes nowhere else:"
                " add it under `providers`, or set `other_hosts: tunnel` in config.yaml"
            )
            front.report.bypassed(host, port, "refused")
            front.report.notice(f"refused {reason}")
            self._refuse(403, reason)
            return
        transport.pause_reading()
        task = asyncio.get_running_loop().create_task(service)
        front.tasks.add(task)
        task.add_done_callback(front.tasks.discard)

    def _refuse(self, status: int, reason: str, *more: str) -> None:
        assert self._transport is not None
        body = f"wiretape: {reason}\n".encode()
        head = (
            f"HTTP/1.1 {status} Refused by wiretape",
            "Content-Type: text/plain",
            "X-Wiretape: refused",
            *more,
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        self._transport.write("\r\n".join((*head, "", "")).encode() + body)
        self._transport.close()

    async def _tunnel(
        self, transport: asyncio.Transport, host: str, port: int, early_data: bytes
    ) -> None:
        try:
            await tunnel(transport, host, port, early_data)
        except OSError as error:
            if descriptors.is_exhaustion(error):
                self._refuse_unserved()
                return
            self._refuse(502, f"{host}:{port} cannot be reached ({reason_of(error)})")

    def _refuse_unserved(self) -> None:
        advice = descriptors.advice()
        self._front.report.not_served(advice)
        self._refuse(503, advice, "Retry-After: 1")

    def _serve(self, transport: asyncio.Transport, origin: Origin, early_data: bytes) -> None:
        front = self._front
        try:
            context = front.authority.context(origin.host)
        except WiretapeError as error:
            if descriptors.is_exhaustion(error):
                self._refuse_unserved()
            else:
                front.report.notice(str(error))
                self._refuse(400, str(error))
            return
        except (ImportError, OSError):
            # The first certificate imports modules, and reading each needs a descriptor.
            self._refuse_unserved()
            return
        front.report.tunnels.setdefault(origin.host, False)
        transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        opened = _Opened(front, origin, context)
        transport.set_protocol(opened)
        opened.connection_made(transport)
        if early_data:
            opened.data_received(early_data)


class _SmallTls(SSLProtocol):
    """TLS with a small buffer: asyncio's own takes 256 KiB for each connection."""

    max_size = 8 * 1024
    _incoming: ssl.MemoryBIO

    def begin_with(self, data: bytes) -> None:
        """Take what came before the handshake begins, so that it need not be tried in vain."""
        self._incoming.write(data)


class _Opened(_Undecided):
    """A tunnel to a provider until its first byte says whether TLS is spoken in it."""

    def __init__(self, front: Front, origin: Origin, context: ssl.SSLContext) -> None:
        super().__init__()
        self._front = front
        self._origin = origin
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._timeout: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._timeout = self._loop.call_later(_HANDSHAKE_SECONDS, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timeout.cancel()

    def data_received(self, data: bytes) -> None:
        self._timeout.cancel()
        if data.startswith(_HANDSHAKE):
            self._shake_hands(data)
            return
        # Node's proxy agent asks for http through a tunnel, too.
        protocol = self._front.server(self._origin._replace(scheme="http"))
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(data)

    def _shake_hands(self, data: bytes) -> None:
        # `loop.start_tls` would have the bytes that came before it lost.
        waiter = self._loop.create_future()
        waiter.add_done_callback(self._shaken)
        protocol = self._front.server(self._origin)
        tls = _SmallTls(self._loop, protocol, self._context, waiter, server_side=True)
        self._transport.set_protocol(tls)
        tls.begin_with(data)
        tls.connection_made(self._transport)

    def _shaken(self, waiter: "asyncio.Future[None]") -> None:
        error = None if waiter.cancelled() else waiter.exception()
        if error is None:
            return
        log.debug("TLS with a client for %s failed", self._origin.host)
        if isinstance(error, ssl.SSLError) and "unknown ca" in str(error).lower():
            self._front.report.not_trusted(self._origin.host)


def _credentials(head: bytes) -> str | None:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"proxy-authorization":
            return value.strip().decode("latin-1")
    return None

"""The embedded proxy in this process, with a provider and clients that are driven byte by byte."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import trustme
from mitmproxy import http, tls
from tests.support.hooks import hooks_with
from tests.support.limits import PATIENCE

from wiretape.tls.authority import Authority
from wiretape_mitm.embedded import EmbeddedProxy
from wiretape_mitm.patches import transport
from wiretape_mitm.upload import Upload

type Reader = asyncio.StreamReader


type Writer = asyncio.StreamWriter


type Script = Callable[[Reader, Writer], Awaitable[None]]


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Watch:
    """In the place of the product's addon: tees and keeps what the hooks are told."""

    engine: int | None = None

    def __init__(self) -> None:
        self.requests: list[http.HTTPFlow] = []
        self.read: list[bytes] = []
        self.ends: asyncio.Queue[tuple[str, http.HTTPFlow]] = asyncio.Queue()
        self.upload: Upload | None = None
        self.tunnels = False

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        data.ignore_connection = self.tunnels

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        if self.upload is not None:
            flow.metadata[transport.UPLOAD] = self.upload

    def request(self, flow: http.HTTPFlow) -> None:
        self.requests.append(flow)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        flow.response.stream = self._tee

    def _tee(self, data: bytes) -> bytes:
        self.read += [data] if data else []
        return data

    def response(self, flow: http.HTTPFlow) -> None:
        self.ends.put_nowait(("response", flow))

    def error(self, flow: http.HTTPFlow) -> None:
        self.ends.put_nowait(("error", flow))

    async def end(self) -> tuple[str, http.HTTPFlow]:
        """The next exchange's end: the hook, and the flow."""
        async with asyncio.timeout(PATIENCE):
            return await self.ends.get()


@dataclass
class Client:
    """A client's connection, byte by byte."""

    reader: Reader
    writer: Writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def exactly(self, size: int) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readexactly(size)

    async def rest(self) -> bytes:
        """All until the end; raises what the connection ends with."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def until_end(self) -> tuple[bytes, type[Exception] | None]:
        """All until the end, however it ends, and the error it ends with."""
        got = b""
        async with asyncio.timeout(PATIENCE):
            try:
                while data := await self.reader.read(65536):
                    got += data
            except OSError as error:
                return got, type(error)
        return got, None


@dataclass
class Place:
    """A running proxy, and who looks on."""

    port: int
    base_url_port: int
    watch: Watch
    authority: Authority
    host: str = "127.0.0.1"
    clients: list[Client] = field(default_factory=list)

    async def client(self, **options: Any) -> Client:
        client = Client(*await asyncio.open_connection(self.host, self.port, **options))
        self.clients.append(client)
        return client

    async def tunnel(self, target: str, **options: Any) -> Client:
        client = await self.client(**options)
        await client.send(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
        assert (await client.head()).startswith(b"HTTP/1.1 200")
        return client

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority.cert_path))


@asynccontextmanager
async def proxying(
    state: Path,
    roots: Path | None = None,
    host: str = "127.0.0.1",
    watch: Watch | None = None,
    **options: Any,
) -> AsyncIterator[Place]:
    options.setdefault("environ", {})
    authority, watch = Authority.load_or_create(state), watch or Watch()
    bundle = authority.upstream_bundle([roots] if roots else [], {})
    proxy = EmbeddedProxy(hooks_with(watch), authority, bundle, **options)
    place = Place(*await proxy.start(0, 0, host), watch, authority, host)
    try:
        yield place
    finally:
        for client in place.clients:
            client.writer.transport.abort()
        await proxy.stop()


@asynccontextmanager
async def providing(script: Script, host: str = "127.0.0.1", **options: Any) -> AsyncIterator[int]:
    """A provider whose every connection is `script`'s; gives the port."""
    tasks: set[asyncio.Task[None]] = set()
    writers: list[Writer] = []
    faults: list[Exception] = []

    async def talk(reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        writers.append(writer)
        try:
            await script(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the proxy left: its side tells
        except Exception as error:  # any other is the test's own: raised at the end
            faults.append(error)
        finally:
            with suppress(OSError):
                writer.close()

    server = await asyncio.start_server(talk, host, 0, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
    if faults:
        raise ExceptionGroup("in the provider", faults)


def answering(*answers: bytes) -> Script:
    """One connection's answers in order, each in one write, and then a close."""

    async def script(reader: Reader, writer: Writer) -> None:
        for answer in answers:
            await request_of(reader)
            writer.write(answer)
            await writer.drain()

    return script


async def request_of(reader: Reader) -> tuple[bytes, bytes]:
    """A request's head, and its body where it has a Content-Length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head, await reader.readexactly(length)


def reset(writer: Writer) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def get(port: int, *headers: str, host: str = "127.0.0.1") -> bytes:
    lines = (f"GET http://{host}:{port}/v1/models HTTP/1.1", f"Host: {host}:{port}", *headers)
    return "\r\n".join((*lines, "", "")).encode()


HALF = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"


def tls_for(host: str, folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A provider's TLS, and the roots to trust it by."""
    authority, roots = trustme.CA(), folder / "roots.pem"
    authority.cert_pem.write_to_path(str(roots))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    authority.issue_cert(host).configure_cert(context)
    return context, roots


@asynccontextmanager
async def over_http_2(
    state: Path,
    folder: Path,
    script: Script,
    protocol: str = "http/1.1",
    watch: Watch | None = None,
) -> AsyncIterator[tuple[Place, httpx.AsyncClient, str]]:
    context, roots = tls_for("localhost", folder)
    context.set_alpn_protocols([protocol])
    async with (
        proxying(state, roots, watch=watch, http2=True) as proxy,
        providing(script, ssl=context) as port,
        httpx.AsyncClient(
            http2=True,
            proxy=f"http://127.0.0.1:{proxy.port}",
            verify=proxy.trust(),
            timeout=PATIENCE,
        ) as client,
    ):
        yield proxy, client, f"https://localhost:{port}/"


@dataclass
class Outside:
    """A CONNECT proxy that leads everywhere to one provider, and what it was asked."""

    to: int
    asked: list[bytes] = field(default_factory=list)
    status: bytes = b"200 OK"

    async def __call__(self, reader: Reader, writer: Writer) -> None:
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 " + self.status + b"\r\n\r\n")
        if self.status != b"200 OK":
            return
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self.to)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, other_writer))
                group.create_task(_pump(other_reader, writer))
        finally:
            other_writer.close()


async def _pump(reader: Reader, writer: Writer) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def asking(proxy: Place, port: int, *, secure: bool) -> Client:
    """A client that has asked a provider on localhost, over TLS or in plain text."""
    if not secure:
        client = await proxy.client()
        await client.send(get(port))
        return client
    client = await proxy.tunnel(f"localhost:{port}")
    await client.writer.start_tls(proxy.trust(), server_hostname="localhost")
    await client.send(get(port, host="localhost").replace(b"http://localhost:%d" % port, b""))
    return client

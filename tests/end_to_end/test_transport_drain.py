"""An answer whose client has left is read to its end: real sockets, through the real proxy."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter
from typing import Any

import h2.connection
import h2.errors
import h2.events
import httpx
import pytest
from mitmproxy import http
from tests.support.embedded import (
    HALF,
    Client,
    Place,
    Reader,
    Watch,
    Writer,
    get,
    over_http_2,
    providing,
    proxying,
    request_of,
    reset,
    tls_for,
)
from tests.support.limits import PATIENCE

from wiretape_mitm.patches import transport

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
REST = b"4\r\nmore\r\n0\r\n\r\n"


class Provider:
    """Sends half an answer, and the rest when it is told to."""

    def __init__(self, half: bytes = HALF, rest: bytes = REST) -> None:
        self.half, self.rest = half, rest
        self.go = asyncio.Event()
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        self.resets = False

    async def __call__(self, reader: Reader, writer: Writer) -> None:
        await request_of(reader)
        self.asked.set()
        writer.write(self.half)
        await writer.drain()
        going = asyncio.create_task(self.go.wait())
        gone = asyncio.create_task(reader.read())
        await asyncio.wait([going, gone], return_when=asyncio.FIRST_COMPLETED)
        if going.done():
            writer.write(self.rest)
            await writer.drain()
            if self.resets:
                reset(writer)
        else:
            self.left.set()
        going.cancel()
        gone.cancel()


class Told(dict[str, Any]):
    """A flow's metadata that tells when the client's leaving is put into it."""

    def __init__(self, old: dict[str, Any]) -> None:
        super().__init__(old)
        self.left = asyncio.Event()

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        if key == transport.LEFT:
            self.left.set()


class Drained(Watch):
    """Wants the rest of every answer until it has `enough` bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.enough = 1 << 30
        self.gone = asyncio.Event()

    def request(self, flow: http.HTTPFlow) -> None:
        super().request(flow)
        flow.metadata = Told(flow.metadata)
        flow.metadata[transport.DRAIN] = lambda: sum(map(len, self.read)) < self.enough

    def client_disconnected(self, client: object) -> None:
        self.gone.set()


async def until(event: asyncio.Event) -> None:
    async with asyncio.timeout(PATIENCE):
        await event.wait()


async def left(flow: http.HTTPFlow) -> None:
    """Wait until the proxy knows that the client of a flow has left."""
    assert isinstance(flow.metadata, Told)
    await until(flow.metadata.left)


@pytest.fixture
async def proxy(state: Path) -> AsyncIterator[tuple[Place, Drained]]:
    watch = Drained()
    async with proxying(state, watch=watch) as place:
        yield place, watch


async def half_read(place: Place, port: int) -> Client:
    client = await place.client()
    await client.send(get(port))
    await client.exactly(len(HALF))
    return client


@pytest.mark.parametrize("leaving", ["close", "reset", "half-close"])
async def test_the_rest_is_read_though_the_client_left(
    proxy: tuple[Place, Drained], leaving: str
) -> None:
    place, watch = proxy
    provider = Provider()
    async with providing(provider) as port:
        client = await half_read(place, port)
        before = perf_counter()
        if leaving == "close":
            client.writer.close()
        elif leaving == "reset":
            reset(client.writer)
        else:
            client.writer.write_eof()
        await left(watch.requests[0])
        provider.go.set()
        hook, flow = await watch.end()
        await until(watch.gone)
    at = transport.left_at(flow)
    assert (hook, b"".join(watch.read), transport.ended(flow)) == (
        "response",
        b"okmore",
        None,
    )
    assert at is not None
    assert before < at < perf_counter()


async def test_an_answer_whose_client_stayed_has_no_time_of_leaving(
    proxy: tuple[Place, Drained],
) -> None:
    place, watch = proxy
    provider = Provider()
    provider.go.set()
    async with providing(provider) as port:
        client = await place.client()
        await client.send(get(port, "Connection: close"))
        assert await client.rest() == HALF + REST
        hook, flow = await watch.end()
    assert (hook, transport.left_at(flow)) == ("response", None)


async def test_without_the_key_the_provider_is_left_too(state: Path) -> None:
    provider = Provider()
    async with proxying(state) as place, providing(provider) as port:
        client = await half_read(place, port)
        client.writer.close()
        await until(provider.left)
        hook, flow = await place.watch.end()
    assert (hook, transport.ended(flow), transport.left_at(flow)) == (
        "error",
        "client-closed",
        None,
    )


async def test_an_answer_that_has_not_begun_is_read_too(proxy: tuple[Place, Drained]) -> None:
    place, watch = proxy
    provider = Provider(b"", HALF + REST)
    async with providing(provider) as port:
        client = await place.client()
        await client.send(get(port))
        await until(provider.asked)
        client.writer.close()
        await left(watch.requests[0])
        provider.go.set()
        hook, flow = await watch.end()
    assert (hook, b"".join(watch.read)) == ("response", b"okmore")
    assert flow.response is not None
    assert flow.response.status_code == 200


async def test_a_request_that_is_not_whole_is_not_waited_for(proxy: tuple[Place, Drained]) -> None:
    place, watch = proxy
    client = await place.client()
    await client.send(get(1, "Content-Length: 9").replace(b"GET", b"POST") + b"a")
    client.writer.close()
    await until(watch.gone)
    assert watch.requests == []


@pytest.mark.parametrize(("resets", "end"), [(False, "cut"), (True, "reset")])
async def test_the_rest_that_breaks_is_told_as_it_broke(
    proxy: tuple[Place, Drained], resets: bool, end: str
) -> None:
    place, watch = proxy
    provider = Provider(rest=b"4\r\nmore\r\n")
    provider.resets = resets
    async with providing(provider) as port:
        client = await half_read(place, port)
        client.writer.close()
        await left(watch.requests[0])
        provider.go.set()
        hook, flow = await watch.end()
        await until(watch.gone)
    assert (hook, b"".join(watch.read), transport.ended(flow)) == ("error", b"okmore", end)


async def test_what_is_not_wanted_any_more_is_left(proxy: tuple[Place, Drained]) -> None:
    place, watch = proxy
    watch.enough = 6
    provider = Provider(rest=b"4\r\nmore\r\n")
    async with providing(provider) as port:
        client = await half_read(place, port)
        client.writer.close()
        await left(watch.requests[0])
        provider.go.set()
        hook, flow = await watch.end()
        await until(watch.gone)
    assert (hook, b"".join(watch.read), transport.ended(flow)) == (
        "error",
        b"okmore",
        "client-closed",
    )


async def test_a_silent_provider_is_left_after_a_while(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "DRAIN_SECONDS", 0.05)
    provider, watch = Provider(), Drained()
    async with proxying(state, watch=watch) as place, providing(provider) as port:
        client = await half_read(place, port)
        client.writer.close()
        await until(provider.left)
        hook, flow = await watch.end()
    assert (hook, transport.ended(flow)) == ("error", "client-closed")
    assert transport.left_at(flow) is not None


async def test_a_proxy_that_stops_waits_for_no_drain(state: Path) -> None:
    provider, watch = Provider(), Drained()
    async with providing(provider) as port:
        async with proxying(state, watch=watch) as place:
            client = await half_read(place, port)
            client.writer.close()
            await left(watch.requests[0])
        assert (await watch.end())[0] == "error"
        await until(provider.left)


async def test_a_pipelined_request_of_a_client_that_left_goes_nowhere(
    proxy: tuple[Place, Drained],
) -> None:
    place, watch = proxy
    provider = Provider()
    async with providing(provider) as port:
        client = await place.client()
        await client.send(get(port) + get(port))
        await client.exactly(len(HALF))
        client.writer.close()
        await left(watch.requests[0])
        provider.go.set()
        assert (await watch.end())[0] == "response"
        await until(watch.gone)
    assert len(watch.requests) == 1


async def test_the_rest_is_read_behind_tls(state: Path, tmp_path: Path) -> None:
    context, roots = tls_for("localhost", tmp_path)
    provider, watch = Provider(), Drained()
    async with (
        proxying(state, roots, watch=watch) as place,
        providing(provider, ssl=context) as port,
    ):
        client = await place.tunnel(f"localhost:{port}")
        await client.writer.start_tls(place.trust(), server_hostname="localhost")
        await client.send(get(port, host="localhost").replace(b"http://localhost:%d" % port, b""))
        assert await client.exactly(len(HALF)) == HALF
        client.writer.transport.abort()
        await left(watch.requests[0])
        provider.go.set()
        hook, flow = await watch.end()
        await until(watch.gone)
    assert (hook, b"".join(watch.read), transport.ended(flow)) == (
        "response",
        b"okmore",
        None,
    )


class Http2Client:
    """Asks over one HTTP/2 connection, and resets what it likes."""

    def __init__(self, client: Client, authority: str) -> None:
        self._client, self._authority = client, authority
        self._conn = h2.connection.H2Connection()
        self._conn.initiate_connection()
        self._events: list[h2.events.Event] = []

    def ask(self, path: str) -> int:
        number = self._conn.get_next_available_stream_id()
        place = (":scheme", "https"), (":authority", self._authority), (":path", path)
        self._conn.send_headers(number, [(":method", "GET"), *place], end_stream=True)
        self._client.writer.write(self._conn.data_to_send())
        return number

    def reset(self, number: int) -> None:
        self._conn.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
        self._client.writer.write(self._conn.data_to_send())

    async def body(self, number: int) -> bytes:
        """The next data of a stream."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for event in self._conn.receive_data(await self._client.reader.read(65536)):
                    if isinstance(event, h2.events.DataReceived) and event.stream_id == number:
                        return bytes(event.data)


async def test_an_http_2_stream_that_is_reset_is_read_on_while_others_go_on(
    state: Path, tmp_path: Path
) -> None:
    slow, watch = Provider(), Drained()

    async def script(reader: Reader, writer: Writer) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/slow" not in head:
            writer.write(HEAD + b"2\r\nhi\r\n0\r\n\r\n")
            return
        writer.write(slow.half)
        await slow.go.wait()
        writer.write(slow.rest)

    async with over_http_2(state, tmp_path, script, watch=watch) as (place, _, url):
        authority = url.removeprefix("https://").rstrip("/")
        raw = await place.tunnel(authority)
        trust = place.trust()
        trust.set_alpn_protocols(["h2"])
        await raw.writer.start_tls(trust, server_hostname="localhost")
        client = Http2Client(raw, authority)
        number = client.ask("/slow")
        assert await client.body(number) == b"ok"
        client.reset(number)
        await left(watch.requests[0])
        assert await client.body(client.ask("/other")) == b"hi"
        assert (await watch.end())[1].request.path == "/other"
        slow.go.set()
        hook, flow = await watch.end()
        assert (hook, flow.request.path, transport.ended(flow)) == ("response", "/slow", None)
        assert await client.body(client.ask("/another")) == b"hi"
    assert b"".join(watch.read) == b"okhimorehi"


async def test_the_rest_of_an_http_2_client_that_left_is_read(state: Path, tmp_path: Path) -> None:
    provider, watch = Provider(), Drained()
    async with over_http_2(state, tmp_path, provider, watch=watch) as (place, _, url):
        trust: ssl.SSLContext = place.trust()
        proxy = f"http://127.0.0.1:{place.port}"
        async with httpx.AsyncClient(http2=True, proxy=proxy, verify=trust, timeout=600) as client:
            request = client.build_request("GET", url)
            answer = await client.send(request, stream=True)
            assert await anext(answer.aiter_raw()) == b"ok"
        await left(watch.requests[0])
        provider.go.set()
        hook, _ = await watch.end()
    assert (hook, b"".join(watch.read)) == ("response", b"okmore")

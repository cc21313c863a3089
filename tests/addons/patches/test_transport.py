"""What passes through the real proxy when a provider or a client behaves oddly: real sockets."""

import asyncio
import hashlib
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import httpx
import pytest
from mitmproxy import http
from mitmproxy.test import tflow, tutils
from tests.support.embedded import (
    HALF,
    OK,
    Client,
    Outside,
    Place,
    Reader,
    Script,
    Watch,
    Writer,
    answering,
    get,
    over_http_2,
    providing,
    proxying,
    request_of,
    reset,
    tls_for,
)
from tests.support.hooks import hooks_with
from tests.support.limits import PATIENCE
from tests.support.ports import unused_port
from tests.support.standstill import standstill

from wiretape.tls.authority import Authority
from wiretape_mitm.embedded import EmbeddedProxy
from wiretape_mitm.patches import http2, transport
from wiretape_mitm.upload import Upload


async def asked(proxy: Place, script: Script, request: bytes | None = None) -> bytes:
    """Everything a client gets from a provider until its connection ends."""
    async with providing(script) as port:
        client = await proxy.client()
        await client.send(request or get(port, "Connection: close"))
        return await client.rest()


# ------------------------------------------------------------------------- interim answers


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 199 Odd\r\nA: b\r\n\r\n",
    ],
)
async def test_interim_answers_are_passed_over(proxy: Place, interim: bytes) -> None:
    assert await asked(proxy, answering(interim + OK)) == OK
    kind, flow = await proxy.watch.end()
    assert (kind, flow.response and flow.response.status_code) == ("response", 200)


async def test_an_interim_answer_may_come_long_before_the_final_one(proxy: Place) -> None:
    seen = asyncio.Event()

    async def script(reader: Reader, writer: Writer) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLi")
        await writer.drain()
        writer.write(b"nk: a\r\n\r\n")
        await writer.drain()
        await seen.wait()
        writer.write(OK)
        await writer.drain()

    async with providing(script) as port:
        client = await proxy.client()
        await client.send(get(port, "Connection: close"))
        seen.set()
        assert await client.rest() == OK


async def test_a_connection_is_kept_after_an_interim_answer(proxy: Place) -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    async with providing(answering(hint + OK, hint + OK)) as port:
        client = await proxy.client()
        for _ in range(2):
            await client.send(get(port))
            assert await client.exactly(len(OK)) == OK


async def test_endless_interim_answers_are_a_502(proxy: Place) -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        await request_of(reader)
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
            await writer.drain()

    assert (await asked(proxy, script)).startswith(b"HTTP/1.1 502 ")


# ------------------------------------------------------------------------- trailers


async def test_a_provider_s_trailers_reach_the_client_and_the_hooks(proxy: Place) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"2\r\nok\r\n0\r\nX-Check: 1\r\nx-late: two\r\n\r\n"
    assert await asked(proxy, answering(head + body)) == head + body
    _, flow = await proxy.watch.end()
    assert flow.response is not None
    assert flow.response.trailers is not None
    assert flow.response.trailers.fields == ((b"X-Check", b"1"), (b"x-late", b"two"))


async def test_a_client_s_trailers_reach_the_provider_and_the_hooks(proxy: Place) -> None:
    sent = b"3\r\nabc\r\n0\r\nX-Check: 1\r\n\r\n"
    got: list[bytes] = []

    async def script(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        got.append(await reader.readuntil(b"1\r\n\r\n"))
        writer.write(OK)

    async with providing(script) as port:
        client = await proxy.client()
        head = get(port, "Transfer-Encoding: chunked", "Connection: close")
        await client.send(head.replace(b"GET", b"POST") + sent)
        assert await client.rest() == OK
    assert got == [sent]
    (flow,) = proxy.watch.requests
    assert flow.request.content == b"abc"
    assert flow.request.trailers is not None
    assert flow.request.trailers.fields == ((b"X-Check", b"1"),)


# ------------------------------------------------------------------------- odd and hostile answers


async def test_a_length_beside_chunks_does_not_count(proxy: Place) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    got = await asked(proxy, answering(head + b"2\r\nok\r\n0\r\n\r\n"))
    assert got == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"


async def test_a_provider_of_http_1_0_ends_its_body_with_the_connection(proxy: Place) -> None:
    answer = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it"
    assert await asked(proxy, answering(answer)) == answer
    assert (await proxy.watch.end())[0] == "response"


async def test_more_than_the_length_says_is_left_out(proxy: Place) -> None:
    async with providing(answering(OK + b"HTTP/1.1 200 OK\r\nEvil: 1\r\n\r\n")) as port:
        client = await proxy.client()
        for _ in range(2):  # the second on a connection of its own
            await client.send(get(port))
            assert await client.exactly(len(OK)) == OK


async def test_less_than_the_length_says_is_a_cut(proxy: Place) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"
    assert await asked(proxy, answering(answer)) == answer
    kind, flow = await proxy.watch.end()
    assert (kind, transport.ended(flow)) == ("error", "cut")


@pytest.mark.parametrize(
    "answer",
    [
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 -20 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad name: 1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: x\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_answer_is_a_502_while_the_provider_stays(
    proxy: Place, answer: bytes
) -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        await request_of(reader)
        writer.write(answer)
        await writer.drain()
        await reader.read()

    assert (await asked(proxy, script)).startswith(b"HTTP/1.1 502 ")
    kind, flow = await proxy.watch.end()
    assert kind == "error"
    assert flow.error is not None
    assert len(flow.error.msg) < 300


@pytest.mark.parametrize("part", [b"A: " + b"b" * 1000, b"A: b\r\n" * 50])
async def test_endless_headers_are_a_502(proxy: Place, part: bytes) -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(part)
            await writer.drain()

    assert (await asked(proxy, script)).startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize("part", [b"2;ext=" + b"x" * 70_000, b"0\r\n" + b"A: b\r\n" * 12_000])
async def test_a_chunk_s_endless_line_ends_the_answer(proxy: Place, part: bytes) -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n" + part)
        await writer.drain()
        await reader.read()

    got = await asked(proxy, script)
    assert got.endswith(b"2\r\nok\r\n")
    assert (await proxy.watch.end())[0] == "error"


async def test_a_header_s_value_starts_no_header_of_its_own(proxy: Place) -> None:
    odd = b"A: 1\rSet-Cookie: x\0y\r\nB: 1\r\n Evil: 2\r\n"
    answer = b"HTTP/1.1 200 OK\r\n" + odd + b"Content-Length: 0\r\n\r\n"
    got = await asked(proxy, answering(answer))
    assert got == (
        b"HTTP/1.1 200 OK\r\nA: 1 Set-Cookie: x y\r\nB: 1 Evil: 2\r\nContent-Length: 0\r\n\r\n"
    )


async def test_blank_lines_before_a_message_are_passed_over(proxy: Place) -> None:
    async with providing(answering(b"\r\n\r\n" + OK)) as port:
        client = await proxy.client()
        await client.send(b"\r\n\r\n" + get(port))
        assert await client.exactly(len(OK)) == OK


# ------------------------------------------------------------------------- ends


async def test_a_close_before_the_head_is_a_502(proxy: Place) -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        await request_of(reader)

    assert (await asked(proxy, script)).startswith(b"HTTP/1.1 502 ")
    assert transport.ended((await proxy.watch.end())[1]) == "cut"


async def test_a_client_that_leaves_is_told_from_a_provider_that_does(proxy: Place) -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        await request_of(reader)
        writer.write(HALF)
        await writer.drain()
        assert await reader.read() == b""

    async with providing(script) as port:
        client = await proxy.client()
        await client.send(get(port))
        await client.exactly(len(HALF))
        client.writer.close()
        kind, flow = await proxy.watch.end()
    assert (kind, transport.ended(flow)) == ("error", "client-closed")


async def test_a_connection_that_breaks_while_idle_is_made_anew(proxy: Place) -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        await request_of(reader)
        writer.write(OK)
        await writer.drain()
        reset(writer)

    async with providing(script) as port:
        client = await proxy.client()
        for _ in range(2):
            await client.send(get(port))
            assert await client.exactly(len(OK)) == OK
            await proxy.watch.end()


# ------------------------------------------------------------------------- requests


async def test_pipelined_requests_are_answered_in_order(proxy: Place) -> None:
    seen: list[bytes] = []

    async def script(reader: Reader, writer: Writer) -> None:
        while True:
            head, _ = await request_of(reader)
            seen.append(head.split(b" ")[1])
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + seen[-1][-2:])

    async with providing(script) as port:
        client = await proxy.client()
        await client.send(
            b"".join(get(port).replace(b"models", b"%d" % number) for number in (10, 11, 12))
        )
        got = [await client.exactly(len(OK)) for _ in range(3)]
    assert [answer[-2:] for answer in got] == [b"10", b"11", b"12"]
    assert seen == [b"/v1/10", b"/v1/11", b"/v1/12"]


async def test_a_client_that_expects_100_gets_it_and_then_the_answer(proxy: Place) -> None:
    got: list[bytes] = []

    async def script(reader: Reader, writer: Writer) -> None:
        got.extend(await request_of(reader))
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)

    async with providing(script) as port:
        client = await proxy.client()
        head = get(port, "Content-Length: 3", "Expect: 100-continue", "Connection: close")
        await client.send(head.replace(b"GET", b"POST"))
        assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"abc")
        assert await client.rest() == OK
    assert got[1] == b"abc"


async def test_a_failure_after_100_is_a_502(proxy: Place) -> None:
    async with providing(answering(b"garbage")) as port:
        client = await proxy.client()
        head = get(port, "Content-Length: 3", "Expect: 100-continue")
        await client.send(head.replace(b"GET", b"POST"))
        await client.head()
        await client.send(b"abc")
        assert (await client.rest()).startswith(b"HTTP/1.1 502 ")


async def test_the_base_url_port_takes_the_origin_form(proxy: Place) -> None:
    client = Client(*await asyncio.open_connection("127.0.0.1", proxy.base_url_port))
    proxy.clients.append(client)
    await client.send(b"GET /api.openai.com/v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
    await client.head()
    (flow,) = proxy.watch.requests
    assert flow.request.path == "/api.openai.com/v1/models"


async def test_half_a_request_reaches_nobody(proxy: Place) -> None:
    connections = 0

    async def script(reader: Reader, writer: Writer) -> None:
        nonlocal connections
        connections += 1

    async with providing(script) as port:
        for half in (
            get(port)[:-2],
            get(port, "Content-Length: 9").replace(b"GET", b"POST") + b"a",
        ):
            client = await proxy.client()
            await client.send(half)
            client.writer.write_eof()
            assert await client.rest() == b""
    assert connections == 0


async def test_a_request_s_endless_head_is_a_431(proxy: Place) -> None:
    client = await proxy.client()
    client.writer.write(b"GET http://127.0.0.1/ HTTP/1.1\r\nA: " + b"b" * 300_000)
    assert (await client.head()).startswith(b"HTTP/1.1 431 ")


async def test_a_tunnel_carries_what_is_not_http(proxy: Place) -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        while data := await reader.read(100):
            writer.write(data[::-1])

    async with providing(script) as port:
        client = await proxy.tunnel(f"127.0.0.1:{port}")
        for data in (b"\x00\x01\x02\xff", b"\n\n\x00abc"):
            await client.send(data)
            assert await client.exactly(len(data)) == data[::-1]


def has_ipv6() -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
async def test_ipv6_is_spoken_on_both_sides(state: Path) -> None:
    async with proxying(state, host="::1") as proxy, providing(answering(OK), "::1") as port:
        client = await proxy.client()
        await client.send(get(port, "Connection: close", host="[::1]"))
        assert await client.rest() == OK


# ------------------------------------------------------------------------- amounts


MB = 1024 * 1024


async def test_a_large_upload_goes_out_as_it_comes(proxy: Place) -> None:
    piece = os.urandom(MB)
    size, first = 30, asyncio.Event()
    begun: list[http.HTTPFlow] = []
    upload = proxy.watch.upload = Upload(begun.append, held=MB)
    digest = hashlib.sha256()

    async def script(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        left = size * MB
        while left:
            data = await reader.read(65536)
            first.set()
            digest.update(data)
            left -= len(data)
        writer.write(OK)

    async with providing(script) as port:
        client = await proxy.client()
        head = get(port, f"Content-Length: {size * MB}", "Connection: close")
        await client.send(head.replace(b"GET", b"POST"))
        for _ in range(size // 2):
            await client.send(piece)
        async with asyncio.timeout(PATIENCE):
            await first.wait()
        for _ in range(size - size // 2):
            await client.send(piece)
        assert await client.rest() == OK
    _, flow = await proxy.watch.end()
    assert (begun, flow.request.content) == ([flow], None)
    assert digest.digest() == hashlib.sha256(piece * size).digest()
    with upload.open() as file:
        assert file.read() == piece * size


async def test_a_large_upload_goes_where_its_beginning_sends_it(state: Path) -> None:
    outside = Outside(1)

    def to_provider(flow: http.HTTPFlow) -> None:
        flow.request.data.host, flow.request.data.port = "localhost", port

    async with providing(outside) as outer_port, providing(answering(OK)) as port:
        environ = {"http_proxy": f"http://127.0.0.1:{outer_port}"}
        async with proxying(state, environ=environ) as proxy:
            upload = proxy.watch.upload = Upload(to_provider, held=1000)
            client = await proxy.client()
            head = get(80, "Content-Length: 5000", "Connection: close", host="api.test")
            await client.send(head.replace(b"GET", b"POST") + bytes(5000))
            assert await client.rest() == OK
            upload.close()
    assert outside.asked == []


async def test_an_answer_before_the_upload_s_end_is_the_answer(proxy: Place) -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
    upload = proxy.watch.upload = Upload(lambda flow: None, held=1000)

    async def script(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.read(1000)
        writer.write(refusal)
        await writer.drain()

    async with providing(script) as port:
        client = await proxy.client()
        head = get(port, f"Content-Length: {MB}").replace(b"GET", b"POST")
        await client.send(head + bytes(5000))
        assert await client.exactly(len(refusal)) == refusal
    kind, flow = await proxy.watch.end()
    upload.close()
    assert (kind, transport.ended(flow)) == ("response", None)


async def test_a_small_upload_is_held_until_it_is_whole(proxy: Place) -> None:
    begun: list[http.HTTPFlow] = []
    upload = proxy.watch.upload = Upload(begun.append, held=MB)
    async with providing(answering(OK)) as port:
        client = await proxy.client()
        head = get(port, "Content-Length: 3", "Connection: close").replace(b"GET", b"POST")
        await client.send(head + b"abc")
        assert await client.rest() == OK
    (flow,) = proxy.watch.requests
    assert (begun, upload.has_begun, flow.request.content) == ([], False, b"abc")


# ------------------------------------------------------------------------- HTTP/2


@pytest.mark.parametrize("http2", [False, True])
async def test_a_client_gets_http_2_where_it_is_turned_on(
    state: Path, tmp_path: Path, http2: bool
) -> None:
    context, roots = tls_for("localhost", tmp_path)
    async with (
        proxying(state, roots, http2=http2) as proxy,
        providing(answering(OK), ssl=context) as port,
        httpx.AsyncClient(
            http2=True,
            proxy=f"http://127.0.0.1:{proxy.port}",
            verify=proxy.trust(),
            timeout=600,
        ) as client,
    ):
        got = await client.get(f"https://localhost:{port}/")
    assert (got.http_version, got.text) == ("HTTP/2" if http2 else "HTTP/1.1", "ok")


class Http2Provider:
    """Answers each request over HTTP/2 with `size` bytes."""

    def __init__(self, size: int) -> None:
        self.size = size

    async def __call__(self, reader: Reader, writer: Writer) -> None:
        conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        conn.initiate_connection()
        while data := await reader.read(65536):
            for event in conn.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    conn.send_headers(event.stream_id, [(":status", "200")])
                    for _ in range(self.size // 16_384):
                        conn.send_data(event.stream_id, bytes(16_384))
                    conn.end_stream(event.stream_id)
            writer.write(conn.data_to_send())
            await writer.drain()


async def test_http_2_is_spoken_on_both_sides(state: Path, tmp_path: Path) -> None:
    script = Http2Provider(32_768)
    async with over_http_2(state, tmp_path, script, "h2") as (proxy, client, url):
        got = await client.get(url)
        _, flow = await proxy.watch.end()
    assert (got.http_version, got.content) == ("HTTP/2", bytes(32_768))
    assert flow.server_conn.alpn == b"h2"


class Miser:
    """An HTTP/2 client that reads its socket and opens no window."""

    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._conn = h2.connection.H2Connection()
        self.resets: list[int] = []
        self.got = 0
        self._conn.initiate_connection()
        authority, _, path = path.partition("/")
        fields = (("method", "GET"), ("scheme", "https"), ("authority", authority))
        headers = [(f":{name}", value) for name, value in (*fields, ("path", f"/{path}"))]
        self._conn.send_headers(1, headers, end_stream=True)
        client.writer.write(self._conn.data_to_send())

    async def read(self) -> None:
        while not self.resets and (data := await self._client.reader.read(65536)):
            for event in self._conn.receive_data(data):
                if isinstance(event, h2.events.StreamReset):
                    self.resets.append(int(event.error_code))
                if isinstance(event, h2.events.DataReceived):
                    self.got += len(event.data)
            self._client.writer.write(self._conn.data_to_send())

    def open(self, size: int) -> None:
        """Give a window after all."""
        self._conn.increment_flow_control_window(size)
        self._conn.increment_flow_control_window(size, 1)
        self._client.writer.write(self._conn.data_to_send())


async def miser(proxy: Place, url: str) -> Miser:
    place = url.removeprefix("https://")
    client = await proxy.tunnel(place.partition("/")[0])
    trust = proxy.trust()
    trust.set_alpn_protocols(["h2"])
    await client.writer.start_tls(trust, server_hostname="localhost")
    return Miser(client, place)


async def test_a_stream_left_unread_ends_where_others_share_its_connection(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2, "HELD_MOST", MB)
    async with over_http_2(state, tmp_path, Http2Provider(8 * MB), "h2") as (proxy, _, url):
        client = await miser(proxy, url)
        async with asyncio.timeout(PATIENCE):
            await client.read()
        kind, flow = await proxy.watch.end()
    assert client.resets == [h2.errors.ErrorCodes.ENHANCE_YOUR_CALM]
    assert (kind, transport.ended(flow)) == ("error", "client-closed")
    assert flow.error is not None
    assert flow.error.msg == "the client left more than 1 MiB of it unread"


async def test_a_closed_window_slows_the_provider_until_it_opens(
    state: Path, tmp_path: Path
) -> None:
    sent, size = 0, 60 * MB
    has_begun = asyncio.Event()

    async def script(reader: Reader, writer: Writer) -> None:
        nonlocal sent
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // MB):
            writer.write(bytes(MB))
            await writer.drain()
            sent += MB
            has_begun.set()

    async with over_http_2(state, tmp_path, script) as (proxy, _, url):
        client = await miser(proxy, url)
        reading = asyncio.create_task(client.read())
        async with asyncio.timeout(PATIENCE):
            await has_begun.wait()  # until then threads have a part in it, too
        before = await standstill(lambda: sent + client.got) - client.got
        assert (client.got, 0 < before < 40 * MB) == (65_535, True)
        client.open(2 * size)
        kind, _ = await proxy.watch.end()
        assert (kind, sent) == ("response", size)
        reading.cancel()


async def test_a_body_without_a_length_goes_out_chunked(state: Path, tmp_path: Path) -> None:
    got: list[bytes] = []

    async def script(reader: Reader, writer: Writer) -> None:
        got.append(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(OK)

    async def body() -> AsyncIterator[bytes]:
        yield b"abc"

    async with over_http_2(state, tmp_path, script) as (_, client, url):
        assert (await client.post(url, content=body())).text == "ok"
    assert b"\r\ntransfer-encoding: chunked\r\n" in got[0]
    assert got[0].endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")


async def test_a_failure_over_http_2_is_a_502(state: Path, tmp_path: Path) -> None:
    async with over_http_2(state, tmp_path, answering(b"garbage")) as (_, client, url):
        assert (await client.get(url)).status_code == 502


@pytest.mark.parametrize("first", [b"", HALF])
async def test_a_provider_s_reset_resets_the_http_2_stream(
    state: Path, tmp_path: Path, first: bytes
) -> None:
    read = asyncio.Event()
    got: list[bytes] = []

    async def script(reader: Reader, writer: Writer) -> None:
        await request_of(reader)
        if first:
            writer.write(first)
            await writer.drain()
            await read.wait()
        reset(writer)

    async def take(client: httpx.AsyncClient, url: str) -> None:
        async with client.stream("GET", url) as answer:
            async for data in answer.aiter_raw():
                got.append(data)
                read.set()

    async with over_http_2(state, tmp_path, script) as (proxy, client, url):
        with pytest.raises(httpx.RemoteProtocolError, match="StreamReset"):
            await take(client, url)
        kind, flow = await proxy.watch.end()
    assert got == ([b"ok"] if first else [])
    assert (kind, transport.ended(flow)) == ("error", "reset")


async def test_trailers_reach_an_http_2_client(state: Path, tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    script = answering(head + b"2\r\nok\r\n0\r\nX-Check: 1\r\n\r\n")
    async with over_http_2(state, tmp_path, script) as (_, client, url):
        assert (await client.get(url)).text == "ok"


# ------------------------------------------------------------------------- an outer proxy


async def secure_get(proxy: Place, host: str, context: ssl.SSLContext) -> bytes:
    client = await proxy.tunnel(f"{host}:443")
    await client.writer.start_tls(context, server_hostname=host)
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    await client.send(request.encode())
    return await client.rest()


@pytest.mark.parametrize("by", ["setting", "environment"])
@pytest.mark.parametrize("tunnelled", [False, True])
async def test_an_outer_proxy_is_gone_through_with_its_credentials(
    state: Path, tmp_path: Path, by: str, tunnelled: bool
) -> None:
    context, roots = tls_for("api.openai.com", tmp_path)
    async with providing(answering(OK), ssl=context) as port:
        outside = Outside(port)
        async with providing(outside) as outer_port:
            url = f"http://us%40er:p%3Aw@127.0.0.1:{outer_port}"
            options: dict[str, Any] = {"upstream_proxy": url}
            if by == "environment":
                options = {"environ": {"HTTPS_PROXY": url}}
            async with proxying(state, roots, **options) as proxy:
                proxy.watch.tunnels = tunnelled
                trust = (
                    ssl.create_default_context(cafile=str(roots)) if tunnelled else proxy.trust()
                )
                assert await secure_get(proxy, "api.openai.com", trust) == OK
    assert outside.asked == [
        b"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n"
        b"Proxy-Authorization: Basic dXNAZXI6cDp3\r\n\r\n"
    ]
    assert len(proxy.watch.requests) == (0 if tunnelled else 1)
    for flow in proxy.watch.requests:
        assert "proxy-authorization" not in flow.request.headers


async def test_an_outer_proxy_is_asked_for_plain_http_urls(state: Path) -> None:
    asked: list[bytes] = []

    async def outside(reader: Reader, writer: Writer) -> None:
        for _ in range(2):
            asked.append((await request_of(reader))[0])
            writer.write(OK)

    async with providing(outside) as outer_port:
        url = f"http://user:pw@127.0.0.1:{outer_port}"
        async with proxying(state, environ={"HTTP_PROXY": url}) as proxy:
            client = await proxy.client()
            for _ in range(2):
                await client.send(get(80, host="ollama.test"))
                assert await client.exactly(len(OK)) == OK
    assert asked == 2 * [
        b"GET http://ollama.test/v1/models HTTP/1.1\r\nHost: ollama.test:80\r\n"
        b"Proxy-Authorization: Basic dXNlcjpwdw==\r\n\r\n"
    ]
    for flow in proxy.watch.requests:
        assert "proxy-authorization" not in flow.request.headers


async def test_what_no_proxy_names_is_reached_directly(state: Path) -> None:
    outside = Outside(1)
    async with providing(outside) as outer_port, providing(answering(OK)) as port:
        environ = {"http_proxy": f"http://127.0.0.1:{outer_port}", "NO_PROXY": "localhost"}
        async with proxying(state, environ=environ) as proxy:
            client = await proxy.client()
            await client.send(get(port, "Connection: close", host="localhost"))
            assert await client.rest() == OK
    assert outside.asked == []


async def test_the_environment_s_no_proxy_holds_for_a_setting_s_proxy(state: Path) -> None:
    outside = Outside(1)
    async with providing(outside) as outer_port, providing(answering(OK)) as port:
        options: dict[str, Any] = {
            "upstream_proxy": f"http://127.0.0.1:{outer_port}",
            "environ": {"no_proxy": "localhost"},
        }
        async with proxying(state, **options) as proxy:
            client = await proxy.client()
            await client.send(get(port, "Connection: close", host="localhost"))
            assert await client.rest() == OK
    assert outside.asked == []


async def test_an_outer_proxy_that_refuses_is_a_502_without_its_credentials(
    state: Path, tmp_path: Path
) -> None:
    async with providing(Outside(1, status=b"407 Proxy Authentication Required")) as outer_port:
        url = f"http://user:p4ssw0rd@127.0.0.1:{outer_port}"
        async with proxying(state, upstream_proxy=url) as proxy:
            got = await secure_get(proxy, "api.openai.com", proxy.trust())
            _, flow = await proxy.watch.end()
    assert got.startswith(b"HTTP/1.1 502 ")
    assert flow.error is not None
    assert flow.error.msg.endswith("407 Proxy Authentication Required")
    assert b"p4ssw0rd" not in got


async def test_a_proxy_that_is_ourselves_is_none(state: Path) -> None:
    port = unused_port()
    environ = {"HTTP_PROXY": f"http://127.0.0.1:{port}", "HTTPS_PROXY": f"http://localhost:{port}"}
    authority = Authority.load_or_create(state)
    bundle = authority.upstream_bundle([], {})
    proxy = EmbeddedProxy(hooks_with(Watch()), authority, bundle, environ=environ)
    await proxy.start(port, 0)
    try:
        flow = tflow.tflow(req=tutils.treq(host="api.openai.com"))
        proxy.way_out.choose(flow)
        assert (flow.server_conn.via, flow.metadata[transport.ASKED]) == (None, None)
    finally:
        await proxy.stop()

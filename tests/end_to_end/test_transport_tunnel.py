"""Tunnels to hosts of no provider, and clients that ask for nothing: real sockets."""

import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mitmproxy import http, tls
from tests.support.embedded import (
    OK,
    Outside,
    Place,
    Reader,
    Watch,
    Writer,
    answering,
    get,
    providing,
    proxying,
    reset,
)

from wiretape_mitm.patches import transport


class Tunnels(Watch):
    """No host is a provider's."""

    def __init__(self) -> None:
        super().__init__()
        self.hellos = 0

    def http_connect(self, flow: http.HTTPFlow) -> None:
        flow.metadata[transport.RAW] = True

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        self.hellos += 1


@pytest.fixture
async def proxy(state: Path) -> AsyncIterator[Place]:
    async with proxying(state, watch=Tunnels()) as place:
        yield place


async def greeting(reader: Reader, writer: Writer) -> None:
    """Speaks first, as SMTP and SSH do; then says each line backwards."""
    writer.write(b"220 ready\r\n")
    while line := await reader.readline():
        writer.write(line[::-1])


async def test_a_server_may_speak_first(proxy: Place) -> None:
    async with providing(greeting) as port:
        client = await proxy.tunnel(f"127.0.0.1:{port}")
        assert await client.exactly(11) == b"220 ready\r\n"
        await client.send(b"EHLO\n")
        assert await client.exactly(5) == b"\nOLHE"


async def test_a_server_may_speak_first_behind_an_outer_proxy(state: Path) -> None:
    async with providing(greeting) as port:
        outside = Outside(port)
        async with providing(outside) as outer_port:
            url = f"http://127.0.0.1:{outer_port}"
            async with proxying(state, watch=Tunnels(), upstream_proxy=url) as proxy:
                client = await proxy.tunnel("mail.test:25")
                assert await client.exactly(11) == b"220 ready\r\n"
    assert outside.asked == [b"CONNECT mail.test:25 HTTP/1.1\r\nHost: mail.test:25\r\n\r\n"]


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\nhost:x\r\n\r\n\n",
        b"\x16\x03\x01\x00\x05hello\n",
        b"\x00\xff\n",
        b"SSH-2.0-x\r\n",
    ],
)
async def test_bytes_pass_as_they_are_whatever_they_look_like(proxy: Place, first: bytes) -> None:
    async def echo(reader: Reader, writer: Writer) -> None:
        while data := await reader.read(100):
            writer.write(data)

    async with providing(echo) as port:
        client = await proxy.tunnel(f"127.0.0.1:{port}")
        await client.send(first)
        assert await client.exactly(len(first)) == first
    watch = proxy.watch
    assert isinstance(watch, Tunnels)
    assert (watch.hellos, watch.requests) == (0, [])


async def test_a_half_close_passes_through_a_tunnel(proxy: Place) -> None:
    async def count(reader: Reader, writer: Writer) -> None:
        writer.write(b"%d" % len(await reader.read()))

    async with providing(count) as port:
        client = await proxy.tunnel(f"127.0.0.1:{port}")
        await client.send(b"12345")
        client.writer.write_eof()
        assert await client.rest() == b"5"


async def test_a_server_that_cannot_be_reached_is_a_502(proxy: Place) -> None:
    async with providing(greeting) as port:
        pass  # nobody listens there any more
    client = await proxy.client()
    await client.send(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
    assert (await client.head()).startswith(b"HTTP/1.1 502 ")
    said = f"wiretape: 127.0.0.1:{port} cannot be reached: ".encode()
    assert await client.exactly(len(said)) == said


# ------------------------------------------------------------------------- clients of nothing


@pytest.mark.parametrize(
    "line",
    [
        b"garbage\r\n\r\n",
        b"\x00\x01\xff\r\n\r\n",
        b"GET http://127.0.0.1/ HTTP/9\r\n\r\n",
        b"GET http://127.0.0.1:99999/ HTTP/1.1\r\n\r\n",
        b"GET http://[/ HTTP/1.1\r\n\r\n",
        b"CONNECT :0 HTTP/1.1\r\n\r\n",
        b"CONNECT x HTTP/1.1\r\n\r\n",
        b"POST http://127.0.0.1/ HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST http://127.0.0.1/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_a_400_and_the_end(proxy: Place, line: bytes) -> None:
    client = await proxy.client()
    await client.send(line)
    assert (await client.rest()).startswith(b"HTTP/1.1 400 ")


async def test_a_client_that_resets_in_a_request_disturbs_no_other(proxy: Place) -> None:
    async with providing(answering(OK)) as port:
        for half in (b"GE", get(port)[:-2], get(port, "Content-Length: 9") + b"a"):
            client = await proxy.client()
            await client.send(half)
            reset(client.writer)
        client = await proxy.client()
        await client.send(get(port, "Connection: close"))
        assert await client.rest() == OK


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 2500, reason="too few files may be open"
)
async def test_a_thousand_idle_connections_keep_nobody_waiting(proxy: Place) -> None:
    idle = [await proxy.client() for _ in range(1000)]
    async with providing(answering(OK)) as port:
        client = await proxy.client()
        await client.send(get(port, "Connection: close"))
        assert await client.rest() == OK
    for client in idle:
        client.writer.close()

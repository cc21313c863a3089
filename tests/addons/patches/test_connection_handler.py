"""How connections break, and who waits for whom, through the real proxy: real sockets."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.support.embedded import (
    HALF,
    OK,
    Place,
    Reader,
    Writer,
    asking,
    get,
    over_http_2,
    providing,
    proxying,
    request_of,
    reset,
    tls_for,
)
from tests.support.limits import PATIENCE
from tests.support.standstill import standstill

from wiretape_mitm.patches import transport

MB = 1024 * 1024


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("kind", ["reset", "cut"])
async def test_a_provider_s_break_is_told_and_done_as_it_was(
    state: Path, tmp_path: Path, secure: bool, kind: str
) -> None:
    read = asyncio.Event()

    async def script(reader: Reader, writer: Writer) -> None:
        await request_of(reader)
        writer.write(HALF)
        await writer.drain()
        await read.wait()
        if kind == "reset":
            reset(writer)

    tls_of_provider, roots = tls_for("localhost", tmp_path)
    async with (
        proxying(state, roots) as proxy,
        providing(script, ssl=tls_of_provider if secure else None) as port,
    ):
        client = await asking(proxy, port, secure=secure)
        assert await client.exactly(len(HALF)) == HALF
        read.set()
        rest, error = await client.until_end()
        hook, flow = await proxy.watch.end()
    assert (rest, hook, transport.ended(flow)) == (b"", "error", kind)
    assert error is (ConnectionResetError if kind == "reset" else None)


@pytest.mark.parametrize("secure", [False, True])
async def test_a_reset_before_the_head_is_a_reset_to_the_client(
    state: Path, tmp_path: Path, secure: bool
) -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        await request_of(reader)
        reset(writer)

    tls_of_provider, roots = tls_for("localhost", tmp_path)
    async with (
        proxying(state, roots) as proxy,
        providing(script, ssl=tls_of_provider if secure else None) as port,
    ):
        client = await asking(proxy, port, secure=secure)
        assert await client.until_end() == (b"", ConnectionResetError)
        _, flow = await proxy.watch.end()
    assert (transport.ended(flow), flow.response) == ("reset", None)


async def test_what_came_before_a_reset_is_not_lost(proxy: Place) -> None:
    data = os.urandom(40_000)

    async def script(reader: Reader, writer: Writer) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + data)
        await writer.drain()
        reset(writer)

    async with providing(script) as port:
        client = await proxy.client()
        await client.send(get(port))
        await client.until_end()
    await proxy.watch.end()
    assert b"".join(proxy.watch.read) == data


async def test_a_client_that_never_reads_slows_the_provider(proxy: Place) -> None:
    sent = 0

    async def script(reader: Reader, writer: Writer) -> None:
        nonlocal sent
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (100 * MB))
        for _ in range(100):
            writer.write(bytes(MB))
            await writer.drain()
            sent += MB

    async with providing(script) as port:
        client = await proxy.client(limit=1024)
        await client.send(get(port))
        await client.head()
        assert 0 < await standstill(lambda: sent) < 30 * MB


async def test_twelve_streams_of_one_client_run_at_once(state: Path, tmp_path: Path) -> None:
    arrived, all_there = 0, asyncio.Event()

    async def script(reader: Reader, writer: Writer) -> None:
        nonlocal arrived
        head, _ = await request_of(reader)
        if b"/first" not in head:
            arrived += 1
            if arrived == 12:
                all_there.set()
            await all_there.wait()
        writer.write(OK)

    async with over_http_2(state, tmp_path, script) as (_, client, url):
        await client.get(f"{url}first")  # from here on httpx knows that one connection will do
        async with asyncio.timeout(PATIENCE):
            got = await asyncio.gather(*(client.get(url) for _ in range(12)))
    assert [answer.text for answer in got] == ["ok"] * 12


async def test_an_http_2_client_that_never_reads_slows_its_provider_only(
    state: Path, tmp_path: Path
) -> None:
    sent = 0

    async def script(reader: Reader, writer: Writer) -> None:
        nonlocal sent
        head, _ = await request_of(reader)
        if b"/small" in head:
            writer.write(OK)
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (200 * MB))
        for _ in range(200):
            writer.write(bytes(MB))
            await writer.drain()
            sent += MB

    async with over_http_2(state, tmp_path, script) as (_, client, url):
        async with client.stream("GET", url) as answer:
            size = await standstill(lambda: sent)
            assert 0 < size < 60 * MB
            assert (await client.get(f"{url}small")).text == "ok"
            async for _ in answer.aiter_raw():
                if sent > size:
                    break  # it went on
        assert sent > size

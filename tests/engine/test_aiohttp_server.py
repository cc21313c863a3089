"""aiohttp's server as wiretape sets it up: headers as they are, and what is not HTTP is told."""

import asyncio

import pytest
from aiohttp import web

from wiretape.engine.aiohttp_server import aiohttp_server, close
from wiretape.engine.under_way import UNTYPED

# aiohttp 3.12, which is enough for wiretape, has no RequestKey.
pytestmark = pytest.mark.filterwarnings("ignore:It is recommended to use web.RequestKey")


async def answers(sent: bytes, *, untyped: bool = False) -> tuple[bytes, int]:
    """What a connection gets that sends these bytes, and how many requests could not be read."""
    unreadable: list[None] = []

    async def handle(http: web.BaseRequest) -> web.StreamResponse:
        http[UNTYPED] = untyped
        return web.Response(body=b"ok", headers={"x-raw": "\udcff"})

    server = aiohttp_server(handle, lambda: unreadable.append(None), 1000)
    loop = asyncio.get_running_loop()
    async with await loop.create_server(server, "127.0.0.1", 0) as listening:
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writer.write(sent)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        await close(server)
    return answer, len(unreadable)


async def test_header_values_are_the_bytes_they_were() -> None:
    answer, unreadable = await answers(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"x-raw: \xff\r\n" in answer
    assert unreadable == 0


@pytest.mark.parametrize("untyped", [False, True])
async def test_an_answer_without_a_type_gets_none(untyped: bool) -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer, _ = await answers(request, untyped=untyped)
    assert (b"content-type" in answer.lower()) is not untyped


async def test_what_is_not_http_is_answered_and_told() -> None:
    answer, unreadable = await answers(b"nonsense\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 400 ")
    assert unreadable == 1

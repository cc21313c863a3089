"""The heads that are read without aiohttp's protocol, and those that are left to it."""

import asyncio

import pytest

from wiretape.engine.http_request import MOST_BODY, Heads, WholeRequest

HEAD = b"POST /api.openai.com/v1/x?y=1 HTTP/1.1\r\nHost: localhost:1\r\nX-A: 1\r\nx-a: caf\xe9\r\n"


def read(*lines: bytes, first: bytes = HEAD) -> object:
    loop = asyncio.new_event_loop()
    try:
        return Heads(loop).read(first + b"".join(line + b"\r\n" for line in lines) + b"\r\n")
    finally:
        loop.close()


async def test_a_head_says_what_its_bytes_do() -> None:
    head = Heads(asyncio.get_running_loop()).read(HEAD + b"Content-Length: 7\r\n\r\n")
    assert head is not None
    request = WholeRequest(head, b"{1:2,3}", asyncio.Transport())
    assert (request.method, request.raw_path) == ("POST", "/api.openai.com/v1/x?y=1")
    assert request.raw_headers[1:3] == ((b"X-A", b"1"), (b"x-a", b"caf\xe9"))
    assert request.headers.getall("x-a") == ["1", "caf\udce9"]
    assert (request.host, head.length, head.keep_alive) == ("localhost:1", 7, True)


async def test_the_latest_heads_are_read_once() -> None:
    heads = Heads(asyncio.get_running_loop())
    head = heads.read(HEAD + b"\r\n")
    assert heads.read(HEAD + b"\r\n") is head
    for number in range(1100):
        assert heads.read(HEAD + b"X-N: %d\r\n\r\n" % number) is not None
    assert heads.read(HEAD + b"\r\n") is not head
    long = HEAD + b"X-N: " + b"n" * 9000 + b"\r\n\r\n"
    assert heads.read(long) is not heads.read(long)


@pytest.mark.parametrize(
    ("line", "keep_alive"),
    [(b"Connection: close", False), (b"Connection: Close, X-A", False), (b"Connection: x", True)],
)
def test_a_head_says_whether_the_connection_lasts(line: bytes, keep_alive: bool) -> None:
    assert getattr(read(line), "keep_alive", None) is keep_alive


@pytest.mark.parametrize(
    "line",
    [
        b"Transfer-Encoding: chunked",
        b"Expect: 100-continue",
        b"Upgrade: h2c",
        b"Content-Length: %d" % (MOST_BODY + 1),
        b"Content-Length: +1",
        b"Content-Length: 1\r\nContent-Length: 1",
        b"Host: localhost",
        b"X-B : 1",
        b"X-B: " + b"b" * 70_000,
    ],
)
def test_some_heads_are_left_to_aiohttp(line: bytes) -> None:
    assert read(line) is None


@pytest.mark.parametrize(
    "first",
    [
        HEAD.replace(b"POST", b"HEAD"),
        HEAD.replace(b"1.1", b"1.0"),
        HEAD.replace(b"Host", b"Hist"),
        HEAD.replace(b"\r\n", b"\n"),
        b"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com\r\n",
        b"",
    ],
)
def test_some_requests_are_left_to_aiohttp(first: bytes) -> None:
    assert read(first=first) is None

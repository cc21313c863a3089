"""The short way gives both sides the bytes, and the hooks the calls, that mitmproxy's own does."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.utils import asyncio_utils
from tests.support.embedded import (
    HALF,
    OK,
    Client,
    Place,
    Reader,
    Writer,
    get,
    providing,
    proxying,
    request_of,
    reset,
    tls_for,
)

from wiretape_mitm.patches import connection_handler, short_way

POST = b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = HALF + b"3\r\nabc\r\n0\r\nX-End: 1\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
TO_THE_END = b"HTTP/1.0 200 OK\r\n\r\nuntil the end"
ANSWERS = {b"/ok": OK, b"/chunks": CHUNKED, b"/none": EMPTY, b"/close": TO_THE_END}

type Story = Callable[[Client], Awaitable[bytes]]


def asked(path: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def kept_alive(client: Client) -> bytes:
    got = b""
    for request, answer in ((asked(b"/ok"), OK), (POST, OK), (asked(b"/chunks"), CHUNKED)):
        await client.send(request)
        got += await client.exactly(len(answer))
    await client.send(asked(b"/none") + asked(b"/ok"))
    return got + await client.exactly(len(EMPTY + OK))


def sent(data: bytes) -> Story:
    async def story(client: Client) -> bytes:
        await client.send(data)
        got, error = await client.until_end()
        return got + repr(error).encode()

    return story


async def leaving(client: Client) -> bytes:
    await client.send(asked(b"/half"))
    got = await client.exactly(len(HALF))
    client.writer.transport.abort()
    return got


STORIES: dict[str, Story] = {
    "kept alive": kept_alive,
    "closed by the provider": sent(asked(b"/close")),
    "cut": sent(asked(b"/cut")),
    "reset": sent(asked(b"/reset")),
    "the client asks to close": sent(asked(b"/ok").replace(b"Host", b"Connection: close\r\nHost")),
    "no head": sent(b"GET / HTTP/1.1\r\nno colon\r\n\r\n"),
    "the client leaves": leaving,
}


async def provider(requests: list[bytes], reader: Reader, writer: Writer) -> None:
    while True:
        head, body = await request_of(reader)
        requests.append(head + body)
        path = head.split(b" ")[1]
        writer.write(ANSWERS.get(path, HALF if path in (b"/cut", b"/reset", b"/half") else OK))
        await writer.drain()
        if path == b"/reset":
            reset(writer)
        if path in (b"/cut", b"/close", b"/reset"):
            return


async def told(story: Story, state: Path, folder: Path) -> dict[str, Any]:
    """What a story's client read, its provider was asked, and its hooks were told."""
    requests: list[bytes] = []
    context, roots = tls_for("localhost", folder)
    async with (
        proxying(state, roots) as proxy,
        providing(partial(provider, requests), ssl=context) as port,
    ):
        client = await proxy.tunnel(f"localhost:{port}")
        await client.writer.start_tls(proxy.trust(), server_hostname="localhost")
        got = await story(client)
        ends = [await proxy.watch.end() for _ in requests]
    flows = [(hook, flow.response and bytes(flow.response.headers)) for hook, flow in ends]
    return {"client": got, "requests": requests, "hooks": flows, "read": b"".join(proxy.watch.read)}


@pytest.mark.parametrize("name", STORIES)
async def test_the_short_way_ends_where_mitmproxy_s_does(
    name: str, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner: list[object] = []
    find = short_way.tls_in_tunnel
    monkeypatch.setattr(short_way, "tls_in_tunnel", lambda top: _noted(find(top), inner))
    short = await told(STORIES[name], state, tmp_path)
    assert inner, "the tunnel was not left out"
    monkeypatch.setattr(connection_handler, "ShortWay", lambda top, begin_hook: top)
    assert short == await told(STORIES[name], state, tmp_path)


def _noted(layer: object, noted: list[object]) -> Any:
    noted += [layer] if layer else []
    return layer


async def test_a_hook_that_does_not_wait_is_no_task(
    proxy: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks: list[str] = []

    def create(coro: Any, *, name: str, **more: Any) -> Any:
        tasks.append(name)
        return make(coro, name=name, **more)

    make = asyncio_utils.create_task
    monkeypatch.setattr(asyncio_utils, "create_task", create)
    async with providing(partial(provider, [])) as port:
        client = await proxy.client()
        await client.send(get(port))
        assert await client.exactly(len(OK)) == OK
        await proxy.watch.end()
    assert not [name for name in tasks if "hook" in name]
    assert "client connection handler" in tasks


async def test_a_hook_that_waits_is_waited_for(
    proxy: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = asyncio.Event()
    requests: list[bytes] = []
    monkeypatch.setattr(proxy.watch, "request", lambda flow: may_go_on.wait())
    async with providing(partial(provider, requests)) as port:
        client = await proxy.client()
        await client.send(get(port))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not requests
        may_go_on.set()
        assert await client.exactly(len(OK)) == OK
    assert len(requests) == 1

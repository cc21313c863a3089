"""WebSocket connections through a real mitmproxy, recorded, and replayed from what was recorded."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import aiohttp
import pytest
import websockets
from aiohttp import web
from mitmproxy import http
from tests.support.hooks import hooks_with
from tests.support.limits import PATIENCE
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from wiretape.config.packs import built_in
from wiretape.core.capture.websocket import WebSocketRecorder
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Close, Headers, Message, Request, WebSocket
from wiretape.core.playback.pace import Pace
from wiretape.core.playback.websocket import (
    LockStep,
    MessageMatcher,
    Mismatch,
    ReplayedConnection,
)
from wiretape.core.recording.fields import Members
from wiretape.core.recording.websocket import from_websocket, to_websocket
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.engine.websocket import play
from wiretape.tls.authority import Authority
from wiretape_mitm import websocket
from wiretape_mitm.embedded import EmbeddedProxy

PATH = "/v1/realtime"
BIG = 300_000

type Script = Callable[[ServerConnection], Awaitable[None]]


class Tap:
    """An addon that records every connection as `wiretape_mitm/addon.py` does."""

    engine: int | None = None

    def __init__(self) -> None:
        self.ended: asyncio.Queue[WebSocket] = asyncio.Queue()
        self.held = 0
        self._started: dict[str, tuple[WebSocketRecorder, float]] = {}

    def request(self, flow: http.HTTPFlow) -> None:
        request = Request("GET", "http", "provider.test", 80, PATH, headers=_headers(flow.request))
        self._started[flow.id] = (WebSocketRecorder(request), perf_counter())

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        recorder, started = self._started[flow.id]
        recorder.start(flow.response.status_code, _headers(flow.response), perf_counter() - started)

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        recorder, started = self._started[flow.id]
        websocket.take_message(flow, recorder, perf_counter() - started)
        assert flow.websocket is not None
        self.held = max(self.held, len(flow.websocket.messages))

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        recorder, started = self._started.pop(flow.id)
        assert websocket.is_open(recorder)
        exchange = recorder.finish(websocket.outcome_of(flow, recorder), perf_counter() - started)
        assert isinstance(exchange.response, WebSocket)
        self.ended.put_nowait(exchange.response)

    async def recorded(self) -> WebSocket:
        async with asyncio.timeout(PATIENCE):
            return await self.ended.get()


def _headers(message: http.Message) -> Headers:
    return tuple((name.decode(), value.decode()) for name, value in message.headers.fields)


class Way:
    """A way to a provider that leads through a proxy."""

    def __init__(self, tap: Tap, url: str, proxy: str) -> None:
        self.tap = tap
        self.url = url
        self.proxy = proxy

    def connect(self, **options: Any) -> connect:
        return connect(self.url, proxy=self.proxy, **options)


@asynccontextmanager
async def way(state: Path, script: Script, **options: Any) -> AsyncIterator[Way]:
    tap = Tap()
    authority = Authority.load_or_create(state)
    bundle = authority.upstream_bundle([], {})
    proxy = EmbeddedProxy(hooks_with(tap), authority, bundle, environ={})
    async with serve(script, "127.0.0.1", 0, **options) as provider:
        port, _ = await proxy.start(0, 0)
        upstream = provider.sockets[0].getsockname()[1]
        try:
            yield Way(tap, f"ws://127.0.0.1:{upstream}{PATH}", f"http://127.0.0.1:{port}")
        finally:
            await proxy.stop()


def untimed(recorded: WebSocket) -> list[tuple[str, bytes, bool]]:
    return [(message.sender, message.data, message.binary) for message in recorded.messages]


async def realtime(provider: ServerConnection) -> None:
    """Speaks as OpenAI Realtime does, until the client closes."""
    await provider.send('{"type":"session.created"}')
    async for text in provider:
        asked = json.loads(text)
        await provider.send(json.dumps({"type": "delta", "delta": asked["n"]}))
        await provider.send('{"type":"response.done"}')


async def ask(client: ClientConnection, number: int) -> None:
    await client.send(json.dumps({"type": "response.create", "n": number}))
    while json.loads(await client.recv())["type"] != "response.done":
        pass


async def test_messages_of_both_sides_are_recorded_in_order(state: Path) -> None:
    async with way(state, realtime) as through:
        async with through.connect() as client:
            await client.recv()
            await ask(client, 1)
            await ask(client, 2)
        recorded = await through.tap.recorded()
    assert untimed(recorded) == [
        ("server", b'{"type":"session.created"}', False),
        ("client", b'{"type": "response.create", "n": 1}', False),
        ("server", b'{"type": "delta", "delta": 1}', False),
        ("server", b'{"type":"response.done"}', False),
        ("client", b'{"type": "response.create", "n": 2}', False),
        ("server", b'{"type": "delta", "delta": 2}', False),
        ("server", b'{"type":"response.done"}', False),
    ]
    assert recorded.close == Close("client", 1000)
    times = [message.at for message in recorded.messages]
    assert times == sorted(times, key=lambda at: at or 0.0)
    assert recorded.headers_at is not None
    assert recorded.headers_at <= cast(float, times[0])


async def test_mitmproxy_keeps_no_message_that_was_recorded(state: Path) -> None:
    async with way(state, realtime) as through:
        async with through.connect() as client:
            await client.recv()
            await ask(client, 1)
        await through.tap.recorded()
    assert through.tap.held == 0


async def test_binary_and_fragmented_messages_are_recorded_whole(state: Path) -> None:
    async def echo(provider: ServerConnection) -> None:
        async for data in provider:
            await provider.send([data[:1], data[1:]] if data else data)

    async with way(state, echo) as through:
        async with through.connect() as client:
            for data in ([b"\x00", b"\xff\x01"], ["Grü", "ße"], b""):
                await client.send(data)
                await client.recv()
        recorded = await through.tap.recorded()
    assert untimed(recorded) == [
        (sender, data, binary)
        for data, binary in ((b"\x00\xff\x01", True), ("Grüße".encode(), False), (b"", True))
        for sender in ("client", "server")
    ]


async def test_compressed_messages_are_recorded_plain(state: Path) -> None:
    async def big(provider: ServerConnection) -> None:
        await provider.send("y" * BIG)
        await provider.wait_closed()

    async with way(state, big) as through:
        async with through.connect() as client:
            assert client.protocol.extensions != []
            assert len(await client.recv()) == BIG
        recorded = await through.tap.recorded()
    assert untimed(recorded) == [("server", b"y" * BIG, False)]


async def test_pings_pass_and_are_not_recorded(state: Path) -> None:
    async def ping(provider: ServerConnection) -> None:
        await (await provider.ping())
        await provider.send("pinged")
        await provider.wait_closed()

    async with way(state, ping) as through:
        async with through.connect() as client:
            assert await client.recv() == "pinged"
            await (await client.ping())
        recorded = await through.tap.recorded()
    assert untimed(recorded) == [("server", b"pinged", False)]


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1011, "overloaded"), (4000, "session expired")]
)
async def test_the_providers_close_is_recorded_with_its_code(
    state: Path, code: int, reason: str
) -> None:
    async def close(provider: ServerConnection) -> None:
        await provider.close(code, reason)

    async with way(state, close) as through:
        async with through.connect() as client:
            await client.wait_closed()
            assert (client.close_code, client.close_reason) == (code, reason)
        recorded = await through.tap.recorded()
    assert (recorded.close, recorded.end) == (Close("server", code, reason), "complete")


async def test_a_provider_that_breaks_off_is_a_cut_for_the_client_too(state: Path) -> None:
    async def vanish(provider: ServerConnection) -> None:
        await provider.send("half")
        provider.transport.close()

    async with way(state, vanish) as through:
        async with through.connect() as client:
            assert await client.recv() == "half"
            with pytest.raises(websockets.ConnectionClosedError):
                await client.recv()
            assert client.close_code == 1006
        recorded = await through.tap.recorded()
    assert (recorded.close, recorded.end) == (None, "cut")


async def test_a_client_that_vanishes_has_closed(state: Path) -> None:
    async with way(state, realtime) as through:
        async with through.connect() as client:
            await client.recv()
            client.transport.close()
        recorded = await through.tap.recorded()
    assert (recorded.close, recorded.end) == (None, "client-closed")


# ------------------------------------------------------------------ the whole way round


def stored(recorded: WebSocket) -> WebSocket:
    """What a recording gives back of a conversation."""
    members, items = from_websocket(recorded)
    text = json.dumps({"end": recorded.end, **members, "body": items})
    messages, close = to_websocket(Members(json.loads(text), "response"))
    return replace(recorded, chunks=messages, close=close)


async def explained(mismatch: Mismatch) -> None:
    pass


@asynccontextmanager
async def replaying(
    recorded: WebSocket,
) -> AsyncIterator[tuple[str, asyncio.Queue[ReplayedConnection]]]:
    messages = MessageMatcher(Matcher(built_in()), Redactor(RedactionRules(patterns=())))
    ended: asyncio.Queue[ReplayedConnection] = asyncio.Queue()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        canonise = messages.of(f"https://provider.test{PATH}", PATH)
        lock = LockStep(["a"], {"a": recorded}.__getitem__, canonise)
        return await play(request, lock, Pace(), ended.put_nowait, explained)

    runner = web.ServerRunner(web.Server(handle, handler_cancellation=True))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"ws://{host}:{port}{PATH}", ended
    finally:
        await runner.cleanup()


async def client_of(url: str, proxy: str | None) -> list[tuple[aiohttp.WSMsgType, Any]]:
    """Talks as a program would, and gives all that it met."""
    met = []
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        session.ws_connect(url, proxy=proxy, compress=15) as client,
    ):
        met.append((await client.receive())[:2])
        await client.send_bytes(b"\x00\x01audio")
        await client.send_json({"type": "response.create"})
        while (got := await client.receive()).type in (
            aiohttp.WSMsgType.TEXT,
            aiohttp.WSMsgType.BINARY,
        ):
            met.append(got[:2])
        met.append((got.type, client.close_code))
    return met


async def test_a_client_meets_the_same_in_replay_as_live(state: Path) -> None:
    async def provider(connection: ServerConnection) -> None:
        await connection.send('{"type":"session.created","id":"sess_1"}')
        assert await connection.recv() == b"\x00\x01audio"
        await connection.recv()
        for number in range(20):
            await connection.send(json.dumps({"type": "delta", "delta": f"Wort {number} ü"}))
        await connection.send(b"\xff\x00" * 1000)
        await connection.send('{ "type": "response.done" }')
        await connection.close(1011, "enough")

    async with way(state, provider) as through:
        # aiohttp would ask the proxy for a ws:// URL, of which mitmproxy knows nothing.
        live = await client_of(through.url.replace("ws:", "http:"), through.proxy)
        recorded = await through.tap.recorded()
    assert len(live) == 24
    again = stored(recorded)
    assert untimed(again) == untimed(recorded)
    async with replaying(again) as (url, ended):
        assert await client_of(url, None) == live
        told = await ended.get()
    assert (told.sent, told.received, told.note, told.mismatch) == (23, 2, None, None)


def test_a_flow_without_a_recorder_is_only_let_go() -> None:
    class Socket:
        def __init__(self) -> None:
            self.messages: list[Message] = [Message(b"a")]

    class Flow:
        websocket = Socket()

    websocket.take_message(cast(http.HTTPFlow, Flow()), None, 0.0)
    assert Flow.websocket.messages == []

"""Recorded conversations replayed to real WebSocket clients."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import websockets
from aiohttp import web
from websockets.asyncio.client import connect

from wiretape.config.packs import built_in
from wiretape.config.rule_entry import rule
from wiretape.core.matching.canonical import ABSENT, Change
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.rule import Rule
from wiretape.core.model import Close, End, Message, WebSocket
from wiretape.core.playback.pace import Pace
from wiretape.core.playback.websocket import (
    LockStep,
    MessageMatcher,
    Mismatch,
    ReplayedConnection,
)
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.engine.websocket import play

PATH = "/v1/realtime"
INSTANT = Pace()


def said(value: Any, at: float | None = None) -> Message:
    return Message(json.dumps(value).encode(), at, "client")


def told(value: Any, at: float | None = None) -> Message:
    return Message(json.dumps(value).encode(), at, "server")


ASK = {"type": "response.create"}
CREATED = {"type": "session.created"}
DONE = {"type": "response.done"}
BYE = Close("client")


def talk(
    *messages: Message,
    close: Close | None = BYE,
    end: End = "complete",
    headers: tuple[tuple[str, str], ...] = (),
    end_at: float | None = None,
) -> WebSocket:
    return WebSocket(
        101, headers, messages, streaming=True, end=end, headers_at=0.0, end_at=end_at, close=close
    )


class Door:
    """A server of one path that plays takes, and how each connection ended."""

    def __init__(
        self, takes: Mapping[str, WebSocket], pace: Pace, rules: Sequence[Rule] = ()
    ) -> None:
        self._takes = takes
        self._pace = pace
        self._messages = MessageMatcher(
            Matcher(built_in(), rules=rules), Redactor(RedactionRules(patterns=()))
        )
        self.ended: asyncio.Queue[ReplayedConnection] = asyncio.Queue()
        self.url = ""
        self.missed: asyncio.Queue[Mismatch] = asyncio.Queue()
        self.may_explain = asyncio.Event()
        self.may_explain.set()

    async def handle(self, http: web.BaseRequest) -> web.StreamResponse:
        canonise = self._messages.of(f"https://api.openai.com{PATH}", PATH)
        lock = LockStep(list(self._takes), self._takes.__getitem__, canonise)
        headers = [("x-wiretape", "replay a")]
        return await play(http, lock, self._pace, self.ended.put_nowait, self.explain, headers)

    async def explain(self, mismatch: Mismatch) -> None:
        self.missed.put_nowait(mismatch)
        await self.may_explain.wait()


@asynccontextmanager
async def door(
    recorded: WebSocket, pace: Pace = INSTANT, rules: Sequence[Rule] = (), **others: WebSocket
) -> AsyncIterator[Door]:
    made = Door({"a": recorded, **others}, pace, rules)
    # As the replay engine has it: who waits learns that the client has left.
    server = web.Server(made.handle, handler_cancellation=True)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    made.url = f"ws://{host}:{port}{PATH}"
    try:
        yield made
    finally:
        await runner.cleanup()


async def test_a_conversation_is_replayed_in_lock_step() -> None:
    recorded = talk(told(CREATED), said(ASK), told({"n": 1}), told(DONE))
    async with door(recorded) as made, connect(made.url) as client:
        assert await client.recv() == json.dumps(CREATED)
        await client.send('{"type":"response.create"}')
        assert [await client.recv(), await client.recv()] == ['{"n": 1}', json.dumps(DONE)]
        await client.close()
        ended = await made.ended.get()
    assert (ended.recording, ended.sent, ended.received, ended.note) == ("a", 3, 1, None)
    assert ended.mismatch is None


async def test_what_a_rule_ignores_in_a_message_and_has_changed_is_in_the_end() -> None:
    rules = [rule({"name": "run", "ignore": ["$.run"]})]
    recorded = talk(said({**ASK, "run": 1}), told(DONE))
    async with door(recorded, rules=rules) as made, connect(made.url) as client:
        await client.send(json.dumps(ASK))
        await client.recv()
        await client.close()
        ended = await made.ended.get()
    assert ended.stale == (Change("body.run", "run", ABSENT, 1),)
    assert ended.rules == {"run"}


async def test_nothing_comes_before_the_client_has_spoken() -> None:
    async with door(talk(said(ASK), told(DONE))) as made, connect(made.url) as client:
        pong = await client.ping()
        await pong
        # What was sent before the pong would be here by now.
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.recv(), 0)


async def test_the_same_messages_reach_aiohttps_client() -> None:
    recorded = talk(said(ASK), told(DONE), Message(b"\x00\xff", None, "server", binary=True))
    async with (
        door(recorded) as made,
        aiohttp.ClientSession() as session,
        session.ws_connect(made.url) as client,
    ):
        await client.send_json(ASK)
        assert await client.receive_str() == json.dumps(DONE)
        assert await client.receive_bytes() == b"\x00\xff"


async def test_json_in_a_binary_message_stays_binary() -> None:
    recorded = talk(Message(b'{"setupComplete": {}}', None, "server", binary=True))
    async with door(recorded) as made, connect(made.url) as client:
        assert await client.recv() == b'{"setupComplete": {}}'


async def test_the_bytes_of_a_text_are_those_recorded() -> None:
    data = '{"text":"Grüße \u2028 \U0001f600"}'
    async with door(talk(Message(data.encode()))) as made, connect(made.url) as client:
        assert await client.recv(decode=False) == data.encode()


async def test_a_fragmented_message_of_the_client_is_one() -> None:
    async with door(talk(said(ASK), told(DONE))) as made, connect(made.url) as client:
        await client.send(['{"type"', ': "response', '.create"}'])
        assert await client.recv() == json.dumps(DONE)


async def test_a_large_message_of_the_client_is_met() -> None:
    audio = {
        "type": "input_audio_buffer.append",
        "audio": "A" * (4 << 20),
    }  # as much as aiohttp takes by itself, and more
    async with door(talk(said(audio), told(DONE))) as made, connect(made.url) as client:
        await client.send(json.dumps(audio))
        assert await client.recv() == json.dumps(DONE)


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1011, "overloaded"), (4000, "x" * 123)])
async def test_the_providers_close_comes_with_its_code_and_reason(code: int, reason: str) -> None:
    recorded = talk(said(ASK), told(DONE), close=Close("server", code, reason))
    async with door(recorded) as made, connect(made.url) as client:
        await client.send(json.dumps(ASK))
        assert await client.recv() == json.dumps(DONE)
        with pytest.raises(websockets.ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (code, reason)
        assert (await made.ended.get()).note is None


async def test_a_recorded_reason_that_has_grown_is_cut_to_what_a_frame_holds() -> None:
    recorded = talk(close=Close("server", 1008, "x" * 130))
    async with door(recorded) as made, connect(made.url) as client:
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (1008, "x" * 120 + "…")


async def test_a_closing_frame_without_a_code_has_none() -> None:
    recorded = talk(told(CREATED), close=Close("server", None))
    async with door(recorded) as made, connect(made.url) as client:
        await client.recv()
        with pytest.raises(websockets.ConnectionClosedOK):
            await client.recv()
        assert client.close_code == 1005
        assert (await made.ended.get()).note is None


@pytest.mark.parametrize("end", ["cut", "reset"])
async def test_where_the_provider_broke_off_no_closing_frame_comes(end: End) -> None:
    recorded = talk(said(ASK), told(DONE), close=None, end=end)
    async with door(recorded) as made, connect(made.url) as client:
        await client.send(json.dumps(ASK))
        assert await client.recv() == json.dumps(DONE)
        with pytest.raises(websockets.ConnectionClosedError):
            await client.recv()
        assert client.close_code == 1006
        assert (await made.ended.get()).note == f"ended as recorded: {end}"


async def test_a_message_that_differs_closes_the_connection_and_says_why() -> None:
    async with door(talk(said({"type": "say", "n": 1}))) as made, connect(made.url) as client:
        await client.send('{"type": "say", "n": 2}')
        with pytest.raises(websockets.ConnectionClosedError):
            await client.recv()
        assert client.close_code == 4004
        assert client.close_reason == (
            "wiretape: no recording has client message 1 (say): a differs in body.n"
        )
        ended = await made.ended.get()
    assert ended.mismatch is not None
    assert (ended.mismatch.number, ended.note) == (1, None)


async def test_a_reason_that_is_too_long_for_a_closing_frame_is_cut_at_a_character() -> None:
    name = "ü" * 100
    async with door(talk(said({name: 1}))) as made, connect(made.url) as client:
        await client.send(json.dumps({name: 2}))
        with pytest.raises(websockets.ConnectionClosedError):
            await client.recv()
        assert client.close_reason is not None
        assert client.close_reason.endswith("ü…")
        assert len(client.close_reason.encode()) <= 123


async def test_a_message_beyond_the_recording_closes_the_connection() -> None:
    async with door(talk(told(CREATED))) as made, connect(made.url) as client:
        await client.recv()
        await client.send(json.dumps(ASK))
        with pytest.raises(websockets.ConnectionClosedError):
            await client.recv()
        assert client.close_code == 4004


async def test_a_client_that_closes_before_the_end_is_told_of() -> None:
    recorded = talk(told(CREATED), said(ASK), told(DONE))
    async with door(recorded) as made, connect(made.url) as client:
        await client.recv()
        await client.close()
        assert (await made.ended.get()).note == "the client left"


async def test_a_client_that_vanishes_is_told_of() -> None:
    async with door(talk(told(CREATED), said(ASK))) as made, connect(made.url) as client:
        await client.recv()
        client.transport.abort()
        assert (await made.ended.get()).note == "the client left"


async def test_a_client_that_vanishes_where_it_did_before_ends_as_recorded() -> None:
    recorded = talk(told(CREATED), close=None, end="client-closed")
    async with door(recorded) as made, connect(made.url) as client:
        await client.recv()
        client.transport.abort()
        assert (await made.ended.get()).note == "ended as recorded: client-closed"


async def test_another_take_answers_what_was_said_in_it() -> None:
    one, two = said({"n": 1}), said({"n": 2})
    other = talk(two, told({"take": 2}))
    async with door(talk(one, told({"take": 1})), b=other) as made, connect(made.url) as client:
        await client.send('{"n": 2}')
        assert await client.recv() == '{"take": 2}'
        await client.close()
        assert (await made.ended.get()).recording == "b"


async def test_the_subprotocol_is_the_recorded_one() -> None:
    recorded = talk(headers=(("sec-websocket-protocol", "realtime"),))
    async with (
        door(recorded) as made,
        connect(made.url, subprotocols=["other", "realtime"]) as client,  # type: ignore[list-item]  # a Subprotocol is a str
    ):
        assert client.subprotocol == "realtime"


async def test_where_no_subprotocol_was_kept_the_first_one_is_agreed_on() -> None:
    async with (
        door(talk()) as made,
        connect(made.url, subprotocols=["realtime", "other"]) as client,  # type: ignore[list-item]  # a Subprotocol is a str
    ):
        assert client.subprotocol == "realtime"


async def test_messages_are_compressed_where_they_were() -> None:
    deflate = (("sec-websocket-extensions", "permessage-deflate"),)
    async with door(talk(told(CREATED), headers=deflate)) as made, connect(made.url) as client:
        assert client.protocol.extensions != []
        assert await client.recv() == json.dumps(CREATED)
    async with door(talk(told(CREATED))) as made, connect(made.url) as client:
        assert client.protocol.extensions == []


async def test_the_upgrade_tells_that_it_is_replayed() -> None:
    async with door(talk()) as made, connect(made.url) as client:
        assert client.response is not None
        assert client.response.headers["x-wiretape"] == "replay a"


async def test_a_request_for_no_upgrade_is_told_to_ask_for_one() -> None:
    async with door(talk()) as made, aiohttp.ClientSession() as session:
        async with session.get(made.url.replace("ws:", "http:")) as answer:
            assert (answer.status, answer.headers["Upgrade"]) == (426, "websocket")
        assert (await made.ended.get()).note == "not a WebSocket's opening request"


async def test_at_a_pace_messages_come_after_what_released_them() -> None:
    recorded = talk(told(CREATED, 0.0), said(ASK, 5.0), told({"n": 1}, 5.1), told(DONE, 5.2))
    loop = asyncio.get_running_loop()
    async with door(recorded, Pace(1.0)) as made, connect(made.url) as client:
        await client.recv()
        await client.send(json.dumps(ASK))
        spoken = loop.time()
        await client.recv()
        first = loop.time() - spoken
        await client.recv()
        last = loop.time() - spoken
    # Not at the times themselves, which are 5 s later.
    assert 0.09 < first < last < 4
    assert last > 0.19


async def test_a_text_that_is_no_utf8_is_refused_with_1007() -> None:
    async with door(talk(said(ASK))) as made:
        _, _, place = made.url.partition("//")
        host, _, port = place.partition("/")[0].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        # A masked text frame of one byte, masked with zeros (RFC 6455, section 5.2).
        writer.write(b"\x81\x81\x00\x00\x00\x00\xff")
        assert (await reader.readexactly(4))[2:] == (1007).to_bytes(2)
        writer.close()
        assert (await made.ended.get()).note == "the client left"


async def test_a_connection_that_is_never_read_does_not_stop_the_others() -> None:
    big = told({"x": "y" * 4_000_000})
    async with (
        door(talk(big, big, big, told(DONE))) as made,
        connect(made.url, max_size=None),
        connect(made.url, max_size=None) as other,
    ):
        for _ in range(3):
            await other.recv()
        assert await other.recv() == json.dumps(DONE)


async def test_others_talk_while_a_miss_is_explained_and_its_client_waits_for_it() -> None:
    recorded = talk(said(ASK), told(DONE))
    async with door(recorded) as made, connect(made.url) as client:
        made.may_explain.clear()
        await client.send('{"type": "other"}')
        assert (await made.missed.get()).number == 1
        async with connect(made.url) as other:
            await other.send(json.dumps(ASK))
            assert await other.recv() == json.dumps(DONE)
        assert client.close_code is None
        made.may_explain.set()
        with pytest.raises(websockets.ConnectionClosed):
            await client.recv()
        assert client.close_code == 4004


async def test_a_client_that_leaves_before_that_is_reported_all_the_same() -> None:
    async with door(talk(said(ASK), told(DONE))) as made:
        made.may_explain.clear()
        client = await connect(made.url)
        await client.send('{"type": "other"}')
        await made.missed.get()
        client.transport.abort()
        ended = await made.ended.get()
        assert ended.mismatch is not None

"""An MCP server's lines are answered from its recordings; tests/run/test_stdio has the servers."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.asked_folder import SocketFolder

from wiretape.core.capture.stdio import FRESH, request_of
from wiretape.core.model import Close, Exchange, Message, WebSocket
from wiretape.core.wire import jsonrpc
from wiretape.core.wire.jsonrpc import STDIO_HOST
from wiretape.engine.stdio import StdioReplay

TARGET = "/server"


def line(**message: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"


LIST = line(id=1, method="tools/list")
RESULT = {"jsonrpc": "2.0", "id": 1, "result": {"tools": []}}


class Server:
    """What is recorded of a server, replayed to a client."""

    def __init__(self, folder: Path) -> None:
        self.folder = SocketFolder(folder / "r", host=STDIO_HOST)
        self.got: list[Any] = []

    def record(self, asked: bytes, *messages: tuple[str, Any], end: Any = "complete") -> None:
        live = request_of(TARGET, asked, jsonrpc.messages(asked), FRESH)
        told = tuple(
            Message(json.dumps(value).encode(), number / 10, sender)  # type: ignore[arg-type]
            for number, (sender, value) in enumerate(messages)
        )
        close = Close("server", 1000) if end == "complete" else None
        socket = WebSocket(101, (), told, streaming=True, end=end, close=close)
        self.folder.put(Exchange(live, socket, None))

    async def start(self) -> StdioReplay:
        async def send(data: bytes) -> None:
            self.got.append(json.loads(data))

        self.replay = StdioReplay(self.folder.replayer(), TARGET, send, may_ask=False)
        return self.replay

    async def ask(self, text: bytes) -> None:
        assert await self.replay.client_line(text, jsonrpc.messages(text))

    @property
    def outcomes(self) -> list[str]:
        return [row.outcome for row in self.folder.report.rows]


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


async def test_a_request_gets_its_answer_under_its_own_id(server: Server) -> None:
    server.record(LIST, ("server", RESULT))
    await server.start()
    await server.ask(line(id="a", method="tools/list"))
    assert server.got == [{**RESULT, "id": "a"}]
    assert server.outcomes == ["replayed"]


async def test_a_request_that_nobody_recorded_is_an_error_and_a_miss(server: Server) -> None:
    server.record(LIST, ("server", RESULT))
    await server.start()
    await server.ask(line(id=7, method="resources/list"))
    (error,) = server.got
    assert error["id"] == 7
    assert error["error"]["message"].startswith("wiretape: no recording answers ")
    assert server.outcomes == ["missed"]


async def test_a_notification_that_nobody_recorded_gets_no_answer(server: Server) -> None:
    server.record(LIST, ("server", RESULT))
    await server.start()
    await server.ask(line(method="notifications/other"))
    assert (server.got, server.outcomes) == ([], ["missed"])


SAMPLING = {"jsonrpc": "2.0", "id": 5, "method": "sampling/createMessage", "params": {}}


async def test_what_the_server_asks_waits_for_the_recorded_reply(server: Server) -> None:
    reply = {"jsonrpc": "2.0", "id": 5, "result": {"content": "yes"}}
    server.record(LIST, ("server", SAMPLING), ("client", reply), ("server", RESULT))
    await server.start()
    await server.ask(LIST)
    assert server.got == [SAMPLING]
    await server.ask(line(id=5, result={"content": "yes"}))
    assert server.got == [SAMPLING, RESULT]
    assert server.outcomes == ["replayed"]


async def test_another_reply_is_a_miss_under_the_requests_id(server: Server) -> None:
    reply = {"jsonrpc": "2.0", "id": 5, "result": {"content": "yes"}}
    server.record(LIST, ("server", SAMPLING), ("client", reply), ("server", RESULT))
    await server.start()
    await server.ask(LIST)
    await server.ask(line(id=5, result={"content": "no"}))
    assert server.got[-1]["id"] == 1
    assert "error" in server.got[-1]
    assert server.outcomes == ["missed"]


async def test_a_server_that_broke_off_is_replayed_as_one(server: Server) -> None:
    server.record(LIST, end="cut")
    replay = await server.start()
    await server.ask(LIST)
    assert replay.broke_off.is_set()
    replay.end()
    assert server.outcomes == ["replayed"]
    assert server.folder.report.rows[0].note == "ended as recorded: cut"


async def test_what_is_open_when_the_client_leaves_is_reported(server: Server) -> None:
    server.record(LIST, ("server", SAMPLING), ("client", {"x": 1}), ("server", RESULT))
    replay = await server.start()
    await server.ask(LIST)
    replay.end()
    assert [row.note for row in server.folder.report.rows] == ["the client left"]

"""An MCP server on standard input and output, recorded and replayed: a client on two pipes, the
bridge in this process, a real server in another.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support import paths
from tests.support.limits import PATIENCE

from wiretape.config.load import load
from wiretape.core.errors import ConfigError
from wiretape.core.playback.pace import Pace
from wiretape.core.redaction.command_line import command_target
from wiretape.engine.stdio import NOT_KNOWN
from wiretape.report.report import Report
from wiretape.run.settings import Mode, Settings
from wiretape.run.stdio import NOT_A_MESSAGE, StdioServer, bridge, lines

SERVER = [sys.executable, "-S", "-E", str(paths.ROOT / "tests" / "support" / "stdio_server.py")]
NEVER_STARTED = ["no-such-program", *SERVER[1:]]


class Client:
    """The client's end of a run."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading = os.fdopen(reading, "rb")
        self._writing = writing
        self.report = Report("record")
        self.status = -1

    def say(self, *messages: Any) -> None:
        for message in messages:
            self.write(json.dumps(message).encode() + b"\n")

    def write(self, data: bytes) -> None:
        os.write(self._writing, data)

    async def line(self) -> bytes:
        return await asyncio.wait_for(asyncio.to_thread(self.reading.readline), PATIENCE)

    async def hear(self) -> Any:
        return json.loads(await self.line())

    async def ask(self, message: Any) -> Any:
        self.say(message)
        return await self.hear()

    def leave(self) -> None:
        if self._writing >= 0:
            os.close(self._writing)
        self._writing = -1

    async def rest(self) -> bytes:
        return await asyncio.wait_for(asyncio.to_thread(self.reading.read), PATIENCE)

    @property
    def outcomes(self) -> list[str]:
        return [row.outcome for row in self.report.rows]

    @property
    def told(self) -> str:
        return "\n".join(
            [*self.report.notices, *(r.miss.message for r in self.report.rows if r.miss)]
        )


class Runs:
    """Runs of `wiretape mcp` into one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {"PATH": os.environ["PATH"]}
        self.args: list[str] = []

    @asynccontextmanager
    async def __call__(self, mode: Mode, **more: Any) -> AsyncIterator[Client]:
        config = load(None, self.environ)
        settings = Settings(
            **{"pace": Pace(), "environ": self.environ, **more},
            mode=mode,
            config=config,
            recordings=self.folder,
        )
        inner_in, client_out = os.pipe()
        client_in, inner_out = os.pipe()
        client = Client(client_in, client_out)
        client.report = Report(mode)
        command = [*(NEVER_STARTED if mode == "replay" else SERVER), *self.args]
        target = command_target([*SERVER, *self.args])[0]

        async def run() -> int:
            try:
                server = StdioServer(command, target, inner_in, inner_out)
                return await bridge(settings, server, client.report)
            finally:
                os.close(inner_out)

        running = asyncio.create_task(run())
        try:
            yield client
        finally:
            client.leave()
            try:
                client.status = await asyncio.wait_for(running, PATIENCE)
            finally:
                client.reading.close()
                os.close(inner_in)

    def configure(self, text: str) -> None:
        (self.folder.parent / "config.yaml").write_text(text)

    @property
    def texts(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.rglob("*.json")))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: Path) -> Runs:
    monkeypatch.setenv("WIRETAPE_HOME", str(state))
    monkeypatch.chdir(tmp_path)
    return Runs(tmp_path / "r")


def asking(message_id: Any, method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message_id, "method": method, "params": params}


def call(message_id: Any, name: str, text: str = "", **meta: Any) -> dict[str, Any]:
    more = {"_meta": meta} if meta else {}
    return asking(message_id, "tools/call", name=name, arguments={"text": text}, **more)


def notice(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def texts(answer: Any) -> tuple[Any, str]:
    return answer["id"], answer["result"]["content"][0]["text"]


async def test_a_session_is_replayed_without_its_server_under_other_ids(runs: Runs) -> None:
    async def session(client: Client, first: Any, token: Any) -> list[Any]:
        ids = [first, f"{first}b", f"{first}c"]
        answers = [await client.ask(asking(ids[0], "initialize", clientInfo={"version": first}))]
        answers.append(await client.ask(notice("notifications/initialized")))
        answers.append(await client.ask(call(ids[1], "add", "x", progressToken=token)))
        answers.append(await client.hear())
        answers.append(await client.ask(asking(ids[2], "notes/list")))
        assert [answer.get("id") for answer in answers] == [ids[0], None, None, *ids[1:]]
        assert answers[2]["params"].pop("progressToken") == token
        return [{**answer, "id": None} for answer in answers]

    async with runs("record") as client:
        recorded = await session(client, 1, 7)
    assert (client.status, client.outcomes) == (0, ["recorded"] * 4)
    async with runs("replay") as client:
        assert await session(client, "x", "other") == recorded
    assert (client.status, client.outcomes) == (0, ["replayed"] * 4), client.told


async def test_an_answer_is_the_recorded_one_to_the_byte(runs: Runs) -> None:
    request = asking(1, "ping")
    async with runs("record") as client:
        client.say(request)
        line = await client.line()
    async with runs("replay") as client:
        client.say(request)
        assert await client.line() == line == b'{"jsonrpc": "2.0", "id": 1, "result": {}}\n'


async def test_a_miss_is_an_error_under_the_requests_id_and_fails_the_run(runs: Runs) -> None:
    async with runs("record") as client:
        await client.ask(call(1, "add", "x"))
    async with runs("replay") as client:
        answer = await client.ask(call("q", "add", "y"))
        assert (answer["id"], answer["error"]["code"]) == ("q", -32000)
        assert 'arguments.text: got "y", recorded "x"' in answer["error"]["message"]
        assert "wiretape mcp --record -- SERVER" in answer["error"]["message"]
        # A notification is never answered, and fails the run as well.
        client.say(notice("notifications/roots/list_changed"))
        client.leave()
        assert await client.rest() == b""
    assert (client.status, client.outcomes) == (3, ["missed"] * 2)


async def test_what_tools_were_called_before_decides(runs: Runs) -> None:
    async with runs("record") as client:
        await client.ask(call(1, "add", "x"))
        await client.ask(asking(2, "notes/list"))
    async with runs("replay") as client:
        # Nothing recorded says what the notes are before anything was added.
        answer = await client.ask(asking(1, "notes/list"))
        assert "match.without_headers: [mcp-session-id]" in answer["error"]["message"]
    assert client.status == 3
    # A later run of another test: the first keeps what it recorded.
    async with runs("record") as client:
        await client.ask(asking(1, "notes/list"))
    for before, notes in (([], []), ([call(1, "add", "x")], ["x"])):
        async with runs("replay") as client:
            for message in before:
                await client.ask(message)
            assert (await client.ask(asking(2, "notes/list")))["result"]["notes"] == notes
        assert client.status == 0


async def test_equal_calls_have_their_answers_in_order(runs: Runs) -> None:
    for mode in ("record", "replay"):
        async with runs(mode) as client:
            said = [texts(await client.ask(call(n, "add", "x")))[1] for n in range(3)]
            assert said == ["1 notes", "2 notes", "3 notes"]
        assert client.status == 0


async def test_without_headers_leaves_calls_before_out(runs: Runs) -> None:
    runs.configure("match: {without_headers: [mcp-session-id]}\n")
    async with runs("record") as client:
        await client.ask(call(1, "add", "x"))
        await client.ask(asking(2, "notes/list"))
    async with runs("replay") as client:
        assert (await client.ask(asking(1, "notes/list")))["result"]["notes"] == ["x"]
        await client.ask(call(1, "add", "x"))
    assert client.status == 0


async def test_what_the_server_asks_waits_for_the_recorded_reply(runs: Runs) -> None:
    async def ask(client: Client, reply: str) -> Any:
        request = await client.ask(call(1, "ask", "what?"))
        assert request["method"] == "sampling/createMessage"
        return await client.ask({"jsonrpc": "2.0", "id": request["id"], "result": {"text": reply}})

    for reply in ("this", "that"):
        async with runs("record", record_mode="append") as client:
            assert texts(await ask(client, reply)) == (1, f"the client said {reply}")
    for reply in ("that", "this"):
        async with runs("replay") as client:
            # A take whose conversation is the same so far.
            assert texts(await ask(client, reply)) == (1, f"the client said {reply}")
        assert client.status == 0, client.told
    async with runs("replay") as client:
        answer = await ask(client, "something else")
        assert answer["id"] == 1
        assert 'got "something else"' in answer["error"]["message"]
    assert (client.status, client.outcomes) == (3, ["missed"])


async def test_two_that_ask_at_once_are_told_apart(runs: Runs) -> None:
    async def both(client: Client) -> list[Any]:
        client.say(call(1, "ask", "a"), call(2, "ask", "b"))
        requests = [await client.hear(), await client.hear()]
        replies = {"a": "A", "b": "B"}
        for request in reversed(requests):
            text = replies[request["params"]["text"]]
            client.say({"jsonrpc": "2.0", "id": request["id"], "result": {"text": text}})
        return sorted([texts(await client.hear()), texts(await client.hear())])

    expected = [(1, "the client said A"), (2, "the client said B")]
    async with runs("record") as client:
        assert await both(client) == expected
    async with runs("replay") as client:
        assert await both(client) == expected
    assert client.status == 0, client.told


async def test_answers_in_another_order_are_their_requests(runs: Runs) -> None:
    for mode in ("record", "replay"):
        async with runs(mode) as client:
            client.say(call(1, "wait"), call(2, "wait", "b"), call(3, "go"))
            heard = [texts(await client.hear()) for _ in range(3)]
            assert sorted(heard) == [(1, "late"), (2, "late"), (3, "gone")]
        assert client.status == 0, client.told
    # In the recording all were sent before the first answer came: that need not be so.
    async with runs("replay") as client:
        for message, text in ((call(1, "wait"), "late"), (call(2, "wait", "b"), "late")):
            assert texts(await client.ask(message)) == (message["id"], text)


async def test_a_batch_has_the_ids_of_its_requests(runs: Runs) -> None:
    async with runs("record") as client:
        await client.ask([asking(1, "ping"), asking(2, "ping")])
    async with runs("replay") as client:
        answers = await client.ask([asking("a", "ping"), asking("b", "ping")])
        assert [answer["id"] for answer in answers] == ["a", "b"]
        answers = await client.ask([asking("c", "ping"), asking("d", "pong")])
        assert [(answer["id"], "error" in answer) for answer in answers] == [
            ("c", True),
            ("d", True),
        ]
    assert client.status == 3


async def test_a_cancelled_request_is_never_answered(runs: Runs) -> None:
    async def cancelled(client: Client, first: int) -> None:
        client.say(call(first, "wait"), notice("notifications/cancelled", requestId=first))
        assert (await client.ask(asking(first + 1, "ping")))["id"] == first + 1

    async with runs("record") as client:
        await cancelled(client, 1)
    async with runs("replay") as client:
        await cancelled(client, 8)
    assert client.status == 0, client.told
    assert "ended as recorded: client-closed" in {row.note for row in client.report.rows}


@pytest.mark.parametrize(
    ("name", "data"), [("garbage", b"Listening on stdio!\n"), ("bytes", b"\xff\xfe\n")]
)
async def test_garbage_is_passed_on_and_told(name: str, data: bytes, runs: Runs) -> None:
    for mode in ("record", "replay"):
        async with runs(mode) as client:
            client.say(call(1, name))
            assert await client.line() == data
            assert texts(await client.hear()) == (1, "said")
        assert client.status == 0
        assert (NOT_A_MESSAGE in client.report.notices) is (mode == "record")


async def test_a_client_that_sends_garbage_gets_what_the_server_made_of_it(runs: Runs) -> None:
    async with runs("record") as client:
        client.write(b"no JSON\n")
        client.leave()
        assert await client.rest() == b""
    assert client.status == 1  # the server's traceback
    async with runs("replay") as client:
        client.write(b"other\n")
    assert (client.status, client.outcomes) == (3, ["missed"])


async def test_a_server_that_dies_is_replayed_as_it_died(
    runs: Runs, capfd: pytest.CaptureFixture[str]
) -> None:
    async with runs("record") as client:
        await client.ask(call(1, "add", "x"))
        client.say(call(2, "die"))
        assert await client.rest() == b""
    assert client.status == 7
    assert capfd.readouterr().err == "dying\n"
    async with runs("replay") as client:
        await client.ask(call(1, "add", "x"))
        client.say(call(2, "die"))
        assert await client.rest() == b""  # though the client has not left
    assert client.status == 0
    assert [row.note for row in client.report.rows] == [None, "ended as recorded: cut"]


async def test_a_client_that_reads_no_more_does_not_keep_its_server(runs: Runs) -> None:
    async with runs("record") as client:
        await client.ask(asking(1, "ping"))
        client.reading.close()
        # More than pipes and the lines that wait hold.
        client.say(*(call(number, "big", str(1 << 12)) for number in range(200)))
    assert client.status == 0
    assert set(client.outcomes) == {"recorded"}


async def test_a_server_that_is_not_there_is_told_before_anything_is(tmp_path: Path) -> None:
    settings = Settings(
        mode="record", config=load(None, {}), recordings=tmp_path / "r", pace=Pace(), environ={}
    )
    with pytest.raises(ConfigError, match="no-such-program: no such program"):
        await bridge(settings, StdioServer(NEVER_STARTED, "/x", 0, 1), Report("record"))
    assert not (tmp_path / "r").exists()


async def test_auto_greets_the_server_and_records_what_is_missing(runs: Runs) -> None:
    hello = [asking(0, "initialize"), notice("notifications/initialized")]
    async with runs("record") as client:
        for message in (*hello, asking(1, "ping")):
            await client.ask(message)
    async with runs("auto") as client:
        for message in (*hello, asking(1, "ping")):
            await client.ask(message)
    assert (client.status, client.outcomes) == (0, ["replayed"] * 3)
    async with runs("auto") as client:
        for message in hello:
            await client.ask(message)
        client.say(asking(1, "notes/list"))
        heard = [await client.hear(), await client.hear()]
        # The server says its own that it is ready; the answer to a second greeting is not heard.
        assert [message.get("id") for message in heard] == [None, 1]
        assert (await client.ask(asking(2, "ping")))["id"] == 2
    assert (client.status, sorted(client.outcomes)) == (0, ["recorded", *["replayed"] * 3])
    async with runs("replay") as client:
        for message in (*hello, asking(1, "notes/list")):
            await client.ask(message)
    assert client.status == 0


async def test_auto_does_not_ask_a_server_that_lacks_the_calls_before(runs: Runs) -> None:
    async with runs("record") as client:
        await client.ask(call(1, "add", "x"))
    async with runs("auto") as client:
        await client.ask(call(1, "add", "x"))
        # The server that was started now would have no notes.
        assert "error" in await client.ask(asking(2, "notes/list"))
    assert (client.status, client.outcomes) == (3, ["replayed", "missed"])
    assert NOT_KNOWN in client.report.notices
    runs.configure("match: {without_headers: [mcp-session-id]}\n")
    async with runs("auto") as client:
        await client.ask(call(1, "add", "x"))
        assert "result" in await client.ask(asking(2, "notes/list"))
    assert client.status == 0


async def test_a_server_that_auto_asks_and_dies_ends_the_run(runs: Runs) -> None:
    async with runs("record") as client:
        await client.ask(asking(1, "ping"))
    async with runs("auto") as client:
        await client.ask(asking(1, "ping"))
        client.say(call(2, "die"))
        assert await client.rest() == b""  # though the client has not left
    assert (client.status, client.outcomes) == (7, ["replayed", "recorded"])


async def test_secrets_of_command_line_and_environment_are_not_written(runs: Runs) -> None:
    runs.environ["NOTES_API_KEY"] = key = "kq83Hd72Jw01Lm55"
    runs.args = ["--api-token", token := "tv92Gx41Rb67Nc30", "-e", f"GITHUB_TOKEN={token[::-1]}"]
    async with runs("record") as client:
        assert key in str(await client.ask(call(1, "secret")))
    # What `run_stdio` adds to the redaction is tried with the whole program, in end_to_end.
    assert client.status == 0
    assert key not in runs.texts
    runs.environ.clear()
    runs.args = ["--api-token", "another", "-e", "GITHUB_TOKEN="]
    async with runs("replay") as client:
        assert "result" in await client.ask(call(1, "secret"))


async def test_long_lines_pass_and_those_too_long_are_not_recorded(runs: Runs) -> None:
    runs.configure("record: {max_body: 1}\n")
    async with runs("record") as client:
        answer = await client.ask(call(1, "big", str(1 << 19)))
        assert len(texts(answer)[1]) == 1 << 19
        assert len(texts(await client.ask(call(2, "big", str(1 << 21))))[1]) == 1 << 21
    assert (client.status, client.outcomes) == (4, ["recorded", "refused"])
    async with runs("replay") as client:
        assert await client.ask(call(1, "big", str(1 << 19))) == answer
    assert client.status == 0


@pytest.mark.parametrize("cuts", [1, 3, 1000])
async def test_lines_are_whole_however_they_come(cuts: int) -> None:
    data = b"a\n\nbc\r\nd" * 3
    pieces = [data[at : at + cuts] for at in range(0, len(data), cuts)]

    async def read() -> bytes:
        return pieces.pop(0) if pieces else b""

    expected = data.splitlines(keepends=True)
    assert [line async for line in lines(read)] == [(line, "whole") for line in expected]


async def test_a_line_that_is_too_long_comes_in_parts() -> None:
    pieces = [b"12345", b"678\nab", b"\n"]

    async def read() -> bytes:
        return pieces.pop(0) if pieces else b""

    parts = [line async for line in lines(read, most=4)]
    assert parts == [(b"12345", "first"), (b"678\n", "rest"), (b"ab\n", "whole")]

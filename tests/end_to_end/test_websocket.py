"""A WebSocket through the real proxy: recorded message by message, replayed in lock step."""

import asyncio
import json
import ssl
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from tests.support.commands import Wiretape
from tests.support.limits import PATIENCE
from tests.support.sdk import documents
from websockets.asyncio.server import ServerConnection, serve

HOST = "api.openai.com"
KEY = "sk-proj-" + "Zq7Lw2Xr9Vb4Nm1K" * 3


class Provider:
    """A realtime provider on 127.0.0.1 that answers each message with two and a sound."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca_file = folder / "provider.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(HOST, "127.0.0.1").configure_cert(self._context)
        self._up, self._down = threading.Event(), asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self.port = 0
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    async def _run(self) -> None:
        async def talk(connection: ServerConnection) -> None:
            await connection.send(json.dumps({"type": "session.created"}))
            async for message in connection:
                said = json.loads(message)
                if said["type"] == "bye":
                    await connection.close(1000, "bye")
                    return
                await connection.send(json.dumps({"type": "delta", "text": said["text"].upper()}))
                await connection.send(b"\x00\x01sound")

        async with serve(talk, "127.0.0.1", 0, ssl=self._context) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._up.set()
            await self._down.wait()

    def __enter__(self) -> "Provider":
        self._thread.start()
        assert self._up.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._down.set)
        self._thread.join(PATIENCE)
        self._loop.close()


CLIENT = (
    textwrap.dedent("""
    import asyncio, json, sys
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    async def main():
        headers = {"Authorization": "Bearer KEY"}
        async with connect("wss://HOST/v1/realtime?model=m", additional_headers=headers) as live:
            try:
                print(await live.recv())
                for text in sys.argv[1:]:
                    await live.send(json.dumps({"type": "say", "text": text}))
                    print(await live.recv(), await live.recv())
                await live.send(json.dumps({"type": "bye"}))
                await live.recv()
            except ConnectionClosed as closed:
                print("closed", closed.rcvd.code, closed.rcvd.reason)

    asyncio.run(main())
""")
    .replace("HOST", HOST)
    .replace("KEY", KEY)
)


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with Provider(tmp_path) as provider:
        yield provider


def say(*texts: str) -> list[str]:
    return [sys.executable, "-c", CLIENT, *texts]


def live(provider: Provider, folder: Path) -> list[str | Path]:
    route = f"{HOST}=https://127.0.0.1:{provider.port}"
    return ["-r", folder, "--upstream-ca", provider.ca_file, "--map", route]


def test_a_conversation_is_recorded_and_replayed_as_it_was(
    wiretape: Wiretape, provider: Provider, tmp_path: Path
) -> None:
    folder = tmp_path / "r"
    done = wiretape("record", *live(provider, folder), "--", *say("hello", "and again"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "closed 1000 bye"
    (document,) = documents(folder).values()
    assert document["response"]["status"] == 101
    senders = [message["from"] for message in document["response"]["body"]]
    assert senders == [*["server"], *["client", "server", "server"] * 2, "client"]
    assert KEY not in json.dumps(document)
    again = wiretape("replay", "-r", folder, "--", *say("hello", "and again"))
    assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr
    paced = wiretape("replay", "-r", folder, "--pace", "recorded", "--", *say("hello", "and again"))
    assert (paced.returncode, paced.stdout) == (0, done.stdout)


def test_what_is_said_otherwise_is_a_miss_that_names_it(
    wiretape: Wiretape, provider: Provider, tmp_path: Path
) -> None:
    folder = tmp_path / "r"
    wiretape("record", *live(provider, folder), "--", *say("hello"))
    done = wiretape("replay", "-r", folder, "--report", "r.json", "--", *say("good day"))
    assert done.returncode == 3
    assert "closed 4004 wiretape: no recording has client message 1 (say)" in done.stdout
    assert "body.text" in done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["counts"] == {"missed": 1}


def test_auto_replays_a_conversation_that_it_recorded(
    wiretape: Wiretape, provider: Provider, tmp_path: Path
) -> None:
    folder = tmp_path / "r"
    first = wiretape("auto", *live(provider, folder), "--", *say("hello"))
    assert "1 recorded" in first.stderr
    second = wiretape("auto", *live(provider, folder), "--", *say("hello"))
    assert (second.returncode, second.stdout) == (0, first.stdout), second.stderr
    assert "1 replayed" in second.stderr
    assert len(documents(folder)) == 1

"""A WebSocket through the real proxy: recorded message by message, replayed in lock step."""

import json
import sys
import textwrap
from pathlib import Path

from tests.support.commands import Wiretape
from tests.support.live_provider import HOST, Provider, live
from tests.support.sdk import documents

KEY = "sk-proj-" + "Zq7Lw2Xr9Vb4Nm1K" * 3


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


def say(*texts: str) -> list[str]:
    return [sys.executable, "-c", CLIENT, *texts]


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

"""With each suggested rule pasted into config.yaml, a later run of the same prompt is answered, and
another prompt is a miss: exit 3, over HTTP and over a WebSocket.
"""

import json
import re
import sys
import textwrap
from pathlib import Path

from tests.support.commands import Wiretape
from tests.support.live_provider import HOST as LIVE_HOST
from tests.support.live_provider import Provider, live
from tests.support.stream_call import CHAT, HOST, curl, options
from tests.support.upstream import Answer, Upstream

CLIENT = textwrap.dedent("""
    import asyncio, sys
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    async def main():
        async with connect("wss://HOST/v1/realtime") as socket:
            try:
                await socket.recv()
                await socket.send(sys.argv[1])
                print(await socket.recv())
            except ConnectionClosed as closed:
                print(closed.rcvd.reason)

    asyncio.run(main())
""").replace("HOST", LIVE_HOST)


def chat(prompt: str, run: int) -> list[str]:
    messages = [
        {"role": "system", "content": f"Be brief. Today's date is 2026-11-2{run}."},
        {"role": "user", "content": prompt},
    ]
    metadata = {"run": f"r{run}"}
    body = {"model": "m", "messages": messages, "metadata": metadata, "turn_id": f"t{run}"}
    return curl(CHAT, json.dumps(body), HOST)


def say(prompt: str, run: int) -> list[str]:
    message = {"type": "say", "text": prompt, "turn_id": f"t{run}", "metadata": {"n": run}}
    return [sys.executable, "-c", CLIENT, json.dumps(message)]


def paste(stderr: str, config: Path) -> None:
    """Append the one rule that a miss printed to `match.rules`."""
    (rule,) = re.findall(r"^ {2}(    - name: .*(?:\n {8}.*)+)", stderr, re.MULTILINE)
    text = config.read_text() if config.exists() else "match:\n  rules:\n"
    config.write_text(f"{text}{rule.replace(chr(10) + '  ', chr(10))}\n")


def test_over_http(wiretape: Wiretape, upstream: Upstream, tmp_path: Path) -> None:
    upstream.script(CHAT, Answer.json({"text": "hello"}))
    recording = wiretape("record", *options(upstream, tmp_path / "r"), "--", *chat("hi", 1))
    assert recording.returncode == 0, recording.stderr
    missed = wiretape("replay", "-r", tmp_path / "r", "--", *chat("hi", 2))
    assert missed.returncode == 3
    paste(missed.stderr, tmp_path / "config.yaml")
    again = wiretape("replay", "-r", tmp_path / "r", "--", *chat("hi", 3))
    assert (again.returncode, again.stdout) == (0, '{"text": "hello"}'), again.stderr
    other = wiretape("replay", "-r", tmp_path / "r", "--", *chat("write a poem on tax law", 3))
    assert other.returncode == 3
    assert "hello" not in other.stdout
    assert "- name: rule-" not in other.stderr
    assert "No rule is suggested: it would hide what was asked (body.messages[1].content)." in (
        other.stderr
    )


def test_over_a_websocket(
    wiretape: Wiretape, provider: Provider, tmp_path: Path
) -> None:  # the fixture
    folder = tmp_path / "r"
    recording = wiretape("record", *live(provider, folder), "--", *say("hi", 1))
    assert recording.returncode == 0, recording.stderr
    missed = wiretape("replay", "-r", folder, "--", *say("hi", 2))
    assert missed.returncode == 3
    paste(missed.stderr, tmp_path / "config.yaml")
    again = wiretape("replay", "-r", folder, "--", *say("hi", 3))
    assert (again.returncode, json.loads(again.stdout)["text"]) == (0, "HI"), again.stderr
    other = wiretape("replay", "-r", folder, "--", *say("write a poem on tax law", 3))
    assert other.returncode == 3
    assert "HI" not in other.stdout
    assert "- name: rule-" not in other.stderr

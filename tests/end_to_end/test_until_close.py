"""A stream whose end only the closing tells: who reads it cannot know that it was cut."""

import json
from pathlib import Path

from tests.support.commands import Wiretape
from tests.support.sdk import documents, post, record_options
from tests.support.upstream import Answer, Upstream

CHAT = "/v1/chat/completions"
STREAM = [("content-type", "text/event-stream")]
EVENTS = [b'data: {"choices":[]}\n\n', b'data: {"choices":[1]}\n\n']


def test_a_cut_that_no_client_can_see_is_none_in_replay_either(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS, framing="close"))
    command = post(CHAT, {"model": "m", "stream": True})
    live = wiretape("record", *record_options(upstream, tmp_path / "r"), "--", *command)
    assert (live.returncode, live.stdout.encode()) == (0, b"".join(EVENTS))
    (document,) = documents(tmp_path / "r").values()
    assert (document["response"]["end"], document["response"]["until_close"]) == ("cut", True)
    for pace in ("instant", "recorded"):
        again = wiretape("replay", "-r", tmp_path / "r", "--pace", pace, "--", *command)
        assert (again.returncode, again.stdout) == (0, live.stdout)


def test_a_cut_that_its_client_saw_is_seen_again(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS, end="fin"))
    command = post(CHAT, {"model": "m", "stream": True})
    live = wiretape("record", *record_options(upstream, tmp_path / "r"), "--", *command)
    again = wiretape("replay", "-r", tmp_path / "r", "--", *command)
    assert live.returncode == again.returncode == 18
    (document,) = documents(tmp_path / "r").values()
    assert "until_close" not in json.dumps(document)

"""A run that may contact the provider: what is replayed, and what is recorded."""

import shlex
from pathlib import Path

from tests.support.commands import Wiretape
from tests.support.stream_call import CHAT, EVENTS, HOST, curl, documents, options
from tests.support.upstream import Answer, Upstream


def test_auto_replays_what_there_is_and_records_the_rest(
    recorded: Path, wiretape: Wiretape, upstream: Upstream
) -> None:
    upstream.script("/v1/models", Answer.json({"data": []}))
    both = ["sh", "-c", f"{shlex.join(curl())}; curl -s https://{HOST}/v1/models"]
    done = wiretape("auto", *options(upstream, recorded), "--", *both)
    assert done.stdout.encode() == b"".join(EVENTS) + b'{"data": []}'
    assert "wiretape auto: 1 recorded, 1 replayed" in done.stderr
    assert [seen.target for seen in upstream.requests] == [CHAT, "/v1/models"]
    again = wiretape("auto", *options(upstream, recorded), "--", *both)
    assert again.stdout == done.stdout
    assert len(upstream.requests) == 2


def test_auto_in_ci_never_goes_live(recorded: Path, wiretape: Wiretape, upstream: Upstream) -> None:
    client = curl("/v1/models", None)
    env = {"CI": "true"}
    done = wiretape("auto", *options(upstream, recorded), "--", *client, env=env)
    assert done.returncode == 3
    assert len(upstream.requests) == 1


def test_equal_requests_in_one_auto_run_are_all_recorded_and_replayed_in_order(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    for number in range(3):
        upstream.script("/v1/models", Answer.json({"n": number}))
    thrice = ["sh", "-c", f"for i in 1 2 3; do curl -s https://{HOST}/v1/models; done"]
    live = wiretape("auto", *options(upstream, tmp_path / "r"), "--", *thrice)
    assert live.stdout == '{"n": 0}{"n": 1}{"n": 2}', live.stderr
    assert len(documents(tmp_path / "r")) == 3
    again = wiretape("replay", "-r", tmp_path / "r", "--", *thrice)
    assert again.stdout == live.stdout

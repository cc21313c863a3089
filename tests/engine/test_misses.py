"""Misses: an error in the provider's shape, its status, and a run that fails."""

import json
import os
import shlex
import sys
from pathlib import Path

import pytest
from tests.support.commands import Wiretape
from tests.support.stream_call import BODY, CHAT, HOST, curl, options
from tests.support.upstream import Upstream


def test_a_miss_is_an_error_of_the_providers_shape_and_fails_the_run(
    recorded: Path, wiretape: Wiretape, tmp_path: Path
) -> None:
    other = BODY.replace('"Hi"', '"Hello"')
    client = ["sh", "-c", f"{shlex.join(curl(CHAT, other, HOST, '-i'))} && true"]
    report = tmp_path / "report.json"
    done = wiretape("replay", "-r", recorded, "--report", report, "--", *client)
    assert done.returncode == 3
    assert "HTTP/1.1 400 Bad Request" in done.stdout
    assert "x-should-retry: false" in done.stdout.lower()
    assert "x-wiretape: miss" in done.stdout.lower()
    error = json.loads(done.stdout.partition("{")[1] + done.stdout.partition("{")[2])["error"]
    assert 'body.messages[0].content: got "Hello", recorded "Hi"' in error["message"]
    (name,) = (path.relative_to(recorded).as_posix() for path in recorded.rglob("*.json"))
    assert f"nearest is {name}" in error["message"]
    assert 'body.messages[0].content: got "Hello", recorded "Hi"' in done.stderr
    told = json.loads(report.read_text())
    assert told["counts"] == {"missed": 1}
    assert told["exchanges"][0]["miss"]["differences"] == [
        {"path": "body.messages[0].content", "got": "Hello", "recorded": "Hi"}
    ]


OPENAI = f"openai.OpenAI(base_url='https://{HOST}/v1')"


@pytest.mark.parametrize(
    ("sdk", "calls"),
    [
        (
            "openai",
            [
                f"{OPENAI}.chat.completions.create(model='m', messages=[])",
                f"list({OPENAI}.chat.completions.create(model='m', messages=[], stream=True))",
                f"{OPENAI}.responses.create(model='m', input='x')",
            ],
        ),
        (
            "anthropic",
            ["anthropic.Anthropic().messages.create(model='m', max_tokens=1, messages=[])"],
        ),
        ("together", ["together.Together().chat.completions.create(model='m', messages=[])"]),
    ],
)
def test_an_sdk_raises_at_once_with_the_misses_own_words(
    recorded: Path, wiretape: Wiretape, sdk: str, calls: list[str]
) -> None:
    client = f"import {sdk}\n" + "".join(
        f"try: {call}\nexcept {sdk}.BadRequestError as e: print(e)\n" for call in calls
    )
    done = wiretape("replay", "-r", recorded, "--", sys.executable, "-c", client)
    assert done.stdout.count("no recording answers POST") == len(calls)
    assert done.stderr.count("missed    ") == len(calls), "the SDK must not retry"
    assert done.returncode == 3


def test_the_status_of_a_miss_is_the_configurations(
    recorded: Path, wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("on_miss: fail\nreplay: {miss_status: 451}\n")
    client = curl(CHAT, "{}", HOST, "-o", os.devnull, "-w", "%{http_code}")
    for mode in ("replay", "auto"):
        done = wiretape(mode, *options(upstream, recorded), "--report", "j", "--", *client)
        assert (done.returncode, done.stdout) == (3, "451"), done.stderr
        (row,) = json.loads((tmp_path / "j").read_bytes())["exchanges"]
        assert row["status"] == 451


def test_a_miss_of_cmd_that_failed_keeps_its_own_status(recorded: Path, wiretape: Wiretape) -> None:
    client = ["sh", "-c", "curl -s https://api.together.xyz/nowhere; exit 9"]
    assert wiretape("replay", "-r", recorded, "--", *client).returncode == 9

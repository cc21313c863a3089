"""What a rule says is never recorded: forwarded while recording, answered 204 in replay."""

import json
import sys
from pathlib import Path

import pytest
from tests.support import plain_client
from tests.support.commands import Wiretape
from tests.support.sdk import record_options
from tests.support.upstream import Answer, Upstream

CLIENT = plain_client.program("""
import sys
with Client() as client:
    for path, text in (("chat/completions", "hi"), ("events", sys.argv[1]), ("events", "more")):
        answer = client.post(f"https://api.openai.com/v1/{path}", json={"text": text})
        print(answer.status_code, answer.text.replace(" ", ""))
""")
RULE = '{name: events, when: {method: POST, path: "/v1/events"}, record: never}'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "rules.yaml"
    file.write_text(f"match:\n  rules:\n  - {RULE}\n")
    return file


def client(text: str) -> list[str]:
    return ["--", sys.executable, "-c", CLIENT, text]


def test_what_is_never_recorded_is_forwarded_and_then_answered_204(
    wiretape: Wiretape, upstream: Upstream, config: Path, tmp_path: Path
) -> None:
    for path in ("/v1/chat/completions", "/v1/events", "/v1/events"):
        upstream.script(path, Answer.json({"done": 1}))
    folder = tmp_path / "r"
    options = (*record_options(upstream, folder), "-c", config)
    done = wiretape("record", *options, *client("one"))
    assert (done.returncode, done.stdout.split()) == (0, ["200", '{"done":1}'] * 3), done.stderr
    assert len(upstream.requests) == 3
    (file,) = folder.rglob("*.json")
    assert json.loads(file.read_bytes())["request"]["body"] == {"text": "hi"}

    report = tmp_path / "report.json"
    done = wiretape(*("replay", "-r", folder, "-c", config, "--report", report), *client("two"))
    assert (done.returncode, done.stdout.split()) == (0, ["200", '{"done":1}', "204", "204"])
    assert "never recorded, by events" in done.stderr
    assert "missed" not in done.stderr


def test_without_the_rule_it_is_a_miss(
    wiretape: Wiretape, upstream: Upstream, config: Path, tmp_path: Path
) -> None:
    upstream.script("/v1/chat/completions", Answer.json({"done": 1}))
    options = (*record_options(upstream, tmp_path / "r"), "-c", config)
    assert wiretape("record", *options, *client("one")).returncode == 0
    done = wiretape("replay", "-r", tmp_path / "r", *client("one"))
    assert done.returncode == 3


def test_a_replay_that_saw_nothing_but_such_requests_has_seen_nothing(
    wiretape: Wiretape, upstream: Upstream, config: Path, tmp_path: Path
) -> None:
    upstream.script("/v1/chat/completions", Answer.json({"done": 1}))
    options = (*record_options(upstream, tmp_path / "r"), "-c", config)
    assert wiretape("record", *options, *client("one")).returncode == 0
    line = ["--", "curl", "-sS", "https://api.openai.com/v1/events", "-d", "{}"]
    done = wiretape("replay", "-r", tmp_path / "r", "-c", config, *line)
    assert done.returncode == 3, done.stderr
    assert "this run fails" in done.stderr


def test_another_word_than_never_is_an_error(
    wiretape: Wiretape, config: Path, tmp_path: Path
) -> None:
    config.write_text(config.read_text().replace("record: never", "record: seldom"))
    done = wiretape("rules", "-c", config)
    assert done.returncode == 2
    assert "match.rules[0].record" in done.stderr
    assert "never" in done.stderr

"""Faults on demand by the configuration: what strikes, how often, and what is wrong with a file."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.support.commands import Wiretape
from tests.support.sdk import post, record_options, shell
from tests.support.upstream import Answer, Upstream

from wiretape.config.load import load
from wiretape.core.errors import ConfigError

CHAT, MODELS = "/v1/chat/completions", "/v1/embeddings"
CODE = ("-o", "/dev/null", "-w", "%{http_code} %{exitcode}")


def asked(path: str, **body: Any) -> list[str]:
    return post(path, {"model": "m", **body}, *CODE)


@pytest.fixture
def recorded(wiretape: Wiretape, upstream: Upstream, tmp_path: Path) -> Path:
    """Recordings of a stream, of a whole answer and of another endpoint's."""
    upstream.script(CHAT, Answer.sse([{"n": 1}, {"n": 2}]))
    upstream.script(MODELS, Answer.json({"data": []}))
    all_three = shell(asked(CHAT, stream=True), asked(CHAT), asked(MODELS))
    done = wiretape("record", *record_options(upstream, tmp_path / "r"), "--", *all_three)
    assert done.stdout.split() == ["200", "0"] * 3, done.stderr
    return tmp_path / "r"


FAULTS = """
faults:
- name: busy
  when: {provider: openai, path: "*/chat/completions", body: {"$.stream": true}}
  rate_limit: 30
- name: broken
  when: {path: /v1/embeddings}
  cut: 1
"""


@pytest.mark.parametrize("mode", ["replay", "auto"])
def test_what_the_conditions_say_is_struck_and_the_rest_is_well(
    wiretape: Wiretape, upstream: Upstream, recorded: Path, tmp_path: Path, mode: str
) -> None:
    (tmp_path / "config.yaml").write_text(FAULTS)
    all_three = shell(asked(CHAT, stream=True), asked(CHAT), asked(MODELS))
    options = record_options(upstream, recorded) if mode == "auto" else ["-r", recorded]
    done = wiretape(mode, *options, "--report", "report.json", "--", *all_three)
    # curl's 18: a partial file.
    assert done.stdout.split() == ["429", "0", "200", "0", "200", "18"]
    rows = json.loads((tmp_path / "report.json").read_text())["exchanges"]
    assert [row.get("fault") for row in rows] == ["busy", None, "broken"]
    assert "fault on demand: busy" in done.stderr
    assert "fault on demand: broken" in done.stderr


def test_a_request_that_asks_for_a_fault_gets_that_one(
    wiretape: Wiretape, recorded: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(FAULTS)
    command = [*asked(CHAT, stream=True), "-H", "x-wiretape-fault: status=500"]
    done = wiretape("replay", "-r", recorded, "--", *command)
    assert done.stdout.split() == ["500", "0"]


def test_a_run_goes_wrong_as_often_and_in_the_same_places_every_time(
    wiretape: Wiretape, recorded: Path, tmp_path: Path
) -> None:
    entry = "faults: [{name: down, status: 503, probability: 0.5, seed: 4}]\n"
    (tmp_path / "config.yaml").write_text(entry)
    many = shell(*[asked(CHAT)] * 12)
    runs = [wiretape("replay", "-r", recorded, "--", *many).stdout for _ in range(2)]
    assert runs[0] == runs[1]
    assert set(runs[0].split()) == {"200", "503", "0"}


def test_a_recording_has_no_fault(wiretape: Wiretape, upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(FAULTS)
    upstream.script(CHAT, Answer.sse([{"n": 1}]))
    command = asked(CHAT, stream=True)
    done = wiretape("record", *record_options(upstream, tmp_path / "r"), "--", *command)
    assert done.stdout.split() == ["200", "0"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[{name: a}]", "faults[0]: expected one of status, delay, cut, reset, stall, malformed"),
        ("[{cut: 1}]", "faults[0].name: missing, it has no default"),
        ("[{name: a, cut: x}]", "faults[0].cut: expected a whole number, got text"),
        ("[{name: a, delay: x}]", "faults[0].delay: expected a number, got text"),
        ("[{name: a, cut: 1, reset: 2}]", "faults[0]: cut and reset exclude each other"),
        ("[{name: a, status: 200}]", "faults[0]: status: expected a number from 400 to 599"),
        ("[{name: a, rate-limit: 1}]", '(did you mean "rate_limit"?)'),
        ("[{name: a, cut: 1}, {name: a, cut: 2}]", "faults[1].name: a is the name of an earlier"),
        ("[{name: a, cut: 1, when: {provider: opnai}}]", '(did you mean "openai"?)'),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"faults: {text}\n")
    with pytest.raises(ConfigError, match=re.escape(told)) as raised:
        load(path, {})
    assert str(raised.value).startswith(f"{path}:1: faults[")

"""The protocol of `wiretape pipe`, in this process; tests/api drives the command itself."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.stored import document, put

from wiretape.cli.running import _parse
from wiretape.run.pipe import _PipeServer


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    environment = dict(os.environ)
    yield tmp_path
    os.environ.clear()
    os.environ.update(environment)


async def asked(*messages: Any) -> list[dict[str, Any]]:
    """The answers to these lines, of JSON or as they are."""
    lines = asyncio.StreamReader()
    for message in messages:
        text = message if isinstance(message, str) else json.dumps(message)
        lines.feed_data(text.encode() + b"\n")
    lines.feed_eof()
    answers: list[dict[str, Any]] = []
    await _PipeServer(_parse, lines, lambda **answer: answers.append(answer)).serve()
    return answers


def opening(folder: Path, *arguments: str) -> dict[str, Any]:
    environment = {"PATH": os.environ["PATH"], "WIRETAPE_HOME": str(folder / "home")}
    about = {"directory": str(folder), "environment": environment}
    return {"open": {"arguments": ["replay", *arguments], **about}}


async def test_a_run_is_opened_controlled_reported_and_closed(here: Path) -> None:
    put(here / "recordings", document("Hi"))
    control = {"control": ["GET", "/wiretape"]}
    greeting, opened, reply, report, closed = await asked(
        opening(here, "--allow-none"), control, {"report": True}, {"close": True}
    )
    assert greeting["wiretape_pipe"] == 1
    assert opened["opened"]["mode"] == "replay"
    assert opened["opened"]["environment"]["HTTPS_PROXY"] == opened["opened"]["url"]
    assert reply["control"]["status"] == 200
    assert report["report"]["status"] == closed["closed"]["status"] == 0
    assert closed["closed"]["problems"] == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("{", "expected an object of JSON on a line"),
        ([1], "expected an object of JSON on a line"),
        ({}, "expected open, got nothing"),
        ({"report": True}, "expected open, got report"),
        ({"open": {}}, "open: expected arguments, directory and environment"),
        ({"open": []}, "open: expected arguments, directory and environment"),
        (
            {"open": {"arguments": ["record"], "directory": "/no/such", "environment": {}}},
            "/no/such: No such file or directory",
        ),
        (
            {"open": {"arguments": [], "directory": "/", "environment": {"A": 1}}},
            "/: str expected, not int",
        ),
        (
            {"open": {"arguments": ["verify"], "directory": "/", "environment": {}}},
            "'verify': expected record, replay, auto or refresh",
        ),
    ],
)
async def test_what_cannot_be_done_is_said_and_the_next_is_read(message: Any, reason: str) -> None:
    _, error, again = await asked(message, {"report": True})
    assert reason in error["error"]["message"]
    assert again["error"]["message"] == "expected open, got report"


@pytest.mark.parametrize(
    "control", [None, "GET /wiretape", ["GET"], ["GET", "/", "x"], [1, 2], {"GET": "/"}]
)
async def test_a_control_that_is_not_one_is_said_and_the_run_goes_on(
    here: Path, control: Any
) -> None:
    put(here / "recordings", document("Hi"))
    _, _, error, closed = await asked(
        opening(here, "--allow-none"), {"control": control}, {"close": True}
    )
    assert error["error"]["message"] == "control: expected [METHOD, PATH]"
    assert closed["closed"]["status"] == 0


async def test_an_input_that_ends_closes_the_run(here: Path) -> None:
    put(here / "recordings", document("Hi"))
    answers = await asked(opening(here))
    assert answers[-1]["closed"]["status"] == 3, "nothing reached the proxy"

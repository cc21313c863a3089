"""One run of CMD: where its program is, how it ends, and what it sent."""

import sys
from pathlib import Path

import pytest
from tests.support.parts import settings_in
from tests.support.stored import document, put

from wiretape.calibration.one_run import file_name, find_program, run_command, sent_requests
from wiretape.core.errors import ConfigError
from wiretape.core.matching.request_pairs import SentRequest
from wiretape.report.report import Report


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))


def test_a_program_is_looked_for_on_the_path_or_where_cmd_runs(tmp_path: Path) -> None:
    program = tmp_path / "agent"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(ConfigError, match="agent: no such program, or not executable; nothing"):
        find_program(["agent"], str(tmp_path))
    program.chmod(0o755)
    assert find_program(["agent", "-x"], str(tmp_path)) == str(program)
    assert find_program(["./agent"], "/nowhere") == "./agent"


@pytest.mark.parametrize(
    ("code", "limit", "status", "timed_out"),
    [
        ("import sys; sys.exit(7)", 600.0, 7, False),
        ("import os; os.kill(os.getpid(), 9)", 600.0, 137, False),
        ("import time; time.sleep(600)", 0.5, 143, True),
    ],
)
async def test_how_cmd_ends(
    tmp_path: Path, code: str, limit: float, status: int, timed_out: bool
) -> None:
    settings = settings_in(tmp_path, "replay")
    command, report = [sys.executable, "-c", code], Report("replay")
    end = await run_command(settings, command, sys.executable, tmp_path, limit, report)
    assert (end.status, end.timed_out) == (status, timed_out)


async def test_cmd_has_the_proxy_and_runs_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    code = (
        "import os, pathlib; p = os.environ['HTTPS_PROXY'];"
        "pathlib.Path('out').write_text(p + ' ' + os.getcwd())"
    )
    settings = settings_in(tmp_path, "replay")
    command = [sys.executable, "-c", code]
    await run_command(settings, command, sys.executable, tmp_path / "work", 600.0, Report("replay"))
    proxy, folder = (tmp_path / "work" / "out").read_text().split()
    assert proxy.startswith("http://127.0.0.1:")
    assert folder == str(tmp_path / "work")


async def test_one_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    (tmp_path / "agent").write_text("not a program")
    (tmp_path / "agent").chmod(0o755)
    settings = settings_in(tmp_path, "replay")
    with pytest.raises(ConfigError, match="agent: cannot be started: Exec format error"):
        await run_command(
            settings, ["agent"], str(tmp_path / "agent"), tmp_path, 600.0, Report("replay")
        )


def test_what_was_sent_comes_in_order(tmp_path: Path) -> None:
    put(tmp_path / "r", document("second", "2026-11-20T17:30:01Z"))
    put(tmp_path / "r", document("first", "2026-11-20T17:30:00Z"))
    sent = sent_requests(tmp_path / "r", settings_in(tmp_path, "replay").config)
    prompts = [each.document["body"]["messages"][0]["content"] for each in sent]
    assert prompts == ["first", "second"]
    assert [(tmp_path / "r" / file_name(each)).exists() for each in sent] == [True, True]


def test_a_message_of_a_websocket_is_in_its_recording() -> None:
    assert file_name(SentRequest("h/3f2a.json #2", {})) == "h/3f2a.json"

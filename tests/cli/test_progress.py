"""Every long command shows how far it has come: on a terminal, on stderr, and nowhere else."""

import io
import json
import os
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.support.stored import document, put

from wiretape.cli import progress
from wiretape.cli.main import main

type Walk = Callable[[Sequence[str]], str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "DELAY", 0)
    for name in ("TERM", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    for number in range(4):
        path = put(tmp_path / "recordings", document(f"prompt {number}"))
    name = path.relative_to(tmp_path / "recordings").as_posix()
    rows = [{"outcome": "replayed", "recording": name}]
    report = {"wiretape_report": 1, "mode": "replay", "exchanges": rows}
    (tmp_path / "report.json").write_text(json.dumps(report))
    har = {"log": {"version": "1.2", "creator": {"name": "t", "version": "1"}, "entries": []}}
    for file in ("one.har", "two.har"):
        (tmp_path / file).write_text(json.dumps(har))
    return tmp_path


@pytest.fixture
def terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Walk]:
    """Runs a command whose stderr is a terminal; gives what that shows."""
    master, slave = os.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    stderr = os.fdopen(slave, "w")

    def walk(args: Sequence[str]) -> str:
        monkeypatch.setattr(sys, "stderr", stderr)
        with pytest.raises(SystemExit):
            main(list(args))
        stderr.write("\0")
        stderr.flush()
        text = b""
        while not text.endswith(b"\0"):
            text += os.read(master, 65536)
        return text.decode()

    yield walk
    stderr.close()
    os.close(master)


LONG: dict[str, tuple[list[str], str]] = {
    "ls": (["ls"], "reading"),
    "verify": (["verify"], "checking"),
    "rekey": (["rekey"], "reading"),
    "unused": (["unused", "--report", "report.json"], "looking for what is unused"),
    "prune": (["prune", "--report", "report.json", "-n"], "looking for what is unused"),
    "stale": (["stale"], "reading dates"),
    "scan": (["scan", "recordings"], "scanning"),
    "redact": (["redact", "recordings", "-n"], "redacting"),
    "export": (["export", "--to", "har", "-o", "out.har"], "exporting"),
    "push": (["push", "memory:///"], "pushing"),
    "import": (["import", "one.har", "two.har", "-r", "other"], "importing"),
}


@pytest.mark.parametrize("name", LONG)
def test_a_long_command_shows_how_far_it_has_come(
    name: str, terminal: Walk, capsys: pytest.CaptureFixture[str]
) -> None:
    args, what = LONG[name]
    shown = terminal(args)
    assert what in shown
    assert "%" in shown
    assert "\x1b[?25h" in shown.rpartition("%")[2], "the cursor is back"
    assert what not in capsys.readouterr().out


def test_no_color_is_honoured(terminal: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[3" in terminal(["verify"])
    monkeypatch.setenv("NO_COLOR", "1")
    shown = terminal(["verify"])
    assert "checking" in shown
    assert "\x1b[3" not in shown


def test_a_dumb_terminal_gets_none(terminal: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "checking" not in terminal(["verify"])


@pytest.mark.parametrize("name", LONG)
def test_in_a_pipe_there_is_none(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_started", lambda: pytest.fail("a bar in a pipe"))
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with pytest.raises(SystemExit):
        main(LONG[name][0])
    assert LONG[name][1] not in pipe.getvalue()
    assert "\x1b" not in pipe.getvalue()


def test_what_is_done_in_a_moment_shows_none(
    terminal: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "DELAY", 1e9)
    assert "checking" not in terminal(["verify"])

"""The entry of the program prints the help that click prints, and leaves the rest to click."""

import gc
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.all_commands import all_commands, forget_help_options
from tests.support.limits import PATIENCE

from wiretape.cli import start
from wiretape.cli.main import main as program

type Start = Callable[..., str | None]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Start:
    """What the entry prints by itself; None if it leaves the arguments to click."""

    def run(
        *args: str,
        by: Callable[[], None] = start.main,
        name: str = "/usr/bin/wiretape",
        encoding: str = "utf-8",
        **env: str,
    ) -> str | None:
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
        with monkeypatch.context() as patch:
            patch.delenv("COLUMNS", raising=False)
            for variable, value in env.items():
                patch.setenv(variable, value)
            patch.setattr(sys, "argv", [name, *args])
            patch.setattr(sys, "stdout", out)
            if by is start.main:
                patch.setattr("wiretape.cli.main.main", lambda: None)
            by()
        out.seek(0)
        return out.read() or None

    return run


def by_click() -> None:
    with pytest.raises(SystemExit):
        program(prog_name="wiretape")


def test_every_help_is_what_click_prints(printed: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_help_options(monkeypatch)
    all_paths = [path for path, _ in all_commands()]
    assert {("ls",), ("report", "merge")} < set(all_paths)
    for columns in ("80", "100", "250"):
        for path in all_paths if columns == "80" else [(), ("ls",), ("report", "merge")]:
            expected = printed(*path, "--help", by=by_click, COLUMNS=columns)
            assert expected is not None
            assert printed(*path, "--help", COLUMNS=columns) == expected
            assert printed(*path, "-h", COLUMNS=columns) == expected


LEFT: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "no argument": ((), {}),
    "a command that does something": (("ls",), {}),
    "help of no command": (("lss", "--help"), {}),
    "two words as one": (("report merge", "--help"), {}),
    "an option before": (("ls", "--json", "--help"), {}),
    "for the program that is run": (("record", "--", "--help"), {}),
    "a narrow terminal": (("--help",), {"COLUMNS": "60"}),
    "one between the widths": (("--help",), {"COLUMNS": "90"}),
    "letters that cannot be written": (("--help",), {"encoding": "ascii"}),
    "another name": (("--help",), {"name": "wt"}),
    "completion": (("--help",), {"_WIRETAPE_COMPLETE": "bash_complete"}),
}


@pytest.mark.parametrize("why", LEFT)
def test_the_rest_is_left_to_click(why: str, printed: Start) -> None:
    args, how = LEFT[why]
    assert printed(*args, **how) is None


def test_garbage_is_collected_again_when_a_command_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = {}

    def run() -> None:
        seen["importing"] = gc.isenabled()
        assert program.commands["ls"].name == "ls"
        seen["running"] = gc.isenabled()

    monkeypatch.setattr(gc, "freeze", lambda: seen.setdefault("frozen", True))
    monkeypatch.setattr(sys, "argv", ["wiretape", "ls"])
    monkeypatch.setattr("wiretape.cli.main.main", run)
    start.main()
    assert seen == {"importing": False, "frozen": True, "running": True}
    assert gc.isenabled()


@pytest.mark.parametrize("content", [None, b"", b"\xff"])
def test_without_its_texts_help_is_left_to_click(
    content: bytes | None, printed: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    assert printed("--help") is not None
    monkeypatch.setattr(start, "__file__", str(tmp_path / "start.py"))
    if content is not None:
        (tmp_path / "help.txt").write_bytes(content)
    assert printed("--help") is None


@pytest.mark.parametrize("columns", [None, "", "0", "-5", "x", "70", " 120 "])
def test_the_width_is_the_one_that_click_goes_by(
    columns: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    for stdout in (sys.__stdout__, None):
        monkeypatch.setattr(sys, "__stdout__", stdout)
        assert start._columns() == shutil.get_terminal_size().columns


@pytest.mark.parametrize("full", [False, True])
def test_what_cannot_be_written_gets_no_traceback(full: bool, clean_env: dict[str, str]) -> None:
    if full:
        if not os.path.exists("/dev/full"):
            pytest.skip("this system has no /dev/full")
        theirs = os.open("/dev/full", os.O_WRONLY)
    else:
        ours, theirs = os.pipe()
        os.close(ours)
    code = "import sys; sys.argv[0] = 'wiretape'; from wiretape.cli.start import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        env=clean_env,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )
    os.close(theirs)
    expected = "wiretape: standard output: No space left on device\n" if full else ""
    assert (ran.returncode, ran.stderr) == (1, expected)

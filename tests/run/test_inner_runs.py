"""What fails a run within another fails that one."""

import os
from pathlib import Path

import pytest

from wiretape.report.report import Report, Row
from wiretape.run.inner_runs import heard, tell_outer

MISSED = Row("missed", "mcp", "POST", "/x/tools/call", note="no recording")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def test_a_miss_of_the_inner_run_is_one_of_the_outer(tmp_path: Path, home: Path) -> None:
    report = Report("replay")
    with heard(Path("r"), report):
        tell_outer(tmp_path / "r", MISSED)
        tell_outer(tmp_path / "r", Row("replayed", "mcp", "POST", "/x/ping"))
        assert report.exit_status == 0
    (row,) = report.rows
    assert (row.outcome, row.path, row.note) == (
        "missed",
        "/x/tools/call",
        "in wiretape mcp: no recording",
    )
    assert report.exit_status == 3
    assert list(home.glob("*.outer")) == []


def test_one_of_another_folder_is_not(tmp_path: Path) -> None:
    report = Report("replay")
    with heard(tmp_path / "r", report):
        tell_outer(tmp_path / "other", MISSED)
    assert not report.rows


def test_what_a_killed_run_left_is_removed(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    left = home / f"{child}.outer"
    left.write_text('"/r"\n')
    (home / "no-number.outer").write_text("")
    tell_outer(tmp_path, MISSED)
    assert not left.exists()


def test_a_file_that_is_gone_does_not_end_the_run(home: Path, tmp_path: Path) -> None:
    with heard(tmp_path, Report("replay")):
        next(home.glob("*.outer")).unlink()

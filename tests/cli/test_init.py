"""`wiretape init`, as it is called; what the files hold is for tests/starter."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wiretape.cli.main import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["init", *args], prog_name="wiretape")


def test_a_dry_run_prints_the_files_and_writes_none(here: Path) -> None:
    done = run("--dry-run")
    assert done.exit_code == 0
    assert "--- config.yaml\n" in done.stdout
    assert list(here.iterdir()) == []


def test_files_are_written_and_those_that_are_there_stay(here: Path) -> None:
    (here / "config.yaml").write_text("mine: 1\n")
    done = run()
    assert "config.yaml: is there and stays as it is; it might hold:\n    " in done.stdout
    assert ".gitattributes: written" in done.stdout
    assert "Next: wiretape record -- CMD" in done.stdout
    assert (here / "config.yaml").read_text() == "mine: 1\n"
    rows = json.loads(run("--json").stdout)["files"]
    assert all(row["present"] for row in rows)
    assert {row["file"] for row in rows} >= {"config.yaml", ".gitattributes"}


def test_a_file_that_cannot_be_written_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, *args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    done = run()
    assert done.exit_code != 0
    assert "cannot be written: No space left on device" in done.stderr

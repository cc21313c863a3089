"""`wiretape export`, as it is called; what is written is for tests/exchange_formats."""

import json
from errno import EPIPE
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.stored import document, put

from wiretape.cli import exporting
from wiretape.cli.main import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "recordings", document("second", "2026-11-20T17:30:01Z"))
    put(tmp_path / "recordings" / "one", document("first", "2026-11-20T17:30:00Z"))
    return tmp_path


def export(*args: str) -> Result:
    return CliRunner().invoke(main, ["export", *args], prog_name="wiretape")


def test_recordings_come_in_the_order_they_were_made() -> None:
    done = export("--to", "jsonl")
    assert [json.loads(line)["prompt"] for line in done.stdout.splitlines()] == ["first", "second"]
    assert "2 recordings exported" in done.stderr
    only = export("--to", "jsonl", "--session", "one")
    assert len(only.stdout.splitlines()) == 1


@pytest.mark.parametrize("target", ["har", "vcr"])
def test_a_file_is_written_where_one_is_named(here: Path, target: str) -> None:
    done = export("--to", target, "-o", "out", "--json")
    assert json.loads(done.stdout) == {
        "wiretape_export": 1,
        "format": target,
        "output": "out",
        "exported": 2,
        "left_out": [],
    }
    assert "api.together.xyz" in (here / "out").read_text()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--to", "har", "--json"], "--json: give --output a file; name it with -o"),
        (["--to", "llama-stack"], "--to llama-stack writes a folder; name it with -o"),
        (["--to", "har", "--test-id", "t"], "--test-id is for --to llama-stack"),
        (["--to", "xml"], "'xml' is not one of"),
    ],
)
def test_wrong_use_writes_nothing(arguments: list[str], reason: str) -> None:
    done = export(*arguments)
    assert done.exit_code == 2
    assert reason in done.output


def test_a_recording_that_cannot_be_read_is_left_out(here: Path) -> None:
    (here / "recordings" / "x.json").write_text("{")
    done = export("--to", "jsonl")
    assert done.exit_code == 1
    assert "recordings/x.json: left out: " in done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_a_file_that_cannot_be_written_is_named() -> None:
    done = export("--to", "har", "-o", "no/such/folder")
    assert done.exit_code != 0
    assert "no/such/folder: cannot be written: No such file" in done.stderr


def test_a_reader_that_has_enough_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object) -> None:
        raise BrokenPipeError(EPIPE, "Broken pipe")

    monkeypatch.setattr(exporting, "_write_file", closed)
    assert export("--to", "jsonl").stderr == ""


def test_a_folder_keeps_what_somebody_else_wrote_there(here: Path) -> None:
    assert export("--to", "llama-stack", "-o", "out").exit_code == 0
    written = sorted((here / "out" / "recordings").iterdir())
    assert len(written) == 2
    written[0].write_text("mine")
    done = export("--to", "llama-stack", "-o", "out")
    assert done.exit_code == 1
    assert "is there with another text; delete it first" in done.stderr
    assert written[0].read_text() == "mine"

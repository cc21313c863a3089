"""`wiretape edit`: its options, and what it says; tests/maintenance/test_edit changes files."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support import drifted_answers as answers
from tests.support.stored import put

from wiretape.cli.main import main

NAME = "0123456789ab.json"
KEY = "tgp_v1_3kD9fWq7RzX2mB5nTc8vLj4hGs6pYa1eUoZbNi0KwMx"


@pytest.fixture(autouse=True)
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return put(tmp_path / "recordings", answers.call(), NAME)


def edit(*args: str) -> Result:
    return CliRunner().invoke(main, ["edit", *args], prog_name="wiretape")


@pytest.mark.parametrize("value", ["call", "=x", ""])
def test_a_change_names_a_part_and_its_text(value: str) -> None:
    done = edit("0123", "--set", value)
    assert done.exit_code == 2
    assert "expected PART=TEXT, such as text=Hello" in done.stderr


def test_the_result_as_json(recording: Path) -> None:
    done = edit("0123", "--set", 'call={"city": "Kyoto"}', "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["edited"] == ["call"]
    assert document["recording"] in done.stderr
    assert b"Kyoto" in recording.read_bytes()


def test_a_part_that_is_not_there_changes_nothing(recording: Path) -> None:
    before = recording.read_bytes()
    done = edit("0123", "--set", "refusal=No")
    assert done.exit_code != 0
    assert "nothing was changed" in done.stderr
    assert recording.read_bytes() == before


def test_a_secret_is_refused(recording: Path) -> None:
    before = recording.read_bytes()
    done = edit("0123", "--set", f'call={{"key": "{KEY}"}}')
    assert done.exit_code == 4
    assert KEY not in done.output
    assert recording.read_bytes() == before


def test_without_an_editor_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", "/no/such/editor")
    done = edit("0123")
    assert done.exit_code != 0
    assert "set EDITOR, or use --set" in done.stderr

"""`wiretape diff --sessions`, as it is called."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.stored import document, put

from wiretape.cli.main import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for number, prompt in enumerate(("one", "two", "three")):
        stored = document(prompt, f"2026-11-20T17:30:0{number}Z")
        put(tmp_path / "recordings", stored, f"{number}.json")
        if number < 2:
            put(tmp_path / "recordings" / "short", stored, f"{number}.json")
    return tmp_path / "recordings"


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["diff", "--sessions", *args], catch_exceptions=False)


def test_what_only_one_run_has_is_the_first_difference() -> None:
    result = run(".", "short")
    assert (result.exit_code, "differs is 3: only in A" in result.stderr) == (1, True)
    steps = json.loads(run("short", ".", "--json").stdout)["steps"]
    assert [step["outcome"] for step in steps] == ["same", "same", "only in B"]


def test_equal_runs_are_equal() -> None:
    result = run(".", ".")
    assert (result.exit_code, "the same in 3 steps" in result.stderr) == (0, True)
    assert run(".", "nowhere").exit_code == 2

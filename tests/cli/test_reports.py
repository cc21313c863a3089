"""`wiretape report merge`, as it is called."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wiretape.cli.main import main
from wiretape.report.report import Report, Row


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["report", "merge", *args], prog_name="wiretape")


def written(path: Path, outcome: str) -> Path:
    report = Report("replay")
    report.add(Row(outcome, "openai", "POST", "/v1/x", "m", status=200))  # type: ignore[arg-type]
    path.write_text(json.dumps(report.as_json()))
    return path


def test_two_reports_become_one_with_the_worse_status(here: Path) -> None:
    written(here / "a.json", "replayed")
    written(here / "b.json", "missed")
    done = run("a.json", "b.json")
    merged = json.loads(done.stdout)
    assert (merged["counts"]["replayed"], merged["counts"]["missed"]) == (1, 1)
    assert done.exit_code == 3
    assert run("a.json", "a.json", "-o", "out.json").stdout == ""
    assert json.loads((here / "out.json").read_text())["counts"]["replayed"] == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "a.json: cannot be read as a report: No such file"),
        ("{", "a.json: cannot be read as a report: "),
        ("[]", "a.json: one of them is not the report of a run"),
        ("{}", "a.json: one of them is not the report of a run"),
    ],
)
def test_what_is_not_a_report_is_named(here: Path, text: str | None, reason: str) -> None:
    if text is not None:
        (here / "a.json").write_text(text)
    done = run("a.json")
    assert done.exit_code == 2
    assert reason in done.stderr


def test_a_report_that_cannot_be_written_is_named(here: Path) -> None:
    written(here / "a.json", "replayed")
    done = run("a.json", "-o", "no/such/folder.json")
    assert done.exit_code == 2
    assert "folder.json: cannot be written: No such file" in done.stderr


def test_reports_in_a_store_become_one(here: Path) -> None:
    pytest.importorskip("obstore", reason="obstore is in wiretape[fleet]")
    (here / "reports").mkdir()
    written(here / "reports/a.json", "replayed")
    written(here / "reports/b.json", "replayed")
    done = run(f"file://{here}/reports")
    assert (done.exit_code, json.loads(done.stdout)["counts"]["replayed"]) == (0, 2)

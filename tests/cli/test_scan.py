"""`wiretape scan` and `redact`, as they are called."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.stored import document, put

from wiretape.cli.main import main

KEY = "tgp_v1_3kD9fWq7RzX2mB5nTc8vLj4hGs6pYa1eUoZbNi0KwMx"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text(f"key: {KEY}\n")
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, list(args), prog_name="wiretape")


def test_a_secret_is_named_with_its_line_and_never_shown() -> None:
    done = run("scan", "notes.txt")
    assert done.exit_code == 1
    assert done.stdout.startswith("notes.txt:1: ")
    assert "1 finding in 1 of 1 file. Revoke what was ever pushed" in done.stderr
    assert KEY not in done.output


def test_a_clean_file_is_said_to_be_clean(here: Path) -> None:
    (here / "notes.txt").write_text("nothing here\n")
    done = run("scan", "notes.txt")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "1 file, no secret found" in done.stderr


def test_the_findings_as_json_and_as_sarif(here: Path) -> None:
    document = json.loads(run("scan", "--json", "notes.txt").stdout)
    (finding,) = document["findings"]
    assert (document["files"], finding["file"], finding["line"]) == (1, "notes.txt", 1)
    sarif = json.loads(run("scan", "--sarif", "-", "notes.txt").stdout)
    assert len(sarif["runs"][0]["results"]) == 1
    assert run("scan", "--sarif", "out.sarif", "notes.txt").exit_code == 1
    assert json.loads((here / "out.sarif").read_text())["version"] == "2.1.0"
    assert run("scan", "--json", "--sarif", "-", "notes.txt").exit_code == 2


def test_a_baseline_lets_pass_what_it_gives_a_reason_for(here: Path) -> None:
    assert run("scan", "--write-baseline", "notes.txt").exit_code == 2, "it needs a file"
    written = run("scan", "--baseline", "ok.yaml", "--write-baseline", "notes.txt")
    assert written.exit_code == 0
    assert "1 finding written; give each entry a reason" in written.stderr
    assert run("scan", "--baseline", "ok.yaml", "notes.txt").exit_code == 2, "no reason yet"
    text = (here / "ok.yaml").read_text()
    (here / "ok.yaml").write_text(text.replace("reason: ''", "reason: a test").replace(
        'reason: ""', "reason: a test"))  # fmt: skip
    passed = run("scan", "--baseline", "ok.yaml", "notes.txt")
    assert passed.exit_code == 0, passed.output
    assert "1 let pass by the baseline" in passed.stderr
    (here / "notes.txt").write_text("gone\n")
    assert "take the entry out" in run("scan", "--baseline", "ok.yaml", "notes.txt").stderr


def test_what_cannot_be_searched_is_a_finding(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wiretape.scanning import scan

    monkeypatch.setattr(scan, "MAX_BYTES", 10)
    done = run("scan", "notes.txt")
    assert done.exit_code == 1
    assert "not searched, larger than" in done.stdout


def test_without_a_path_the_recordings_are_searched(here: Path) -> None:
    done = run("scan")
    assert done.exit_code == 2
    assert "recordings: no such folder" in done.stderr
    put(here / "recordings", document("Hi"))
    assert run("scan").exit_code == 0


def test_redact_takes_a_secret_out_and_says_how_many(here: Path) -> None:
    path = put(here / "recordings", document(f"my key is {KEY}"))
    dry = run("redact", "--dry-run", "recordings")
    assert dry.exit_code == 1
    assert "1 of 1 recording would be rewritten" in dry.stderr
    assert KEY in path.read_text()
    done = run("redact", "--json", "recordings")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["changes"]
    assert KEY not in "".join(file.read_text() for file in here.rglob("recordings/**/*.json"))
    assert run("redact").exit_code == 2, "it names what to rewrite"


def test_redact_names_a_file_that_is_not_a_recording(here: Path) -> None:
    put(here / "recordings", document("Hi"))
    (here / "recordings" / "package.json").write_text('{"name": "x"}')
    done = run("redact", "recordings")
    assert done.exit_code == 1
    assert "recordings/package.json: " in done.stderr

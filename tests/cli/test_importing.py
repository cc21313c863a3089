"""`wiretape import`, as it is called; what is read is for tests/exchange_formats."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wiretape.cli.main import main

URL = "https://api.openai.com/v1/responses"
STREAM = 'event: response.created\ndata: {"type": "response.created"}\n\ndata: [DONE]\n\n'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    (tmp_path / "a.sse").write_text(STREAM)
    (tmp_path / "ask.json").write_text('{"input": "hi"}')
    return tmp_path


def take_in(*args: str) -> Result:
    return CliRunner().invoke(main, ["import", *args], prog_name="wiretape")


def recorded(folder: Path) -> list[str]:
    return sorted(path.parts[0] for path in (p.relative_to(folder) for p in folder.rglob("*.json")))


ASKED = ("--url", URL, "--request-body", "ask.json")


def test_an_answer_alone_belongs_to_the_request_that_is_named(here: Path) -> None:
    done = take_in("a.sse", *ASKED)
    assert done.exit_code == 0, done.output
    assert "1 exchange of 1 file imported" in done.stderr
    (path,) = (here / "recordings").rglob("*.json")
    stored = json.loads(path.read_text())
    assert (stored["request"]["url"], stored["request"]["body"]) == (URL, {"input": "hi"})
    assert "1 recorded already" in take_in("a.sse", *ASKED).stderr


def test_a_session_is_the_files_or_the_one_that_is_named(here: Path) -> None:
    (here / "in").mkdir()
    (here / "a.sse").rename(here / "in" / "test_b.sse")
    assert take_in("in", "--session-per-file", *ASKED).exit_code == 0
    assert take_in("in", "--session", "mine", *ASKED).exit_code == 0
    assert recorded(here / "recordings") == ["mine", "test_b"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--session", "a", "--session-per-file"], "exclude one another"),
        (["--session", "../up"], "--session: "),
        (["--request-body", "ask.json"], "--request-body needs --url, where the request went"),
        (["--url", "nonsense"], "--url or --method: "),
        (["--url", URL, "--request-body", "gone.json"], "gone.json: cannot be read: No such"),
    ],
)
def test_wrong_use_imports_nothing(here: Path, arguments: list[str], reason: str) -> None:
    done = take_in("a.sse", *arguments)
    assert done.exit_code == 2
    assert reason in done.stderr
    assert list((here / "recordings").rglob("*.json")) == []


def test_a_folder_without_files_is_wrong_use(here: Path) -> None:
    (here / "empty").mkdir()
    done = take_in("empty")
    assert done.exit_code == 2
    assert "no file to import: the folders named hold none" in done.stderr


def test_a_file_of_no_format_is_named_in_words_and_as_json(here: Path) -> None:
    (here / "page.html").write_text("<html>")
    done = take_in("page.html")
    assert done.exit_code == 1
    assert done.stdout.startswith("page.html: ")
    assert "1 file not read to the end" in done.stderr
    (row,) = json.loads(take_in("page.html", "--json").stdout)["files"]
    assert (row["file"], row["format"], row["imported"]) == ("page.html", None, 0)
    assert row["error"]


def test_what_would_hold_a_secret_is_not_written_and_exits_with_4(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A number stays a number: redaction cannot take it out.
    monkeypatch.setenv("PIN_TOKEN", "271828182845904523536028")
    (here / "a.sse").write_text('data: {"n": 271828182845904523536028}\n\n')
    done = take_in("a.sse", *ASKED)
    assert done.exit_code == 4
    assert "1 not carried over" in done.stderr
    assert "2718281828" not in done.output
    assert list((here / "recordings").rglob("*.json")) == []

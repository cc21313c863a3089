"""`wiretape ls` on the command line, and how names are completed."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.listed_folder import CHAT, listed_folder, recording
from tests.support.page_recordings import write

from wiretape.cli import library
from wiretape.cli.main import main
from wiretape.maintenance.listed_recording import COLUMNS
from wiretape.maintenance.read_row import RowReader

type Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return listed_folder(tmp_path / "recordings")


@pytest.fixture
def run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    return lambda *args: CliRunner().invoke(main, list(args))


def rows(result: Result) -> list[list[str]]:
    return [line.split("\t") for line in result.stdout.splitlines()]


def test_ls_lists_what_is_in_no_session_in_columns_parted_by_tabs(run: Run) -> None:
    found = rows(run("ls"))
    assert found[0] == [
        "provider",
        "model",
        "prompt",
        "tokens",
        "cost",
        "chunks",
        "age",
        "size",
        "status",
        "name",
    ]
    assert [row[-1] for row in found[1:]] == [
        f"{CHAT}/aa0000000000.json",
        f"{CHAT}/bb0000000000.json",
    ]
    assert found[1][:6] == ["openai", "gpt-x", "Say hello", "7/3", "-", "3"]
    assert found[1][8] == "200"


def test_ls_lists_a_session_or_all_of_them(run: Run) -> None:
    one = [f"demo/{CHAT}/cc0000000000.json"]
    assert [row[-1] for row in rows(run("ls", "--session", "demo"))[1:]] == one
    assert len(rows(run("ls", "--all-sessions"))) == 4


@pytest.mark.parametrize(
    ("args", "keys"),
    [
        (["--grep", "HELLO"], ["aa"]),
        (["--grep", "bye"], ["bb"]),
        (["--provider", "openai"], ["aa", "bb"]),
        (["--provider", "api.openai.com"], ["aa", "bb"]),
        (["--provider", "together"], []),
        (["--model", "GPT"], ["aa", "bb"]),
        (["--model", "gpt-?"], ["aa", "bb"]),
        (["--model", "llama"], []),
        (["--path", "/v1/*"], ["aa", "bb"]),
        (["--path", "/v1/models"], []),
        (["--status", "2xx"], ["aa", "bb"]),
        (["--status", "429"], []),
        (["--since", "2026-01-01"], ["aa", "bb"]),
        (["--since", "2026-01-03"], []),
        (["--streamed"], ["aa", "bb"]),
        (["--not-streamed"], []),
        (["--reverse"], ["bb", "aa"]),
        (["--sort", "size"], ["bb", "aa"]),
    ],
)
def test_ls_lists_what_is_asked_for(run: Run, args: list[str], keys: list[str]) -> None:
    result = run("ls", "--json", *args)
    listed = [row["name"].rpartition("/")[2][:2] for row in json.loads(result.stdout)["recordings"]]
    assert (result.exit_code, listed) == (0, keys)


@pytest.mark.parametrize("config", ["", "prices:\n- {model: gpt-x, input: 2, output: 8}\n"])
def test_ls_prints_the_same_of_files_that_it_knows(
    config: str, run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "broken.json").write_text("{")
    if config:
        (tmp_path / "config.yaml").write_text(config)
    time.sleep(0.03)  # until a change would show in a file's times

    def printed(home: str) -> list[tuple[int, str, str]]:
        monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / home))
        arguments: tuple[list[str], ...] = (
            [],
            ["--json"],
            ["--all-sessions", "--sort", "cost"],
            ["--session", "demo"],
        )
        results = [run("ls", *more) for more in (*arguments, ["-r", "nope"])]
        return [(each.exit_code, each.stdout, each.stderr) for each in results]

    first = printed("one")
    assert "broken.json: not JSON" in first[0][2]
    assert ("0.000038" in first[1][1]) == bool(config)
    with monkeypatch.context() as patch:
        patch.setattr(RowReader, "stored", lambda *_: pytest.fail("a recording is read"))
        assert printed("one") == first
    assert printed("other") == first


def test_ls_gives_json_with_a_version(run: Run, folder: Path) -> None:
    found = json.loads(run("ls", "--json", "--grep", "hello").stdout)
    path = folder / CHAT / "aa0000000000.json"
    assert found == {
        "wiretape_ls": 1,
        "folder": "recordings",
        "recordings": [
            {
                "name": f"{CHAT}/aa0000000000.json",
                "session": None,
                "provider": "openai",
                "host": "api.openai.com",
                "method": "POST",
                "path": "/v1/chat/completions",
                "model": "gpt-x",
                "prompt": "Say hello",
                "tokens_in": 7,
                "tokens_out": 3,
                "usage": {"tokens_in": 7, "tokens_out": 3},
                "cost": None,
                "streamed": True,
                "chunks": 3,
                "status": 200,
                "end": "complete",
                "recorded_at": "2026-01-02T03:04:05+00:00",
                "size": path.stat().st_size,
                "foreign": False,
                "edited": False,
            }
        ],
        "faults": [],
    }


def test_ls_tells_what_recordings_cost_by_the_prices_of_the_file(run: Run) -> None:
    Path("config.yaml").write_text("prices: [{model: gpt-x, input: 1000, output: 500}]")
    assert [row[4] for row in rows(run("ls", "--grep", "hello"))] == ["cost", "0.0085 USD"]
    listed = json.loads(run("ls", "--json", "--sort", "cost").stdout)["recordings"]
    assert listed[-1]["cost"] == {"amount": "0.0085", "currency": "USD"}


def test_ls_tells_of_a_bad_file_and_lists_the_rest(run: Run, folder: Path) -> None:
    (folder / CHAT / "dd.json").write_text("{", encoding="utf-8")
    result = run("ls")
    assert result.exit_code == 0
    assert len(rows(result)) == 3
    assert result.stderr.startswith(f"wiretape: {CHAT}/dd.json: not JSON: ")


def test_ls_of_a_folder_that_is_not_there_says_so(run: Run) -> None:
    result = run("ls", "-r", "nowhere")
    assert result.exit_code == 2
    assert result.stderr == (
        "wiretape: nowhere: no such folder; name the folder of the recordings with -r\n"
    )


def test_ls_says_where_else_recordings_are(run: Run, folder: Path) -> None:
    for path in (folder / CHAT).iterdir():
        path.unlink()
    assert run("ls").stderr == (
        "wiretape: recordings: no recording; there are sessions (demo): see --session and"
        " --all-sessions\n"
    )


def test_a_time_that_is_none_is_refused(run: Run) -> None:
    result = run("ls", "--since", "soon")
    assert result.exit_code == 2
    assert "expected an age such as 7d, 12h or 2w, or a date such as 2026-11-20" in result.stderr


def test_a_shell_completes_names(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.shell_completion import ShellComplete

    shell = ShellComplete(main, {}, "wiretape", "_WIRETAPE_COMPLETE")
    assert [item.value for item in shell.get_completions(["show"], "a")] == ["aa0000000000"]
    assert [item.value for item in shell.get_completions(["diff", "aa"], "b")] == ["bb0000000000"]


def test_ls_on_a_terminal_keeps_every_column_and_cuts_the_prompt(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(library, "_is_terminal", lambda: True)
    head, first, second = run("ls", "--sort", "name").stdout.splitlines()
    assert head.split() == list(COLUMNS)
    assert first.split()[:7] == ["openai", "gpt-x", "Say", "hello", "7/3", "-", "3"]
    assert second.endswith("200 bb0000000000")


def test_ls_lists_what_is_older_than_an_age_the_oldest_first(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    write(folder, f"{CHAT}/aa0000000000.json", recording("a"))
    write(
        folder,
        f"{CHAT}/bb0000000000.json",
        {**recording("b"), "recorded_at": "2025-01-01T00:00:00Z"},
    )
    write(
        folder,
        f"{CHAT}/cc0000000000.json",
        {**recording("c"), "recorded_at": "2999-01-01T00:00:00Z"},
    )
    for options in (["--age"], ["--age", "90d"], ["--age", "1d", "--sort", "name"]):
        rows = json.loads(run("ls", "--json", *options).stdout)["recordings"]
        assert [row["name"][-17:-15] for row in rows] == ["bb", "aa"]
    assert run("ls", "--age", "long").exit_code == 2

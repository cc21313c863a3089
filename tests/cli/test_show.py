"""`wiretape show` and `diff` on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.listed_folder import CHAT, listed_folder, recording
from tests.support.page_recordings import write

from wiretape.cli.main import main

type Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return listed_folder(tmp_path / "recordings")


@pytest.fixture
def run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(main, list(args))


def test_show_tells_the_conversation(run: Run) -> None:
    assert run("show", "aa").stdout == (
        f"{CHAT}/aa0000000000.json\n"
        "POST https://api.openai.com/v1/chat/completions\n"
        "200  gpt-x  3 chunks  7 in, 3 out  0.600s  2026-01-02T03:04:05Z\n"
        "\nuser\n  Say   hello\n"
        "\nanswer\n  Hello\n"
    )


def test_show_chunks_tells_when_each_came(run: Run) -> None:
    lines = run("show", "aa", "--chunks").stdout.splitlines()[3:]
    assert lines == [
        '    0.250s  data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}',
        '    0.500s  data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}',
        "    0.500s  data: [DONE]",
    ]


def test_show_raw_writes_the_body_of_the_wire(run: Run) -> None:
    assert run("show", "bb", "--raw").stdout_bytes == (
        b'data: {"choices":[{"index":0,"delta":{"content":"Bye"}}]}\n\n'
        b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n'
        b"data: [DONE]\n\n"
    )


def test_show_request_writes_the_requests_body(run: Run) -> None:
    assert run("show", "bb", "--request").stdout_bytes == (
        b'{"model":"gpt-x","messages":[{"role":"user","content":"Say bye"}],"stream":true}'
    )


def test_show_gives_json(run: Run) -> None:
    found = json.loads(run("show", "aa", "bb", "--json").stdout)
    assert found["wiretape_show"] == 1
    one = found["recordings"][0]
    assert one["answer"] == [
        {
            "role": "assistant",
            "parts": [{"kind": "text", "text": "Hello", "name": "", "id": ""}],
            "finish": None,
        }
    ]
    assert one["chunks"][2] == {"at": 0.5, "text": "data: [DONE]\n\n", "bytes": 14}
    assert [row["name"][-17:] for row in found["recordings"]] == [
        "aa0000000000.json",
        "bb0000000000.json",
    ]


def test_show_lets_no_recording_steer_the_terminal(run: Run, folder: Path) -> None:
    write(folder, f"{CHAT}/ee.json", recording("\x1b[2Jgone\x07"))
    assert (
        "  \N{REPLACEMENT CHARACTER}[2Jgone\N{REPLACEMENT CHARACTER}\n" in run("show", "ee").stdout
    )


def test_show_of_a_bad_file_names_it_and_the_member(run: Run, folder: Path) -> None:
    write(folder, f"{CHAT}/ee.json", recording("x", status="fine"))
    result = run("show", "ee")
    assert result.exit_code == 2
    assert result.stderr == (
        f"wiretape: {CHAT}/ee.json: response.status: expected an HTTP status, got text\n"
    )


def test_show_takes_one_body_at_a_time(run: Run) -> None:
    assert run("show", "aa", "bb", "--raw").exit_code == 2
    assert run("show", "aa", "--raw", "--request").exit_code == 2


def test_show_plot_draws_when_the_answer_came(run: Run) -> None:
    lines = run("show", "aa", "--plot").stdout.splitlines()
    assert lines[0] == f"{CHAT}/aa0000000000.json"
    assert lines[1].startswith("      5 ┤")
    assert "first chunk 0.250s, longest gap 0.250s before chunk 2" in lines[-1]


def test_show_html_writes_one_file(run: Run, tmp_path: Path) -> None:
    result = run("show", "aa", "--html", "a.html")
    assert (result.exit_code, result.output) == (0, "")
    assert "Say\thello" in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert run("show", "aa", "--html", "-").stdout.startswith("<!doctype html>")


def test_show_html_is_of_one_recording_and_needs_a_folder_to_write_to(run: Run) -> None:
    assert run("show", "aa", "bb", "--html", "a.html").exit_code == 2
    assert run("show", "aa", "--raw", "--html", "a.html").exit_code == 2
    result = run("show", "aa", "--html", "no/a.html")
    assert result.exit_code == 2
    assert result.stderr == "wiretape: no/a.html: cannot be written: No such file or directory\n"


def test_diff_html_writes_one_file_and_keeps_its_status(run: Run, tmp_path: Path) -> None:
    assert run("diff", "aa", "bb", "--html", "a.html").exit_code == 1
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<del>Hello</del><ins>Bye</ins>" in text


def test_diff_of_equal_recordings_is_0(run: Run, folder: Path) -> None:
    write(folder, f"{CHAT}/ff.json", recording("Hello", "Say\thello"))
    result = run("diff", "aa", "ff")
    assert result.exit_code == 0
    assert result.stdout.endswith("they ask the same and answer the same\n")


def test_diff_tells_paths_and_words(run: Run) -> None:
    result = run("diff", "aa", "bb")
    assert result.exit_code == 1
    assert result.stdout == (
        f"- {CHAT}/aa0000000000.json\n+ {CHAT}/bb0000000000.json\n"
        "body.messages[0].content\n  - Say hello\n  + Say bye\n"
        "answer.text\n  - Hello\n  + Bye\n"
        "chunks: the same, 3\nfirst_chunk: the same, 0.25\nend_at: the same, 0.6\n"
        "tokens_in: the same, 7\ntokens_out: the same, 3\n"
    )


def test_diff_gives_json(run: Run) -> None:
    found = json.loads(run("diff", "aa", "bb", "--json").stdout)
    assert found["wiretape_diff"] == 1
    assert found["equal"] is False
    assert found["answer"] == [{"path": "answer.text", "a": "Hello", "b": "Bye"}]
    assert found["facts"]["chunks"] == {"a": 3, "b": 3}

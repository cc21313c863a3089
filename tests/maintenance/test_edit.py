"""`wiretape edit`: in an editor, by an option, and refused with nothing lost."""

import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.support import drifted_answers as answers
from tests.support import paths
from tests.support.stored import put

from wiretape.cli.main import main
from wiretape.core.conversation.editing import editable_parts
from wiretape.library.recording_file import load

NAME = "0123456789ab.json"


@pytest.fixture(autouse=True)
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return put(tmp_path / "recordings", answers.call(), NAME)


def edit(*args: str | Path) -> Result:
    return CliRunner().invoke(main, ["edit", *map(str, args)], catch_exceptions=False)


def editor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> None:
    """An editor that does `code` to the text `t`."""
    program = tmp_path / "editor.py"
    lines = ["import pathlib, sys", "p = pathlib.Path(sys.argv[1])", "t = p.read_text()", code]
    program.write_text("\n".join([*lines, "p.write_text(t)", ""]))
    monkeypatch.setenv("VISUAL", f"{sys.executable} {program}")


def said(path: Path) -> Any:
    return [part.text for part in editable_parts(load(path).document)]


def test_an_editor_changes_a_part(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(monkeypatch, tmp_path, 't = t.replace("Tokyo", "Kyoto")')
    result = edit("0123")
    assert result.exit_code == 0, result.stderr
    assert "edited call" in result.stderr
    assert said(recording) == ['{"city": "Kyoto", "unit": "C"}']
    assert b'"edited": {"at": "20' in recording.read_bytes()
    shown = CliRunner().invoke(main, ["show", "0123"])
    assert shown.stdout.splitlines()[2].endswith("edited")


@pytest.mark.parametrize("code", ["pass", 't = ""'])
def test_an_editor_that_changes_nothing_leaves_the_file(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    before = recording.read_bytes()
    editor(monkeypatch, tmp_path, code)
    result = edit("0123")
    assert (result.exit_code, "nothing was changed" in result.stderr) == (0, True)
    assert recording.read_bytes() == before


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ('t = t.replace("}", "")', "was JSON and is not any more"),
        ('t = t.replace("=== call", "== call")', "expected these lines"),
    ],
)
def test_what_was_typed_is_kept_where_it_is_refused(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, fault: str
) -> None:
    before = recording.read_bytes()
    editor(monkeypatch, tmp_path, code)
    result = edit("0123")
    assert (result.exit_code, fault in result.stderr) == (2, True), result.stderr
    assert recording.read_bytes() == before
    draft = Path(result.stderr.partition("--from ")[2].partition(" ")[0].rstrip(")\n"))
    mended = draft.read_text().replace("== call", "=== call").replace("====", "===")
    if "}" not in mended:
        mended = mended.rstrip("\n") + "}\n"
    draft.write_text(mended.replace("Tokyo", "Kyoto"))
    assert edit("0123", "--from", draft).exit_code == 0
    assert said(recording) == ['{"city": "Kyoto", "unit": "C"}']
    assert draft.exists(), "the user's own file stays"
    draft.unlink()


def test_a_secret_is_not_written(recording: Path) -> None:
    before = recording.read_bytes()
    key = "sk-proj-" + "aB3xY9" * 8
    result = edit("0123", "--set", f'call={{"city": "{key}"}}')
    assert result.exit_code == 4
    assert key not in result.output
    assert recording.read_bytes() == before


def test_what_cannot_be_edited_is_said(recording: Path, tmp_path: Path) -> None:
    assert edit("0123", "--set", "call").exit_code == 2
    assert "no part of this answer" in edit("0123", "--set", "text=x").stderr
    for seed in paths.RECORDINGS.glob("*.json"):
        (tmp_path / "recordings" / seed.name).write_bytes(seed.read_bytes())
        result = edit(seed.stem, "--set", "text=x")
        assert (result.exit_code, "wiretape import" in result.stderr) == (2, True)
        break
    put(tmp_path / "recordings", answers.embedding(), "ba9876543210.json")
    assert "nothing can be edited" in edit("ba98").stderr


def test_a_file_that_changes_meanwhile_is_left(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = f'pathlib.Path({str(recording)!r}).open("a").write(chr(10))'
    editor(monkeypatch, tmp_path, f't = t.replace("Tokyo", "Kyoto"); {other}')
    result = edit("0123")
    assert (result.exit_code, "changed meanwhile" in result.stderr) == (2, True)
    assert said(recording) == ['{"city": "Tokyo", "unit": "C"}']

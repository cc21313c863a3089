"""Many renamings at once: none lost, whatever the order, and whenever it ends."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.stored import document, put

from wiretape.core.errors import FormatError, StoreError
from wiretape.maintenance.rekey import Move
from wiretape.maintenance.rename import JOURNAL, interrupted, rename, resume

A, B, C = (letter * 12 + ".json" for letter in "abc")
CIRCLE = (Move(A, B), Move(B, C), Move(C, A))


def lay(folder: Path) -> None:
    for name in (A, B, C):
        put(folder, document(name), name)


def prompts(folder: Path) -> dict[str, str]:
    """What the recordings that a library would see ask, by name."""
    return {
        path.name: json.loads(path.read_text())["request"]["body"]["messages"][0]["content"]
        for path in folder.glob("[!.]*.json")
    }


def test_a_circle_is_renamed(tmp_path: Path) -> None:
    lay(tmp_path)
    rename(tmp_path, CIRCLE)
    assert prompts(tmp_path) == {B: A, C: B, A: C}
    assert sorted(path.name for path in tmp_path.iterdir()) == [A, B, C]


def test_a_chain_is_renamed_whatever_its_order(tmp_path: Path) -> None:
    lay(tmp_path)
    end = "dddddddddddd.json"
    rename(tmp_path, (Move(A, B), Move(C, end), Move(B, C)))
    assert prompts(tmp_path) == {B: A, C: B, end: C}


def test_new_tokens_are_all_that_changes_in_a_file(tmp_path: Path) -> None:
    stored = document("Hi")
    stored["request"]["ids"] = {"resp_1": "aaaaaaaaaaaa#0"}
    put(tmp_path, stored, A)
    rename(tmp_path, (Move(A, B, {"resp_1": "bbbbbbbbbbbb#0"}),))
    stored["request"]["ids"] = {"resp_1": "bbbbbbbbbbbb#0"}
    expected = put(tmp_path, stored, "expected.json")
    assert (tmp_path / B).read_bytes() == expected.read_bytes()
    assert not (tmp_path / A).exists()


def test_nothing_to_rename_leaves_the_folder_alone(tmp_path: Path) -> None:
    rename(tmp_path, ())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_has_the_name_already_is_not_written_over(tmp_path: Path) -> None:
    lay(tmp_path)
    with pytest.raises(StoreError, match=f"{B}: appeared while recordings were renamed"):
        rename(tmp_path, (Move(A, B),))
    assert prompts(tmp_path) == {A: A, B: B, C: C}
    assert not interrupted(tmp_path)


class Crash(BaseException):
    """The power went."""


@pytest.mark.parametrize("after", range(9))
def test_a_crash_at_any_moment_loses_nothing_and_is_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    lay(tmp_path)
    stored = document(B)
    stored["request"]["ids"] = {"x": "aaaaaaaaaaaa#0"}
    put(tmp_path, stored, B)
    moves = (Move(A, B), Move(B, C, {"x": "bbbbbbbbbbbb#0"}), Move(C, "dddddddddddd.json"))
    done = 0

    def counted(act: Callable[..., None]) -> Callable[..., None]:
        def do(*args: object, **options: object) -> None:
            nonlocal done
            if done == after:
                raise Crash
            done += 1
            act(*args, **options)

        return do

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", counted(os.rename))
        patch.setattr(os, "replace", counted(os.replace))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        with suppress(Crash):
            rename(tmp_path, moves)
    for leftover in tmp_path.glob(".*.tmp"):
        if "rekey" not in leftover.name:
            leftover.unlink()
    if not interrupted(tmp_path) and prompts(tmp_path).get(A) == A:
        rename(tmp_path, moves)  # it had not begun
    resume(tmp_path)
    assert prompts(tmp_path) == {B: A, C: B, "dddddddddddd.json": C}
    assert json.loads((tmp_path / C).read_text())["request"]["ids"] == {"x": "bbbbbbbbbbbb#0"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [B, C, "dddddddddddd.json"]


def test_there_may_be_nothing_to_resume(tmp_path: Path) -> None:
    assert resume(tmp_path) == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"wiretape_rekey": 2, "step": "renaming", "moves": []}',
        '{"wiretape_rekey": 1, "step": "dancing", "moves": []}',
        '{"wiretape_rekey": 1, "step": "renaming", "moves": [1]}',
        '{"wiretape_rekey": 1, "step": "renaming", "moves": [{"old": "a.json"}]}',
        '{"wiretape_rekey": 1, "step": "renaming", "moves": [{"old": "../a.json",'
        ' "new": "../b.json"}]}',
        '{"wiretape_rekey": 1, "step": "renaming", "moves": [{"old": "/a.json",'
        ' "new": "/b.json"}]}',
        '{"wiretape_rekey": 1, "step": "renaming", "moves": [{"old": "x/a.json",'
        ' "new": "y/a.json"}]}',
        '{"wiretape_rekey": 1, "step": "renaming", "moves": [{"old": "a.txt", "new": "b.json"}]}',
        '{"wiretape_rekey": 1, "step": "renaming", "moves": [{"old": "out/a.json",'
        ' "new": "out/b.json"}]}',
    ],
)
def test_a_journal_that_is_none_moves_nothing(tmp_path: Path, text: str) -> None:
    inside, outside = tmp_path / "in", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (tmp_path / "a.json").write_text("mine")
    (outside / "a.json").write_text("mine")
    (inside / "out").symlink_to(outside)
    (inside / JOURNAL).write_text(text)
    with pytest.raises(FormatError, match=r"not a journal of wiretape's; delete it"):
        resume(inside)
    assert (tmp_path / "a.json").exists()
    assert [path.name for path in outside.iterdir()] == ["a.json"]

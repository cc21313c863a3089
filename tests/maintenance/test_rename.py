"""Many renamings at once: none lost, whatever the order, and whenever it ends."""

import json
import os
from pathlib import Path

import pytest
from tests.support.stored import document, put

from wiretape.core.errors import StoreError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.providers.registry import Providers
from wiretape.library import replace_set
from wiretape.library.library import Library
from wiretape.maintenance.rekey import Move
from wiretape.maintenance.rename import interrupted, rename, resume

A, B, C = (letter * 12 + ".json" for letter in "abc")
CIRCLE = (Move(A, B), Move(B, C), Move(C, A))


class Crash(BaseException):
    """The power went."""


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
    with pytest.raises(StoreError, match=f"{B}: appeared while recordings were to be renamed"):
        rename(tmp_path, (Move(A, B),))
    assert prompts(tmp_path) == {A: A, B: B, C: C}
    assert not interrupted(tmp_path)


def test_two_recordings_never_get_one_name(tmp_path: Path) -> None:
    lay(tmp_path)
    with pytest.raises(StoreError, match="two recordings would have one name"):
        rename(tmp_path, (Move(A, "d.json"), Move(B, "d.json")))
    assert prompts(tmp_path) == {A: A, B: B, C: C}


def test_a_link_is_refused(tmp_path: Path) -> None:
    lay(tmp_path)
    (tmp_path / "l.json").symlink_to(A)
    with pytest.raises(StoreError, match=r"l.json: a link, which is not renamed"):
        rename(tmp_path, (Move("l.json", "d.json"),))
    assert (tmp_path / "l.json").is_symlink()


def test_a_disk_that_is_full_renames_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path)

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path))

    with monkeypatch.context() as patch:
        patch.setattr(replace_set, "write_whole", full)
        with pytest.raises(StoreError, match="No space left on device; nothing was renamed"):
            rename(tmp_path, CIRCLE)
    assert prompts(tmp_path) == {A: A, B: B, C: C}
    assert not interrupted(tmp_path)


@pytest.mark.parametrize("after", range(3))
def test_what_a_crash_interrupted_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Where a crash can come at all is for tests/library/test_replace_set to say."""
    lay(tmp_path)
    done = 0
    into_place = os.replace

    def counted(source: Path, target: Path) -> None:
        nonlocal done
        if Path(source).suffix == ".new":
            if done == after:
                raise Crash
            done += 1
        into_place(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", counted)
        with pytest.raises(Crash):
            rename(tmp_path, CIRCLE)
    assert interrupted(tmp_path)
    assert resume(tmp_path) == 3
    assert prompts(tmp_path) == {B: A, C: B, A: C}
    assert sorted(path.name for path in tmp_path.iterdir()) == [A, B, C]


def test_whoever_opens_the_folder_finishes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(replace_set, "finish", lambda root: 0)
        rename(tmp_path, (Move(A, "d.json"),))
    assert interrupted(tmp_path)
    Library(tmp_path, Matcher(Providers(()))).load()
    assert prompts(tmp_path) == {"d.json": A, B: B, C: C}


def test_there_may_be_nothing_to_resume(tmp_path: Path) -> None:
    assert resume(tmp_path) == 0

"""Many files replaced at once: all of the old or all of the new, wherever a crash comes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.limits import PATIENCE
from tests.support.paths import ROOT

from wiretape.core.matching.matcher import Matcher
from wiretape.core.providers.registry import Providers
from wiretape.library import replace_files, replace_set
from wiretape.library.library import Library
from wiretape.library.replace_files import sha256_of

# A child for each step dies in it; the parent tells how many there are.
PROGRAM = """
import os, sys
from pathlib import Path
from tests.support.dying import die_at
from wiretape.library import replace_set
def run(root, step):
    die_at(step, "replace", "unlink", "fsync", "open", "mkdir", "rmdir", "link")
    new = {"a/1.json": b"new 1", "b/2.json": b"new 2", "c/3.json": b"new 3", "c/x.bin": b"new x"}
    moved = {"1": "2", "2": "3", "3": "1", "5": "4"}
    new |= {f"m/{name}.json": root / f"m/{other}.json" for name, other in moved.items()}
    replace_set.replace(root, new, ["b/3.json", "b/y.bin", "m/4.json"])
    os._exit(0)
for step in range(1, 99):
    if not (child := os.fork()):
        run(Path(sys.argv[1]) / str(step), step)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 9:
        sys.exit(step if not status else 100)
"""

OLD = {"a/1.json": b"1", "b/2.json": b"2", "b/3.json": b"3", "b/y.bin": b"y"}
NEW = {"a/1.json": b"new 1", "b/2.json": b"new 2", "c/3.json": b"new 3", "c/x.bin": b"new x"}


def old(root: Path) -> Path:
    for name, data in OLD.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_all_are_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    old(tmp_path)
    (tmp_path / "a" / "1.json").chmod(0o640)
    replace_set.replace(tmp_path, NEW, ["b/3.json", "b/y.bin"])
    assert contents(tmp_path) == NEW
    assert (tmp_path / "a" / "1.json").stat().st_mode & 0o777 == 0o640
    assert not replace_set.is_begun(tmp_path)


def test_a_folder_that_became_empty_goes_since_its_name_may_be_the_secret(tmp_path: Path) -> None:
    old(tmp_path)
    replace_set.replace(tmp_path, {"c/1.json": b"1"}, ["a/1.json"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "c"]


def test_a_crash_at_any_step_leaves_all_of_the_old_or_all_of_the_new(tmp_path: Path) -> None:
    roots = [old(tmp_path / str(step)) for step in range(1, 99)]
    for root in roots:
        (root / "m").mkdir()
        for number in range(1, 5):
            (root / f"m/{number}.json").write_bytes(b"%d" % number)
    before = OLD | {f"m/{number}.json": b"%d" % number for number in range(1, 5)}
    after = NEW | {"m/1.json": b"2", "m/2.json": b"3", "m/3.json": b"1", "m/5.json": b"4"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    steps = subprocess.run(command, check=False, cwd=ROOT, timeout=PATIENCE).returncode
    assert 20 < steps < 99
    for root in roots[:steps]:
        # Who opens the folder next carries it out.
        Library(root, Matcher(Providers(()))).load()
    seen = [contents(root) for root in roots[:steps]]
    assert [now for now in seen if now not in (before, after)] == []
    assert (seen[0], seen[-2], seen[-1]) == (before, after, after)


def test_a_file_moves_where_there_are_no_links_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old(tmp_path)

    def unable(*args: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", unable)
    (tmp_path / "a/1.json").chmod(0o640)
    replace_set.replace(tmp_path, {"a/5.json": tmp_path / "a/1.json"}, ["a/1.json"])
    assert (contents(tmp_path)["a/5.json"], (tmp_path / "a/1.json").exists()) == (b"1", False)
    assert (tmp_path / "a/5.json").stat().st_mode & 0o777 == 0o640


def test_more_files_than_a_list_may_have_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old(tmp_path)
    monkeypatch.setattr(replace_files, "MAX_BYTES", 100)
    with pytest.raises(OSError, match="too many files at once"):
        replace_set.replace(tmp_path, NEW)
    assert contents(tmp_path) == OLD


def test_a_session_of_the_folder_finishes_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s" / "h.x").mkdir(parents=True)
    (tmp_path / "s" / "h.x" / "1.json").write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(replace_set, "finish", lambda root: 0)
        replace_set.replace(tmp_path, {"s/h.x/1.json": b"new"})
    Library(tmp_path, Matcher(Providers(())), session="s").load()
    assert contents(tmp_path) == {"s/h.x/1.json": b"new"}


def test_a_disk_that_is_full_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old(tmp_path)
    calls = []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_set.replace(tmp_path, NEW, ["b/3.json"])
    assert contents(tmp_path) == OLD


@pytest.mark.parametrize(
    "path", ["../outside.json", "/outside.json", "a/../../outside.json", ".git/x.json", "a/x.py"]
)
def test_a_list_reaches_nothing_but_recordings_of_the_folder(tmp_path: Path, path: str) -> None:
    root = old(tmp_path / "recordings")
    (root / ".git").mkdir()
    (tmp_path / "outside.json").write_bytes(b"mine")
    folder = root / replace_set.FOLDER
    folder.mkdir()
    (folder / "0.new").write_bytes(b"theirs")
    rows = [{"staged": "0.new", "path": path, "sha256": sha256_of(b"theirs")}]
    told = {"wiretape_replace": 1, "files": rows, "void": {path: sha256_of(b"mine")}}
    (folder / "list.json").write_text(json.dumps(told))
    replace_set.finish(root)
    assert contents(root) == OLD
    assert (tmp_path / "outside.json").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"wiretape_replace": 1, "files": [1], "void": {"a/1.json": 2}}', "\0"]
)
def test_a_list_that_is_none_is_cleared_away(tmp_path: Path, text: str) -> None:
    old(tmp_path)
    (tmp_path / replace_set.FOLDER).mkdir()
    (tmp_path / replace_set.FOLDER / "list.json").write_text(text)
    replace_set.finish(tmp_path)
    assert contents(tmp_path) == OLD

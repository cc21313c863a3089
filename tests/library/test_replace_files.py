"""Several files replaced by one: all of the old or all of the new, wherever a crash comes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.limits import PATIENCE
from tests.support.paths import ROOT

from wiretape.library import replace_files

PROGRAM = """
import os, sys
from pathlib import Path
from tests.support.dying import die_at
from wiretape.library import replace_files
root, step = Path(sys.argv[1]), int(sys.argv[2])
die_at(step, "replace", "unlink", "fsync", "open")
listed = replace_files.list_path(root / "host", "a" * 64)
void = [root / "host" / "old.2.json", root / "host" / "old.3.json"]
replace_files.replace(root, listed, root / "host" / "old.json", b"new", void)
"""


def old(root: Path) -> None:
    (root / "host").mkdir(parents=True)
    for number in ("", ".2", ".3"):
        (root / "host" / f"old{number}.json").write_bytes(b"old" + number.encode())


def contents(root: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(root.rglob("[!.]*.json"))]


OLD = [b"old.2", b"old.3", b"old"]


def test_all_are_replaced_and_no_list_is_left(tmp_path: Path) -> None:
    old(tmp_path)
    place = tmp_path / "host"
    listed = replace_files.list_path(place, "a" * 64)
    void = [place / "old.2.json", place / "old.3.json"]
    replace_files.replace(tmp_path, listed, place / "old.json", b"new", void)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == {"old.json": b"new"}


def test_a_crash_at_any_step_leaves_all_of_the_old_or_all_of_the_new(tmp_path: Path) -> None:
    seen: list[list[bytes]] = []
    for step in range(1, 40):
        root = tmp_path / str(step)
        old(root)
        command = [sys.executable, "-c", PROGRAM, str(root), str(step)]
        ended = subprocess.run(
            command, capture_output=True, check=False, cwd=ROOT, timeout=PATIENCE
        ).returncode
        for listed in (root / "host").glob(f".*{replace_files.SUFFIX}"):
            replace_files.settle(root, listed)
        seen.append(contents(root))
        assert not list((root / "host").glob(f".*{replace_files.SUFFIX}"))
        if ended == 0:
            break
        assert ended == 9
    assert [now for now in seen if now not in (OLD, [b"new"])] == []
    assert seen[0] == OLD
    assert seen[-2:] == [[b"new"], [b"new"]]


def test_a_list_whose_file_never_came_is_dropped(tmp_path: Path) -> None:
    old(tmp_path)
    listed = replace_files.list_path(tmp_path / "host", "a" * 64)
    listed.write_text(
        json.dumps({"file": "host/old.json", "sha256": "0" * 64, "void": {"host/old.2.json": "x"}})
    )
    assert replace_files.settle(tmp_path, listed) == (set(), set())
    assert contents(tmp_path) == OLD
    assert not listed.exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"file": 1, "sha256": 2, "void": 3}', "\xff", "[" * 90_000]
)
def test_a_list_that_is_none_is_dropped(tmp_path: Path, text: str) -> None:
    old(tmp_path)
    listed = replace_files.list_path(tmp_path / "host", "a" * 64)
    listed.write_text(text, encoding="latin-1")
    assert replace_files.settle(tmp_path, listed) == (set(), set())
    assert contents(tmp_path) == OLD


@pytest.mark.parametrize("name", ["../outside.json", "/outside.json", "host/../../outside.json"])
def test_a_list_makes_nothing_void_outside_the_folder(tmp_path: Path, name: str) -> None:
    root = tmp_path / "recordings"
    old(root)
    outside = tmp_path / "outside.json"
    outside.write_bytes(b"mine")
    digest = replace_files.sha256(outside)
    told = {
        "file": "host/old.json",
        "sha256": replace_files.sha256(root / "host" / "old.json"),
        "void": {name.replace("/outside", str(outside.with_suffix(""))): digest, name: digest},
    }
    assert replace_files.void_by(root, told) == []


def test_a_file_that_was_written_anew_is_not_void(tmp_path: Path) -> None:
    old(tmp_path)
    place = tmp_path / "host"
    told = {
        "file": "host/old.json",
        "sha256": replace_files.sha256(place / "old.json"),
        "void": {
            "host/old.2.json": replace_files.sha256(place / "old.2.json"),
            "host/old.3.json": replace_files.sha256(place / "old.3.json"),
        },
    }
    (place / "old.2.json").write_bytes(b"another's")
    assert replace_files.void_by(tmp_path, told) == ["host/old.3.json"]


def test_a_disk_that_is_full_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old(tmp_path)
    place = tmp_path / "host"
    calls = []

    def full(handle: int) -> None:
        calls.append(handle)
        # The list and its folder are written, the new file is not.
        if len(calls) > 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    listed = replace_files.list_path(place, "a" * 64)
    with pytest.raises(OSError, match="No space left"):
        replace_files.replace(tmp_path, listed, place / "old.json", b"new", [place / "old.2.json"])
    assert contents(tmp_path) == OLD
    assert len(list(place.iterdir())) == 3

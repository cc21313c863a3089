"""Rows are known for as long as their files are what they were, and no longer."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from wiretape.maintenance.known_rows import KnownRows, state_of


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "a.json"
    path.write_text("content")
    settle()
    return path


def settle() -> None:
    """Wait until a change shows in a file's times."""
    time.sleep(0.03)


def known(file: Path, key: str = "key") -> KnownRows:
    return KnownRows(file.parent, key)


def learn(file: Path) -> None:
    rows = known(file)
    rows.add("a.json", state_of(file), ["row"])
    rows.save()
    assert known(file).get("a.json", file) == ["row"]


def test_rows_are_of_a_folder_and_of_what_they_depend_on(file: Path, tmp_path: Path) -> None:
    learn(file)
    assert known(file, "other").get("a.json", file) is None
    assert known(file).get("b.json", file) is None
    assert KnownRows(tmp_path, "key").get("a.json", file) is None
    (tmp_path / "link").symlink_to(file.parent)
    assert KnownRows(tmp_path / "link", "key").get("a.json", file) == ["row"]


def edited(file: Path) -> None:
    """As long as it was, with the time it had."""
    info = file.stat()
    file.write_text("CONTENT")
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))


def replaced(file: Path) -> None:
    other = file.with_name("other")
    other.write_text("CONTENT")
    info = file.stat()
    os.utime(other, ns=(info.st_atime_ns, info.st_mtime_ns))
    other.rename(file)


def linked(file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere")


CHANGES: list[Callable[[Path], object]] = [
    edited,
    replaced,
    lambda file: file.write_text("longer content"),
    lambda file: file.chmod(0),  # nobody may read it any more
    lambda file: file.unlink(),
    linked,
]


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_a_change_of_the_file_is_noticed_and_its_row_forgotten(
    number: int, file: Path, home: Path
) -> None:
    learn(file)
    CHANGES[number](file)
    rows = known(file)
    assert rows.get("a.json", file) is None
    rows.save()
    assert not any(b'["row"]' in path.read_bytes() for path in (home / "kept").iterdir())


def test_a_file_in_which_a_change_would_not_show_is_not_known(file: Path) -> None:
    assert state_of(file) is not None
    file.write_text("changed")
    rows = known(file)
    rows.add("a.json", state_of(file), ["row"])
    assert rows.get("a.json", file) is None
    assert state_of(file.with_name("not-there")) is None


def test_rows_of_what_is_no_more_are_forgotten(file: Path) -> None:
    learn(file)
    rows = known(file)
    rows.keep_only(["b.json"])
    rows.save()
    assert known(file).get("a.json", file) is None


def test_without_a_key_nothing_is_kept(file: Path, home: Path) -> None:
    rows = known(file, "")
    rows.add("a.json", state_of(file), ["row"])
    rows.save()
    assert not (home / "kept").exists()

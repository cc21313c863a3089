"""What is kept between runs is given back as it was, or not at all."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from wiretape.kept_json import read_kept, write_kept


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def files(home: Path) -> list[Path]:
    return sorted((home / "kept").iterdir())


@pytest.mark.parametrize("value", [[1, "ü\ud800\n", None, True], {"a": {"b": 2**70}}, 0])
def test_a_value_is_given_back(value: Any, home: Path) -> None:
    assert read_kept("a", "key") is None
    write_kept("a", "key", [])
    write_kept("a", "key", value)
    assert read_kept("a", "key") == value
    (file,) = files(home)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_another_name_or_key_has_not_this_value() -> None:
    write_kept("a", "key", 1)
    for name, key in (("b", "key"), ("a", "ke"), ("a", "key2"), ("a", ""), ("a\0key", "")):
        assert read_kept(name, key) is None, (name, key)
    write_kept("a", "key2", 2)
    assert (read_kept("a", "key"), read_kept("a", "key2")) == (None, 2)


def test_names_whose_file_is_the_same_do_not_have_one_anothers_values(home: Path) -> None:
    write_kept("plumless", "key", 1)
    write_kept("buckeroo", "key", 2)  # of the same checksum
    assert len(files(home)) == 1
    assert (read_kept("plumless", "key"), read_kept("buckeroo", "key")) == (None, 2)


def test_what_is_damaged_is_not_given(home: Path) -> None:
    write_kept("a", "key", ["some", "values"])
    (file,) = files(home)
    data = file.read_bytes()
    for end in range(len(data)):
        file.write_bytes(data[:end])
        assert read_kept("a", "key") is None
        file.write_bytes(data[:end] + bytes([data[end] ^ 1]) + data[end + 1 :])
        assert read_kept("a", "key") is None
    file.write_bytes(data)
    assert read_kept("a", "key") == ["some", "values"]


def test_what_cannot_be_kept_is_not(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_kept("a", "key", 10**5000)
    assert read_kept("a", "key") is None
    home.mkdir(exist_ok=True)
    (home / "kept").rmdir() if (home / "kept").exists() else None
    (home / "kept").touch()
    write_kept("a", "key", 1)
    assert read_kept("a", "key") is None
    (home / "file").touch()
    monkeypatch.setenv("WIRETAPE_HOME", str(home / "file" / "below"))
    write_kept("a", "key", 1)
    assert read_kept("a", "key") is None


def test_what_was_not_written_for_long_is_removed(home: Path) -> None:
    for name in ("old", "new"):
        write_kept(name, "key", 1)
    old = next(file for file in files(home) if file.read_bytes().startswith(b"old\0"))
    long_ago = time.time() - 61 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    write_kept("newest", "key", 1)
    assert [read_kept(name, "key") for name in ("old", "new", "newest")] == [None, 1, 1]


def test_of_many_the_latest_are_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wiretape.kept_json._MOST_KEPT", 3)
    for number in range(5):
        for age, file in enumerate(reversed(files(home)) if number else []):
            os.utime(file, (file.stat().st_mtime - 60 - age,) * 2)
        write_kept(f"value {number}", "key", number)
    assert len(files(home)) == 3
    assert read_kept("value 4", "key") == 4
    assert read_kept("value 0", "key") is None

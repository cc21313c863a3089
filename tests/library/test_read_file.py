"""A file is read whole, or refused with the reason."""

import os
from pathlib import Path
from typing import Any

import pytest

from wiretape.core.errors import StoreError
from wiretape.library import read_file as module
from wiretape.library.read_file import read_bytes, stat_of


def test_a_file_comes_with_what_tells_that_it_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"x" * 100_000)
    assert read_bytes(path) == (b"x" * 100_000, stat_of(path))
    path.write_bytes(b"y")
    assert read_bytes(path)[1][2] == 1


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "cannot be read: No such file or directory"),
        (lambda path: path.mkdir(), "neither a file nor a link to one, not read"),
        (lambda path: os.mkfifo(path), "neither a file nor a link to one, not read"),
        (lambda path: path.write_bytes(b"x" * 11), "larger than 0 MiB, not read"),
    ],
)
def test_what_cannot_be_read_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any, reason: str
) -> None:
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 10)
    make(tmp_path / "x.json")
    with pytest.raises(StoreError, match=reason):
        read_bytes(tmp_path / "x.json")

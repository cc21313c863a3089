"""What the tests of a folder of recordings share."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.open_folder import HOST, LONG_AGO, Open, text

from wiretape.library import scanned_folder
from wiretape.library.index import Index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of recordings with "Hi" and "Ho" in it, made long ago."""
    place = tmp_path / "recordings" / HOST / "v1-chat-completions"
    place.mkdir(parents=True)
    for prompt in ("Hi", "Ho"):
        path = place / f"{prompt.lower()}.json"
        path.write_text(text(prompt))
        os.utime(path, LONG_AGO)
    return tmp_path / "recordings"


@pytest.fixture
def library(folder: Path) -> Iterator[Open]:
    opens = Open(folder)
    yield opens
    for opened in opens.opened:
        with suppress(sqlite3.Error):
            opened.close()


@pytest.fixture(params=["memory", "cache"])
def cache(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path | None:
    """Where the index is kept; where it is, folders are treated as large ones."""
    if request.param == "memory":
        return None
    monkeypatch.setattr(scanned_folder, "LARGE", 1)
    return tmp_path / "index"


@pytest.fixture
def index() -> Iterator[Index]:
    """An empty index in memory."""
    made = Index()
    yield made
    made.close()

"""A staged recording, step by step: nothing is there before its last step, nor after a fault."""

import os
from pathlib import Path

import pytest

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange
from wiretape.library.library import Library
from wiretape.library.staged_take import StagedTake, store_error


def staged(folder: Path) -> StagedTake:
    request = Request("POST", "https", "api.together.xyz", 443, "/v1/embeddings", body=b"{}")
    exchange = Exchange(request, Response(200, chunks=(Chunk(b"hello"),)))
    document = from_exchange(exchange)
    library = Library(folder, Matcher(built_in()))
    library.load()
    take = library.stage(document, recording_format.dumps(document), {"more.bin": b"more"})
    assert take is not None
    return take


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.*") if path.is_file()}


def test_a_take_is_there_once_it_is_renamed(tmp_path: Path) -> None:
    take = staged(tmp_path)
    take.prepare()
    take.sync()
    assert take.path.name not in files(tmp_path)
    take.rename(tmp_path)
    assert take.path.read_bytes() == take.data
    assert files(tmp_path) == {take.path.name, "more.bin", ".gitattributes"}


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_a_fault_is_noted_and_leaves_no_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    take = staged(tmp_path)
    take.files.clear()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    take.prepare()
    take.sync()
    take.rename(tmp_path)
    monkeypatch.undo()
    assert "No space left on device" in str(take.error)
    assert files(tmp_path) == {".gitattributes"}


def test_a_fault_names_the_file_or_else_the_folder() -> None:
    error = OSError(13, "Permission denied", "a.json")
    assert str(store_error(error, Path("folder"))) == "a.json: cannot be written: Permission denied"
    error = OSError(28, "No space left on device")
    assert str(store_error(error, Path("folder"))).startswith("folder: cannot be written: No space")

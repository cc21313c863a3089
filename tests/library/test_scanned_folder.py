"""The index of a folder is as its files are: what changes while a run lasts is noticed."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import paths
from tests.support.limits import PATIENCE
from tests.support.open_folder import (
    HOST,
    JSON,
    LONG_AGO,
    Open,
    answers,
    exchange,
    form,
    place,
    text,
)

from wiretape.config.packs import built_in
from wiretape.core.matching.canonical import Canonical
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, from_exchange
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.library import parallel, scan_folder, scanned_folder
from wiretape.library.library import Library, LocalState, SkippedFile


def test_a_file_that_is_added_is_found(library: Open, folder: Path, cache: Path | None) -> None:
    opened = library(cache)
    assert answers(opened, "New") == []
    (place(folder) / "new.json").write_text(text("New"))
    opened.check()
    assert answers(opened, "New") == ["hello"]
    assert len(opened) == 3


def test_a_file_that_is_added_is_found_by_a_request_that_would_miss(
    library: Open, folder: Path, cache: Path | None
) -> None:
    opened = library(cache)
    (folder / "other.example" / "x").mkdir(parents=True)
    (folder / "other.example" / "x" / "new.json").write_text(text("New"))
    assert answers(opened, "New") == ["hello"]


def test_a_file_that_is_removed_is_gone(library: Open, folder: Path, cache: Path | None) -> None:
    opened = library(cache)
    assert answers(opened, "Hi") == ["hello"]
    (place(folder) / "hi.json").unlink()
    assert answers(opened, "Hi") == []
    assert len(opened) == 1


def test_a_folder_that_is_removed_is_gone(library: Open, folder: Path, cache: Path | None) -> None:
    opened = library(cache)
    place(folder).rename(folder.parent / "away")
    opened.check()
    assert (len(opened), answers(opened, "Hi")) == (0, [])


def test_a_file_edited_in_place_answers_what_it_says_now(
    library: Open, folder: Path, cache: Path | None
) -> None:
    opened = library(cache)
    assert answers(opened, "Hi") == ["hello"]
    (place(folder) / "hi.json").write_text(text("Hi", "edited"))
    assert answers(opened, "Hi") == ["edited"]


def test_a_file_edited_in_place_answers_another_request(
    library: Open, folder: Path, cache: Path | None
) -> None:
    opened = library(cache)
    assert answers(opened, "Hi") == ["hello"]
    (place(folder) / "hi.json").write_text(text("Hey"))
    assert (answers(opened, "Hi"), answers(opened, "Hey")) == ([], ["hello"])


def test_an_edit_that_no_clock_tells_is_noticed(
    library: Open, folder: Path, cache: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of the same size, in the same inode, within one tick of the clock.
    path = place(folder) / "hi.json"
    path.write_text(text("Hi"))
    stat = path.stat()
    monkeypatch.setattr("wiretape.library.recording_file.time.time_ns", lambda: stat.st_mtime_ns)
    opened = library(cache)
    assert answers(opened, "Hi") == ["hello"]
    path.write_text(text("Hy"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    assert (answers(opened, "Hi"), answers(opened, "Hy")) == ([], ["hello"])


def test_an_edit_between_runs_is_noticed(library: Open, folder: Path, cache: Path | None) -> None:
    library(cache).close()
    (place(folder) / "hi.json").write_text(text("Hey"))
    opened = library(cache)
    assert (answers(opened, "Hi"), answers(opened, "Hey")) == ([], ["hello"])


def test_a_file_that_becomes_bad_is_told_and_a_good_one_again_is_good(
    library: Open, folder: Path, cache: Path | None
) -> None:
    opened = library(cache)
    told: list[SkippedFile] = []
    opened.notify = told.append
    (place(folder) / "hi.json").write_text("{")
    assert answers(opened, "Hi") == []
    name = f"{HOST}/v1-chat-completions/hi.json"
    assert [fault.name for fault in told] == [name]
    assert opened.faults == told
    assert "not JSON" in told[0].reason
    (place(folder) / "hi.json").write_text(text("Hi", "mended"))
    assert answers(opened, "Hi") == ["mended"]
    assert (opened.faults, len(told)) == ([], 1)


def test_a_side_file_that_is_taken_away_and_put_back_is_noticed(
    library: Open, folder: Path, cache: Path | None
) -> None:
    audio = bytes(range(256)) * 200
    request = Request("POST", "https", HOST, 443, "/v1/audio/speech", headers=JSON, body=b"{}")
    response = Response(200, (("content-type", "audio/mpeg"),), (Chunk(audio, 0.5),), True)
    opened = library(cache)
    document, files = recording_format.externalise(from_exchange(Exchange(request, response)))
    written = opened.write(document, recording_format.dumps(document), files)
    assert written is not None
    os.utime(folder / written.name, LONG_AGO)
    opened.check()
    (side,) = folder.rglob("*.bin")
    content = side.read_bytes()
    side.unlink()
    opened.check()
    assert [fault.name for fault in opened.faults] == [written.name]
    side.write_bytes(content)
    opened.check()
    assert opened.faults == []
    assert opened.takes(written.key)[0].name == written.name


def test_a_folder_that_comes_later_is_found(tmp_path: Path) -> None:
    opens = Open(tmp_path / "recordings")
    opened = opens()
    assert len(opened) == 0
    place(tmp_path / "recordings").mkdir(parents=True)
    (place(tmp_path / "recordings") / "a.json").write_text(text("Hi"))
    assert answers(opened, "Hi") == ["hello"]
    opened.close()


def test_two_files_of_one_key_and_take_are_both_kept_by_name(
    library: Open, folder: Path, cache: Path | None
) -> None:
    (place(folder) / "hi-copy.json").write_text(text("Hi", "copy"))
    assert answers(library(cache), "Hi") == ["copy", "hello"]


def test_a_pipe_is_not_waited_for(library: Open, folder: Path) -> None:
    os.mkfifo(place(folder) / "pipe.json")
    (fault,) = library().faults
    assert (fault.name.rpartition("/")[2], "not read" in fault.reason) == ("pipe.json", True)


# ------------------------------------------------------------------ the cache


def test_nothing_is_read_again_in_the_next_run(
    library: Open, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanned_folder, "LARGE", 1)
    library(tmp_path / "index").close()
    seen: list[object] = []

    class Counting(Matcher):
        def canonical(self, request: Document) -> Canonical:
            seen.append(request)
            return super().canonical(request)

    again = Library(folder, Counting(built_in()), state=LocalState(tmp_path, "f"))
    again.load()
    assert (len(again), seen) == (2, [])
    again.close()


def test_a_small_folder_leaves_no_cache(library: Open, tmp_path: Path) -> None:
    assert len(library(tmp_path / "index")) == 2
    assert not (tmp_path / "index").exists()


def test_a_cache_under_another_fingerprint_is_not_asked(
    tmp_path: Path, folder: Path, library: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanned_folder, "LARGE", 1)
    library(tmp_path / "index").close()
    rules = Matcher(built_in(), headers=["content-type"])
    other = Library(folder, rules, state=LocalState(tmp_path, "g"))
    other.load()
    assert len(other.takes(rules.canonical(form("Hi")).key)) == 1
    other.close()
    assert len(list((tmp_path / "index").glob("*.sqlite"))) == 2


def test_a_cache_deleted_while_it_is_used_does_no_harm(
    library: Open, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanned_folder, "LARGE", 1)
    opened = library(tmp_path / "index")
    for path in (tmp_path / "index").iterdir():
        path.unlink()
    (place(folder) / "new.json").write_text(text("New"))
    assert (answers(opened, "New"), answers(opened, "Hi")) == (["hello"], ["hello"])
    assert len(library(tmp_path / "index")) == 3


@pytest.mark.parametrize("damage", ["garbage", "cut", "other", "folder", "locked"])
def test_a_cache_that_cannot_be_used_is_done_without(
    library: Open, tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanned_folder, "LARGE", 1)
    library(tmp_path / "index").close()
    (database,) = (tmp_path / "index").glob("*.sqlite")
    holder = None
    if damage == "garbage":
        database.write_bytes(b"\xff" * 9_000)
    elif damage == "cut":
        database.write_bytes(database.read_bytes()[:9_000])
    elif damage == "other":
        with sqlite3.connect(database) as other:
            other.execute("PRAGMA user_version = 999")
        other.close()
    elif damage == "folder":
        database.unlink()
        database.mkdir()
    else:
        monkeypatch.setattr("wiretape.library.index._WAIT_SECONDS", 0.01)
        holder = sqlite3.connect(database)
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
    assert answers(library(tmp_path / "index"), "Hi") == ["hello"]
    if holder is not None:
        holder.close()


def test_a_cache_damaged_under_way_does_no_harm(
    library: Open, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanned_folder, "LARGE", 1)
    opened = library(tmp_path / "index")
    opened._index._db.execute("DROP TABLE keys")
    assert answers(opened, "Hi") == ["hello"]
    assert answers(opened, "New") == []


def test_only_its_user_can_read_the_cache(
    library: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanned_folder, "LARGE", 1)
    library(tmp_path / "index")
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "index").iterdir()}
    assert (modes, (tmp_path / "index").stat().st_mode & 0o777) == ({0o600}, 0o700)


def test_several_processes_fill_one_cache(tmp_path: Path, folder: Path, library: Open) -> None:
    for number in range(300):
        (place(folder) / f"{number}.json").write_text(text(f"prompt {number}"))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from tests.support.open_folder import *\n"
        "root = Path(sys.argv[2])\n"
        "opened = Open(root / 'recordings')(root / 'index')\n"
        "print(len(opened), len(answers(opened, 'prompt 7')), opened.faults)\n"
        "opened.close()\n"
    )
    arguments = [sys.executable, "-c", program, str(paths.ROOT), str(tmp_path)]
    runs = [subprocess.Popen(arguments, stdout=subprocess.PIPE) for _ in range(3)]
    assert [run.communicate(timeout=PATIENCE)[0] for run in runs] == [b"302 1 []\n"] * 3
    assert len(list((tmp_path / "index").glob("*.sqlite"))) == 1
    assert len(library(tmp_path / "index")) == 302


# ------------------------------------------------------------------ keys, ids, neighbours


def test_a_link_to_a_folder_is_not_followed(library: Open, folder: Path) -> None:
    (folder / "link.example").symlink_to(place(folder))
    (folder / HOST / "link.json").symlink_to(place(folder))
    opened = library()
    assert len(opened) == 2
    reason = "a link to a folder, which is not followed: put the folder itself here"
    assert [(fault.name, fault.reason) for fault in opened.faults] == [
        (f"{HOST}/link.json", reason),
        ("link.example", reason),
    ]


SECRET = "kV8w2Qz-dT5rXn1Lp-7fQ2mXw9RtB4"


@pytest.mark.parametrize("named", [None, 0, 4, 9])
def test_files_read_in_several_processes_give_the_same_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: int | None
) -> None:
    """Also where the redactor finds a secret in one file, which changes what others are read as."""
    for number in range(10):
        stored = from_exchange(exchange(f"{number}: {SECRET}", f"a{number}"))
        if number == named:
            stored["request"]["body"]["api_key"] = SECRET
        path = tmp_path / "r" / HOST / f"{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(recording_format.dumps(stored), "utf-8")
    (tmp_path / "r" / HOST / "8.json").write_text("{}")
    for path in (tmp_path / "r" / HOST).iterdir():
        os.utime(path, LONG_AGO)
    monkeypatch.setattr(scan_folder, "_MANY", 10)
    monkeypatch.setattr(scan_folder, "_BLOCK", 2)
    in_processes = []
    monkeypatch.setattr(
        parallel,
        "processors",
        lambda: in_processes.append(1) or 2,  # type: ignore[func-returns-value]
    )
    dumps = []
    for is_parallel in (False, True):
        redactor = Redactor(RedactionRules(), remember=True)
        library = Library(tmp_path / "r", Matcher(built_in()), redactor.request)
        if is_parallel:
            library.read_in_processes(lambda redactor=redactor: redactor.remembered_ever)  # type: ignore[misc]  # mypy cannot infer a lambda's defaults
        library.load()
        lines = library._index._db.iterdump()
        # Whether a folder's time proves anything depends on when it was looked at.
        rows = [line for line in lines if '"folders"' not in line]
        dumps.append((rows, redactor.remembered))
        library.close()
    assert dumps[0] == dumps[1]
    assert bool(dumps[1][1]) is (named is not None)
    assert in_processes == [1]

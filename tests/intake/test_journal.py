"""The journal of a run: what is written while exchanges are under way."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.journals import CHAT, JSON, LATER, SSE, WHEN, begun, files, unfinished

from wiretape.core.capture.recorder import Recorder
from wiretape.intake import journal as module
from wiretape.intake.journal import Journal
from wiretape.intake.journal_reader import read


class Notices(list[str]):
    def __call__(self, text: str) -> None:
        self.append(text)


@pytest.fixture
def notices() -> Notices:
    return Notices()


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the keys of these tests are kept."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    monkeypatch.setenv("WIRETAPE_RUNTIME_DIR", str(folder))
    return folder / "wiretape"


@pytest.fixture
def journal(tmp_path: Path, notices: Notices) -> Iterator[Journal]:
    journal = Journal(tmp_path, tmp_path / "r", notify=notices)
    yield journal
    journal.close()


def test_files_and_their_folder_are_the_users_alone(journal: Journal) -> None:
    begun(journal, Recorder(CHAT))
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (journal.folder, *files(journal))]
    assert modes == [0o700, 0o600]
    assert stat.S_IMODE((journal.folder / "run.json").stat().st_mode) == 0o600


def test_an_exchange_that_is_recorded_leaves_no_file(journal: Journal) -> None:
    track = begun(journal, Recorder(CHAT))
    track.drop()
    track.read(b"late", 1.0)
    assert files(journal) == []


def test_a_file_is_used_again_and_holds_the_later_exchange_alone(journal: Journal) -> None:
    first = Recorder(CHAT)
    begun(journal, first)
    first.start(200, SSE, 0.125)
    (path,) = files(journal)
    inode = path.stat().st_ino
    assert first.listener is not None
    first.listener.drop()
    (spare,) = journal.folder.glob("*.spare")
    assert spare.stat().st_size == 0
    second = Recorder(CHAT)
    begun(journal, second)
    second.start(201, JSON, 0.5)
    assert unfinished(journal).recorder.status == 201
    assert [path.stat().st_ino for path in files(journal)] == [inode]
    assert not list(journal.folder.glob("*.spare"))


def test_few_files_wait_for_exchanges_to_come(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_SPARE", 2)
    for track in [begun(journal, Recorder(CHAT)) for _ in range(4)]:
        track.drop()
    assert len(list(journal.folder.glob("*.spare"))) == 2
    assert files(journal) == []


@pytest.mark.parametrize("refused", ["rename", "ftruncate"])
def test_a_system_that_lets_no_file_be_used_again_gets_it_removed(
    refused: str, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    track = begun(journal, Recorder(CHAT))
    with monkeypatch.context() as patch:
        patch.setattr(os, refused, _refuse)
        track.drop()
    assert files(journal) == []
    assert not list(journal.folder.glob("*.spare"))
    begun(journal, Recorder(CHAT)).drop()
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", _refuse)
        begun(journal, Recorder(CHAT))
    assert unfinished(journal).recorder.request == CHAT


def _refuse(*args: object) -> None:
    raise PermissionError(errno.EACCES, "Permission denied")


def test_nor_does_one_that_became_too_large(journal: Journal) -> None:
    recorder = Recorder(CHAT, max_body=100)
    begun(journal, recorder)
    recorder.start(200, SSE, 0.125)
    recorder.read(b"a" * 101, 0.25)
    recorder.read(b"a" * 101, 0.5)
    assert files(journal) == []


def test_a_run_that_ends_leaves_nothing(journal: Journal, tmp_path: Path, runtime: Path) -> None:
    begun(journal, Recorder(CHAT))
    assert [path.name for path in runtime.iterdir()] == [journal.folder.name]
    journal.close()
    assert list((tmp_path / "journal").iterdir()) == []
    assert list(runtime.iterdir()) == []


def test_nothing_that_was_on_the_wire_can_be_read_in_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path, tmp_path / "r", [("DATABASE_PASSWORD", "hunter2")])
    asked = replace(CHAT, headers=(("x-api-key", "carried-key"),), body=b"asked-text")
    recorder = Recorder(asked)
    track = begun(journal, recorder, "some-session")
    recorder.sent(b"more-text")
    recorder.start(200, (("set-cookie", "given-cookie"),), 0.125)
    recorder.read(b"answered-text", 0.25)
    track.ended(recorder, "ended", 0.5, LATER)
    written = b"".join(path.read_bytes() for path in journal.folder.iterdir())
    texts = ["openai", "completions", "some-session", "carried-key", "api-key", "asked-text"]
    texts += ["more-text", "cookie", "given-cookie", "answered-text", "DATABASE", "hunter2", LATER]
    assert [text for text in texts if text.encode() in written] == []
    journal.close()


def test_equal_texts_are_sealed_differently(journal: Journal) -> None:
    for _ in range(2):
        recorder = Recorder(CHAT)
        begun(journal, recorder)
        recorder.start(200, SSE, 0.125)
        for _ in range(2):
            recorder.read(b"data: the same\n\n", 0.25)
    sealed = []
    for path in files(journal):
        data, at = path.read_bytes(), 0
        while at < len(data):
            end = at + 4 + int.from_bytes(data[at : at + 4], "little")
            sealed.append(data[at + 4 : end])
            at = end
    assert len(sealed) == 8
    assert len(set(sealed)) == 8


def test_where_there_is_no_place_for_a_key_nothing_is_kept(
    tmp_path: Path,
    notices: Notices,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", "wiretape.intake.journal")
    monkeypatch.setenv("WIRETAPE_RUNTIME_DIR", str(tmp_path / "missing"))
    journal = Journal(tmp_path, tmp_path / "r", notify=notices)
    assert journal.begin(CHAT, None, WHEN) is None
    journal.close()
    assert notices == []
    assert not (tmp_path / "journal").exists()
    assert caplog.messages == ["no journal is kept: no folder for its key is in memory and private"]


def test_more_exchanges_than_files_can_stay_open(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_HANDLES", 2)
    before = len(os.listdir("/dev/fd"))
    recorders = [Recorder(CHAT) for _ in range(5)]
    for recorder in recorders:
        begun(journal, recorder)
        recorder.start(200, SSE, 0.125)
        recorder.read(b"data: 1\n\n", 0.25)
    assert len(os.listdir("/dev/fd")) - before == 2
    assert [read(path, journal.key) is not None for path in files(journal)] == [True] * 5
    for recorder in recorders:
        assert recorder.listener is not None
        recorder.listener.drop()
    assert len(os.listdir("/dev/fd")) - before == 2, "for exchanges to come"
    journal.close()
    assert len(os.listdir("/dev/fd")) < before


def test_a_full_disk_is_told_once_and_ends_the_file_there(
    journal: Journal, notices: Notices, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(CHAT)
    begun(journal, recorder)
    recorder.start(200, SSE, 0.125)
    real, left = os.write, [20, 0]

    def write(handle: int, data: bytes) -> int:
        if not (room := left.pop(0)):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data[:room])

    monkeypatch.setattr(os, "write", write)
    recorder.read(b"data: 1\n\n", 0.25)
    monkeypatch.undo()
    recorder.read(b"data: 2\n\n", 0.5)
    assert [data for data, _ in recorder.reads] == [b"data: 1\n\n", b"data: 2\n\n"]
    assert unfinished(journal).recorder.reads == []
    assert notices == [
        f"{journal.folder.parent}: cannot be written (No space left on device): recording goes on,"
        " but a kill would lose the exchanges that are under way"
    ]


def test_where_no_journal_can_be_made_the_run_goes_on(
    tmp_path: Path, notices: Notices, runtime: Path
) -> None:
    (tmp_path / "journal").write_text("")
    journal = Journal(tmp_path, tmp_path / "r", notify=notices)
    assert journal.begin(CHAT, None, WHEN) is None
    assert list(runtime.iterdir()) == []
    assert notices == [
        f"{tmp_path / 'journal'}: cannot be written (Not a directory): recording goes on, but a"
        " kill would lose the exchanges that are under way"
    ]
    journal.close()

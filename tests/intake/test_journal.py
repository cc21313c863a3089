"""The journal of a run: what is written while exchanges are under way."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from wiretape.core.capture.recorder import Recorder
from wiretape.core.capture.websocket import WebSocketRecorder
from wiretape.core.model import Close, Headers, Message, Request, WebSocket
from wiretape.intake import journal as module
from wiretape.intake.journal import ExchangeFile, Journal
from wiretape.intake.journal_key import find
from wiretape.intake.journal_reader import UnfinishedExchange, killed_runs, read

JSON: Headers = (("content-type", "application/json"),)
SSE: Headers = (("content-type", "text/event-stream"),)
CHAT = Request(
    "POST",
    "https",
    "api.openai.com",
    443,
    "/v1/chat/completions?q=\udcff",
    headers=JSON,
    body=b'{"a":\xff\n1}',
)
OPENING = Request(
    "GET", "https", "api.openai.com", 443, "/v1/realtime", headers=(("upgrade", "websocket"),)
)
WHEN = "2026-11-20T17:30:00Z"
LATER = "2026-11-20T17:31:00Z"


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


def begun(journal: Journal, recorder: Recorder, session: str | None = None) -> ExchangeFile:
    track = journal.begin(recorder.request, session, WHEN)
    assert track is not None
    recorder.listener = track
    return track


def files(journal: Journal) -> list[Path]:
    return sorted(path for path in journal.folder.iterdir() if path.name.isdecimal())


def found(journal: Journal) -> UnfinishedExchange:
    (path,) = files(journal)
    key = find(journal.key.path)
    assert key is not None
    exchange = read(path, key)
    assert exchange is not None
    return exchange


def test_an_exchange_that_ended_comes_back_as_it_was(journal: Journal) -> None:
    recorder = Recorder(CHAT)
    track = begun(journal, recorder, "one")
    recorder.sent(b"more")
    recorder.start(200, SSE, 0.125)
    recorder.read(b"data: 1\n\nda", 0.25)
    recorder.read(b"ta: [DONE]\n\n", 0.5)
    recorder.trailers = (("x-end", "1"),)
    track.ended(recorder, "client-closed", 0.75, LATER)
    again = found(journal)
    assert again.recorder.finish(again.outcome, again.at, again.recorded_at) == recorder.finish(
        "client-closed", 0.75, LATER
    )
    assert (again.session, again.ended) == ("one", True)


def test_one_that_had_not_ended_is_cut_after_what_had_come(journal: Journal) -> None:
    recorder = Recorder(CHAT)
    begun(journal, recorder)
    recorder.start(200, SSE, 0.125)
    recorder.read(b"data: 1\n\n", 0.25)
    again = found(journal)
    assert (again.outcome, again.at, again.recorded_at, again.ended) == ("cut", 0.25, WHEN, False)
    assert again.recorder.finish("cut", 0.25) == recorder.finish("cut", 0.25)


@pytest.mark.parametrize(
    ("body", "outcome"), [(b"12", "cut"), (b"1234", "ended"), (b"12345", "cut")]
)
def test_one_whose_length_had_come_is_whole(journal: Journal, body: bytes, outcome: str) -> None:
    recorder = Recorder(CHAT)
    begun(journal, recorder)
    recorder.start(200, (*JSON, ("content-length", "4")), 0.125)
    recorder.read(body, 0.25)
    assert found(journal).outcome == outcome


def test_an_answer_without_a_body_is_whole(journal: Journal) -> None:
    recorder = Recorder(CHAT)
    begun(journal, recorder)
    recorder.start(204, (), 0.125)
    assert found(journal).outcome == "ended"


def test_a_websocket_comes_back_with_its_messages(journal: Journal) -> None:
    recorder = WebSocketRecorder(OPENING)
    track = begun(journal, recorder)
    recorder.start(101, (), 0.125)
    recorder.message("client", b'{"a":1}', 0.25, binary=False)
    recorder.message("server", b"\0\xff", 0.5, binary=True)
    cut = found(journal)
    assert cut.outcome == "cut"
    outcome = recorder.closed("server", 1000, "bye")
    track.ended(recorder, outcome, 0.75, LATER)
    again = found(journal)
    response = again.recorder.finish(again.outcome, again.at).response
    assert isinstance(response, WebSocket)
    assert response.messages == (
        Message(b'{"a":1}', 0.25, "client"),
        Message(b"\0\xff", 0.5, "server", binary=True),
    )
    assert response.close == Close("server", 1000, "bye")
    assert cut.recorder.finish(cut.outcome, cut.at).response.end == "cut"


def test_a_file_that_is_torn_anywhere_gives_what_came_before(journal: Journal) -> None:
    recorder = Recorder(CHAT)
    begun(journal, recorder)
    recorder.start(200, SSE, 0.125)
    for number in range(3):
        recorder.read(b"data: %d\n\n" % number, 0.25)
    (path,) = files(journal)
    data = path.read_bytes()
    seen = set()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        exchange = read(path, journal.key)
        seen.add(None if exchange is None else len(exchange.recorder.reads))
    assert seen == {None, 0, 1, 2}
    broken = bytearray(data)
    broken[-1] ^= 1
    path.write_bytes(broken)
    exchange = read(path, journal.key)
    assert exchange is not None
    assert len(exchange.recorder.reads) == 2


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


def test_a_file_that_was_put_in_anothers_place_is_not_read(journal: Journal) -> None:
    for _ in range(2):
        begun(journal, Recorder(CHAT))
    one, two = files(journal)
    one.rename(two)
    assert read(two, journal.key) is None


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
    assert len(os.listdir("/dev/fd")) == before


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
    assert found(journal).recorder.reads == []
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


def test_a_run_that_lives_is_nobody_elses(journal: Journal, tmp_path: Path) -> None:
    begun(journal, Recorder(CHAT))
    assert list(killed_runs(tmp_path)) == []

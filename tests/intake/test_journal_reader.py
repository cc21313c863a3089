"""Journals of killed runs, read as far as they go."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.journals import CHAT, JSON, LATER, OPENING, SSE, WHEN, begun, files, unfinished

from wiretape.core.capture.recorder import Recorder
from wiretape.core.capture.websocket import WebSocketRecorder
from wiretape.core.model import Close, Message, WebSocket
from wiretape.intake.journal import Journal
from wiretape.intake.journal_reader import killed_runs, read


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the keys of these tests are kept."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    monkeypatch.setenv("WIRETAPE_RUNTIME_DIR", str(folder))
    return folder / "wiretape"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path, tmp_path / "r")
    yield journal
    journal.close()


def test_an_exchange_that_ended_comes_back_as_it_was(journal: Journal) -> None:
    recorder = Recorder(CHAT)
    track = begun(journal, recorder, "one")
    recorder.sent(b"more")
    recorder.start(200, SSE, 0.125)
    recorder.read(b"data: 1\n\nda", 0.25)
    recorder.read(b"ta: [DONE]\n\n", 0.5)
    recorder.trailers = (("x-end", "1"),)
    track.ended(recorder, "client-closed", 0.75, LATER)
    again = unfinished(journal)
    assert again.recorder.finish(again.outcome, again.at, again.recorded_at) == recorder.finish(
        "client-closed", 0.75, LATER
    )
    assert (again.session, again.ended) == ("one", True)


def test_one_that_had_not_ended_is_cut_after_what_had_come(journal: Journal) -> None:
    recorder = Recorder(CHAT)
    begun(journal, recorder)
    recorder.start(200, SSE, 0.125)
    recorder.read(b"data: 1\n\n", 0.25)
    again = unfinished(journal)
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
    assert unfinished(journal).outcome == outcome


def test_an_answer_without_a_body_is_whole(journal: Journal) -> None:
    recorder = Recorder(CHAT)
    begun(journal, recorder)
    recorder.start(204, (), 0.125)
    assert unfinished(journal).outcome == "ended"


def test_a_websocket_comes_back_with_its_messages(journal: Journal) -> None:
    recorder = WebSocketRecorder(OPENING)
    track = begun(journal, recorder)
    recorder.start(101, (), 0.125)
    recorder.message("client", b'{"a":1}', 0.25, binary=False)
    recorder.message("server", b"\0\xff", 0.5, binary=True)
    cut = unfinished(journal)
    assert cut.outcome == "cut"
    outcome = recorder.closed("server", 1000, "bye")
    track.ended(recorder, outcome, 0.75, LATER)
    again = unfinished(journal)
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


def test_a_file_that_was_put_in_anothers_place_is_not_read(journal: Journal) -> None:
    for _ in range(2):
        begun(journal, Recorder(CHAT))
    one, two = files(journal)
    one.rename(two)
    assert read(two, journal.key) is None


def test_a_run_that_lives_is_nobody_elses(journal: Journal, tmp_path: Path) -> None:
    begun(journal, Recorder(CHAT))
    assert list(killed_runs(tmp_path)) == []

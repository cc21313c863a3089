"""The report's row of an answer says what was given, and how."""

from pathlib import Path

import pytest
from tests.support.asked_folder import HttpFolder, SocketFolder

from wiretape.engine.answer import replayed_row
from wiretape.engine.replayer import Replayer
from wiretape.engine.request import ReplayRequest


@pytest.fixture
def folder(tmp_path: Path) -> HttpFolder:
    folder = HttpFolder(tmp_path / "r")
    folder.record({"model": "m", "prompt": "hi"}, "hello")
    return folder


def prepared(replayer: Replayer, folder: HttpFolder) -> ReplayRequest:
    live = folder.request({"model": "m", "prompt": "hi"})
    return replayer.with_current_ids(replayer.prepare(live))


def test_a_row_names_the_request_and_the_recording_that_answered(folder: HttpFolder) -> None:
    replayer = folder.replayer()
    request = prepared(replayer, folder)
    answer = replayer.answer(request)
    assert answer is not None
    row = replayed_row(request, answer, 0.25, 0.5, "a note")
    assert (row.outcome, row.provider, row.method, row.path) == (
        *("replayed", "example", "POST", "/v1/ask"),
    )
    assert (row.model, row.status, row.recording) == ("m", 200, "llm.example.org/0.json")
    assert (row.first_chunk, row.duration, row.note) == (0.25, 0.5, "a note")
    assert (row.chunks, row.take, row.beyond) == (None, 1, False), "it was not streamed"


def test_an_answer_beyond_the_last_take_says_so(folder: HttpFolder) -> None:
    replayer = folder.replayer()
    for beyond in (False, True):
        request = prepared(replayer, folder)
        answer = replayer.answer(request)
        assert answer is not None
        assert replayed_row(request, answer).beyond is beyond


def test_a_websocket_counts_its_messages(tmp_path: Path) -> None:
    folder = SocketFolder(tmp_path / "r")
    folder.record({"prompt": "hi"}, "hello")
    replayer = folder.replayer()
    request = replayer.prepare(folder.opening())
    answer = replayer.answer(request)
    assert answer is not None
    assert replayed_row(request, answer).chunks == len(answer.response.chunks) == 2

"""The conversation of a WebSocket, and the row that the report gets of it."""

import json
from pathlib import Path
from threading import get_ident
from typing import Any

import pytest
from tests.support.asked_folder import SocketFolder

from wiretape.core.matching.miss import Miss
from wiretape.core.model import Message
from wiretape.core.playback.websocket import LockStep, Mismatch, ReplayedConnection, Step
from wiretape.engine.answer import ReplayAnswer
from wiretape.engine.replayer import Replayer
from wiretape.engine.request import ReplayRequest
from wiretape.report.report import Row


@pytest.fixture
def folder(tmp_path: Path) -> SocketFolder:
    folder = SocketFolder(tmp_path / "r")
    folder.record({"prompt": "hi"}, "hello")
    folder.record({"prompt": "bye"}, "goodbye")
    return folder


class Asked:
    """One connection, asked one message."""

    def __init__(self, folder: SocketFolder, prompt: str) -> None:
        self.replayer: Replayer = folder.replayer()
        self.request: ReplayRequest = self.replayer.with_current_ids(
            self.replayer.prepare(folder.opening())
        )
        answer = self.replayer.answer(self.request)
        assert answer is not None
        self.answer: ReplayAnswer = answer
        self.lock: LockStep = self.replayer.sockets.lock_step(self.request, answer)
        data = json.dumps({"prompt": prompt}).encode()
        self.step: Step | Mismatch = self.lock.feed(Message(data, None, "client"))

    def row(self, *, explain: bool = True) -> Row:
        ended = ReplayedConnection(
            recording=self.lock.recording,
            sent=3,
            received=1,
            first=0.1,
            duration=0.2,
            mismatch=self.step if isinstance(self.step, Mismatch) else None,
        )
        miss = None
        if isinstance(self.step, Mismatch) and explain:
            miss = self.replayer.sockets.explanation(self.request, self.step)()
        return self.replayer.sockets.row(self.request, self.answer, ended, miss)


def test_a_row_is_of_the_recording_that_answered_last(folder: SocketFolder) -> None:
    asked = Asked(folder, "bye")
    row = asked.row()
    assert asked.answer.entry.name == "llm.example.org/0.json"
    assert (row.outcome, row.recording, row.chunks) == ("replayed", "llm.example.org/1.json", 3)
    assert asked.request.session.used == {"llm.example.org/0.json", "llm.example.org/1.json"}
    assert (row.first_chunk, row.duration, row.miss) == (0.1, 0.2, None)


def test_a_take_that_was_used_is_offered_last(folder: SocketFolder) -> None:
    asked = Asked(folder, "hi")
    asked.row()
    again = asked.replayer.sockets.lock_step(asked.request, asked.answer)
    assert again.recording == "llm.example.org/1.json"


def test_a_message_that_nobody_recorded_is_a_miss(folder: SocketFolder) -> None:
    row = Asked(folder, "how are you").row()
    assert (row.outcome, row.recording) == ("missed", "llm.example.org/0.json")
    assert row.note is not None
    assert row.note.startswith("no recording has client message 1")
    assert row.miss is not None
    (difference,) = row.miss.differences
    assert (difference.got, difference.recorded) == ("how are you", "hi")


def test_a_miss_is_a_problem_of_its_session(folder: SocketFolder) -> None:
    asked = Asked(folder, "how are you")
    row = asked.row()
    assert row.miss is not None
    assert asked.request.session.problems == [row.miss.message]
    assert asked.request.session.counts["missed"] == 1


def test_so_is_one_whose_client_left_before_it_was_explained(folder: SocketFolder) -> None:
    asked = Asked(folder, "how are you")
    row = asked.row(explain=False)
    assert (row.outcome, row.miss) == ("missed", None)
    assert asked.request.session.problems == [row.note]


async def test_a_miss_is_explained_in_a_thread(
    folder: SocketFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, threads = Asked(folder, "how are you"), set[int]()
    explained = asked.replayer.misses.explain_message

    def noted(*arguments: Any) -> Miss:
        threads.add(get_ident())
        return explained(*arguments)

    monkeypatch.setattr(asked.replayer.misses, "explain_message", noted)
    assert isinstance(asked.step, Mismatch)
    miss = await asked.replayer.sockets.explain(asked.request, asked.step)
    assert miss.differences[0].got == "how are you"
    assert threads
    assert get_ident() not in threads

"""Polling by an id: for any interleaving of what gives ids and what sends them back, a replay in
the recorded order gives each recording once, and one in any order never goes back.

The model is a provider of jobs. A job is created under an id, then polled by it; answers repeat the
id, lists name it, a cancelled one is told again, a finished one names a file that has an id of its
own. `Recorded` writes what a recording run would, or what df62e2d did: each answer took an id over
that it repeated, and times were told to the second.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.support.limits import examples

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.playback.player import Repeat
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange
from wiretape.core.recording.given_ids import AnswerId, KnownIds, answer_ids, stamp
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.engine.replayer import Replayer
from wiretape.library.library import Library, LocalState
from wiretape.report.report import Report
from wiretape.sessions.sessions import Sessions

JSON = (("content-type", "application/json"),)
JOBS = "/v1/batches"


@dataclass(frozen=True)
class Call:
    """A request, the answer it was recorded with, and which resource's state that tells."""

    method: str
    target: str
    body: Any
    answer: Any
    resource: str | None = None

    @property
    def request(self) -> Request:
        body = b"" if self.body is None else json.dumps(self.body).encode()
        return Request(
            self.method, "https", "api.openai.com", 443, self.target, headers=JSON, body=body
        )


class Recorded:
    """A folder of recordings, written as a run of wiretape does; `legacy` as df62e2d did."""

    def __init__(self, folder: Path, *, legacy: bool = False) -> None:
        self.folder = folder
        self.calls: list[Call] = []
        self.names: list[str] = []
        self.legacy = legacy
        self.known = KnownIds()
        matcher = Matcher(built_in())
        self.library = Library(
            folder / "r", matcher, state=LocalState(folder), record_mode="append"
        )
        self.library.join()
        self.library.load()

    def add(self, call: Call, second: int | None = None) -> None:
        """Record a call; `second` is when, else each at a time of its own."""
        number = len(self.calls)
        at = number if second is None else second
        fraction = "" if self.legacy else f".{number:06}"
        time = f"2026-11-20T{at // 3600 % 24:02}:{at // 60 % 60:02}:{at % 60:02}{fraction}Z"
        chunks = (Chunk(json.dumps(call.answer).encode()),)
        document = from_exchange(Exchange(call.request, Response(200, JSON, chunks), time))
        document = {**document, "request": stamp(document["request"], self.known)}
        entry = self.library.write(document, recording_format.dumps(document), {})
        assert entry is not None
        found = answer_ids(document)
        if self.legacy:
            found = tuple(AnswerId(one.text, "created") for one in found)
        self.known.learn(found, entry.token)
        self.calls.append(call)
        self.names.append(entry.name)

    def close(self) -> None:
        self.library.leave()
        self.library.close()


class Played:
    """A replay of a folder."""

    def __init__(self, folder: Path, repeat: Repeat = "last") -> None:
        matcher = Matcher(built_in())

        def opened(name: str | None) -> Library:
            library = Library(folder / "r", matcher, state=LocalState(folder))
            library.load()
            return library

        self.report = Report("replay")
        redactor = Redactor(RedactionRules())
        self._sessions = Sessions(opened, repeat)
        self._replayer = Replayer(self._sessions, matcher, redactor, built_in(), self.report)

    def send(self, call: Call) -> tuple[str, Any] | None:
        """The recording that answers, and what it says; None for a miss."""
        request = self._replayer.with_current_ids(self._replayer.prepare(call.request))
        answer = self._replayer.answer(request)
        if answer is None:
            return None
        return answer.entry.name, json.loads(answer.response.body)

    @property
    def used(self) -> set[str]:
        return self._sessions.own.used

    def close(self) -> None:
        self._sessions.own.library.close()


def in_recorded_order(recorded: Recorded, repeat: Repeat = "last") -> None:
    """Replay all calls as they were recorded: each recording once, and none beyond the last."""
    played = Played(recorded.folder, repeat)
    try:
        got = [played.send(call) for call in recorded.calls]
        assert got == [
            (name, call.answer) for name, call in zip(recorded.names, recorded.calls, strict=True)
        ]
        assert played.report.beyond == 0
        assert played.used == set(recorded.names)
    finally:
        played.close()


def in_any_order(recorded: Recorded, order: Sequence[int]) -> None:
    """Replay calls in another order: no resource's state goes back."""
    played = Played(recorded.folder)
    states: Counter[str] = Counter()
    try:
        for number in order:
            call = recorded.calls[number % len(recorded.calls)]
            got = played.send(call)
            assert got is not None
            if call.resource is not None:
                state = recorded.names.index(got[0])
                assert recorded.calls[state].resource == call.resource
                assert state >= states[call.resource]
                states[call.resource] = state
    finally:
        played.close()


JOB = "batch_1"
MADE = Call("POST", JOBS, {"prompt": 1}, {"id": JOB, "state": 0})


def poll(state: int, job: str = JOB) -> Call:
    return Call("GET", f"{JOBS}/{job}", None, {"id": job, "state": state}, job)


def listed(state: int) -> Call:
    return Call("GET", JOBS, None, {"data": [{"id": JOB, "state": state}]}, "list")


CONVERSATIONS = {
    "polled": [MADE, poll(1), poll(2), poll(3)],
    "with a list": [MADE, poll(1), listed(1), poll(2), listed(2), poll(3), poll(4)],
    "with one list": [MADE, poll(1), poll(2), listed(2), poll(3), poll(4)],
    "listed first": [listed(0), poll(1), poll(2), listed(2), poll(3)],
    "known before": [poll(1), poll(2), poll(3)],
    "two": [MADE, MADE, poll(1), poll(1, "batch_2"), poll(2), poll(2, "batch_2"), poll(3)],
}


@pytest.mark.parametrize("legacy", [False, True], ids=["now", "df62e2d"])
@pytest.mark.parametrize("calls", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_polls_within_one_second_replay_in_their_order(
    tmp_path: Path, calls: list[Call], legacy: bool
) -> None:
    recorded = Recorded(tmp_path, legacy=legacy)
    for call in calls:
        recorded.add(call, second=7)
    recorded.close()
    in_recorded_order(recorded)
    polls = [number for number, call in enumerate(calls) if call.resource == JOB]
    in_any_order(recorded, polls)
    in_any_order(recorded, [*reversed(range(len(calls))), *polls])
    played = Played(recorded.folder, "miss")
    got = [played.send(poll(0)) for _ in [*polls, None]]
    assert got == [*((recorded.names[n], calls[n].answer) for n in polls), None]
    played.close()


def test_an_id_that_is_created_again_begins_anew(tmp_path: Path) -> None:
    """A provider may count its ids from the start again, at each of a project's tests."""
    recorded = Recorded(tmp_path)
    other = Call("POST", JOBS, {"prompt": 2}, MADE.answer)
    for call in (MADE, poll(1), poll(2), other, poll(3), poll(4)):
        recorded.add(call)
    recorded.close()
    in_recorded_order(recorded)
    for first, second in ((MADE, other), (other, MADE)):
        played = Played(recorded.folder)
        states = [
            got[1]["state"]
            for call in (first, *[poll(0)] * 3, second, *[poll(0)] * 3)
            if (got := played.send(call)) is not None
        ]
        ours, others = [0, 1, 2, 2], [0, 3, 4, 4]
        assert states == (ours + others if first is MADE else others + ours)
        played.close()


def test_polls_are_found_by_a_new_id_of_what_created_them(tmp_path: Path) -> None:
    """`refresh` records the creation anew, under another id: all the polls are its polls still."""
    for legacy in (False, True):
        folder = tmp_path / f"{legacy}"
        folder.mkdir()
        recorded = Recorded(folder, legacy=legacy)
        for call in (MADE, poll(1), poll(2), poll(3)):
            recorded.add(call, second=7)
        recorded.close()
        path = folder / "r" / recorded.names[0]
        path.write_text(path.read_text().replace(JOB, "batch_9"))
        played = Played(folder)
        assert played.send(MADE) == (recorded.names[0], {"id": "batch_9", "state": 0})
        new = Call("GET", f"{JOBS}/batch_9", None, None)
        got = [played.send(new) for _ in range(4)]
        assert [found and found[0] for found in got] == [*recorded.names[1:], recorded.names[3]]
        played.close()


def test_a_poll_missing_in_the_middle_breaks_no_order(tmp_path: Path) -> None:
    """What df62e2d recorded of the polls after it names a recording that is not there."""
    recorded = Recorded(tmp_path, legacy=True)
    for call in (MADE, *map(poll, range(1, 6))):
        recorded.add(call)
    recorded.close()
    (tmp_path / "r" / recorded.names[2]).unlink()
    played = Played(tmp_path)
    assert played.send(MADE) is not None
    states = [got[1]["state"] for _ in range(5) if (got := played.send(poll(0))) is not None]
    assert states == [1, 3, 4, 5, 5]
    played.close()


class Provider:
    """The jobs there are; each call changes what the next is answered."""

    def __init__(self) -> None:
        self.states: Counter[str] = Counter()

    def create(self, prompt: int) -> Call:
        job = f"batch_{len(self.states)}x"
        self.states[job] = 0
        return Call("POST", JOBS, {"prompt": prompt}, {"id": job, "state": 0})

    def poll(self, job: str) -> Call:
        if job in self.states:
            self.states[job] += 1
        answer = {"id": job, "state": self.states.get(job)}
        if self.states.get(job, 0) >= 2:
            answer["output_file_id"] = f"file-of-{job}"
        return Call("GET", f"{JOBS}/{job}", None, answer, job)

    def cancel(self, job: str) -> Call:
        self.states[job] += 1
        answer = {"id": job, "state": self.states[job]}
        return Call("POST", f"{JOBS}/{job}/cancel", {}, answer, f"cancel {job}")

    def listed(self, page: int) -> Call:
        jobs = [{"id": job, "state": state} for job, state in self.states.items()]
        return Call("GET", f"{JOBS}?limit={page}", None, {"data": jobs}, f"list {page}")

    def content(self, job: str) -> Call:
        self.states[job] += 1
        answer = {"id": f"file-of-{job}", "state": self.states[job]}
        return Call("GET", f"/v1/files/file-of-{job}", None, answer, f"file {job}")

    def both(self, one: str, two: str) -> Call:
        self.states[one] += 1
        body = {"file_ids": [one, two]}
        return Call("POST", "/v1/compare", body, {"state": self.states[one]}, f"{one} {two}")


class Polling(RuleBasedStateMachine):
    """Gives and sends in any order, recorded in one run or in several."""

    legacy = False

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.provider = Provider()
        self.recorded = Recorded(Path(self._folder.name), legacy=self.legacy)

    def job(self, number: int) -> str:
        jobs = list(self.provider.states)
        return jobs[number % len(jobs)]

    @rule(prompt=st.integers(0, 2))
    def create(self, prompt: int) -> None:
        self.recorded.add(self.provider.create(prompt))

    @precondition(lambda self: self.provider.states)
    @rule(number=st.integers(0, 5))
    def poll(self, number: int) -> None:
        self.recorded.add(self.provider.poll(self.job(number)))

    @precondition(lambda self: self.provider.states)
    @rule(number=st.integers(0, 5))
    def cancel(self, number: int) -> None:
        self.recorded.add(self.provider.cancel(self.job(number)))

    @rule(page=st.integers(10, 11))
    def listed(self, page: int) -> None:
        self.recorded.add(self.provider.listed(page))

    @precondition(lambda self: self.provider.states)
    @rule(number=st.integers(0, 5))
    def content(self, number: int) -> None:
        self.recorded.add(self.provider.content(self.job(number)))

    @precondition(lambda self: self.provider.states)
    @rule(one=st.integers(0, 5), two=st.integers(0, 5))
    def both(self, one: int, two: int) -> None:
        self.recorded.add(self.provider.both(self.job(one), self.job(two)))

    @rule()
    def another_run(self) -> None:
        """What was known is forgotten: the ids that come next were told by nobody."""
        self.recorded.known.clear()

    @precondition(lambda self: self.recorded.calls)
    @rule(order=st.lists(st.integers(0, 40), max_size=25))
    def replay_in_any_order(self, order: list[int]) -> None:
        in_any_order(self.recorded, order)

    @invariant()
    def replay_in_the_recorded_order(self) -> None:
        if len(self.recorded.calls) % 4 == 0:
            in_recorded_order(self.recorded)

    def teardown(self) -> None:
        in_recorded_order(self.recorded, "miss")
        self.recorded.close()
        self._folder.cleanup()


class PollingOfOld(Polling):
    """The same of what df62e2d recorded."""

    legacy = True


_SETTINGS = settings(
    max_examples=examples(40),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestPolling = Polling.TestCase
TestPolling.settings = _SETTINGS
TestPollingOfOld = PollingOfOld.TestCase
TestPollingOfOld.settings = _SETTINGS

"""What the index has ready is what the other ways give: the same bytes, the same rows, the same
state of the session and the run after it.
"""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.support.request_stories import (
    HOST,
    KEYS,
    PLAIN,
    TAKES,
    Call,
    Story,
    change_recording,
    config_of,
    stories,
    write,
)

from wiretape.config.load import Config
from wiretape.core.matching.rule import Rule
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.playback.faults import Fault, FaultRule, Faults
from wiretape.core.playback.pace import Pace
from wiretape.core.playback.player import Repeat
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange
from wiretape.core.recording.given_ids import AnswerId
from wiretape.core.redaction.redactor import Redactor
from wiretape.engine.handler import Begun, Handler
from wiretape.engine.http_request import END, Heads, WholeRequest
from wiretape.engine.replayer import Replayer, ReplayOptions
from wiretape.engine.sender import ReadyAnswer
from wiretape.library.library import Library, LocalState
from wiretape.report.report import Report, Row
from wiretape.sequences.file_log import FileLog
from wiretape.sequences.shared_log import SharedLog
from wiretape.sessions.sessions import Session, Sessions
from wiretape.sessions.shared import SharedSessions

ONE: Final = Story(((PLAIN, KEYS[0], None),), ())
ONE_TWICE: Final = replace(ONE, asked=((PLAIN, KEYS[0], None),) * 2)


class Way:
    """A run that answers directly, or does not."""

    def __init__(
        self,
        config: Config,
        folder: Path,
        *,
        is_direct: bool,
        repeat: Repeat = "last",
        log: SharedLog | None = None,
    ) -> None:
        self.redactor = Redactor(config.redaction, remember=True)
        self.report = Report("replay", strict_ignored=True)
        self.report.prices = lambda: config.prices
        self.direct = 0

        def opened(session: str | None) -> Library:
            state, prepare = LocalState(folder), self.redactor.request
            library = Library(folder / "recordings", config.matcher, prepare, session, state)
            library.load()
            return library

        self.sessions = Sessions(opened, repeat)
        self.shared = SharedSessions(self.sessions, log) if log is not None else None
        self.replayer = Replayer(
            *(self.sessions, config.matcher, self.redactor, config.providers, self.report),
            ReplayOptions(shared=self.shared),
        )
        self.handler = Handler(self.replayer, Pace())
        self._heads = Heads(asyncio.get_running_loop())
        if not is_direct:
            self.handler._direct = None

    async def ask(self, live: Request, session: str | None = None) -> Any:
        """What comes of a request: an answer's bytes, or what aiohttp is to send."""
        named = (("X-Wiretape-Session", session),) if session else ()
        fields = (*live.headers, *named, ("Host", "127.0.0.1"))
        lines = [f"{live.method} /{live.host}{live.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields]
        lines.append(f"Content-Length: {len(live.body)}")
        head = self._heads.read("\r\n".join(lines).encode() + END)
        assert head is not None
        http = WholeRequest(head, live.body, cast(asyncio.Transport, None))
        direct = self.handler.direct(http, None)
        self.direct += direct is not None
        outcome = direct or await self.handler.answer(http, None)
        if outcome is None or isinstance(outcome, ReadyAnswer):
            return outcome
        assert isinstance(outcome, Begun), outcome
        assert outcome.error is None, outcome.error
        return outcome.answer and (outcome.answer.entry.name, outcome.answer.response)

    def rows(self) -> list[Row]:
        """The rows of the report, without their times."""
        return [
            replace(row, duration=None, first_chunk=row.first_chunk and 0.0)
            for row in self.report.rows
        ]

    def state(self) -> Any:
        """All that an answer changes."""
        sessions = [
            (
                *(session.name, session.counts, session.used, session.exact_keys),
                *(session.known_ids._origins, session.player._given, session.problems),
            )
            for session in self.sessions.all()
        ]
        report = self.report
        run = (report.applied, report.beyond, report.notices, report.counts, report.spending)
        return self.rows(), sessions, run, set(self.redactor.remembered)


def compare(story: Story, repeat: Repeat = "last") -> int:
    """Ask a story both ways; gives how many answers were direct."""

    async def asked() -> int:
        with tempfile.TemporaryDirectory() as name:
            config = config_of(has_rule=story.has_rule)
            write(story, Path(name), config)
            direct, other = (
                Way(config, Path(name), is_direct=is_direct, repeat=repeat)
                for is_direct in (True, False)
            )
            for call, key, session in story.asked:
                live = call.request(key)
                assert await direct.ask(live, session) == await other.ask(live, session)
                assert direct.state() == other.state()
            return direct.direct

    return asyncio.run(asked())


@example(story=TAKES, repeat="last")
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(story=stories(), repeat=st.sampled_from(["last", "cycle", "miss"]))
def test_direct_answers_are_what_the_other_ways_give(story: Story, repeat: Repeat) -> None:
    compare(story, repeat)


def compare_workers(story: Story, repeat: Repeat, workers: Sequence[int]) -> int:
    """Ask a story of three workers, of which one answers nothing directly, and of one process;
    gives how many answers were direct. `workers` says which gets a request.
    """

    async def asked() -> int:
        with tempfile.TemporaryDirectory() as name:
            folder, config = Path(name), config_of(has_rule=story.has_rule)
            write(story, folder, config)
            alone = Way(config, folder, is_direct=False, repeat=repeat)
            crew = [
                Way(config, folder, is_direct=is_direct, repeat=repeat, log=FileLog(folder))
                for is_direct in (True, True, False)
            ]
            for (call, key, session), number in zip(story.asked, workers, strict=False):
                live, ways = call.request(key), (crew[number], alone)
                before = [len(way.report.rows) for way in ways]
                answer, expected = [await way.ask(live, session) for way in ways]
                assert answer == expected
                rows, expected = [
                    way.rows()[count:] for way, count in zip(ways, before, strict=True)
                ]
                assert rows == expected
            for worker in crew:
                await agree(worker, alone)
            run = Report("replay", strict_ignored=True)
            run.prices = alone.report.prices
            for worker in crew:
                run.absorb(worker.report.take_news())
            assert (run.counts, run.beyond) == (alone.report.counts, alone.report.beyond)
            assert (run.applied, run.spending) == (alone.report.applied, alone.report.spending)
            assert (run.exit_status, run.stale) == (alone.report.exit_status, alone.report.stale)
            return sum(worker.direct for worker in crew)

    return asyncio.run(asked())


async def agree(worker: Way, alone: Way) -> None:
    """Hold the sessions of a worker, once it has read all, to those of one process."""

    def known(session: Session) -> Any:
        ids, exact = session.known_ids._origins, session.exact_keys
        return session.counts, session.used, session.player._given, ids, exact

    assert worker.shared is not None
    for session in worker.sessions.all():
        await worker.shared.catch_up(session.key)
        other = alone.sessions.known(session.key)
        assert known(session) == (known(other) if other else known(alone.sessions.own))


def without_secrets(story: Story) -> Story:
    """The story of one client, whose credential no request holds: what a worker has not seen, it
    does not know as secret.
    """

    def plain(asked: tuple[Call, str, str | None]) -> tuple[Call, str, str | None]:
        encoding = asked[0].encoding if asked[0].encoding == "prose" else "none"
        return replace(asked[0], key=KEYS[0], encoding=encoding), KEYS[0], asked[2]

    return replace(
        story,
        recorded=tuple(map(plain, story.recorded)),
        asked=tuple(map(plain, story.asked * 2)),
    )


@example(story=TAKES, repeat="last", workers=[0, 1, 2, 0, 1, 0, 1, 0])
@example(story=ONE_TWICE, repeat="cycle", workers=[0, 1, 2, 1, 0])
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(
    story=stories(),
    repeat=st.sampled_from(["last", "cycle", "miss"]),
    workers=st.lists(st.integers(0, 2), min_size=16, max_size=16),
)
def test_workers_answer_as_one_process(story: Story, repeat: Repeat, workers: list[int]) -> None:
    compare_workers(without_secrets(story), repeat, workers)


def test_workers_answer_directly() -> None:
    asked = tuple((Call(id=f"resp_{number}"), KEYS[0], None) for number in range(3, 6))
    story = Story(asked, asked * 4)
    # Of the second, which says nothing of tokens, these are estimated.
    assert compare_workers(story, "last", [number % 2 for number in range(12)]) == 8


def test_an_id_that_another_worker_gave_leads_to_its_own_sequence() -> None:
    poll = Call(id="resp_2")  # which the third recording gives
    recorded = tuple((call, KEYS[0], None) for call in (poll, Call(id="resp_9"), PLAIN))
    asked = tuple((call, KEYS[0], None) for call in (poll, PLAIN, poll, PLAIN))
    assert compare_workers(Story(recorded, asked), "last", [0, 1, 0, 1]) == 3


def test_what_others_do_not_know_yet_is_told_first(tmp_path: Path) -> None:
    async def asked(folder: Path) -> None:
        config = config_of(has_rule=False)
        one, two = (Way(config, folder, is_direct=True, log=FileLog(folder)) for _ in "12")
        one.sessions.own.unshared.append(("miss", "nothing like it"))
        await one.ask(PLAIN.request(KEYS[0]))
        await two.ask(PLAIN.request(KEYS[0]))
        assert (one.direct, two.sessions.own.problems) == (0, ["nothing like it"])

    in_run(asked, tmp_path, ONE)


@pytest.mark.parametrize("repeat", ["last", "cycle", "miss"])
def test_what_is_repeated_is_not_told_and_heard_of_all_the_same(
    repeat: Repeat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A long log has no entries of what is repeated.
    monkeypatch.setattr("wiretape.sessions.shared._MOST_SHARED", 1)

    async def asked(folder: Path) -> None:
        config = config_of(has_rule=False)
        one, two = (
            Way(config, folder, is_direct=True, repeat=repeat, log=FileLog(folder)) for _ in "12"
        )
        live = PLAIN.request(KEYS[0])
        for _ in range(2):
            for way in (one, two, two, one):
                await way.ask(live, "a")
            assert one.shared is not None
            await one.shared.announce("reset", "a")
        rows = [[row.beyond for row in way.rows()] for way in (one, two)]
        if repeat == "miss":
            assert rows == [[False, False], []]
        else:
            assert rows == [[False, True] * 2, [True] * 4]
            # What others have just told has a take chosen anew, by the longer way.
            assert (one.direct, two.direct) == (4, 2)
        assert one.sessions.get("a").player._given == {}

    in_run(asked, tmp_path, replace(ONE, recorded=((PLAIN, KEYS[0], "a"),)))


@pytest.mark.parametrize(("repeat", "expected"), [("last", 3), ("cycle", 3), ("miss", 1)])
def test_what_is_asked_again_is_answered_again(repeat: Repeat, expected: int) -> None:
    story = replace(ONE, asked=((PLAIN, KEYS[0], None),) * 3)
    assert compare(story, repeat) == expected


def test_a_secret_in_a_request_is_read() -> None:
    # It was no secret when it was recorded, and is the live client's credential; or another's.
    call = Call(key=KEYS[0], encoding="plain")
    recorded = ((call, "other-Xk28QmZ9w", None),)
    asked = tuple((call, key, None) for key in (KEYS[1], KEYS[0], KEYS[1]))
    assert compare(Story(recorded, asked)) == 1


def test_an_id_that_an_answer_gave_leads_to_its_own_sequence() -> None:
    poll = Call(id="resp_0")
    recorded = ((PLAIN, KEYS[0], None), (poll, KEYS[0], None))
    asked = tuple((call, KEYS[0], None) for call in (poll, PLAIN, poll, PLAIN))
    assert compare(Story(recorded, asked)) >= 2


def test_what_is_secret_from_a_request_on_was_none_when_its_session_was_read() -> None:
    # Opening a session reads its recordings: with what is known as secret by then.
    hidden, other = (Call(key=KEYS[0], encoding=encoding) for encoding in ("gzip", "base64"))
    asked = tuple((call, KEYS[0], "a") for call in (other, hidden))
    compare(Story(((hidden, KEYS[1], "a"),), asked, has_rule=False))


def test_a_message_of_json_rpc_is_read() -> None:
    call = Call(raw=b'{"jsonrpc":"2.0","id":7,"method":"ping"}')
    assert compare(Story(((call, KEYS[0], None),), ((call, KEYS[0], None),))) == 0


def in_run(test: Callable[[Path], Awaitable[None]], folder: Path, story: Story) -> None:
    """Run a test beside the recordings of a story."""
    write(story, folder, config_of(has_rule=False))
    asyncio.run(cast(Any, test(folder)))


@pytest.mark.parametrize("is_asked_before", [True, False])
@pytest.mark.parametrize("change", ["edited", "replaced", "removed", "added", "same stat but time"])
def test_a_recording_that_changes(tmp_path: Path, change: str, is_asked_before: bool) -> None:
    async def asked(folder: Path) -> None:
        config = config_of(has_rule=False)
        (file,) = (folder / "recordings").rglob("*.json")
        ways = [Way(config, folder, is_direct=is_direct) for is_direct in (True, False)]
        live = PLAIN.request(KEYS[0])
        if is_asked_before:
            assert await ways[0].ask(live) == await ways[1].ask(live)
            assert ways[0].direct == 1
        if change == "edited":
            file.write_text(file.read_text().replace("answer 0", "answer number 0"))
        elif change == "same stat but time":
            change_recording(file, "edited")
            os.utime(file, (1, 1))
        else:
            change_recording(file, change)
        for way in ways:
            way.sessions.own.library.check()  # as it does itself, each half second
        direct, other = [[await way.ask(live) for _ in range(2)] for way in ways]
        assert direct == other
        if change in ("edited", "same stat but time"):
            assert b"answer X" in direct[0].body or b"answer number 0" in direct[0].body
        elif change != "added":
            assert direct == [None, None]
        else:
            assert b"answer 2" in direct[-1].body

    in_run(asked, tmp_path, ONE)


def test_a_change_that_nobody_looked_for_yet_is_noticed(tmp_path: Path) -> None:
    async def asked(folder: Path) -> None:
        (file,) = (folder / "recordings").rglob("*.json")
        way = Way(config_of(has_rule=False), folder, is_direct=True)
        live = PLAIN.request(KEYS[0])
        assert b"answer 0" in (await way.ask(live)).body
        file.write_text(file.read_text().replace("answer 0", "answer X"))
        assert b"answer X" in (await way.ask(live)).body
        assert way.direct == 1

    in_run(asked, tmp_path, ONE)


def test_an_edit_of_this_run_answers(tmp_path: Path) -> None:
    async def asked(folder: Path) -> None:
        way = Way(config_of(has_rule=False), folder, is_direct=True)
        live, library = PLAIN.request(KEYS[0]), way.sessions.own.library
        before = await way.ask(live)
        (name,) = library.names()
        exchange = library.read(name)
        chunk = replace(exchange.response.chunks[0], data=b"edited")
        library.edit(name, replace(exchange, response=replace(exchange.response, chunks=(chunk,))))
        assert (before.body != b"edited", (await way.ask(live)).body) == (True, b"edited")

    in_run(asked, tmp_path, ONE)


@pytest.mark.parametrize("why", ["pace", "faults", "age", "none"])
def test_a_run_that_changes_answers_gives_none_directly(why: str, tmp_path: Path) -> None:
    async def made() -> None:
        config = config_of(has_rule=False)
        way = Way(config, tmp_path, is_direct=True)
        faults = (
            Faults((FaultRule(Fault("slow", delay=0.1), Rule("slow")),))
            if why == "faults"
            else Faults()
        )
        max_age = timedelta(days=1) if why == "age" else None
        options = ReplayOptions(faults=faults, max_age=max_age)
        replayer = Replayer(
            *(way.sessions, config.matcher, way.redactor, config.providers, way.report), options
        )
        handler = Handler(replayer, Pace.parse("recorded") if why == "pace" else Pace())
        assert (handler._direct is not None) is (why == "none")

    asyncio.run(made())


def test_a_request_for_somebody_else_is_not_answered(tmp_path: Path) -> None:
    async def asked(folder: Path) -> None:
        way = Way(config_of(has_rule=False), folder, is_direct=True)
        answers = way.handler._direct
        assert answers is not None
        raw = f"POST https://{HOST}/v1/responses HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
        head = way._heads.read(raw.encode())
        assert head is not None
        http = WholeRequest(head, b"", cast(asyncio.Transport, None))
        assert answers.answer(http, None, 0.0) is None

    in_run(asked, tmp_path, ONE)


@pytest.mark.parametrize("why", ["an id was given", "too large", "none"])
def test_what_a_session_and_a_run_know_counts(why: str, tmp_path: Path) -> None:
    async def asked(folder: Path) -> None:
        way = Way(config_of(has_rule=False), folder, is_direct=True)
        if why == "too large":
            way.handler = Handler(way.replayer, Pace(), max_body=10)
        if why == "an id was given":
            way.sessions.own.known_ids.learn((AnswerId("responses", "created"),), "3f2a00112233")
        await way.ask(PLAIN.request(KEYS[0]))
        assert way.direct == (why == "none")

    in_run(asked, tmp_path, ONE)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_stream_that_may_stay_open_is_read(method: str, tmp_path: Path) -> None:
    async def asked(folder: Path) -> None:
        request = replace(PLAIN.request(KEYS[0]), method=method)
        event = b'data: {"usage":{"input_tokens":1,"output_tokens":2}}\n\n'
        kind = ("content-type", "text/event-stream")
        response = Response(200, (kind,), (Chunk(event, 0.1),), streaming=True)
        config = config_of(has_rule=False)
        exchange = Exchange(request, response, "2026-11-20T17:30:00.5Z")
        document, _ = Redactor(config.redaction).document(from_exchange(exchange))
        path = folder / "recordings" / HOST / "v1-responses" / "a.json"
        path.write_text(recording_format.dumps(document))
        os.utime(path, (0, 0))
        way = Way(config, folder, is_direct=True)
        outcome = await way.ask(request)
        assert event in outcome.body
        assert way.direct == (method == "POST")

    in_run(asked, tmp_path, replace(ONE, recorded=((replace(PLAIN, run=1), KEYS[0], None),)))

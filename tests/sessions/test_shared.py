"""Several processes of one run answer as one would: the same takes, in the same order, once."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from tests.support import stored
from tests.support.redis_server import redis_server

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.playback.player import Repeat
from wiretape.core.recording.document import from_exchange
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.engine.replayer import Replayer, ReplayOptions
from wiretape.library.library import Library, LocalState
from wiretape.report.report import Report
from wiretape.sequences.file_log import FileLog
from wiretape.sequences.redis_log import RedisLog
from wiretape.sequences.shared_log import SequencesLost, SharedLog
from wiretape.sessions.control import Control
from wiretape.sessions.sessions import Sessions
from wiretape.sessions.shared import SessionsChanged, SharedSessions

TAKES = 12
JOBS = "api.openai.com/v1-batches"
type OpenLog = Callable[[], SharedLog]


class Process:
    """What a replica has of a run, all but its port."""

    def __init__(self, folder: Path, log: SharedLog, repeat: Repeat = "last") -> None:
        matcher = Matcher(built_in())

        def opened(name: str | None) -> Library:
            library = Library(folder / "r", matcher, session=name, state=LocalState(folder))
            library.load()
            return library

        self.report = Report("replay")
        self.sessions = Sessions(opened, repeat)
        self.shared = SharedSessions(self.sessions, log)
        self.replayer = Replayer(
            self.sessions,
            matcher,
            Redactor(RedactionRules()),
            built_in(),
            self.report,
            ReplayOptions(shared=self.shared),
        )
        self.control = Control(self.sessions, self.report, None, "t", shared=self.shared)

    async def ask(self, request: Request, session: str | None = None) -> str | None:
        """The name of the recording that answers; None for a miss."""
        while True:
            where = self.sessions.get(session)
            prepared = self.replayer.with_current_ids(self.replayer.prepare(request, where))
            try:
                prepared, answer = await self.replayer.hand_out(prepared)
            except SessionsChanged:
                continue
            if answer is None:
                self.replayer.misses.answer(prepared)
                await self.replayer.share(where)
            return answer.entry.name if answer else None

    async def tell(self, method: str, path: str) -> dict[str, object]:
        headers = {"host": "127.0.0.1:1", "authorization": "Bearer t"}
        reply = await self.control.handle(method, f"/wiretape/sessions/{path}", headers)
        assert reply.status == 200, reply.document
        return reply.document


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(params=["files", "redis"])
async def open_log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenLog]:
    logs: list[SharedLog] = []
    folder = tmp_path / "logs"
    folder.mkdir()

    def opened() -> SharedLog:
        if request.param == "files":
            logs.append(FileLog(folder))
        else:
            url = request.getfixturevalue("redis_url")
            logs.append(RedisLog(url, tmp_path.name))
        return logs[-1]

    yield opened
    for log in logs:
        await log.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Takes of one request, one of another, and a session with one."""
    for take in range(1, TAKES + 1):
        document = stored.document("hi", f"2026-11-20T17:30:{take:02}Z")
        suffix = f".{take}" if take > 1 else ""
        stored.put(tmp_path / "r", document, f"{stored.CHAT}/{stored.key12(document)}{suffix}.json")
    stored.put(tmp_path / "r", stored.document("hello"))
    stored.put(tmp_path / "r" / "checkout", stored.document("hello"))
    return tmp_path


def request_for(prompt: str) -> Request:
    return stored.exchange(prompt).request


def takes() -> list[str]:
    name = f"{stored.CHAT}/{stored.key12(stored.document('hi'))}"
    return [f"{name}.json", *(f"{name}.{take}.json" for take in range(2, TAKES + 1))]


@pytest.mark.parametrize("repeat", ["last", "cycle", "miss"])
async def test_each_take_is_given_once_and_then_as_in_one_process(
    folder: Path, open_log: OpenLog, repeat: Repeat
) -> None:
    processes = [Process(folder, open_log(), repeat) for _ in range(3)]
    requests = 2 * TAKES
    answers = await asyncio.gather(
        *(processes[number % 3].ask(request_for("hi")) for number in range(requests))
    )
    expected: dict[Repeat, Counter[str | None]] = {
        "last": Counter([*takes(), *[takes()[-1]] * TAKES]),
        "cycle": Counter(takes() * 2),
        "miss": Counter([*takes(), *[None] * TAKES]),
    }
    assert Counter(answers) == expected[repeat]
    assert sum(process.report.beyond for process in processes) == (TAKES if repeat != "miss" else 0)


@pytest.mark.parametrize("repeat", ["last", "cycle", "miss"])
async def test_a_process_that_comes_later_goes_on_where_the_others_are(
    folder: Path, open_log: OpenLog, repeat: Repeat
) -> None:
    first = Process(folder, open_log(), repeat)
    order = [await first.ask(request_for("hi")) for _ in range(TAKES + 2)]
    later = Process(folder, open_log(), repeat)
    alone = Process(folder, FileLog(_subfolder(folder)), repeat)
    for _ in order:
        expected = await alone.ask(request_for("hi"))
    for _ in range(TAKES):
        expected = await alone.ask(request_for("hi"))
        assert await later.ask(request_for("hi")) == expected


def _subfolder(folder: Path) -> Path:
    path = folder / "alone"
    path.mkdir()
    return path


def job(method: str, target: str, answer: object) -> Exchange:
    headers = (("content-type", "application/json"),)
    request = Request(method, "https", "api.openai.com", 443, target, headers=headers, body=b"{}")
    chunks = (Chunk(json.dumps(answer).encode()),)
    return Exchange(request, Response(200, headers, chunks), "2026-11-20T17:30:00Z")


async def test_an_id_that_one_process_gave_out_is_known_to_the_others(
    tmp_path: Path, open_log: OpenLog
) -> None:
    create = job("POST", "/v1/batches", {"id": "batch_new", "status": "begun"})
    poll = job("GET", "/v1/batches/batch_new", {"id": "batch_new", "status": "done"})
    document = from_exchange(create)
    created = stored.put(tmp_path / "r", document, f"{JOBS}/{stored.key12(document)}.json")
    asked = from_exchange(poll)
    asked["request"]["ids"] = {"batch_new": f"{created.stem}#0"}
    stored.put(tmp_path / "r", asked, f"{JOBS}/{stored.key12(asked)}.json")
    processes = [Process(tmp_path, open_log()) for _ in range(3)]
    assert await processes[0].ask(create.request) == f"{JOBS}/{created.name}"
    assert await processes[1].ask(poll.request) == f"{JOBS}/{stored.key12(asked)}.json"
    for process in processes[1:]:
        await process.shared.catch_up()
        assert "batch_new" in process.sessions.own.known_ids


async def test_control_works_on_any_process(folder: Path, open_log: OpenLog) -> None:
    one, two = (Process(folder, open_log()) for _ in range(2))
    await one.tell("POST", "t1/start?folder=checkout&client=worker")
    assert await two.ask(request_for("hello"), "worker") is not None
    assert await one.ask(request_for("never"), "worker") is None
    document = await two.tell("POST", "t1/finish")
    assert document["counts"] == {"missed": 1, "replayed": 1}
    assert len(document["problems"]) == 1  # type: ignore[arg-type]  # a list
    await one.shared.catch_up()
    assert one.sessions.known("t1") is None
    assert two.sessions.known("t1") is None


async def test_a_reset_begins_anew_everywhere(folder: Path, open_log: OpenLog) -> None:
    one, two = (Process(folder, open_log()) for _ in range(2))
    await one.tell("POST", "s/start?folder=checkout")
    assert await two.ask(request_for("hello"), "s") is not None
    await one.tell("POST", "s/reset")
    assert (await two.tell("GET", "s"))["used"] == []
    assert await two.ask(request_for("hello"), "s") is not None
    assert len((await one.tell("GET", "s"))["used"]) == 1  # type: ignore[arg-type]  # a list


async def test_a_reset_that_cannot_be_shared_is_none_here_either(
    folder: Path, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Process(folder, open_log())
    await one.tell("POST", "s/start?folder=checkout")
    assert await one.ask(request_for("hello"), "s") is not None

    async def lost(*_: object) -> None:
        raise SequencesLost("the server is gone")

    monkeypatch.setattr(one.shared, "announce", lost)
    headers = {"host": "127.0.0.1:1", "authorization": "Bearer t"}
    reply = await one.control.handle("POST", "/wiretape/sessions/s/reset", headers)
    assert reply.status == 503
    session = one.sessions.known("s")
    assert session is not None
    assert len(session.used) == 1


async def test_a_problem_reaches_every_session(folder: Path, open_log: OpenLog) -> None:
    one, two = (Process(folder, open_log()) for _ in range(2))
    texts: list[str] = []
    two.shared.notify = texts.append
    await one.shared.announce("problem", "worker 2 ended")
    await two.shared.catch_up()
    assert texts == two.sessions.own.problems == ["worker 2 ended"]


async def test_which_take_of_a_websocket_is_next_is_known_to_all(
    folder: Path, open_log: OpenLog
) -> None:
    one, two = (Process(folder, open_log()) for _ in range(2))
    await two.shared.catch_up()
    one.sessions.own.unshared.append(("socket", "a.json"))
    await one.replayer.share(one.sessions.own)
    await two.shared.catch_up()
    assert two.sessions.own.take_order.order(["a.json", "b.json"]) == ["b.json", "a.json"]

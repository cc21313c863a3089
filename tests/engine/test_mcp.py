"""MCP over streamable HTTP: ids that a client chose decide nothing, sessions and streams do."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from wiretape.config.packs import built_in, providers, rules
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Chunk, Exchange, Headers, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange
from wiretape.core.recording.given_ids import KnownIds, answer_ids, stamp
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.engine.answer import ReplayAnswer
from wiretape.engine.replayer import Replayer
from wiretape.library.library import Library, LocalState
from wiretape.report.report import Report
from wiretape.sessions.sessions import Sessions

JSON: Headers = (("content-type", "application/json"),)
EVENTS: Headers = (("content-type", "text/event-stream"),)


def asking(method: str, message_id: Any = 1, session: str = "", **params: Any) -> Request:
    body = {"jsonrpc": "2.0", "id": message_id, "method": method, "params": params}
    return sending(body, session)


def sending(body: Any, session: str = "") -> Request:
    more = (("mcp-session-id", session),) if session else ()
    data = json.dumps(body).encode()
    return Request("POST", "https", "mcp.example", 443, "/mcp", headers=(*JSON, *more), body=data)


def listening(session: str, last_event_id: str = "") -> Request:
    more = (("last-event-id", last_event_id),) if last_event_id else ()
    headers = (("accept", "text/event-stream"), ("mcp-session-id", session), *more)
    return Request("GET", "https", "mcp.example", 443, "/mcp", headers=headers)


def result(message_id: Any, session: str = "", **members: Any) -> Response:
    more = (("mcp-session-id", session),) if session else ()
    data = json.dumps({"jsonrpc": "2.0", "id": message_id, "result": members}).encode()
    return Response(200, (*JSON, *more), (Chunk(data),))


def stream(*ids: str) -> Response:
    notice = json.dumps({"jsonrpc": "2.0", "method": "notifications/message"})
    blocks = [f"{f'id: {name}\n' if name else ''}data: {notice}\n\n".encode() for name in ids]
    return Response(200, EVENTS, tuple(Chunk(block, 0.1) for block in blocks), streaming=True)


class Folder:
    """A folder of recordings, written as a run of wiretape does, and a replay of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._matcher = Matcher(built_in(), (), tuple(rules(providers())))
        self._redactor = Redactor(RedactionRules(gate="refuse"))
        self._known = KnownIds()
        self._library = self._opened(None)
        self._library.join()
        self._at = datetime(2026, 11, 20, tzinfo=UTC)
        self.replay()

    def _opened(self, name: str | None) -> Library:
        library = Library(
            self._folder / "r",
            self._matcher,
            state=LocalState(self._folder),
            record_mode="append",
        )
        library.load()
        return library

    def add(self, request: Request, response: Response) -> str:
        """Record an exchange; gives the recording's name."""
        self._at += timedelta(microseconds=1)
        at = self._at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        raw = from_exchange(Exchange(request, response, at))
        document, _ = self._redactor.document(raw, self._redactor.secrets(request))
        document["request"] = stamp(document["request"], self._known)
        entry = self._library.write(document, recording_format.dumps(document), {})
        assert entry is not None
        self._known.learn(answer_ids(document), entry.token)
        return entry.name

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a recording, as one that is made anew does."""
        path = self._folder / "r" / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def replay(self) -> None:
        """Begin a run that replays."""
        report = Report("replay")
        sessions = Sessions(self._opened)
        self._replayer = Replayer(sessions, self._matcher, self._redactor, built_in(), report)

    def answered(self, request: Request) -> ReplayAnswer:
        answer = self._asked(request)
        assert answer is not None
        return answer

    def _asked(self, request: Request) -> ReplayAnswer | None:
        prepared = self._replayer.prepare(request)
        return self._replayer.answer(self._replayer.with_current_ids(prepared))

    def misses(self, request: Request) -> bool:
        return self._asked(request) is None

    def value(self, request: Request) -> Any:
        return json.loads(self.answered(request).response.body)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_an_id_decides_nothing_and_the_answer_has_the_live_one(folder: Folder) -> None:
    folder.add(asking("tools/list", 1), result(1, tools=[]))
    folder.replay()
    assert folder.value(asking("tools/list", "x-9")) == {
        "jsonrpc": "2.0",
        "id": "x-9",
        "result": {"tools": []},
    }


def test_what_is_asked_decides(folder: Folder) -> None:
    folder.add(asking("tools/call", 1, name="f", arguments={"id": 1}), result(1))
    folder.replay()
    assert folder.misses(asking("tools/call", 1, name="f", arguments={"id": 2}))
    assert folder.misses(asking("prompts/get", 1, name="f", arguments={"id": 1}))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"id": 1, "method": "m", "params": {"_meta": {"progressToken": 1}}}, None),
        ({"method": "notifications/cancelled", "params": {"requestId": 1}}, None),
        ({"method": "notifications/progress", "params": {"progressToken": 1}}, None),
        ({"id": 1, "result": {"roots": []}}, None),
        (
            {"id": 0, "method": "initialize", "params": {"clientInfo": {"version": "1"}}},
            {"id": 0, "method": "initialize", "params": {"clientInfo": {"version": "2"}}},
        ),
    ],
)
def test_what_a_client_numbers_or_says_of_itself_decides_nothing(
    folder: Folder, old: dict[str, Any], new: dict[str, Any] | None
) -> None:
    other = new or json.loads(json.dumps(old).replace(": 1", ': "other"'))
    assert other != old
    folder.add(sending({"jsonrpc": "2.0", **old}), Response(202))
    folder.replay()
    assert folder.answered(sending({"jsonrpc": "2.0", **other})).response.status == 202


def test_the_requests_of_a_batch_match_by_what_they_ask(folder: Folder) -> None:
    def batch(first: int) -> Request:
        names = enumerate(("a", "b"), first)
        return sending([{"jsonrpc": "2.0", "id": n, "method": name} for n, name in names])

    folder.add(batch(1), Response(202))
    folder.replay()
    assert folder.answered(batch(5)).response.status == 202


def test_each_session_gets_its_own_answers_in_whatever_order_they_ask(folder: Folder) -> None:
    for name in ("first", "second"):
        folder.add(asking("initialize"), result(1, session=f"session-{name}"))
    for name in ("first", "second"):
        session = f"session-{name}"
        folder.add(asking("tools/call", 2, session, name="f"), result(2, session, text=name))
    folder.replay()
    sessions = [
        dict(folder.answered(asking("initialize")).response.headers)["mcp-session-id"]
        for _ in range(2)
    ]
    texts = [
        folder.value(asking("tools/call", 2, session, name="f"))["result"]["text"]
        for session in reversed(sessions)
    ]
    assert texts == ["second", "first"]


def test_a_session_that_no_answer_gave_is_compared_as_it_is_spelled(folder: Folder) -> None:
    folder.add(asking("tools/list", 1, "one"), result(1))
    folder.replay()
    assert folder.misses(asking("tools/list", 1, "other"))
    assert folder.value(asking("tools/list", 2, "one"))["id"] == 2


def test_a_recording_of_an_earlier_version_has_no_session_and_answers_all(folder: Folder) -> None:
    folder.add(asking("initialize"), result(1, session="s1"))
    folder.add(asking("tools/list", 1), result(1))
    folder.replay()
    folder.answered(asking("initialize"))
    assert folder.value(asking("tools/list", 1, "s1"))["id"] == 1


def test_a_session_that_was_begun_anew_has_the_answers_of_the_one_before(folder: Folder) -> None:
    name = folder.add(asking("initialize"), result(1, session="session-old"))
    folder.add(asking("tools/list", 2, "session-old"), result(2))
    folder.edit(name, "session-old", "session-new")
    folder.replay()
    folder.answered(asking("initialize"))
    assert folder.value(asking("tools/list", 2, "session-new"))["id"] == 2


def test_a_stream_is_resumed_where_it_was_though_its_events_have_new_ids(folder: Folder) -> None:
    folder.add(asking("initialize"), result(1, session="s1"))
    name = folder.add(listening("s1"), stream("event-aaaa"))
    folder.add(listening("s1", "event-aaaa"), stream("event-bbbb"))
    folder.edit(name, "event-aaaa", "event-new1")
    folder.replay()
    folder.answered(asking("initialize"))
    first = folder.answered(listening("s1"))
    assert not first.held
    second = folder.answered(listening("s1", "event-new1"))
    assert b"event-bbbb" in second.response.body
    assert second.held


def test_an_answer_in_a_resumed_stream_has_the_id_of_the_request(folder: Folder) -> None:
    folder.add(asking("initialize"), result(1, session="s1"))
    folder.add(asking("tools/call", 2, "s1"), stream("event-aaaa"))
    answer = json.dumps({"jsonrpc": "2.0", "id": 2, "result": {}})
    for last, event in (("event-aaaa", "event-bbbb"), ("event-bbbb", "event-cccc")):
        block = Chunk(f"id: {event}\ndata: {answer}\n\n".encode(), 0.1)
        folder.add(listening("s1", last), Response(200, EVENTS, (block,), streaming=True))
    folder.replay()
    folder.answered(asking("initialize"))
    folder.answered(asking("tools/call", "live", "s1"))
    for last in ("event-aaaa", "event-bbbb"):
        assert b'"id": "live"' in folder.answered(listening("s1", last)).response.body


@pytest.mark.parametrize("ids", [("",), ("event-aaaa",), ()])
def test_a_servers_own_stream_stays_open(folder: Folder, ids: tuple[str, ...]) -> None:
    folder.add(listening("s1"), stream(*ids))
    folder.replay()
    assert folder.answered(listening("s1")).held


def test_other_streams_end_as_they_did(folder: Folder) -> None:
    folder.add(asking("tools/call", 1, "s1"), stream("event-aaaa"))
    folder.replay()
    answer = folder.answered(asking("tools/call", 1, "s1"))
    assert (answer.held, answer.response.end) == (False, "complete")

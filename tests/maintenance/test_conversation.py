"""A recorded conversation is asked again in process, and answers are told by their recordings."""

import json
from pathlib import Path

import pytest

from wiretape.config.load import load
from wiretape.core.errors import FormatError
from wiretape.core.model import (
    Chunk,
    Close,
    Exchange,
    Message,
    Request,
    Response,
    WebSocket,
)
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, from_exchange
from wiretape.core.redaction.redactor import Redactor
from wiretape.maintenance.conversation import (
    NOTHING,
    Answers,
    BeforeAfter,
    RecordedConversation,
    ask_again,
    merged,
    step_of,
    unanswered,
)

VALUE = "q7HsT2mXv9" + "LbWc4RzKp8NdFg"
JSON = (("content-type", "application/json"),)
CONFIG = load(None, {})


def document(target: str, said: str, answer: str, second: int) -> Document:
    body = json.dumps({"say": said}).encode()
    asked = Request("POST", "https", "a.example.org", 443, target, headers=JSON, body=body)
    answered = Response(200, JSON, (Chunk(json.dumps({"got": answer}).encode()),))
    return from_exchange(Exchange(asked, answered, f"2026-11-20T17:30:0{second}Z"))


def socket(sent: str, got: str) -> Document:
    asked = Request("GET", "https", "a.example.org", 443, "/v1/realtime", headers=())
    data = [json.dumps({"type": "t", "say": text}).encode() for text in (got, sent)]
    messages = (Message(data[0], 0.1), Message(data[1], 0.2, sender="client"))
    return from_exchange(
        Exchange(
            asked,
            WebSocket(101, (), messages, streaming=True, close=Close("server", 1000), end_at=1.0),
            "2026-11-20T17:30:00Z",
        )
    )


def write(folder: Path, **documents: Document) -> list[str]:
    (folder / "a.example.org").mkdir(exist_ok=True)
    for name, one in documents.items():
        text = recording_format.dumps(one)
        (folder / "a.example.org" / f"{name}.json").write_text(text)
    return [f"a.example.org/{name}.json" for name in documents]


def test_requests_are_asked_in_the_order_they_were_recorded(tmp_path: Path) -> None:
    later, earlier = document("/x", "a", "2", 5), document("/x", "a", "1", 1)
    names = write(tmp_path, a=later, b=earlier)
    parts = [step_of(name, one) for name, one in zip(names, (later, earlier), strict=True)]
    answers = ask_again(tmp_path, None, parts, CONFIG)
    assert answers.names == (names[1], names[0])
    assert answers.keys.keys() == set(names)


def test_a_request_that_nothing_answers_is_told(tmp_path: Path) -> None:
    (name,) = write(tmp_path, a=document("/x", "a", "1", 1))
    other = step_of(name, document("/x", "b", "1", 1))
    assert ask_again(tmp_path, None, [other], CONFIG).names == (NOTHING,)


def test_the_messages_of_a_websocket_are_asked_too(tmp_path: Path) -> None:
    (name,) = write(tmp_path, a=socket("hello", "welcome"))
    same, other = socket("hello", "welcome"), socket("goodbye", "welcome")
    assert ask_again(tmp_path, None, [step_of(name, same)], CONFIG).names == (name,)
    assert ask_again(tmp_path, None, [step_of(name, other)], CONFIG).names == (NOTHING,)


def test_what_cannot_be_replayed_asks_nothing() -> None:
    broken = document("/x", "a", "1", 1)
    broken["request"]["url"] = "nowhere"
    with pytest.raises(FormatError):
        step_of("a", broken)
    assert (
        RecordedConversation({"a": BeforeAfter(broken, broken)}, Redactor(CONFIG.redaction)).order
        == []
    )


def own(*parts: tuple[Document, Document]) -> list[str]:
    redactor = Redactor(CONFIG.redaction, remember=True)
    redactor.remember([("tok", VALUE)])
    named = {f"{number}": BeforeAfter(*part) for number, part in enumerate(parts)}
    return [
        json.loads(request.request.body)["say"]
        for recording in RecordedConversation(named, redactor).own()
        for request in recording.requests
    ]


def test_a_client_sends_a_placeholder_only_where_it_was_given_the_value_before() -> None:
    redactor = Redactor(CONFIG.redaction, remember=True)
    redactor.remember([("tok", VALUE)])

    def both(said: str, answer: str, second: int) -> tuple[Document, Document]:
        before = document("/x", said, answer, second)
        return before, redactor.document(before)[0]

    first, gives, later = both(VALUE, "", 1), both("a", VALUE, 2), both(VALUE, "", 3)
    placeholder = later[1]["request"]["body"]["say"]
    assert placeholder.startswith("REDACTED-")
    assert own(first, gives, later) == [VALUE, "a", placeholder]


def test_what_would_be_answered_otherwise_is_told() -> None:
    was = Answers(("a", "b", NOTHING, "d", "e"))
    now = Answers(("a2", NOTHING, "c", "x", "e"))
    told = dict(unanswered(["a", "b", "c", "d", "e"], {"a": "a2"}, was, now))
    assert told == {"b": "would stop answering", "d": "its request would get x"}


def test_requests_that_would_become_one_are_told() -> None:
    was = Answers((), {"a": "1", "b": "2", "c": "3", "d": "3"})
    now = Answers((), {"a2": "9", "b": "9", "c": "8", "d": "8"})
    told = dict(merged({"a": "a2"}, was, now))
    assert list(told) == ["b"]

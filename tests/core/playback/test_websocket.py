"""A recorded conversation taken up again, message by message."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from wiretape.config.packs import built_in
from wiretape.core.errors import FormatError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.rule import Rule
from wiretape.core.model import Close, End, Message, Response, Sender, WebSocket
from wiretape.core.playback.websocket import (
    ConnectionEnd,
    Due,
    LockStep,
    MessageMatcher,
    Mismatch,
    Step,
)
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules

URL = "https://api.openai.com/v1/realtime?model=gpt-realtime"
KEY = "sk-proj-Xy12kd93mfAq77LpQz0aVb3n"


def message(sender: Sender, value: Any, at: float | None = None) -> Message:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Message(data, at, sender, isinstance(value, bytes))


def from_client(value: Any, at: float | None = None) -> Message:
    return message("client", value, at)


def from_server(value: Any, at: float | None = None) -> Message:
    return message("server", value, at)


BYE = Close("client")


def talk(*messages: Message, close: Close | None = BYE, end: End = "complete") -> WebSocket:
    return WebSocket(
        101, (), messages, streaming=True, end=end, headers_at=0.25, end_at=9.0, close=close
    )


def lock(takes: Mapping[str, Response], *rules: Rule, secret: str | None = None) -> LockStep:
    redactor = Redactor(
        RedactionRules(patterns=(), values=(("api-key", secret),) if secret else ())
    )
    messages = MessageMatcher(Matcher(built_in(), rules=rules), redactor)
    return LockStep(list(takes), takes.__getitem__, messages.of(URL, "/v1/realtime"))


CREATED = from_server({"type": "session.created"}, 0.5)
UPDATE = from_client({"type": "session.update", "session": {"voice": "ash"}}, 0.5)
UPDATED = from_server({"type": "session.updated"}, 0.75)
ASK = from_client({"type": "response.create"}, 1.0)
DONE = from_server({"type": "response.done"}, 3.5)


def test_the_providers_messages_wait_for_the_clients_before_them() -> None:
    steps = lock({"a": talk(CREATED, UPDATE, UPDATED, ASK, DONE)})
    assert steps.begin() == Step((Due(CREATED, 0.25),))
    assert steps.feed(UPDATE) == Step((Due(UPDATED, 0.25),))
    assert not steps.is_over
    assert steps.feed(ASK) == Step((Due(DONE, 2.5),))
    assert steps.is_over


def test_the_providers_closing_frame_is_due_after_its_last_message() -> None:
    close = Close("server", 1011, "overloaded")
    steps = lock({"a": talk(ASK, DONE, close=close)})
    assert steps.begin() == Step(())
    assert steps.feed(ASK) == Step((Due(DONE, 2.5),), ConnectionEnd(close, 8.0))


def test_a_connection_that_broke_off_ends_without_a_closing_frame() -> None:
    steps = lock({"a": talk(ASK, close=None, end="cut")})
    steps.begin()
    assert steps.feed(ASK) == Step((), ConnectionEnd(None, 8.0))


@pytest.mark.parametrize(("close", "end"), [(Close("client"), "complete"), (None, "client-closed")])
def test_where_the_client_ended_the_connection_it_is_the_clients_to_end(
    close: Close | None, end: End
) -> None:
    assert lock({"a": talk(CREATED, close=close, end=end)}).begin().ending is None


def test_a_provider_that_speaks_only_first_ends_at_once() -> None:
    close = Close("server", 4000)
    assert lock({"a": talk(CREATED, close=close)}).begin().ending == ConnectionEnd(close, 8.75)


def test_messages_without_times_are_due_at_once() -> None:
    steps = lock({"a": talk(from_client({"a": 1}), from_server({"b": 1}))})
    steps.begin()
    assert steps.feed(from_client({"a": 1})) == Step((Due(from_server({"b": 1}), 0.0),))


def test_spelling_and_order_of_members_do_not_count() -> None:
    steps = lock({"a": talk(UPDATE)})
    live = Message(b'{"session":{"voice":"ash"},"type":"session.update"}', None, "client")
    assert isinstance(steps.feed(live), Step)


def test_the_name_a_client_gives_its_message_does_not_count() -> None:
    steps = lock({"a": talk(from_client({"type": "response.create", "event_id": "event_1"}))})
    assert isinstance(
        steps.feed(from_client({"type": "response.create", "event_id": "event_2"})), Step
    )


def test_a_message_that_differs_is_told_with_its_place_and_both_values() -> None:
    steps = lock({"a": talk(UPDATE)})
    mismatch = steps.feed(from_client({"type": "session.update", "session": {"voice": "sage"}}))
    assert isinstance(mismatch, Mismatch)
    assert [(d.path, d.got, d.recorded) for d in mismatch.differences] == [
        ("body.session.voice", "sage", "ash")
    ]
    assert mismatch.reason == (
        "no recording has client message 1 (session.update): a differs in body.session.voice"
    )


def test_a_message_after_the_last_recorded_one_is_told_as_that() -> None:
    steps = lock({"a": talk(UPDATE)})
    steps.feed(UPDATE)
    mismatch = steps.feed(ASK)
    assert isinstance(mismatch, Mismatch)
    assert mismatch.reason == (
        "no recording has client message 2 (response.create): a ends before it"
    )
    assert mismatch.candidates == ()


def test_text_and_bytes_are_compared_as_they_are() -> None:
    recorded = talk(Message(b"hello", None, "client"), from_client(b"\x00\xff"))
    steps = lock({"a": recorded})
    assert isinstance(steps.feed(Message(b"hello", None, "client")), Step)
    assert isinstance(steps.feed(from_client(b"\x00\xfe")), Mismatch)


def test_a_rule_of_the_path_ignores_a_member_of_a_message() -> None:
    def metadata(value: Any) -> list[tuple[str | int, ...]]:
        return [("metadata",)] if isinstance(value, dict) and "metadata" in value else []

    rule = Rule("run", path="/v1/realtime", ignore=(metadata,))
    steps = lock({"a": talk(from_client({"type": "x", "metadata": 1}))}, rule)
    assert isinstance(steps.feed(from_client({"type": "x", "metadata": 2})), Step)


def test_a_secret_in_a_message_meets_its_placeholder() -> None:
    redactor = Redactor(RedactionRules(patterns=(), values=(("api-key", KEY),)))
    stored = redactor.document(
        {
            "request": {"method": "GET", "url": URL, "headers": {}},
            "response": {"headers": {}, "body": [{"__data__": {"type": "x", "auth": KEY}}]},
        }
    )[0]["response"]["body"][0]["__data__"]
    assert KEY not in str(stored)
    steps = lock({"a": talk(from_client(stored))}, secret=KEY)
    assert isinstance(steps.feed(from_client({"type": "x", "auth": KEY})), Step)


# ------------------------------------------------------------------ several takes

ONE, TWO = from_client({"type": "say", "n": 1}, 0.5), from_client({"type": "say", "n": 2}, 0.5)
FIRST = from_server({"type": "answer", "id": "first"}, 0.6)
SECOND = from_server({"type": "answer", "id": "second"}, 0.6)


def test_a_connection_goes_over_to_the_take_in_which_the_same_was_said() -> None:
    steps = lock({"a": talk(CREATED, ONE, FIRST), "b": talk(CREATED, TWO, SECOND)})
    steps.begin()
    step = steps.feed(TWO)
    assert isinstance(step, Step)
    assert [due.message for due in step.due] == [SECOND]
    assert steps.recording == "b"


def test_a_take_in_which_the_provider_said_other_things_is_not_gone_over_to() -> None:
    other = talk(from_server({"type": "error"}), TWO, SECOND)
    steps = lock({"a": talk(CREATED, ONE, FIRST), "b": other})
    steps.begin()
    assert isinstance(steps.feed(TWO), Mismatch)


def test_a_take_in_which_the_client_said_other_things_before_is_not_gone_over_to() -> None:
    steps = lock({"a": talk(ONE, FIRST, ONE), "b": talk(TWO, FIRST, TWO, SECOND)})
    steps.feed(ONE)
    mismatch = steps.feed(TWO)
    assert isinstance(mismatch, Mismatch)
    assert [name for name, _ in mismatch.candidates] == ["a"]


def test_a_mismatch_has_the_message_of_each_take() -> None:
    steps = lock({"a": talk(ONE), "b": talk(TWO)})
    mismatch = steps.feed(from_client({"type": "say", "n": 3}))
    assert isinstance(mismatch, Mismatch)
    assert [name for name, _ in mismatch.candidates] == ["a", "b"]


def test_a_take_that_is_no_websocket_is_passed_over() -> None:
    steps = lock({"a": talk(ONE), "b": Response(200)})
    assert isinstance(steps.feed(TWO), Mismatch)


def test_the_first_take_has_to_be_a_websocket() -> None:
    with pytest.raises(FormatError, match="expected the recording of a WebSocket"):
        lock({"b": Response(200)})

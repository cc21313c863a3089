"""Whose a line of a server is, by ids and tokens, and how its conversation ends."""

import json
from typing import Any

import pytest

from wiretape.core.capture.stdio import (
    FRESH,
    StdioConversation,
    StdioConversations,
    request_of,
)
from wiretape.core.capture.websocket import WebSocketRecorder
from wiretape.core.model import WebSocket, header
from wiretape.core.wire import jsonrpc


def line(message: Any) -> bytes:
    return json.dumps(message).encode() + b"\n"


def asking(message_id: Any, method: str = "tools/call", **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message_id, "method": method, "params": params}


def answer(message_id: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message_id, "result": {}}


def notice(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


class Talks:
    """Conversations, and what the sides say in them."""

    def __init__(self) -> None:
        self.all = StdioConversations()
        self.now = 0.0

    def client(self, message: Any) -> StdioConversation:
        text, messages = line(message), jsonrpc.messages(line(message))
        recorder = WebSocketRecorder(request_of("/x", text, messages, FRESH))
        conversation = StdioConversation(recorder=recorder, began=self.now)
        self.all.open(conversation, messages, "state-1")
        return conversation

    def server(self, *messages: Any) -> bool:
        """Whether all of it belongs to a conversation."""
        belong = True
        for message in messages:
            data = message if isinstance(message, bytes) else line(message)
            belong &= self.all.server_line(data, jsonrpc.messages(data), self.now)
        return belong

    def reply(self, message: Any) -> StdioConversation | None:
        messages = jsonrpc.messages(line(message))
        if (conversation := self.all.asking(messages)) is not None:
            self.all.reply(conversation, line(message), messages, self.now)
        return conversation


def spoken(conversation: StdioConversation) -> list[Any]:
    return [json.loads(data) for data, _ in conversation.recorder.reads]


@pytest.mark.parametrize("method", ["initialize", "ping", "logging/setLevel"])
def test_what_does_not_depend_on_calls_has_no_state(method: str) -> None:
    data = line(asking(1, method))
    assert (
        header(request_of("/x", data, jsonrpc.messages(data), "s").headers, "mcp-session-id")
        is None
    )


@pytest.mark.parametrize(
    ("message", "target"),
    [
        (asking(1, "tools/list"), "/x/tools/list?a=1"),
        (notice("notifications/initialized"), "/x/notifications/initialized?a=1"),
        ([asking(1), asking(2)], "/x/batch?a=1"),
        (answer(1), "/x?a=1"),
        ("text", "/x?a=1"),
    ],
)
def test_a_request_is_named_by_its_method(message: Any, target: str) -> None:
    data = line(message)
    request = request_of("/x?a=1", data, jsonrpc.messages(data), "s")
    assert request.target == target
    assert request.body + b"\n" == data


def test_an_answer_is_its_requests_whenever_it_comes() -> None:
    talks = Talks()
    first, second = talks.client(asking(1)), talks.client(asking("1"))
    talks.server(answer("1"), answer(1))
    assert (spoken(first), spoken(second)) == ([answer(1)], [answer("1")])


def test_progress_is_told_by_its_token_and_else_is_the_latest_requests() -> None:
    talks = Talks()
    first = talks.client(asking(1, _meta={"progressToken": "t"}))
    second = talks.client(asking(2))
    progress = notice("notifications/progress", progressToken="t")
    talks.server(progress, notice("notifications/message"))
    assert (spoken(first), spoken(second)) == ([progress], [notice("notifications/message")])


def test_what_follows_an_answer_is_of_the_latest_message() -> None:
    talks = Talks()
    first = talks.client(asking(1))
    talks.server(answer(1))
    second = talks.client(notice("notifications/initialized"))
    talks.server(notice("n"))
    assert (spoken(first), spoken(second)) == ([answer(1)], [notice("n")])


def test_what_comes_before_the_client_has_spoken_comes_first() -> None:
    talks = Talks()
    talks.server(b"Hello!\n")
    first = talks.client(asking(1))
    talks.server(answer(1))
    assert [data for data, _ in first.recorder.reads] == [b"Hello!", line(answer(1)).strip()]


def test_a_reply_is_in_the_conversation_that_asks_for_it() -> None:
    talks = Talks()
    first = talks.client(asking(1))
    talks.server(asking("s", "roots/list"))
    assert talks.reply(answer("other")) is None
    assert talks.reply(answer("s")) is first
    talks.server(answer(1))
    response = first.recorder.finish(first.outcome(server_left=False), 1.0).response
    assert isinstance(response, WebSocket)
    assert [message.sender for message in response.messages] == ["server", "client", "server"]
    assert response.close is not None


def test_requests_of_the_server_are_dealt_to_those_that_wait() -> None:
    talks = Talks()
    first, second = talks.client(asking(1)), talks.client(asking(2))
    talks.server(asking("a", "roots/list"), asking("b", "roots/list"))
    assert (talks.reply(answer("b")), talks.reply(answer("a"))) == (second, first)


def test_they_are_taken_in_the_order_they_began() -> None:
    talks = Talks()
    first, second = talks.client(asking(1)), talks.client(asking(2))
    talks.server(answer(2))
    assert talks.all.take_over() == []
    talks.server(answer(1))
    assert talks.all.take_over() == [first, second]
    assert talks.all.take_all() == []


def test_one_whose_server_asks_is_not_over_unless_it_takes_that_back() -> None:
    talks = Talks()
    first = talks.client(asking(1))
    talks.server(asking("s", "roots/list"), answer(1))
    assert talks.all.take_over() == []
    talks.server(notice("notifications/cancelled", requestId="s"))
    assert talks.all.take_over() == [first]


@pytest.mark.parametrize(("server_left", "outcome"), [(True, "cut"), (False, "client-closed")])
def test_a_request_without_an_answer_says_who_left(server_left: bool, outcome: str) -> None:
    first = Talks().client(asking(1))
    assert first.outcome(server_left=server_left) == outcome


def test_a_cancelled_request_is_over_and_its_late_answer_nobodys() -> None:
    talks = Talks()
    first = talks.client(asking(1))
    second = talks.client(notice("notifications/cancelled", requestId=1))
    assert talks.server(answer(1))
    assert (spoken(first), spoken(second)) == ([], [])
    assert talks.all.take_over() == [first, second]
    assert first.outcome(server_left=True) == "client-closed"
    assert second.outcome(server_left=True) == "ended"


def test_only_a_call_makes_a_state() -> None:
    talks = Talks()
    states = [
        header(talks.client(message).recorder.headers, "mcp-session-id")
        for message in (asking(1), asking(2, "tools/list"), notice("n"))
    ]
    assert states == ["state-1", None, None]


def test_what_is_not_utf8_is_binary() -> None:
    talks = Talks()
    first = talks.client(asking(1))
    talks.server(b"\xff\n", answer(1))
    response = first.recorder.finish(first.outcome(server_left=False), 1.0).response
    assert isinstance(response, WebSocket)
    assert [message.binary for message in response.messages] == [True, False]


def test_an_answer_to_what_was_not_asked_is_nobodys() -> None:
    talks = Talks()
    first = talks.client(asking(1))
    assert not talks.server(answer(2))
    assert talks.server(answer(1))
    assert not talks.server(answer(1))
    assert spoken(first) == [answer(1)]


def test_an_error_that_names_no_request_is_the_latest_messages() -> None:
    talks = Talks()
    first = talks.client("no message")
    unread = {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}}
    assert talks.server(unread)
    assert spoken(first) == [unread]

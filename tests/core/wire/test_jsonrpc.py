"""Which JSON-RPC message answers which, and an answer with the ids of another run."""

import json
from typing import Any

import pytest

from wiretape.core.wire.jsonrpc import Renaming, answers_all, is_mcp, messages, spelled

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "f"}}


def line(message: Any) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def event(message: Any) -> bytes:
    return b"event: message\ndata: " + line(message) + b"\n\n"


def result(message_id: Any, **members: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message_id, "result": members}


def progress(token: Any) -> dict[str, Any]:
    params = {"progressToken": token, "progress": 0.5}
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}


def asking(message_id: Any, token: Any = None) -> bytes:
    params: dict[str, Any] = {"name": "f"}
    if token is not None:
        params["_meta"] = {"progressToken": token}
    return line({**CALL, "id": message_id, "params": params})


def renaming(old: bytes, new: bytes) -> Renaming:
    made = Renaming.between(old, new)
    assert made is not None
    return made


@pytest.mark.parametrize(
    "text", ["", "null", "[]", '{"jsonrpc": "1.0"}', '[{"jsonrpc": "2.0"}, 1]', '{"jsonrpc": "2.0"']
)
def test_what_is_no_message_gives_none(text: str) -> None:
    assert messages(text) == ()


def test_a_batch_gives_its_messages_in_order() -> None:
    assert messages(line([CALL, {**CALL, "id": 2}])) == (CALL, {**CALL, "id": 2})


def test_an_id_of_digits_is_not_the_number() -> None:
    assert spelled(1) != spelled("1")


@pytest.mark.parametrize(
    ("events", "answered"),
    [
        ([result(1)], True),
        ([progress("t"), result(1)], True),
        ([{"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": ""}}], True),
        ([progress("t")], False),
        ([result("1")], False),
        ([{"jsonrpc": "2.0", "id": 1, "method": "ping"}], False),
        ([], False),
    ],
)
def test_a_stream_answers_its_request_by_id(events: list[Any], answered: bool) -> None:
    assert answers_all(line(CALL), map(event, events)) is answered


def test_a_batch_is_answered_when_each_of_its_requests_is() -> None:
    batch = line([CALL, {**CALL, "id": 2}, {"jsonrpc": "2.0", "method": "n"}])
    assert not answers_all(batch, [event(result(1))])
    assert answers_all(batch, [event(result(2)), event(result(1))])


def test_a_notice_has_no_answer_to_wait_for() -> None:
    assert not answers_all(line({"jsonrpc": "2.0", "method": "n"}), [event(result(1))])


@pytest.mark.parametrize(("old", "new"), [(1, 7), (1, "1"), ("a", 2)])
def test_an_answer_has_the_id_of_the_request_it_answers(old: Any, new: Any) -> None:
    made = renaming(asking(old), asking(new))
    assert made.whole(line(result(old, x=1))) == line(result(new, x=1))
    assert made.event(event(result(old))) == event(result(new))


def test_equal_ids_change_nothing_whatever_else_differs() -> None:
    assert Renaming.between(asking(1), asking(1)) is None
    assert Renaming.between(asking(1), asking(1) + b" ") is None
    assert Renaming.between(b'{"model":"m"}', b'{"model":"n"}') is None


def test_progress_is_told_by_the_token_of_the_request() -> None:
    made = renaming(asking(1, "t1"), asking(1, "t2"))
    assert made.event(event(progress("t1"))) == event(progress("t2"))
    assert made.event(event(progress("other"))) == event(progress("other"))


def test_a_request_of_the_servers_keeps_its_own_id() -> None:
    made = renaming(asking(1), asking(7))
    own = event({"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": {}})
    assert made.event(own) == own


def test_a_subscriptions_notices_name_the_request_that_opened_it() -> None:
    made = renaming(asking(1), asking(7))

    def notice(number: int) -> bytes:
        meta = {"io.modelcontextprotocol/subscriptionId": number}
        return event({"jsonrpc": "2.0", "method": "n", "params": {"_meta": meta}})

    assert made.event(notice(1)) == notice(7)


def test_the_answers_to_a_batch_are_told_apart() -> None:
    old = line([CALL, {**CALL, "id": 2}])
    made = renaming(old, line([{**CALL, "id": 2}, {**CALL, "id": 1}]))
    assert made.whole(line([result(1, a=1), result(2, b=2)])) == line(
        [result(2, a=1), result(1, b=2)]
    )


@pytest.mark.parametrize("style", [{"indent": 2}, {"separators": (", ", ": ")}, {}])
def test_only_the_id_changes_of_an_answers_bytes(style: dict[str, Any]) -> None:
    made = renaming(asking(1), asking(7))
    old, new = (json.dumps(result(n, text="id 1"), **style).encode() for n in (1, 7))
    assert made.whole(old) == new


def test_an_answer_in_several_lines_of_data_is_one_line_with_another_id() -> None:
    made = renaming(asking(1), asking(7))
    block = b'id: 5\ndata: {"jsonrpc":"2.0",\ndata: "id":1,"result":{}}\n\n'
    assert made.event(block) == b'id: 5\ndata: {"jsonrpc":"2.0","id":7,"result":{}}\n\n'


@pytest.mark.parametrize("body", [b"", b'{"jsonrpc" \xff', b'"jsonrpc"', b": ping\n\n"])
def test_what_cannot_be_read_stays_as_it_is(body: bytes) -> None:
    made = renaming(asking(1), asking(7))
    assert made.whole(body) == made.event(body) == body


def test_a_client_of_mcp_is_known_by_its_headers() -> None:
    assert is_mcp((("Mcp-Session-Id", "s"),))
    assert not is_mcp((("accept", "text/event-stream"),))

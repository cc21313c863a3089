"""The recorder of a WebSocket: its messages with their times, its end, and its limit."""

import pytest

from wiretape.core.capture.websocket import WebSocketRecorder
from wiretape.core.model import Close, Message, Request, WebSocket

REQUEST = Request("GET", "wss", "h", 443, "/v1/realtime")


def recorder(max_body: int = 10_000) -> WebSocketRecorder:
    recorder = WebSocketRecorder(REQUEST, max_body)
    recorder.status = 101
    return recorder


def finished(recorder: WebSocketRecorder) -> WebSocket:
    response = recorder.finish("ended", 9.0).response
    assert isinstance(response, WebSocket)
    return response


def test_messages_keep_sender_kind_and_time() -> None:
    connection = recorder()
    connection.message("client", b"hi", 1.0, binary=False)
    connection.message("server", b"\xff", 2.0, binary=True)
    assert connection.first_chunk_at == 2.0
    assert finished(connection).chunks == (
        Message(b"hi", 1.0, "client", False),
        Message(b"\xff", 2.0, "server", True),
    )


@pytest.mark.parametrize(
    ("sender", "code", "outcome", "close"),
    [
        ("server", 1000, "ended", Close("server", 1000, "bye")),
        ("client", 1005, "ended", Close("client", None, "bye")),
        ("client", 1006, "client-closed", None),
        ("server", 1006, "cut", None),
    ],
)
def test_a_close_without_a_frame_is_a_cut(
    sender: str, code: int, outcome: str, close: Close | None
) -> None:
    connection = recorder()
    assert connection.closed(sender, code, "bye") == outcome  # type: ignore[arg-type]  # a Sender
    assert connection.close == close


def test_many_empty_messages_count_too_and_nothing_is_left_of_a_large_one() -> None:
    connection = recorder(max_body=1000)
    for _ in range(5):
        connection.message("server", b"", 1.0, binary=False)
    assert connection.unrecorded is not None
    assert finished(connection).chunks == ()


def test_a_refused_upgrade_is_an_answer_like_any_other() -> None:
    connection = recorder()
    connection.status = 401
    assert not connection.is_open
    assert not isinstance(connection.finish("ended", 1.0).response, WebSocket)

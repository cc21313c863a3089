"""How answers are spelled: chunks that a reader puts together again, heads, what leaves at once."""

from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.model import Chunk, Headers, Response
from wiretape.core.wire.http1 import (
    PIECE,
    framed,
    in_chunks,
    is_ready,
    is_whole,
    joined,
    ready_head,
)

JSON = (("content-type", "application/json"),)


def stream(*texts: bytes, **more: Any) -> Response:
    chunks = tuple(Chunk(text, 0.0) for text in texts)
    return Response(200, JSON, chunks, streaming=True, **more)


def read(head: bytes, body: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """What h11 makes of an answer: its body and its trailers."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(head + b"x\r\n\r\n" + body)
    assert isinstance(connection.next_event(), h11.Response)
    text = b""
    while isinstance(event := connection.next_event(), h11.Data):
        text += event.data
    assert isinstance(event, h11.EndOfMessage)
    return text, list(event.headers)


@given(st.lists(st.binary(max_size=40), max_size=6), st.sampled_from([(), (("x-sum", "7"),)]))
def test_a_stream_is_put_together_again(texts: list[bytes], trailers: Headers) -> None:
    answer = stream(*texts, trailers=trailers)
    body, ends = read(ready_head(answer, JSON, "a.json", 0), b"".join(in_chunks(answer)))
    assert body == b"".join(texts)
    assert ends == [(name.encode(), value.encode()) for name, value in trailers]


def test_a_cut_stream_has_no_last_chunk() -> None:
    assert b"".join(in_chunks(stream(b"ab", end="cut"))) == b"2\r\nab\r\n"


def test_a_large_chunk_leaves_in_pieces() -> None:
    pieces = list(framed(b"x" * (2 * PIECE + 1)))
    assert max(map(len, pieces)) == PIECE
    assert b"".join(pieces) == b"%x\r\n" % (2 * PIECE + 1) + b"x" * (2 * PIECE + 1) + b"\r\n"


def test_small_parts_are_joined() -> None:
    assert [len(piece) for piece in joined([b"x" * (PIECE // 2)] * 5)] == [PIECE, PIECE, PIECE // 2]


def test_a_head_says_the_length_and_the_recording() -> None:
    head = ready_head(Response(299), (("content-length", "9"), ("x-a", "\udcff")), "a é.json", 3)
    assert head == (
        b"HTTP/1.1 299 \r\nx-a: \xff\r\nx-wiretape: replay a%20%C3%A9.json\r\nServer: wiretape\r\n"
        b"Content-Length: 3\r\nDate: "
    )


@pytest.mark.parametrize(
    ("answer", "leaves"),
    [
        (Response(200, JSON, (Chunk(b"{}", 0.0),)), True),
        (Response(200, JSON, (Chunk(b"{}", 0.0),), end="cut"), False),
        (Response(200, JSON, (Chunk(b"x" * (PIECE + 1), 0.0),)), False),
        (Response(204), False),
        (Response(101), False),
        (stream(b"a"), True),
        (stream(b"a", end="reset"), False),
        (stream(b"a", trailers=(("x", "y"),)), False),
    ],
)
def test_what_may_leave_at_once(answer: Response, leaves: bool) -> None:
    assert is_ready(answer) is leaves
    if not answer.streaming and answer.status == 200:
        assert is_whole(answer) is leaves

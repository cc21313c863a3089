"""Which answers the index keeps, and how they leave."""

from dataclasses import replace

import pytest

from wiretape.core.cost.usage import Usage
from wiretape.core.model import Chunk, Response
from wiretape.core.wire.http1 import in_chunks
from wiretape.library.direct_answer import MOST_BYTES, direct_answer

JSON = ("content-type", "application/json")
WHOLE = Response(200, (JSON,), (Chunk(b'{"usage":{"input_tokens":3,"output_tokens":4}}', 0.1),))
EVENTS = (Chunk(b"data: 1\n\n", 0.1), Chunk(b"data: [DONE]\n\n", 0.2))
STREAM = Response(200, (("content-type", "text/event-stream"),), EVENTS, streaming=True)
NAME = "h.example/v1/3f2a00112233.json"


def test_a_whole_answer_is_kept_with_its_usage() -> None:
    answer = direct_answer(NAME, WHOLE, ())
    assert answer is not None
    assert (answer.body, answer.status, answer.chunks) == (WHOLE.body, 200, None)
    assert answer.usage == Usage(3, 4)
    assert answer.head.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
    assert b"Content-Length: %d\r\nDate: " % len(WHOLE.body) in answer.head


def test_a_stream_is_kept_in_chunks() -> None:
    answer = direct_answer(NAME, STREAM, ())
    assert answer is not None
    assert (answer.body, answer.chunks) == (b"".join(in_chunks(STREAM)), 2)
    assert answer.usage is None
    assert answer.head.endswith(b"Transfer-Encoding: chunked\r\nDate: ")


@pytest.mark.parametrize(
    ("why", "response"),
    [
        ("an outage", replace(WHOLE, status=503)),
        ("an error", replace(WHOLE, status=400)),
        ("part of a whole", replace(WHOLE, status=206)),
        ("without a body", Response(204)),
        ("cut", replace(WHOLE, end="cut")),
        ("never answered", replace(WHOLE, end="failed")),
        ("a stream that was cut", replace(STREAM, end="reset")),
        ("trailers", replace(STREAM, trailers=(("x-sum", "7"),))),
        ("coded", replace(WHOLE, coding="gzip")),
        ("varies", replace(WHOLE, headers=(JSON, ("vary", "x-mode")))),
        ("leads elsewhere", replace(WHOLE, headers=(JSON, ("location", "/v1/files/1")))),
        ("leads to a host", replace(WHOLE, headers=(JSON, ("x-next", "https://h.example/2")))),
        ("large", replace(WHOLE, chunks=(Chunk(b"x" * MOST_BYTES, 0.1),))),
        ("a large head", replace(WHOLE, headers=(("x-a", "x" * MOST_BYTES),))),
    ],
)
def test_what_depends_on_more_than_the_request_is_not_kept(why: str, response: Response) -> None:
    assert direct_answer(NAME, response, ()) is None, why


def test_later_takes_and_folders_of_a_run_are_not_kept() -> None:
    assert direct_answer("h.example/v1/3f2a00112233.2.json", WHOLE, ()) is None
    assert direct_answer(NAME, WHOLE, ("cwd",)) is None

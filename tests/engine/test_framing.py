"""Answers as aiohttp is given them."""

import pytest

from wiretape.core.model import Chunk, Response
from wiretape.core.wire.http1 import in_chunks
from wiretape.engine import framing
from wiretape.engine.framing import ChunkedBodies, connection_headers


def stream(*texts: bytes) -> Response:
    return Response(200, (), tuple(Chunk(text, 0.0) for text in texts), streaming=True)


def test_chunked_bodies_are_those_of_their_answer_and_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(framing, "_MOST_CACHED", 2)
    bodies, answers = ChunkedBodies(), [stream(b"%d" % number) for number in range(4)]
    for answer in answers:
        assert bodies.of("a.json", answer) == (b"".join(in_chunks(answer)),), "another answer"
    for number, answer in enumerate(answers):
        bodies.of(f"{number}.json", answer)
    assert len(bodies._cached) == 2
    large = stream(b"x" * (1 << 20), b"y")
    assert not isinstance(bodies.of("large.json", large), tuple)
    assert b"".join(bodies.of("large.json", large)) == b"".join(in_chunks(large))


@pytest.mark.parametrize(
    "name", ["Connection", "Keep-Alive", "Transfer-Encoding", "Date", "Server"]
)
def test_headers_of_a_connection_are_not_passed_on(name: str) -> None:
    sent = connection_headers(((name, "x"), ("set-cookie", "a"), ("set-cookie", "b")))
    assert list(sent.items()) == [("set-cookie", "a"), ("set-cookie", "b"), ("Server", "wiretape")]

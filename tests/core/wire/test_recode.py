"""A client that accepts the coding of an answer gets it again; its chunks stay where they were."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wiretape.core.model import Chunk, End, Headers, Response
from wiretape.core.wire.content_coding import decoder
from wiretape.core.wire.recode import accepts, recoded

SSE: Headers = (("content-type", "text/event-stream"),)


def answer(coding: str | None, *chunks: bytes, end: End = "complete") -> Response:
    made = tuple(Chunk(data, 0.1) for data in chunks)
    return Response(200, SSE, made, streaming=True, end=end, coding=coding)


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=300), min_size=1, max_size=6),
    st.lists(st.sampled_from(["gzip", "x-gzip", "deflate", "br", "zstd"]), min_size=1, max_size=3),
)
def test_each_coded_chunk_says_one_chunk(chunks: list[bytes], names: list[str]) -> None:
    headers, coded = recoded(answer(", ".join(names), *chunks), "gzip, deflate, br, zstd")
    sent = dict(headers)["content-encoding"].split(", ")
    undo = decoder(sent)
    assert [undo.decode(data) for data in coded] == chunks
    assert undo.flush() == b""
    assert sent == [name.removeprefix("x-") for name in names]


def test_a_client_that_does_not_accept_the_coding_gets_the_body_as_it_is() -> None:
    assert recoded(answer("br", b"a", b"b"), "gzip") == (SSE, (b"a", b"b"))
    assert recoded(answer("gzip, br", b"a"), "gzip") == (SSE, (b"a",))
    assert recoded(answer("gzip", b"a"), None) == (SSE, (b"a",))


def test_an_answer_that_had_no_coding_gets_none() -> None:
    assert recoded(answer(None, b"a"), "gzip") == (SSE, (b"a",))


def test_a_coding_that_is_not_known_is_not_put_on() -> None:
    assert recoded(answer("sdch", b"a"), "*") == (SSE, (b"a",))


def test_an_answer_without_a_body_gets_no_coding() -> None:
    assert recoded(answer("gzip"), "gzip") == (SSE, ())


def test_an_answer_that_was_cut_lacks_the_codings_end() -> None:
    _, coded = recoded(answer("gzip", b"a", b"b", end="cut"), "gzip")
    undo = decoder(["gzip"])
    assert [undo.decode(data) for data in coded] == [b"a", b"b"]
    with pytest.raises(ValueError, match="compressed data ends early"):
        undo.flush()


@pytest.mark.parametrize(
    ("accept", "coding", "expected"),
    [
        ("gzip", "gzip", True),
        ("GZip", "gzip", True),
        ("x-gzip", "gzip", True),
        ("br, gzip;q=0.5", "gzip", True),
        ("gzip;q=0", "gzip", False),
        ("gzip; q=0.0, *", "gzip", False),
        ("*", "zstd", True),
        ("*;q=0", "zstd", False),
        ("identity", "gzip", False),
        ("", "gzip", False),
        (None, "gzip", False),
        ("gzip;q=2", "gzip", False),
        ("gzip;q=nan", "gzip", False),
        ("gzip;level=9", "gzip", True),
    ],
)
def test_what_a_client_accepts(accept: str | None, coding: str, expected: bool) -> None:
    assert accepts(accept, coding) is expected

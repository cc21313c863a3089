"""Content codings are decoded read by read, and encoded chunk by chunk for who accepts them."""

import contextlib
import gzip
import tracemalloc
import zlib

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from wiretape.core.model import Chunk, End, Headers, Request, Response
from wiretape.core.wire.content_coding import (
    TooLarge,
    accepts,
    codings,
    decoded,
    decoder,
    encode,
    plain_request,
)

TEXT = "data: {“a”: 1}\n\n".encode() * 50


def raw_deflate(data: bytes, level: int = 9) -> bytes:
    deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush()


ENCODERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "identity": bytes,
}
CODED = [pytest.param(name, compress(TEXT), id=name) for name, compress in ENCODERS.items()]
CODED += [
    pytest.param("deflate", raw_deflate(TEXT), id="raw deflate"),
    pytest.param("deflate", raw_deflate(TEXT, level=0), id="raw deflate, stored"),
    pytest.param("gzip", gzip.compress(TEXT[:9]) + gzip.compress(TEXT[9:]), id="two gzip members"),
    pytest.param(
        "zstd", zstandard.compress(TEXT[:9]) + zstandard.compress(TEXT[9:]), id="two zstd frames"
    ),
]
COMPRESSED = [case for case in CODED if case.id != "identity"]


def undo(name: str, reads: list[bytes]) -> bytes:
    undoing = decoder([name])
    return b"".join(undoing.decode(data) for data in reads) + undoing.flush()


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@pytest.mark.parametrize(("name", "data"), CODED)
def test_a_coding_is_undone_in_one_read(name: str, data: bytes) -> None:
    assert undo(name, [data]) == TEXT


@pytest.mark.parametrize(("name", "data"), CODED)
def test_a_coding_is_undone_byte_by_byte(name: str, data: bytes) -> None:
    assert undo(name, bytewise(data)) == TEXT


@pytest.mark.parametrize(("name", "data"), CODED)
def test_empty_reads_change_nothing(name: str, data: bytes) -> None:
    assert undo(name, [b"", data[:9], b"", data[9:], b""]) == TEXT


@pytest.mark.parametrize("name", ENCODERS)
def test_a_coded_body_of_no_bytes_is_no_bytes(name: str) -> None:
    assert undo(name, []) == b""
    assert undo(name, [b""]) == b""


@pytest.mark.parametrize(("name", "data"), COMPRESSED)
def test_a_coding_that_is_cut_says_so_when_it_ends(name: str, data: bytes) -> None:
    undoing = decoder([name])
    undoing.decode(data[:-1])
    with pytest.raises(ValueError, match="compressed data ends early"):
        undoing.flush()


@pytest.mark.parametrize(("name", "data"), COMPRESSED)
def test_a_coding_that_is_cut_after_a_byte_says_so_when_it_ends(name: str, data: bytes) -> None:
    undoing = decoder([name])
    undoing.decode(data[:1])
    with pytest.raises(ValueError, match="compressed data ends early"):
        undoing.flush()


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("cut", [1, 1000], ids=["byte by byte", "at once"])
def test_garbage_is_refused(name: str, cut: int) -> None:
    garbage = b"\xff\xfe" + TEXT
    with pytest.raises(ValueError, match=r".+"):
        undo(name, [garbage[i : i + cut] for i in range(0, len(garbage), cut)])


@pytest.mark.parametrize(("name", "data"), COMPRESSED)
def test_garbage_after_the_end_is_refused_and_not_dropped(name: str, data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        undo(name, [data + b"garbage"])
    with pytest.raises(ValueError, match=r".+"):
        undo(name, bytewise(data + b"garbage"))


@settings(deadline=None)
@given(st.sampled_from(["gzip", "deflate", "br", "zstd"]), st.binary(max_size=40))
def test_whatever_the_bytes_only_a_value_error_escapes(name: str, data: bytes) -> None:
    with contextlib.suppress(ValueError):
        undo(name, [data])


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 9), st.integers(1, 50))
def test_raw_deflate_is_never_taken_for_wrapped(data: bytes, level: int, cut: int) -> None:
    coded = raw_deflate(data, level)
    assert undo("deflate", [coded[:cut], coded[cut:]]) == data


def test_stacked_codings_are_undone_from_the_last_to_the_first() -> None:
    headers = (("Content-Encoding", "gzip, br"), ("content-encoding", "ZSTD"))
    body = zstandard.compress(brotli.compress(gzip.compress(TEXT)))
    assert codings(headers) == ("gzip", "br", "zstd")
    assert decoded(headers, body) == TEXT


def test_stacked_codings_are_undone_byte_by_byte() -> None:
    undoing = decoder(["gzip", "br"])
    body = brotli.compress(gzip.compress(TEXT))
    assert b"".join(map(undoing.decode, bytewise(body))) + undoing.flush() == TEXT


def test_a_stack_says_when_its_inner_coding_is_cut() -> None:
    undoing = decoder(["gzip", "br"])
    undoing.decode(brotli.compress(gzip.compress(TEXT)[:-1]))
    with pytest.raises(ValueError, match="compressed data ends early"):
        undoing.flush()


def test_a_stream_that_is_flushed_event_by_event_is_decoded_event_by_event() -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    undoing = decoder(["gzip"])
    for event in (b"data: 1\n\n", b"data: 2\n\n"):
        assert undoing.decode(deflate.compress(event) + deflate.flush(zlib.Z_SYNC_FLUSH)) == event


def zeros(name: str, megabytes: int) -> bytes:
    """A body that says so many MiB of zeros in next to none."""
    block = bytes(1024 * 1024)
    if name == "br":
        squeezer = brotli.Compressor(quality=1)
        parts = [squeezer.process(block) for _ in range(megabytes)]
        return b"".join((*parts, squeezer.finish()))
    if name == "zstd":
        packer = zstandard.ZstdCompressor().compressobj()
        return b"".join((*(packer.compress(block) for _ in range(megabytes)), packer.flush()))
    deflate = zlib.compressobj(wbits=31 if name == "gzip" else 15)
    return b"".join((*(deflate.compress(block) for _ in range(megabytes)), deflate.flush()))


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_is_given_up_at_the_limit(name: str) -> None:
    bomb = zeros(name, 64)
    undoing = decoder([name], limit=1024)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="decodes to more than the limit"):
            undoing.decode(bomb)
        assert tracemalloc.get_traced_memory()[1] < 24 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_body_of_just_the_limit_is_undone(name: str) -> None:
    body = zeros(name, 1)
    assert decoded((("content-encoding", name),), body, limit=1024 * 1024) == bytes(1024 * 1024)
    with pytest.raises(TooLarge):
        decoded((("content-encoding", name),), body, limit=1024 * 1024 - 1)


def test_a_bomb_in_a_bomb_is_given_up_too() -> None:
    with pytest.raises(TooLarge):
        decoded((("content-encoding", "gzip, gzip"),), gzip.compress(zeros("gzip", 4)), 1024)


def test_no_more_than_five_codings_are_undone() -> None:
    with pytest.raises(ValueError, match="more than 5 content codings"):
        decoder(["gzip"] * 6)


def test_an_unknown_coding_is_named() -> None:
    with pytest.raises(ValueError, match="content coding 'compress' is not known"):
        decoder(["gzip", "compress"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [("gzip", ("gzip",)), ("identity", ()), ("", ()), (" GZip ,, identity", ("gzip",))],
)
def test_the_codings_of(value: str, expected: tuple[str, ...]) -> None:
    assert codings((("Content-Encoding", value),)) == expected


def test_a_body_without_a_coding_is_given_as_it_is() -> None:
    body = b"\x1f\x8b not really"
    assert decoded((), body) is body


def test_no_body_is_given_as_it_is_whatever_its_coding() -> None:
    assert decoded((("content-encoding", "unknown"),), b"") == b""


SSE: Headers = (("content-type", "text/event-stream"),)


def answer(coding: str | None, *chunks: bytes, end: End = "complete") -> Response:
    timed = tuple(Chunk(data, 0.1) for data in chunks)
    return Response(200, SSE, timed, streaming=True, end=end, coding=coding)


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=300), min_size=1, max_size=6),
    st.lists(st.sampled_from(["gzip", "x-gzip", "deflate", "br", "zstd"]), min_size=1, max_size=3),
)
def test_each_coded_chunk_says_one_chunk(chunks: list[bytes], names: list[str]) -> None:
    headers, coded = encode(answer(", ".join(names), *chunks), "gzip, deflate, br, zstd")
    sent = dict(headers)["content-encoding"].split(", ")
    sent_decoder = decoder(sent)
    assert [sent_decoder.decode(data) for data in coded] == chunks
    assert sent_decoder.flush() == b""
    assert sent == [name.removeprefix("x-") for name in names]


def test_a_client_that_does_not_accept_the_coding_gets_the_body_as_it_is() -> None:
    assert encode(answer("br", b"a", b"b"), "gzip") == (SSE, (b"a", b"b"))
    assert encode(answer("gzip, br", b"a"), "gzip") == (SSE, (b"a",))
    assert encode(answer("gzip", b"a"), None) == (SSE, (b"a",))


def test_an_answer_that_had_no_coding_gets_none() -> None:
    assert encode(answer(None, b"a"), "gzip") == (SSE, (b"a",))


def test_a_coding_that_is_not_known_is_not_put_on() -> None:
    assert encode(answer("sdch", b"a"), "*") == (SSE, (b"a",))


def test_an_answer_without_a_body_gets_no_coding() -> None:
    assert encode(answer("gzip"), "gzip") == (SSE, ())


def test_an_answer_that_was_cut_lacks_the_codings_end() -> None:
    _, coded = encode(answer("gzip", b"a", b"b", end="cut"), "gzip")
    gzip_decoder = decoder(["gzip"])
    assert [gzip_decoder.decode(data) for data in coded] == [b"a", b"b"]
    with pytest.raises(ValueError, match="compressed data ends early"):
        gzip_decoder.flush()


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


def test_a_request_is_decoded_or_stays_as_it_is() -> None:
    def request(coding: str, body: bytes) -> Request:
        headers = (("content-encoding", coding),)
        return Request("POST", "https", "h", 443, "/", headers=headers, body=body)

    coded = request("gzip", gzip.compress(TEXT))
    assert plain_request(coded).body == TEXT
    for broken in (request("gzip", b"no gzip"), request("x-odd", TEXT), request("identity", TEXT)):
        assert plain_request(broken) is broken

"""What passed on the wire becomes one exchange, ended by the endpoint's rule."""

import gzip
import zlib
from itertools import pairwise

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from wiretape.model import Chunk, End, Headers, Request
from wiretape.recorder import Outcome, Recorder

SSE: Headers = (("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"))
CHAT = Request("POST", "https", "api.together.xyz", 443, "/v1/chat/completions")
EVENTS = [b'data: {"a":1}\n\n', b": ping\r\n\r\n", b"data: \xc3\xa9\n\n", b"data: [DONE]\n\n"]


def record(
    reads: list[bytes],
    headers: Headers = SSE,
    outcome: Outcome = "ended",
    request: Request = CHAT,
    status: int = 200,
) -> tuple[list[bytes], End, bool]:
    recorder = Recorder(request)
    recorder.start(status, headers, 0.1)
    for number, data in enumerate(reads):
        recorder.read(data, 0.2 + number)
    response = recorder.finish(outcome, 9.0).response
    return [chunk.data for chunk in response.chunks], response.end, response.streaming


@given(st.lists(st.integers(0, sum(map(len, EVENTS))), max_size=12))
def test_chunks_are_events_wherever_the_reads_were_cut(cuts: list[int]) -> None:
    stream = b"".join(EVENTS)
    places = [0, *sorted(cuts), len(stream)]
    reads = [stream[a:b] for a, b in pairwise(places)]
    assert record(reads) == (EVENTS, "complete", True)


def test_a_chunk_has_the_time_of_the_read_that_completed_it() -> None:
    recorder = Recorder(CHAT)
    recorder.start(200, SSE, 0.1)
    recorder.read(b"data: 1\n", 0.2)
    recorder.read(b"\ndata: 2\n\ndata: 3\n\n", 0.5)
    response = recorder.finish("ended", 0.6).response
    assert response.chunks == (
        Chunk(b"data: 1\n\n", 0.5),
        Chunk(b"data: 2\n\n", 0.5),
        Chunk(b"data: 3\n\n", 0.5),
    )
    assert (response.headers_at, response.end_at) == (0.1, 0.6)


def test_a_client_that_leaves_at_done_has_had_a_complete_answer() -> None:
    assert record(EVENTS, outcome="client-closed")[1] == "complete"


@pytest.mark.parametrize("outcome", ["client-closed", "cut"])
def test_a_stream_left_before_its_terminal_event_says_how_it_ended(outcome: Outcome) -> None:
    assert record(EVENTS[:2], outcome=outcome)[1] == outcome


@pytest.mark.parametrize(
    ("target", "last"),
    [
        ("/v1/messages", b'event: message_stop\ndata: {"type":"message_stop"}\n\n'),
        ("/v1/responses", b'event: response.completed\ndata: {"type":"response.completed"}\n\n'),
        ("/v1/responses", b'data: {"type":"response.incomplete"}\n\n'),
        ("/v1/completions", b"data: [DONE]\r\n\r\n"),
    ],
)
def test_each_endpoint_has_its_terminal_event(target: str, last: bytes) -> None:
    request = Request("POST", "https", "api.anthropic.com", 443, target)
    assert record([b"data: {}\n\n", last], outcome="client-closed", request=request)[1] == (
        "complete"
    )


def test_a_body_ended_only_by_closing_is_cut_where_the_terminal_event_is_missing() -> None:
    plain: Headers = (("Content-Type", "text/event-stream"),)
    assert record(EVENTS[:2], headers=plain)[1] == "cut"
    assert record(EVENTS, headers=plain)[1] == "complete"
    # With a length or chunks of its own, HTTP itself says that the body is whole.
    assert record(EVENTS[:2])[1] == "complete"


def test_an_error_answer_needs_no_terminal_event() -> None:
    plain: Headers = (("Content-Type", "text/event-stream"),)
    assert record([b"data: {}\n\n"], headers=plain, status=500)[1] == "complete"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_compressed_streams_are_stored_decoded_with_the_time_of_each_event(coding: str) -> None:
    if coding == "gzip":
        gzipper = zlib.compressobj(wbits=31)
        reads = [gzipper.compress(e) + gzipper.flush(zlib.Z_SYNC_FLUSH) for e in EVENTS]
        reads.append(gzipper.flush())
    elif coding == "deflate":
        deflater = zlib.compressobj()
        reads = [deflater.compress(e) + deflater.flush(zlib.Z_SYNC_FLUSH) for e in EVENTS]
        reads.append(deflater.flush())
    elif coding == "br":
        squeezer = brotli.Compressor()
        reads = [squeezer.process(e) + squeezer.flush() for e in EVENTS]
        reads.append(squeezer.finish())
    else:
        packer = zstandard.ZstdCompressor().compressobj()
        reads = [
            packer.compress(e) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for e in EVENTS
        ]
        reads.append(packer.flush())
    recorder = Recorder(CHAT)
    recorder.start(200, (*SSE, ("Content-Encoding", coding)), 0.0)
    for number, data in enumerate(reads):
        recorder.read(data, float(number))
    response = recorder.finish("ended", 9.0).response
    assert response.chunks == tuple(Chunk(e, float(i)) for i, e in enumerate(EVENTS))
    assert "content-encoding" not in {name.lower() for name, _ in response.headers}


def test_a_compressed_stream_left_at_done_is_complete_without_the_codings_own_end() -> None:
    gzipper = zlib.compressobj(wbits=31)
    reads = [gzipper.compress(b"".join(EVENTS)) + gzipper.flush(zlib.Z_SYNC_FLUSH)]
    headers = (*SSE, ("content-encoding", "gzip"))
    assert record(reads, headers, "client-closed") == (EVENTS, "complete", True)


@pytest.mark.parametrize("body", [b"not gzip at all", gzip.compress(b"x" * 99)[:-9] + b"\xff" * 9])
def test_a_body_that_cannot_be_decoded_stays_as_it_came(body: bytes) -> None:
    recorder = Recorder(CHAT)
    recorder.start(200, (("content-type", "application/json"), ("content-encoding", "gzip")), 0)
    recorder.read(body, 0.1)
    response = recorder.finish("ended", 0.2).response
    assert response.body == body
    assert ("content-encoding", "gzip") in response.headers


def test_ndjson_is_cut_at_lines_and_ends_with_done() -> None:
    lines = [b'{"a":1,"done":false}\n', b'{"done":true}\n']
    headers: Headers = (("content-type", "application/x-ndjson"),)
    request = Request("POST", "http", "localhost", 11434, "/api/chat")
    reads = [lines[0][:5], lines[0][5:] + lines[1]]
    assert record(reads, headers, "client-closed", request) == (lines, "complete", True)
    assert record(reads[:1], headers, "cut", request)[1] == "cut"


def test_a_json_answer_is_one_chunk_however_it_was_read() -> None:
    headers: Headers = (("content-type", "application/json"), ("transfer-encoding", "chunked"))
    assert record([b'{"a"', b":1}"], headers) == ([b'{"a":1}'], "complete", False)


def test_an_empty_answer_has_no_chunk() -> None:
    assert record([], (("content-length", "0"),), status=204) == ([], "complete", False)


def test_audio_is_kept_read_by_read() -> None:
    headers: Headers = (("content-type", "audio/mpeg"), ("transfer-encoding", "chunked"))
    assert record([b"\x00\x01", b"\x02"], headers) == ([b"\x00\x01", b"\x02"], "complete", True)

"""What passed on the wire becomes one exchange, ended by the endpoint's rule."""

import gzip
import zlib
from itertools import pairwise

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from wiretape.core.capture.recorder import MAX_CHUNKS, MAX_HEAD, Recorder, is_terminal
from wiretape.core.model import Chunk, End, Headers, Outcome, Request, Response
from wiretape.core.wire import aws_eventstream
from wiretape.core.wire.sse import plain_blocks

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


BLOCKS = st.sampled_from((*EVENTS, b"data: a\n\n", b": b\n\n", b"\n", b"data: half"))


@settings(deadline=None)
@given(st.lists(BLOCKS, max_size=6), st.lists(st.integers(0, 60), max_size=8))
def test_events_cut_at_once_are_those_cut_read_by_read(
    events: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(events)
    places = [0, *sorted(cuts), len(stream)]
    reads = [stream[a:b] for a, b in pairwise(places)]
    results = []
    for most in (MAX_CHUNKS, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "wiretape.core.capture.recorder.plain_blocks",
                lambda pieces, _, most=most: plain_blocks(pieces, most),
            )
            recorder = Recorder(CHAT)
            recorder.start(200, SSE, 0.1)
            for number, data in enumerate(reads):
                recorder.read(data, 0.2 + number)
            results.append(recorder.finish("ended", 99.0).response)
    assert results[0] == results[1]


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


def test_an_mcp_client_that_leaves_with_its_answer_has_all_of_it() -> None:
    body = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}'
    request = Request("POST", "https", "mcp.example", 443, "/mcp", body=body)
    answer = b'data: {"jsonrpc": "2.0", "id": %d, "result": {}}\n\n'
    assert record([answer % 1], outcome="client-closed", request=request)[1] == "complete"
    assert record([answer % 2], outcome="client-closed", request=request)[1] == "client-closed"


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


@pytest.mark.parametrize(
    "body", [b"not gzip at all", gzip.compress(b"x" * 99, mtime=0)[:-9] + b"\xff" * 9]
)
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


# ------------------------------------------------------------------ ends


@pytest.mark.parametrize("outcome", ["cut", "client-closed", "reset", "timeout"])
def test_each_way_to_end_early_is_told(outcome: Outcome) -> None:
    assert record(EVENTS[:1], outcome=outcome)[1] == outcome
    assert record(EVENTS, outcome=outcome)[1] == "complete"


def test_an_answer_of_our_own_is_failed_whatever_it_says() -> None:
    assert record(EVENTS, outcome="failed", status=502)[1] == "failed"


@pytest.mark.parametrize(
    "event",
    [
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n',
        b'data: {"error":{"message":"rate limit"}}\n\n',
        b'data: {"type":"error","code":"server_error"}\n\n',
    ],
)
def test_an_error_that_the_provider_sends_as_an_event_ends_the_answer(event: bytes) -> None:
    assert record([*EVENTS[:2], event], outcome="cut")[1] == "complete"


def test_a_null_error_is_none() -> None:
    assert record([b'data: {"error":null}\n\n'], outcome="cut")[1] == "cut"


def test_fewer_bytes_than_the_length_that_was_told_are_a_cut() -> None:
    headers: Headers = (("content-type", "application/json"), ("content-length", "9"))
    body = b'{"a":123}'
    ends = [record([body[:size]] if size else [], headers)[1] for size in range(10)]
    assert ends == [*["cut"] * 9, "complete"]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("POST", 204)])
def test_an_answer_that_has_no_body_is_not_cut_by_its_length(method: str, status: int) -> None:
    request = Request(method, "https", "api.together.xyz", 443, "/v1/models")
    headers: Headers = (("content-type", "application/json"), ("content-length", "9"))
    assert record([], headers, request=request, status=status) == ([], "complete", False)


@pytest.mark.parametrize("length", ["", "x", "-1", "\u0665", "9" * 5000])
def test_a_length_that_is_none_is_passed_over(length: str) -> None:
    headers: Headers = (("content-type", "application/json"), ("content-length", length))
    assert record([b"{}"], headers)[1] == "complete"


# ------------------------------------------------------------------ what the headers do not say


def recorded(reads: list[bytes], headers: Headers) -> Response:
    recorder = Recorder(CHAT)
    recorder.start(200, headers, 0.1)
    for data in reads:
        recorder.read(data, 0.2)
    return recorder.finish("ended", 0.3).response


def test_events_that_are_called_json_are_events() -> None:
    response = recorded([b"".join(EVENTS)], (("content-type", "application/json"),))
    assert [chunk.data for chunk in response.chunks] == EVENTS
    assert (response.streaming, response.framing) == (True, "sse")


def test_a_file_of_json_lines_is_one_body() -> None:
    headers: Headers = (("content-type", "application/octet-stream"), ("content-length", "16"))
    response = recorded([b'{"a":1}\n{"a":2}\n'], headers)
    assert (len(response.chunks), response.streaming) == (1, False)


def test_json_that_is_called_events_is_json() -> None:
    response = recorded([b'{"error":', b'"x"}'], SSE)
    assert (response.body, response.streaming, response.framing) == (b'{"error":"x"}', False, None)


def test_what_the_headers_say_is_not_said_again() -> None:
    assert recorded(EVENTS, SSE).framing is None
    assert recorded([b"a", b"b"], (("content-type", "audio/mpeg"),)).framing is None


def test_a_stream_of_an_unknown_coding_is_kept_read_by_read() -> None:
    response = recorded([b"\x01", b"\x02"], (*SSE, ("content-encoding", "compress")))
    assert [chunk.data for chunk in response.chunks] == [b"\x01", b"\x02"]
    assert (response.framing, response.coding) == ("reads", None)
    assert ("content-encoding", "compress") in response.headers


def test_the_codings_that_were_undone_are_told() -> None:
    body = gzip.compress(brotli.compress(b"{}"))
    headers: Headers = (("content-type", "application/json"), ("content-encoding", "BR, x-gzip"))
    response = recorded([body], headers)
    assert (response.body, response.coding) == (b"{}", "br, x-gzip")


def test_frames_of_amazon_are_chunks() -> None:
    frames = [
        aws_eventstream.encode(aws_eventstream.Frame({":event-type": name}, b"{}"))
        for name in ("contentBlockDelta", "metadata")
    ]
    headers: Headers = (("content-type", "application/vnd.amazon.eventstream"),)
    stream = b"".join(frames)
    assert record([stream[:30], stream[30:]], headers, "client-closed") == (
        frames,
        "complete",
        True,
    )
    assert record(frames[:1], headers, "client-closed")[1] == "client-closed"


@pytest.mark.parametrize(
    "frame",
    [
        aws_eventstream.Frame({":message-type": "exception", ":exception-type": "x"}, b"{}"),
        aws_eventstream.Frame(
            {":event-type": "chunk"}, b'{"bytes":"eyJ0eXBlIjoibWVzc2FnZV9zdG9wIn0="}'
        ),
    ],
    ids=["exception", "message_stop"],
)
def test_frames_of_amazon_end_with_an_error_or_the_models_own_end(
    frame: aws_eventstream.Frame,
) -> None:
    headers: Headers = (("content-type", "application/vnd.amazon.eventstream"),)
    assert record([aws_eventstream.encode(frame)], headers, "client-closed")[1] == "complete"


def test_trailers_are_kept() -> None:
    recorder = Recorder(CHAT)
    recorder.start(200, SSE, 0.1)
    recorder.trailers = (("X-Usage", "7"),)
    assert recorder.finish("ended", 0.2).response.trailers == (("X-Usage", "7"),)


def test_a_request_that_was_streamed_is_put_together() -> None:
    recorder = Recorder(CHAT)
    recorder.sent(b'{"a"')
    recorder.sent(b":1}")
    assert recorder.finish("ended", 0.2).request.body == b'{"a":1}'


# ------------------------------------------------------------------ limits


def limited(max_body: int, reads: list[bytes], headers: Headers = SSE) -> tuple[str | None, int]:
    """Why an answer was not recorded, and how many chunks there are of it."""
    recorder = Recorder(CHAT, max_body)
    recorder.start(200, headers, 0.1)
    for data in reads:
        recorder.read(data, 0.2)
    chunks = recorder.finish("ended", 0.3).response.chunks
    assert recorder.first_chunk_at == 0.2
    return recorder.unrecorded, len(chunks)


def test_an_answer_larger_than_the_limit_is_let_go_and_told() -> None:
    assert limited(9, [b"data: 1\n\n"]) == (None, 1)
    assert limited(9, [b"data: 1\n\n", b"x", b"y"]) == ("an answer of more than 9 bytes", 0)
    assert limited(1024**2, [bytes(1024**2 + 1)]) == ("an answer of more than 1 MiB", 0)


def test_of_an_answer_that_is_let_go_no_read_is_kept() -> None:
    recorder = Recorder(CHAT, 10)
    recorder.start(200, SSE, 0.1)
    for _ in range(5):
        recorder.read(b"1234", 0.2)
    assert recorder.reads == []


def test_an_answer_that_becomes_too_large_when_decompressed_is_let_go() -> None:
    headers: Headers = (*SSE, ("content-encoding", "gzip"))
    reason = "an answer of more than 1,000 bytes when decompressed"
    assert limited(1000, [gzip.compress(bytes(1001))], headers) == (reason, 0)


def test_an_answer_of_too_many_reads_is_let_go() -> None:
    reason = "an answer of more than 250,000 reads"
    assert limited(10**9, [b"\n"] * (MAX_CHUNKS + 1)) == (reason, 0)


def test_an_answer_of_too_many_events_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wiretape.core.capture.recorder.MAX_CHUNKS", 1000)
    reason = "an answer of more than 1,000 chunks"
    assert limited(10**9, [b"\n" * 1001]) == (reason, 0)
    assert limited(10**9, [b"\n" * 1000]) == (None, 1000)


def test_endless_headers_are_let_go() -> None:
    recorder = Recorder(CHAT)
    recorder.start(200, (*SSE, ("x", "y" * MAX_HEAD)), 0.1)
    assert (recorder.unrecorded, recorder.headers) == ("headers of more than 1 MiB", ())
    assert recorder.finish("ended", 0.2).response.status == 200


def test_a_request_larger_than_the_limit_is_let_go() -> None:
    recorder = Recorder(CHAT, 5)
    for _ in range(3):
        recorder.sent(b"123")
    assert recorder.unrecorded == "a request of more than 5 bytes"
    assert recorder.finish("ended", 0.2).request.body == b""


@pytest.mark.parametrize("byte", [b"x", b"\r", b"\n"])
@pytest.mark.parametrize("media", ["text/event-stream", "application/x-ndjson", ""])
def test_a_stream_without_an_end_in_it_takes_time_in_proportion(byte: bytes, media: str) -> None:
    # Each read looked at with all before it, this would take hours.
    headers: Headers = (("content-type", media),)
    reads = [b"x" * 255 + byte] * (MAX_CHUNKS // 2)
    reason, _ = limited(10**9, reads, headers)
    assert reason is None


@pytest.mark.parametrize("kind", ["{}", "[]", "1", "null"])
def test_an_event_whose_type_is_no_text_ends_nothing(kind: str) -> None:
    chunk = Chunk(b'data: {"type":%b}\n\n' % kind.encode(), 0.0)
    assert not is_terminal("sse", [chunk])

"""Real exchanges go through the core, bytes to bytes: recorder, document, redaction, file, answer.

And all legal forms of event streams do (WHATWG HTML, section 9.2), whatever their coding and
wherever the reads were cut.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.cases import in_one_test
from tests.support.forms import CODINGS, coded, filed, frame, in_base64
from tests.support.realwire import WIRE, Real, exchanges

from wiretape.core.capture.recorder import Recorder
from wiretape.core.model import Exchange, Headers, Request
from wiretape.core.recording.document import from_exchange
from wiretape.core.redaction.placeholder import placeholder
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.core.wire import aws_eventstream, sse
from wiretape.core.wire.content_coding import decoded, decoder, encode
from wiretape.core.wire.framing import media_type

REAL: Final = exchanges()
redactor = Redactor(RedactionRules())


def without(headers: Headers, name: str) -> Headers:
    return tuple(one for one in headers if one[0].lower() != name)


def record(
    request: Request, status: int, headers: Headers, body: bytes, cuts: list[float]
) -> Exchange:
    """What a recorder makes of a body that comes cut at these parts of its length."""
    recorder = Recorder(request)
    recorder.start(status, (*headers, ("Transfer-Encoding", "chunked")), 0.1)
    places = [0, *sorted(int(cut * len(body)) for cut in cuts), len(body)]
    for at, (start, end) in enumerate(pairwise(places)):
        recorder.read(body[start:end], 0.2 + at)
    assert recorder.unrecorded is None
    return recorder.finish("ended", 9.0, "2026-11-20T17:30:00Z")


def chunks(exchange: Exchange) -> list[bytes]:
    return [chunk.data for chunk in exchange.response.chunks]


def goes_through(
    request: Request,
    status: int,
    headers: Headers,
    plain: bytes,
    names: tuple[str, ...],
    cuts: list[float],
) -> Exchange:
    """Assert that a body is the same at every step; gives the exchange that was recorded."""
    if names and plain:
        headers = (*headers, ("Content-Encoding", ", ".join(names)))
    exchange = record(request, status, headers, coded(plain, names) if plain else b"", cuts)
    assert exchange.response.body == plain
    assert exchange.response.coding == (", ".join(names) if names and plain else None)

    document = from_exchange(exchange)
    assert chunks(filed(document)) == chunks(exchange)
    assert filed(document).request.body == request.body

    redacted, findings = redactor.document(document, redactor.secrets(request))
    again = filed(redacted)
    if not any(found.where.startswith("response.body") for found in findings):
        assert chunks(again) == chunks(exchange)
        assert again.response.streaming == exchange.response.streaming
        assert again.response.end == exchange.response.end
    assert len(again.response.chunks) == len(exchange.response.chunks)

    sent_headers, sent = encode(again.response, "gzip, deflate, br, zstd")
    undo = decoder(names if exchange.response.chunks else ())
    assert [undo.decode(data) for data in sent] == chunks(again)
    assert undo.flush() == b""
    assert dict(sent_headers).get("content-encoding") == exchange.response.coding
    return exchange


CUTS = st.lists(st.floats(0, 1), max_size=6)


@pytest.mark.skipif(not REAL, reason=f"real exchanges ({WIRE.name}) are not beside the project")
@in_one_test("real", [pytest.param(one, id=one.name) for one in REAL])
def test_a_real_exchange_is_the_same_at_every_step(real: Real) -> None:
    request = replace(real.request, body=decoded(real.request.headers, real.request.body))
    headers = without(real.headers, "content-encoding")

    @settings(deadline=None, max_examples=4, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(CODINGS), CUTS)
    def check(names: tuple[str, ...], cuts: list[float]) -> None:
        goes_through(request, real.status, headers, real.plain, names, cuts)

    check()


@pytest.mark.skipif(not REAL, reason=f"real exchanges ({WIRE.name}) are not beside the project")
def test_there_are_real_exchanges_of_every_kind() -> None:
    assert {"application/json", "text/event-stream"} <= {media_type(one.headers) for one in REAL}
    assert sum(b"data:" in one.plain for one in REAL) > 40
    assert any(one.body != one.plain for one in REAL)


# ------------------------------------------------------------------ frames of Amazon's

KEY: Final = "sk-kV8w2QzT5rXn1LpA9dYb3Hc7"
BEDROCK: Final = Request(
    "POST",
    "https",
    "bedrock-runtime.us-east-1.amazonaws.com",
    443,
    "/model/m/invoke-with-response-stream",
    headers=(("x-api-key", KEY),),
    body=b"{}",
)
FRAMES: Final = (("content-type", "application/vnd.amazon.eventstream"),)


def redacted_frames(frames: list[bytes]) -> list[bytes]:
    """The payloads of a stream's frames, redacted, filed and written again."""
    exchange = record(BEDROCK, 200, FRAMES, b"".join(frames), [0.3, 0.6])
    assert chunks(exchange) == frames
    document, _ = redactor.document(from_exchange(exchange), redactor.secrets(BEDROCK))
    payloads = []
    for data in chunks(filed(document)):
        read = aws_eventstream.decode(data)
        assert read is not None, "a checksum is wrong"
        payloads.append(read.payload)
    return payloads


@pytest.mark.parametrize("inside", [in_base64, str.encode], ids=["base64", "plain"])
def test_a_secret_in_a_frames_json_goes(inside: Callable[[str], bytes]) -> None:
    text = '{"error":"no such key %s here"}'
    (payload,) = redacted_frames([frame(inside(text % KEY))])
    assert payload == inside(text % placeholder("secret", KEY))


@pytest.mark.parametrize("inside", [in_base64, str.encode], ids=["base64", "plain"])
def test_a_secret_that_is_cut_up_over_frames_goes(inside: Callable[[str], bytes]) -> None:
    text = '{"type":"content_block_delta","index":0,"delta":{"text":"%s"}}'
    payloads = redacted_frames([frame(inside(text % KEY[:9])), frame(inside(text % KEY[9:]))])
    assert payloads == [inside(text % placeholder("secret", KEY)), inside(text % "")]


def test_a_secret_in_a_payload_of_text_or_bytes_and_in_a_header_goes() -> None:
    there = placeholder("secret", KEY).encode()
    headed = aws_eventstream.encode(aws_eventstream.Frame({":error-message": KEY}, b"{}"))
    assert redacted_frames([frame(b"key " + KEY.encode())]) == [b"key " + there]
    assert KEY.encode() not in redacted_frames([frame(b"\xff" + KEY.encode() + b"\xff")])[0]
    exchange = record(BEDROCK, 200, FRAMES, headed, [])
    document, _ = redactor.document(from_exchange(exchange), redactor.secrets(BEDROCK))
    (item,) = document["response"]["body"]
    assert item["headers"] == {":error-message": there.decode()}


def test_a_frame_whose_checksum_is_wrong_is_kept_as_it_came() -> None:
    good, bad = frame(b'{"a":1}'), bytearray(frame(b'{"a":1}'))
    bad[-1] ^= 1
    exchange = record(BEDROCK, 200, FRAMES, good + bytes(bad) + good[:20], [0.1])
    assert chunks(exchange) == [good, bytes(bad), good[:20]]
    assert chunks(filed(from_exchange(exchange))) == [good, bytes(bad), good[:20]]


def test_text_in_utf_16_is_searched_too() -> None:
    body = f'{{"a":"{KEY}"}}'.encode("utf-16-le")
    headers: Headers = (("content-type", "application/json; charset=utf-16le"),)
    exchange = record(BEDROCK, 200, headers, body, [])
    document, _ = redactor.document(from_exchange(exchange), redactor.secrets(BEDROCK))
    said = filed(document).response.body.decode("utf-16-le")
    assert said == f'{{"a":"{placeholder("secret", KEY)}"}}'


# ------------------------------------------------------------------ every legal form of events

CHAT = Request("POST", "https", "api.together.xyz", 443, "/v1/chat/completions")

LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=8)
FIELDS = st.one_of(
    st.tuples(st.sampled_from(["data", "event", "id", "retry", "unknown", ""]), TEXTS).map(
        lambda both: f"{both[0]}:{both[1]}"
    ),
    TEXTS.map(lambda text: f"data: {text}"),
    st.sampled_from(["data", ": ping", ":", "retry: 3000", 'data: {"a": "é"}', "data: [DONE]"]),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """An event stream in any legal form; the last event may lack its blank line."""
    end = draw(LINE_ENDS)
    text = draw(st.sampled_from(["", "", "\ufeff"]))
    for _ in range(draw(st.integers(1, 5))):
        for field in draw(st.lists(FIELDS, min_size=1, max_size=4)):
            text += field + draw(st.sampled_from([end, end, end, "\n", "\r\n", "\r"]))
        text += end
    return (text if draw(st.booleans()) else text.removesuffix(end)).encode()


CONTENT_TYPES = st.sampled_from(
    ["text/event-stream", "text/event-stream; charset=utf-8", "Text/Event-Stream;charset=UTF-16"]
)


@settings(deadline=None)
@given(streams(), CONTENT_TYPES, st.sampled_from(CODINGS), CUTS)
def test_events_in_every_legal_form_are_the_same_at_every_step(
    stream: bytes, media: str, names: tuple[str, ...], cuts: list[float]
) -> None:
    exchange = goes_through(CHAT, 200, (("content-type", media),), stream, names, cuts)
    splitter = sse.EventSplitter()
    assert chunks(exchange) == splitter.feed(stream) + splitter.close()


@settings(deadline=None)
@given(
    st.sampled_from(["application/json", "audio/mpeg", "text/plain", "application/x-ndjson", ""])
    | st.sampled_from(["application/vnd.amazon.eventstream", "application/json; charset=utf-16"]),
    st.binary(max_size=60) | streams() | st.just(b'{"a":1}\n{"b":2}\n'),
    st.sampled_from(CODINGS),
    CUTS,
)
def test_any_bytes_of_any_type_are_the_same_at_every_step(
    media: str, body: bytes, names: tuple[str, ...], cuts: list[float]
) -> None:
    goes_through(CHAT, 200, (("content-type", media),) if media else (), body, names, cuts)

"""An exchange becomes a document and comes back whole; no document does harm."""

import base64
import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are not installed
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.cases import in_one_test
from tests.support.limits import examples

from wiretape.config.packs import built_in
from wiretape.core.errors import FormatError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import (
    ENDS,
    FRAMINGS,
    Chunk,
    Close,
    Exchange,
    Headers,
    Message,
    Request,
    Response,
    WebSocket,
)
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import (
    Document,
    answer_type,
    from_exchange,
    from_request,
    from_response,
    seconds,
    to_answer,
    to_exchange,
    to_request,
    to_response,
)
from wiretape.core.text import exact_json
from wiretape.core.wire import aws_eventstream, sse

PACKAGE = Path(recording_format.__file__).parent
SCHEMA = jsonschema.Draft202012Validator(
    json.loads((PACKAGE / "recording.schema.json").read_text(encoding="utf-8"))
)


def header(media: str) -> Headers:
    return (("content-type", media),)


CHAT = Request("POST", "https", "api.together.xyz", 443, "/v1/chat/completions")
JSON = header("application/json")
EVENTS = header("text/event-stream; charset=utf-8")
LINES = header("application/x-ndjson")
AUDIO = header("audio/mpeg")
UTF_16 = header("application/json; charset=utf-16le")


def answer(*chunks: bytes, headers: Headers = EVENTS, streaming: bool = True) -> Response:
    timed = tuple(Chunk(data, number / 8) for number, data in enumerate(chunks))
    return Response(200, headers, timed, streaming)


def items(response: Response, path: str = "/v1/messages") -> list[Document]:
    body: list[Document] = from_response(response, path)["body"]
    return [{key: value for key, value in item.items() if key != "at"} for item in body]


# ------------------------------------------------------------------ there and back


TEXTS = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from('<>&\u2028\\"é😀')))
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(-10, 10), st.just(2**70), TEXTS,
        st.sampled_from([exact_json.Number("1e0"), exact_json.Number("0.10"), "\ud800"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=3)
STYLES = st.one_of(
    st.sampled_from(["compact", "spaced", "colons", "indent2", "compact+html", "spaced+ascii"]),
    st.sampled_from(["compact", "compact+newline", "indent4+ascii+html+newline"]),
)


@st.composite
def json_texts(draw: st.DrawFn, values: st.SearchStrategy[Any] = VALUES) -> bytes:
    text = exact_json.dumps(draw(values), draw(STYLES))
    return draw(
        st.sampled_from(
            [
                text,
                text,
                text.replace("}", "    }", 1) if text.count("}") == 1 else text,
                " " + text,
                text + "\r\n",
                text[:-1],
                '{"a":1,"a":' + text + "}",
            ]
        )
    ).encode()


SPELLINGS = st.builds(sse.Spelling, st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
NAMES = st.one_of(st.none(), st.sampled_from(["message", "", "é x"]))
DATA = st.one_of(
    st.none(),
    st.just("[DONE]"),
    st.just(""),
    json_texts(OBJECTS).map(lambda text: text.decode().replace("\r", "")),
)


@st.composite
def event_blocks(draw: st.DrawFn) -> list[bytes]:
    """An event stream's chunks, mostly of one spelling; some are not events at all."""
    spelled = draw(SPELLINGS)
    odd = st.one_of(
        st.binary(max_size=8),
        st.sampled_from(
            [b": ping\n\n", b"\n", b"data: a\r\ndata: b\n\n", b"data: {}", b"data\n\n"]
        ),
        st.builds(sse.encode, st.builds(sse.Event, DATA), SPELLINGS),
    )
    event = st.builds(sse.Event, DATA, NAMES, NAMES, NAMES).map(lambda e: sse.encode(e, spelled))
    return draw(st.lists(st.one_of(event, event, event, odd), max_size=6))


def in_base64(text: bytes) -> bytes:
    return b'{"bytes":"' + base64.b64encode(text) + b'"}'


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """A frame of an AWS event stream, or what is none."""
    value = st.one_of(
        TEXTS, st.booleans(), st.just({"integer": 5}), st.just({"bytes": "/w=="}), st.just({"x": 1})
    )
    headers = draw(st.dictionaries(st.sampled_from([":event-type", "a"]), value, max_size=2))
    text = json_texts(OBJECTS)
    payload = draw(st.one_of(text, text.map(in_base64), st.binary(max_size=8)))
    try:
        data = aws_eventstream.encode(aws_eventstream.Frame(headers, payload))
    except ValueError:
        return payload
    return data[: draw(st.sampled_from([len(data), len(data), len(data), -1]))]


@st.composite
def responses(draw: st.DrawFn) -> Response:
    media, streaming, data = draw(
        st.one_of(
            st.tuples(st.just("text/event-stream"), st.just(True), event_blocks()),
            st.tuples(
                st.just("application/x-ndjson"),
                st.just(True),
                st.lists(
                    st.one_of(
                        json_texts(OBJECTS).map(lambda line: line.rstrip(b"\n") + b"\n"),
                        st.binary(max_size=8),
                    ),
                    max_size=5,
                ),
            ),
            st.tuples(
                st.just("application/vnd.amazon.eventstream"),
                st.just(True),
                st.lists(frames(), max_size=4),
            ),
            st.tuples(
                st.sampled_from(["audio/mpeg", "application/json", "text/plain", ""]),
                st.just(True),
                st.lists(st.one_of(st.binary(max_size=8), json_texts()), max_size=4),
            ),
            st.tuples(
                st.sampled_from(
                    [
                        "application/json",
                        "text/plain",
                        "audio/mpeg",
                        "text/plain;charset=utf-16",
                        "",
                    ]
                ),
                st.just(False),
                st.lists(
                    st.one_of(
                        json_texts(),
                        st.binary(max_size=8),
                        json_texts().map(lambda text: text.decode().encode("utf-16-le")),
                        TEXTS.map(lambda text: ("\ufeff" + text).encode("utf-16-be")),
                    ),
                    max_size=1,
                ),
            ),
        )
    )
    at = st.one_of(st.none(), st.floats(0, 1000), st.integers(0, 3))
    return Response(
        status=draw(st.sampled_from([200, 201, 204, 400, 429, 500])),
        headers=header(media) if media else (),
        chunks=tuple(Chunk(chunk, draw(at)) for chunk in data),
        streaming=streaming,
        end=draw(st.sampled_from(ENDS)),
        headers_at=draw(at),
        end_at=draw(at),
        coding=draw(st.sampled_from([None, None, "gzip", "gzip, br"])),
        framing=draw(st.sampled_from([None, None, *FRAMINGS])) if streaming else None,
        trailers=draw(st.sampled_from([(), (("x-usage", "7"), ("x-usage", "8"))])),
    )


BODIES = st.one_of(st.just(b""), json_texts(), st.binary(max_size=12), TEXTS.map(str.encode))
REQUESTS = st.builds(
    Request,
    st.sampled_from(["POST", "GET", "PATCH"]),
    st.sampled_from(["http", "https"]),
    st.sampled_from(["api.together.xyz", "localhost", "::1"]),
    st.sampled_from([80, 443, 8080]),
    st.sampled_from(["/v1/chat/completions", "/v1/messages?beta=true", "/api/chat", "/?", "/a#b"]),
    headers=st.sampled_from(
        [(), JSON, header("application/x-www-form-urlencoded"), header("text/plain"), AUDIO]
    ),
    body=BODIES,
)
EXCHANGES = st.builds(
    Exchange, REQUESTS, responses(), st.one_of(st.none(), st.just("2026-11-20T17:30:00Z"))
)


def stored(exchange: Exchange) -> Document:
    """The document of an exchange after it was a file."""
    return recording_format.loads(recording_format.dumps(from_exchange(exchange)))


def rounded(response: Response) -> tuple[object, ...]:
    """What of an answer is kept: all but the case and order of its headers and the times' ends."""
    return (
        response.status,
        sorted((name.lower(), value) for name, value in response.headers),
        response.streaming,
        response.end,
        seconds(response.headers_at),
        seconds(response.end_at),
        (response.coding, response.framing, response.trailers),
        [(chunk.data, seconds(chunk.at)) for chunk in response.chunks],
    )


@settings(deadline=None)
@given(EXCHANGES)
def test_an_exchange_that_was_a_file_is_the_same_to_the_byte(exchange: Exchange) -> None:
    again = to_exchange(stored(exchange))
    assert again.request == exchange.request
    assert rounded(again.response) == rounded(exchange.response)
    assert again.recorded_at == exchange.recorded_at


@settings(deadline=None)
@given(EXCHANGES)
def test_an_exchange_that_was_a_file_gives_the_same_file(exchange: Exchange) -> None:
    text = recording_format.dumps(from_exchange(exchange))
    again = to_exchange(recording_format.loads(text))
    assert recording_format.dumps(from_exchange(again)) == text


@settings(deadline=None)
@given(EXCHANGES)
def test_a_file_is_as_the_schema_says(exchange: Exchange) -> None:
    SCHEMA.validate(json.loads(recording_format.dumps(from_exchange(exchange))))


@settings(deadline=None)
@given(EXCHANGES)
def test_a_request_has_the_key_that_it_had_before_it_was_a_file(exchange: Exchange) -> None:
    live = Matcher(built_in()).canonical(from_request(exchange.request))
    assert Matcher(built_in()).canonical(stored(exchange)["request"]) == live


# ------------------------------------------------------------------ what a document says


def test_a_chat_is_readable() -> None:
    response = answer(
        b'data: {"id":"1","choices":[]}\n\n', b": ping\n\n", b"data: [DONE]\n\n", headers=EVENTS
    )
    request = Request(
        "POST",
        "https",
        "api.together.xyz",
        443,
        "/v1/chat/completions",
        headers=JSON,
        body=b'{"model":"m"}',
    )
    assert from_exchange(Exchange(request, response, "2026-11-20T17:30:00Z")) == {
        "wiretape": 1,
        "recorded_at": "2026-11-20T17:30:00Z",
        "request": {
            "method": "POST",
            "url": "https://api.together.xyz/v1/chat/completions",
            "headers": {"content-type": "application/json"},
            "body": {"model": "m"},
            "endpoint": "/v1/chat/completions",
            "model": "m",
        },
        "response": {
            "status": 200,
            "headers": {"content-type": "text/event-stream; charset=utf-8"},
            "is_streaming": True,
            "body": [
                {
                    "__type__": "openai.types.chat.chat_completion_chunk.ChatCompletionChunk",
                    "__data__": {"id": "1", "choices": []},
                    "at": 0.0,
                },
                {"text": ": ping\n\n", "at": 0.125},
                {"data": "[DONE]", "at": 0.25},
            ],
        },
    }


@pytest.mark.parametrize(
    ("media", "body", "members"),
    [
        ("application/json", b'{"a": 1}', {"body": {"a": 1}, "body_json": "spaced"}),
        ("application/json; charset=utf-8", b"null", {"body": None}),
        ("application/problem+json", b"[]", {"body": []}),
        ("", b'"a"', {"body": "a"}),
        ("application/json", b'{"a":1,"a":2}', {"body_text": '{"a":1,"a":2}'}),
        ("application/json", b"{", {"body_text": "{"}),
        ("text/plain", b"{}", {"body_text": "{}"}),
        ("application/x-www-form-urlencoded", b"a=1", {"body_text": "a=1"}),
        ("application/x-www-form-urlencoded", b"1", {"body_text": "1"}),
        ("application/x-www-form-urlencoded", b'{"a":1}', {"body": {"a": 1}}),
        ("application/json", b"\xff", {"body_base64": "/w=="}),
        ("application/json", b"", {}),
    ],
)
def test_a_request_body_is_as_readable_as_it_can_be(
    media: str, body: bytes, members: Document
) -> None:
    request = Request(
        "POST", "https", "api.x.ai", 443, "/v1", headers=header(media) if media else (), body=body
    )
    document = from_request(request)
    assert {key: document[key] for key in document if key.startswith("body")} == members


@pytest.mark.parametrize("body", [b'{"model":5}', b'["model"]', b'"model"', b"model"])
def test_only_a_model_that_is_a_name_is_named(body: bytes) -> None:
    request = Request("POST", "https", "api.x.ai", 443, "/v1", headers=(), body=body)
    assert "model" not in from_request(request)


def test_headers_are_lower_case_and_repeated_ones_are_lists() -> None:
    headers = (("Set-Cookie", "a"), ("X-A", "1"), ("set-cookie", "b"), ("SET-COOKIE", "c"))
    document = from_response(answer(headers=headers), "/")
    assert document["headers"] == {"set-cookie": ["a", "b", "c"], "x-a": "1"}
    assert to_response(document, "/").headers == (
        ("set-cookie", "a"),
        ("set-cookie", "b"),
        ("set-cookie", "c"),
        ("x-a", "1"),
    )


def test_times_are_rounded_to_the_millisecond() -> None:
    document = from_response(
        Response(200, (), (Chunk(b"a", 0.12345),), True, headers_at=0.0004, end_at=2), "/"
    )
    assert (document["headers_at"], document["end_at"], document["body"][0]["at"]) == (
        0.0,
        2,
        0.123,
    )


def test_what_was_not_measured_is_not_said() -> None:
    assert from_response(Response(204), "/") == {
        "status": 204,
        "headers": {},
        "is_streaming": False,
        "body": None,
    }


@pytest.mark.parametrize(
    ("path", "streaming", "name"),
    [
        ("/v1/chat/completions", False, "openai.types.chat.chat_completion.ChatCompletion"),
        (
            "/v1/chat/completions",
            True,
            "openai.types.chat.chat_completion_chunk.ChatCompletionChunk",
        ),
        ("/v1/completions", True, "openai.types.completion.Completion"),
        ("/api/chat", True, "ollama._types.ChatResponse"),
        ("/v1/embeddings", True, None),
        ("/v1/messages", False, None),
    ],
)
def test_an_answer_has_the_type_llama_stack_gives_it(
    path: str, streaming: bool, name: str | None
) -> None:
    assert answer_type(path, streaming=streaming) == name


def test_an_error_has_no_type() -> None:
    refused = Response(429, JSON, (Chunk(b'{"error":{}}'),))
    assert from_response(refused, "/v1/chat/completions")["body"] == {"__data__": {"error": {}}}


def test_a_whole_answer_is_one_item() -> None:
    document = from_response(
        answer(b'{\n  "a": 1\n}\n', headers=JSON, streaming=False), "/v1/messages"
    )
    assert (document["json"], document["body"]) == (
        "indent2+newline",
        {"__data__": {"a": 1}, "at": 0.0},
    )


def test_a_whole_answer_in_two_chunks_is_joined_and_not_halved() -> None:
    document = from_response(answer(b'{"a"', b":1}", headers=JSON, streaming=False), "/v1/messages")
    assert document["body"] == {"__data__": {"a": 1}, "at": 0.125}


def test_reads_of_a_stream_that_is_neither_events_nor_lines_stay_reads() -> None:
    response = answer(b'{"a":1}', b"[1]", b"\xff", headers=JSON)
    assert items(response) == [{"text": '{"a":1}'}, {"text": "[1]"}, {"base64": "/w=="}]


def test_a_frame_is_its_headers_and_its_payload() -> None:
    event = aws_eventstream.Frame({":event-type": "contentBlockDelta"}, b'{"delta":{"text":"Hi"}}')
    wrapped = aws_eventstream.Frame(
        {":event-type": "chunk"}, in_base64(b'{"type": "message_stop"}')
    )
    response = answer(
        aws_eventstream.encode(event),
        aws_eventstream.encode(wrapped),
        b"cut",
        headers=header("application/vnd.amazon.eventstream"),
    )
    assert items(response) == [
        {"headers": {":event-type": "contentBlockDelta"}, "__data__": {"delta": {"text": "Hi"}}},
        {
            "headers": {":event-type": "chunk"},
            "__data__": {"bytes": {"type": "message_stop"}},
            "bytes_json": "spaced",
        },
        {"text": "cut"},
    ]


def test_text_that_is_not_utf_8_is_readable_and_says_what_it_is_spelled_in() -> None:
    response = answer('{"a":"é"}'.encode("utf-16-le"), headers=UTF_16, streaming=False)
    document = from_response(response, "/")
    assert document["body"] == {"__data__": {"a": "é"}, "charset": "utf-16-le", "at": 0.0}
    latin = answer(b"\xe9", headers=header("text/plain; charset=iso-8859-1"), streaming=False)
    assert from_response(latin, "/")["body"] == {
        "text": "é",
        "charset": "iso-8859-1",
        "at": 0.0,
    }


def test_a_websocket_is_the_answer_to_its_opening_request() -> None:
    messages = (
        Message(b'{"type": "response.create"}', 0.25, "client"),
        Message(b'{"type":"response.done"}', 0.5, "server"),
        Message(b"\xff", 0.75, "server", binary=True),
    )
    spoken = WebSocket(
        101, (), messages, streaming=True, headers_at=0.125, end_at=1.0, close=Close("client")
    )
    document = from_response(spoken, "/v1/realtime")
    assert document == {
        "status": 101,
        "headers": {},
        "is_streaming": True,
        "headers_at": 0.125,
        "end_at": 1.0,
        "client_json": "spaced",
        "close": {"from": "client", "code": 1000},
        "body": [
            {"from": "client", "__data__": {"type": "response.create"}, "at": 0.25},
            {"from": "server", "__data__": {"type": "response.done"}, "at": 0.5},
            {"from": "server", "base64": "/w==", "at": 0.75},
        ],
    }
    exchange = Exchange(CHAT, spoken)
    SCHEMA.validate(json.loads(recording_format.dumps(from_exchange(exchange))))
    assert to_exchange(stored(exchange)).response == spoken


def test_what_an_answer_was_coded_with_and_its_trailers_are_said() -> None:
    response = replace(answer(b"x"), coding="gzip", framing="reads", trailers=(("X-A", "1"),))
    document = from_response(response, "/")
    assert (document["coding"], document["framing"], document["trailers"]) == (
        "gzip",
        "reads",
        {"x-a": "1"},
    )


# ------------------------------------------------------------------ untrusted documents


BASES = [
    stored(Exchange(CHAT, response, "2026-11-20T17:30:00Z"))
    for response in (
        answer(b'event: a\nid: 1\ndata: {"type":"ping"  }\n\n', b"data: [DONE]\n\n", b": c\n\n"),
        answer(b'{"a": 1}\n', b"\xff\n", headers=LINES),
        answer(b"abc", b"\x00\xff", headers=AUDIO),
        answer(b'{"a":1}', headers=JSON, streaming=False),
        Response(204),
        answer(
            aws_eventstream.encode(
                aws_eventstream.Frame({"a": "b", "n": {"long": 1}}, b'{"c":"d"  }')
            ),
            aws_eventstream.encode(
                aws_eventstream.Frame({":event-type": "e"}, in_base64(b'{"c": 1}'))
            ),
            aws_eventstream.encode(aws_eventstream.Frame({}, b"\xff")),
            b"no frame",
            headers=header("application/vnd.amazon.eventstream"),
        ),
        replace(answer(b"data: 1\n\n", headers=JSON), framing="sse", coding="gzip"),
        WebSocket(
            101, (), (Message(b"{}", 0.5, "client"),), True, close=Close("server", 1000, "x")
        ),
        replace(
            answer('{"a":1}'.encode("utf-16-le"), headers=UTF_16, streaming=False),
            trailers=(("x-usage", "7"),),
        ),
    )
] + [
    stored(
        Exchange(
            Request(
                "POST", "http", "localhost", 8080, "/v1?a=b#c", headers=header(media), body=body
            ),
            Response(200),
        )
    )
    for media, body in (
        ("application/x-www-form-urlencoded", b"a=1"),
        ("multipart/form-data; boundary=b", b"--b--"),
        ("multipart/form-data; boundary=b", b"--b\xff--"),
        ("application/json", b'{"a": [1.50]}'),
    )
]


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else []
    if isinstance(value, list):
        children = list(enumerate(value))
    for key, child in children:
        yield (*path, key)
        yield from paths_of(child, (*path, key))


KEYS = st.one_of(
    st.sampled_from(sorted({path[-1] for base in BASES for path in paths_of(base)}, key=str)).map(
        str
    ),
    st.sampled_from(["body_text", "body_base64", "body_file", "file", "json", "line_end", "pad"]),
    st.sampled_from(["bytes_json", "charset", "coding", "framing", "headers", "trailers"]),
)
NUMBERS = [-1, 0, 1, 99, 200, 600, 2**63, 10**400, 1.5, 1e300, exact_json.Number("1e400")]
JUNK = st.one_of(
    st.sampled_from([None, True, False, *NUMBERS]),
    st.sampled_from(["", "a", "\r\nX-Evil: 1", "a\nb", "\0", "\ud800", "é", "=", "AP8=", "\r\n"]),
    st.sampled_from(["https://", "http://[", "http://a:b/", "//x", "https://h/%zz?%zz", "GET"]),
    st.sampled_from(["application/x-ndjson", "text/event-stream", "multipart/form-data"]),
    st.sampled_from(
        ["multipart/x; boundary*=utf-8''a", 'multipart/x; boundary="', "cut", "spaced"]
    ),
    st.sampled_from(["../../etc/passwd", "a" * 64 + ".bin", *FRAMINGS, "utf-16-le", "gzip, br"]),
    st.lists(st.one_of(st.integers(), st.text(max_size=3)), max_size=2),
    st.dictionaries(KEYS, st.one_of(st.none(), st.text(max_size=3), st.integers()), max_size=2),
)


@st.composite
def untrusted(draw: st.DrawFn) -> Document:
    """A document with a few things changed, gone or added anywhere in it."""
    document = copy.deepcopy(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([*paths_of(document), ("request",)]))
        holder: Any = document
        for step in path[:-1]:
            holder = holder[step]
        kind = draw(st.sampled_from(["change", "change", "remove", "add"]))
        if kind == "change":
            holder[path[-1]] = draw(JUNK)
        elif kind == "remove":
            holder.pop(path[-1], None) if isinstance(holder, dict) else holder.pop(path[-1])
        elif isinstance(holder, dict):
            holder[draw(KEYS)] = draw(JUNK)
    return document


def no_side_file(name: str) -> bytes:
    raise FormatError(f"side file {name!r:.80} is not there")


@settings(max_examples=examples(300), deadline=None)
@given(untrusted())
def test_of_an_untrusted_document_comes_an_exchange_or_a_format_error(document: Document) -> None:
    try:
        exchange = to_exchange(document, no_side_file)
    except FormatError:
        return
    response = exchange.response
    for name, value in (*exchange.request.headers, *response.headers, *response.trailers):
        assert not set(name + value) & set("\r\n\0")
    for chunk in exchange.response.chunks:
        assert chunk.at is None or 0 <= chunk.at <= 604_800
    again = to_exchange(stored(exchange), no_side_file)
    assert again.request.body == exchange.request.body
    assert again.response.body == exchange.response.body


@settings(max_examples=examples(300), deadline=None)
@given(untrusted())
def test_a_document_that_can_be_replayed_can_be_matched(document: Document) -> None:
    try:
        to_exchange(document, no_side_file)
    except FormatError:
        return
    assert len(Matcher(built_in(), headers=["x-a"]).canonical(document["request"]).key) == 64


def outcome(read: Callable[[], object]) -> object:
    try:
        return read()
    except FormatError as error:
        return type(error), str(error)


@settings(max_examples=examples(200), deadline=None)
@given(st.one_of(EXCHANGES.map(from_exchange), untrusted()), st.data())
def test_a_file_gives_the_same_however_it_is_read(document: Document, data: st.DataObject) -> None:
    """Whole or for its answer alone, and with numbers written as they were read."""
    response = document.get("response")
    body = response.get("body") if isinstance(response, dict) else None
    for item in body if isinstance(body, list) else [body]:
        if isinstance(item, dict) and "__data__" in item:
            item["__data__"] = [
                item["__data__"],
                data.draw(st.floats(allow_nan=False, allow_infinity=False)),
            ]
    try:
        document = recording_format.loads(json.dumps(document))
    except FormatError:
        return
    slow = outcome(lambda: to_exchange(document, no_side_file))
    assert outcome(lambda: to_exchange(document, no_side_file, parsed=True)) == slow
    if isinstance(slow, Exchange):
        answer = to_answer(document, no_side_file, parsed=True)
        assert answer == (slow.response, slow.recorded_at, slow.paths)


def changed(base: int, *steps: Any, to: Any) -> Document:
    document = copy.deepcopy(BASES[base])
    holder: Any = document
    for step in steps[:-1]:
        holder = holder[step]
    holder[steps[-1]] = to
    return document


NOT_FINAL = "response.status: expected the status of a final answer (200 to 599)"


@in_one_test(
    "document, message",
    [
        ({}, "request: expected an object, got nothing"),
        (changed(0, "recorded_at", to=[1]), "recorded_at: expected text, got a list"),
        (
            changed(0, "request", "url", to="ftp://x/"),
            "request.url: expected an http or https URL with a host, got text",
        ),
        (
            changed(0, "request", "method", to="GET / HTTP/1.1\r\nHost: x"),
            "request.method: expected an HTTP method, got text",
        ),
        (
            changed(0, "response", "status", to=1000),
            "response.status: expected an HTTP status, got 1000",
        ),
        *(
            (
                changed(0, "response", "status", to=status),
                f"{NOT_FINAL}, got {status}",
            )
            for status in (100, 102, 103, 199)
        ),
        (
            changed(0, "response", "status", to=True),
            "response.status: expected an HTTP status, got a boolean",
        ),
        (
            changed(0, "response", "end", to="done"),
            "response.end: expected one of complete, cut, client-closed, reset, timeout, failed,"
            " got 'done'",
        ),
        (
            changed(0, "response", "headers", "x-a", to="1\r\nx-b: 2"),
            "response.headers.x-a: expected text without line ends, or a list of such, got text",
        ),
        (
            changed(0, "response", "headers", "x-a: 1\r\nx-b", to="2"),
            "response.headers: expected names of headers, not 'x-a: 1\\r\\nx-b', got an object",
        ),
        (
            changed(0, "response", "headers", "x-a", to=["1", 2]),
            "response.headers.x-a: expected text without line ends, or a list of such, got a list",
        ),
        (
            changed(0, "response", "body", 0, "at", to="1"),
            "response.body[0].at: expected a number of seconds, got text",
        ),
        (
            changed(0, "response", "body", 1, to=5),
            "response.body[1]: expected an object, got 5",
        ),
        (
            changed(0, "response", "body", 0, "event", to="a\ndata: b"),
            "response.body[0].event: expected text of one line, got text",
        ),
        (
            changed(0, "response", "body", 1, "data", to="a\rb"),
            "response.body[1].data: expected text without CR, got text",
        ),
        (
            changed(0, "response", "body", 0, "pad", to=10**9),
            "response.body[0].pad: expected 1 to 1000 spaces before the last brace of an object,"
            " got 1000000000",
        ),
        (
            changed(0, "response", "body", 2, to={"at": 1}),
            "response.body[2]: expected one of __data__, data, event, text, base64, file,"
            " got the members at",
        ),
        (
            changed(0, "response", "line_end", to="\n\n"),
            "response.line_end: expected one of '\\n', '\\r', '\\r\\n', got '\\n\\n'",
        ),
        (
            changed(0, "response", "colon_space", to="no"),
            "response.colon_space: expected true or false, got text",
        ),
        (
            changed(0, "response", "json", to="tabs"),
            "response.json: expected a JSON style such as 'compact' or 'spaced+ascii', got 'tabs'",
        ),
        (
            changed(0, "response", "is_streaming", to=False),
            "response.body: expected an object, got a list",
        ),
        (
            changed(3, "response", "is_streaming", to=True),
            "response.body: expected a list of chunks, got an object",
        ),
        (
            changed(2, "response", "body", 0, to={"__data__": {}}),
            "response.body[0]: expected one of text, base64, file (by its content type the answer"
            " has no JSON chunks), got the members __data__",
        ),
        (
            changed(3, "response", "body", "__data__", to=1) | {"request": {"url": 1}},
            "request.url: expected a URL, got 1",
        ),
        (
            changed(0, "request", "body_file", to="x"),
            "request.body_file: expected a body in the file itself, got text",
        ),
        (
            changed(0, "request", "body_base64", to="?"),
            "request.body_base64: expected base64 text, got text",
        ),
        *(
            (
                changed(base, "request", "body_base64", to=None),
                "request.body_base64: expected base64 text, got nothing",
            )
            for base in range(len(BASES))  # beside a body of another kind, too
        ),
    ],
)
def test_what_is_wrong_with_a_document_is_said(document: Document, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        to_exchange(document)
    assert str(caught.value) == message


def test_a_content_type_that_is_lost_does_not_silently_change_the_bytes() -> None:
    document = copy.deepcopy(BASES[0])
    del document["response"]["headers"]["content-type"]
    with pytest.raises(FormatError, match=r"response\.body\[0\]: expected one of text"):
        to_exchange(document)


def test_side_files_are_read_for_request_and_chunks() -> None:
    def side_file(name: str) -> bytes:
        return {"a": b"request", "b": b"chunk"}[name]

    request = to_request(
        {"method": "PUT", "url": "http://h/", "headers": {}, "body_file": "a"}, side_file
    )
    response = to_response(
        {"status": 200, "headers": {}, "is_streaming": True, "body": [{"file": "b"}]},
        "/",
        side_file,
    )
    assert (request.body, response.body) == (b"request", b"chunk")

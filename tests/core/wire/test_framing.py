"""What an answer is, is seen where its content type does not say so."""

import pytest
from tests.support.cases import in_one_test

from wiretape.core.model import Framing, Headers
from wiretape.core.wire.framing import (
    actual_framing,
    charset,
    declared_framing,
    is_json,
    is_text,
    media_type,
)

EVENTS = b'data: {"a":1}\n\ndata: [DONE]\n\n'
LINES = b'{"a":1}\n{"a":2}\n'


@in_one_test(
    "declared, media, body, expected",
    [
        pytest.param("whole", "application/json", EVENTS, "sse", id="events called JSON"),
        pytest.param("reads", "", EVENTS, "sse", id="events without a type"),
        pytest.param("whole", "text/plain", b": hi\n\nevent: a\ndata: b\n\n", "sse", id="comment"),
        pytest.param("reads", "", b"\xef\xbb\xbfid: 1\r\ndata:x\r\n\r\n", "sse", id="BOM and CRLF"),
        pytest.param("sse", "text/event-stream", b'{"error":{}}', "whole", id="JSON called events"),
        pytest.param("sse", "text/event-stream", b'{"error":', "sse", id="JSON that is cut"),
        pytest.param("sse", "text/event-stream", EVENTS, "sse", id="events"),
        pytest.param("sse", "text/event-stream", b"", "sse", id="no events"),
        pytest.param("reads", "", LINES, "ndjson", id="lines without a type"),
        pytest.param("whole", "application/json", LINES, "ndjson", id="lines called JSON"),
        pytest.param("whole", "application/stream+json", LINES, "ndjson", id="lines, +json"),
        pytest.param("whole", "application/json", b'{"a":1}\n', "whole", id="one line"),
        pytest.param("whole", "application/json", b'{\n "a": 1\n}\n', "whole", id="indented"),
        pytest.param("whole", "application/json", b'{"a":1}\nx\n', "whole", id="a line of text"),
        pytest.param("reads", "", b'{"a":1}\n{"a', "ndjson", id="lines that are cut"),
        pytest.param("whole", "application/json", b'{"a":1}\n\n{}', "ndjson", id="an empty line"),
        pytest.param("whole", "application/json", b"[\n[\n[\n", "whole", id="lists in lists"),
        pytest.param("whole", "text/html", EVENTS, "whole", id="HTML is believed"),
        pytest.param("reads", "audio/mpeg", EVENTS, "reads", id="audio is believed"),
        pytest.param("whole", "text/plain", b"database: x\n", "whole", id="no field's name"),
        pytest.param("whole", "text/plain", b"some data: x\n\n", "whole", id="a line of prose"),
        pytest.param("reads", "", b"", "reads", id="nothing"),
    ],
)
def test_what_an_answer_is(declared: Framing, media: str, body: bytes, expected: Framing) -> None:
    assert actual_framing(declared, media, [(body, 0.0)]) == expected
    bytewise = [(body[at : at + 1], 0.0) for at in range(len(body))]
    assert actual_framing(declared, media, bytewise) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("application/json", "application/json"),
        ("Text/Event-Stream; charset=utf-8", "text/event-stream"),
        ("", ""),
    ],
)
def test_the_media_type_of(value: str, expected: str) -> None:
    assert media_type((("Content-Type", value),)) == expected


def test_without_a_content_type_there_is_no_media_type() -> None:
    assert media_type(()) == ""


@pytest.mark.parametrize("media", ["application/json", "application/problem+json"])
def test_this_is_json(media: str) -> None:
    assert is_json(media)


@pytest.mark.parametrize("media", ["", "text/plain", "application/jsonl", "application/x-ndjson"])
def test_this_is_not_json(media: str) -> None:
    assert not is_json(media)


@pytest.mark.parametrize(
    ("media", "text"),
    [
        ("text/html", True),
        ("application/x-www-form-urlencoded", True),
        ("application/xml", True),
        ("application/octet-stream", False),
        ("audio/mpeg", False),
        ("", False),
    ],
)
def test_text_is_told_from_bytes(media: str, text: bool) -> None:
    assert is_text(media) is text


@pytest.mark.parametrize(
    ("headers", "path", "expected"),
    [
        ((("content-type", "text/event-stream"),), "", "sse"),
        ((("Content-Type", "text/event-stream;charset=utf-8"),), "", "sse"),
        ((("content-type", "text/event-stream"), ("content-length", "9")), "", "sse"),
        ((("content-type", "application/x-ndjson"),), "/api/chat", "ndjson"),
        ((("content-type", "application/jsonl; charset=utf-8"),), "", "ndjson"),
        ((("content-type", "application/json"),), "", "whole"),
        ((("content-type", "text/plain"),), "", "whole"),
        ((("content-type", "audio/mpeg"),), "", "reads"),
        ((("content-type", "audio/mpeg"), ("Content-Length", "9")), "", "whole"),
        ((("content-type", "application/vnd.amazon.eventstream"),), "", "frames"),
        ((("content-type", "application/json"),), "/m:streamGenerateContent", "reads"),
        ((("content-type", "text/event-stream"),), "/m:streamGenerateContent", "sse"),
        ((), "", "reads"),
    ],
)
def test_chunks_are_cut_as_the_content_type_says(
    headers: Headers, path: str, expected: Framing
) -> None:
    assert declared_framing(headers, path) == expected


@pytest.mark.parametrize(
    ("value", "body", "expected"),
    [
        ("application/json", b"{}", None),
        ("application/json; charset=utf-8", b"{}", None),
        ("application/json; charset=UTF-16LE", b"{\0}\0", "utf-16-le"),
        ('text/plain; a=b; charset="iso-8859-1"', b"\xe9", "iso-8859-1"),
        ("text/plain; charset=utf-16", b"\0a", "utf-16-be"),
        ("text/plain; charset=utf-16", b"a\0", "utf-16-le"),
        ("text/plain", b"\xff\xfea\0", "utf-16-le"),
        ("text/plain", b"\xfe\xff\0a", "utf-16-be"),
        ("text/plain", b"\xff\xfe\0\0", "utf-32-le"),
        ("text/plain; charset=rot13", b"a", None),
    ],
)
def test_what_a_body_is_spelled_in(value: str, body: bytes, expected: str | None) -> None:
    assert charset((("content-type", value),), body) == expected

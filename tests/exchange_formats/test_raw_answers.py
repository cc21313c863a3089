"""An answer alone becomes an exchange with the request it is given."""

import io

import pytest

from wiretape.core.errors import FormatError
from wiretape.core.model import Request
from wiretape.exchange_formats import raw_answers
from wiretape.exchange_formats.foreign import ForeignExchange, LeftOut

ASKED = Request("POST", "https", "api.openai.com", 443, "/v1/responses", body=b"{}")
HEAD = b"HTTP/2 200 \r\ncontent-type: text/event-stream\r\n\r\n"


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n",
    ],
)
def test_what_curl_printed(before: bytes) -> None:
    (item,) = raw_answers.read_curl(io.BytesIO(before + HEAD + b"data: 1\n\n"), ASKED)
    assert isinstance(item, ForeignExchange)
    assert (item.request, item.status, item.body) == (ASKED, 200, b"data: 1\n\n")
    assert item.headers == (("content-type", "text/event-stream"),)


def test_line_ends_alone_are_read_as_well() -> None:
    (item,) = raw_answers.read_curl(io.BytesIO(b"HTTP/1.1 204 No Content\na: b\n\n"), ASKED)
    assert isinstance(item, ForeignExchange)
    assert (item.status, item.headers, item.body) == (204, (("a", "b"),), b"")


def test_an_event_stream() -> None:
    (item,) = raw_answers.read_events(io.BytesIO(b"data: [DONE]\n\n"), ASKED)
    assert isinstance(item, ForeignExchange)
    assert (item.request, item.status, item.body) == (ASKED, 200, b"data: [DONE]\n\n")


@pytest.mark.parametrize("reader", [raw_answers.read_curl, raw_answers.read_events])
def test_without_its_request_it_says_what_to_give(reader: object) -> None:
    with pytest.raises(FormatError, match="--url"):
        list(reader(io.BytesIO(HEAD), None))  # type: ignore[operator]  # either of two readers


def test_what_curl_did_not_print_is_a_fault() -> None:
    with pytest.raises(FormatError, match="status line"):
        list(raw_answers.read_curl(io.BytesIO(b"<html>"), ASKED))


def test_a_header_that_is_none_leaves_it_out() -> None:
    (item,) = raw_answers.read_curl(io.BytesIO(b"HTTP/1.1 200 OK\nx y: 1\n\n"), ASKED)
    assert isinstance(item, LeftOut)

"""What other tools spell in their own way becomes what HTTP has."""

import io
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.limits import examples

from wiretape.core.model import Request
from wiretape.exchange_formats import cassettes, har
from wiretape.exchange_formats.foreign import (
    ForeignExchange,
    LeftOut,
    NotCarriedOver,
    checked_headers,
    final_status,
    instant,
    listed_headers,
    request_of,
)

ASKED = Request("HEAD", "https", "h", 443, "/")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-07-27T21:32:32Z", datetime(2026, 7, 27, 21, 32, 32, tzinfo=UTC)),
        ("2026-07-27T21:32:32.5+02:00", datetime(2026, 7, 27, 19, 32, 32, 500_000, tzinfo=UTC)),
        ("Mon, 27 Jul 2026 21:32:32 GMT", datetime(2026, 7, 27, 21, 32, 32, tzinfo=UTC)),
        (datetime(2026, 7, 27), datetime(2026, 7, 27, tzinfo=UTC)),
        ("yesterday", None),
        (None, None),
        # Nobody can have recorded then, and what is later by a microsecond would be no time.
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59.999999Z", None),
        (datetime(1, 1, 1), None),
    ],
)
def test_the_time_of_an_exchange(text: object, at: datetime | None) -> None:
    assert instant(text) == at


def test_a_time_keeps_its_zone() -> None:
    at = datetime(2026, 7, 27, tzinfo=timezone(timedelta(hours=3)))
    assert instant(at) is at


@pytest.mark.parametrize("status", [0, 99, 103, 600, "", None, "OK"])
def test_a_status_that_no_final_answer_has(status: Any) -> None:
    with pytest.raises(NotCarriedOver):
        final_status(status)


@pytest.mark.parametrize("status", [101, 200, "204", 599])
def test_a_status_of_an_answer(status: Any) -> None:
    assert final_status(status) == int(status)


@pytest.mark.parametrize("url", ["", "h/a", "ftp://h/", "https://", "<URL>", "https:///a"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(NotCarriedOver):
        request_of("GET", url, (), b"")


def test_a_fragment_never_went_out() -> None:
    assert request_of("get", "https://h/a?b#c", (), b"").url == "https://h/a?b"


def test_headers_as_http_1_has_them() -> None:
    lines = [(":path", "/"), ("A", " b\r\n c ")]
    assert checked_headers(iter(lines)) == (("A", "b c"),)
    for line in (("", "a"), ("a b", "c"), ("a", "b\0c")):
        with pytest.raises(NotCarriedOver):
            checked_headers(iter([line]))


@pytest.mark.parametrize("value", [{"a": 1}, [["a"]], {}])
def test_a_header_that_is_no_text_is_left_out_and_never_made_up(value: object) -> None:
    with pytest.raises(NotCarriedOver, match="not text"):
        listed_headers([{"name": "a", "value": value}])
    response = {"status": 200, "headers": {"a": [value]}}
    entry = {"request": {"method": "GET", "uri": "https://h/"}, "response": response}
    text = json.dumps({"interactions": [entry]})
    assert list(cassettes.read(io.BytesIO(text.encode()))) == [
        LeftOut("#1", "a header or a body of it is not text")
    ]


def test_the_length_that_an_answer_to_head_tells_stays() -> None:
    headers = (("content-length", "99"), ("content-type", "a/b"))
    exchange = ForeignExchange(where="#1", request=ASKED, status=200, headers=headers)
    response = exchange.recorder().finish("ended", 0.0).response
    assert response.headers == headers
    assert response.end == "complete"


WORDS = ("https://h/a", "GET", "aGk=", "content-encoding", "gzip", "2026-07-27T21:32:32Z")
MEMBERS = ("name", "value", "code", "string", "base64_string", "text", "encoding", "params", "size")
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
PARTS = ("method", "uri", "url", "headers", "header", "body", "parsed_body", "postData", "path")
SENT = st.fixed_dictionaries(
    {"method": st.just("GET"), "uri": st.just("https://h/a"), "url": st.just("https://h/a")},
    optional=dict.fromkeys(PARTS[3:], ANYTHING),
)
RECEIVED = st.fixed_dictionaries(
    {"status": st.just(200)},
    optional=dict.fromkeys(("headers", "header", "body", "parsed_body", "content"), ANYTHING),
)


@settings(max_examples=examples(300))
@given(sent=SENT | ANYTHING, received=RECEIVED | ANYTHING, other=ANYTHING)
def test_whatever_a_tool_wrote_is_an_exchange_or_is_left_out(
    sent: Any, received: Any, other: Any
) -> None:
    layouts = (
        {"interactions": [{"request": sent, "response": received, "recorded_at": other}]},
        {"requests": [sent], "responses": [received]},
        {"when": sent, "then": received},
    )
    entry = {
        "request": sent,
        "response": received,
        "startedDateTime": other,
        "timings": other,
        "_webSocketMessages": other,
    }
    items = list(har.read(io.BytesIO(json.dumps({"log": {"entries": [entry]}}).encode())))
    for layout in layouts:
        items += cassettes.read(io.BytesIO(json.dumps(layout).encode()))
    assert len(items) == 4
    for item in items:
        if isinstance(item, ForeignExchange):
            item.recorder().finish(item.outcome, 0.0)

"""What other tools spell in their own way becomes what HTTP has."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from wiretape.core.model import Request
from wiretape.exchange_formats.foreign import (
    ForeignExchange,
    NotCarriedOver,
    checked_headers,
    final_status,
    instant,
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


def test_the_length_that_an_answer_to_head_tells_stays() -> None:
    headers = (("content-length", "99"), ("content-type", "a/b"))
    exchange = ForeignExchange(where="#1", request=ASKED, status=200, headers=headers)
    response = exchange.recorder().finish("ended", 0.0).response
    assert response.headers == headers
    assert response.end == "complete"

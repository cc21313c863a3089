"""HAR files are read entry by entry, however large, and what they lack is said."""

import io
import json
import tracemalloc
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final, cast

import pytest

from wiretape.core.errors import FormatError
from wiretape.exchange_formats import har
from wiretape.exchange_formats.foreign import ForeignExchange, ForeignItem, LeftOut

JSON: Final = {"name": "content-type", "value": "application/json"}


def entry(**changes: Any) -> dict[str, Any]:
    """An entry as a browser writes it; `request_…` and `response_…` change the parts."""
    request: dict[str, Any] = {
        "method": "POST",
        "url": "https://api.openai.com/v1/responses",
        "headers": [{"name": ":authority", "value": "api.openai.com"}, JSON],
        "postData": {"mimeType": "application/json", "text": '{"a":1}'},
    }
    response: dict[str, Any] = {
        "status": 200,
        "headers": [JSON],
        "content": {"text": "{}", "size": 2},
    }
    for name, value in changes.items():
        part, _, member = name.partition("_")
        {"request": request, "response": response}[part][member] = value
    return {
        "startedDateTime": "2026-07-27T21:32:32.500Z",
        "request": request,
        "response": response,
        "timings": {"send": 1, "wait": 200, "receive": 50},
    }


def read(*entries: Any) -> list[ForeignItem]:
    text = json.dumps({"log": {"version": "1.2", "entries": entries}})
    return list(har.read(io.BytesIO(text.encode())))


def exchange(**changes: Any) -> ForeignExchange:
    (item,) = read(entry(**changes))
    assert isinstance(item, ForeignExchange), item
    return item


def reason(**changes: Any) -> str:
    (item,) = read(entry(**changes))
    assert isinstance(item, LeftOut)
    return item.reason


def test_a_browsers_entry_with_its_times() -> None:
    item = exchange()
    assert item.request.headers == (("content-type", "application/json"),)
    assert (item.request.body, item.status, item.body) == (b'{"a":1}', 200, b"{}")
    assert item.recorded_at == datetime(2026, 7, 27, 21, 32, 32, 500_000, UTC)
    assert (item.headers_at, item.end_at) == (0.2, 0.25)


def test_a_number_of_any_size_breaks_nothing() -> None:
    changed = entry()
    changed["_odd"] = 2**70
    changed["timings"] = {"wait": 200.5, "receive": 2**70}
    (item,) = read(changed)
    assert isinstance(item, ForeignExchange)
    assert (item.headers_at, item.end_at) == (0.2005, None)


def test_a_body_in_base64_and_one_in_another_charset() -> None:
    assert exchange(response_content={"text": "AAE=", "encoding": "base64"}).body == b"\0\1"
    latin = [{"name": "content-type", "value": "text/plain; charset=utf-16le"}]
    body = exchange(response_headers=latin, response_content={"text": "é"}).body
    assert body == "é".encode("utf-16-le")


def test_the_fields_of_a_form_are_its_body() -> None:
    fields = [{"name": "a", "value": "1 2"}, {"name": "b", "value": "é"}]
    form = {"mimeType": "application/x-www-form-urlencoded", "params": fields}
    assert exchange(request_postData=form).request.body == b"a=1+2&b=%C3%A9"


def test_the_messages_of_a_websocket_as_chrome_keeps_them() -> None:
    began = datetime(2026, 7, 27, 21, 32, 32, 500_000, UTC).timestamp()
    changed = entry(response_status=101)
    changed["_webSocketMessages"] = [
        {"type": "send", "time": began + 1, "opcode": 1, "data": "hi"},
        {"type": "receive", "time": began + 2, "opcode": 2, "data": "AAE="},
    ]
    (item,) = read(changed)
    assert isinstance(item, ForeignExchange)
    assert [(m.sender, m.data, m.binary, round(m.at or 0, 3)) for m in item.messages] == [
        ("client", b"hi", False, 1.0),
        ("server", b"\0\1", True, 2.0),
    ]
    changed["_webSocketMessages"] = [{"type": "send"}]
    assert isinstance(read(changed)[0], LeftOut)


def test_polly_keeps_a_coded_body_as_a_list_of_reads() -> None:
    content = {"text": '["AAE=", "Ag=="]', "encoding": "base64", "_isBinary": True}
    assert exchange(response_content=content).body == b"\0\1\2"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"response_content": {"size": 10}}, "no body of its answer"),
        ({"response_content": {"text": "!", "encoding": "base64"}}, "base64"),
        ({"request_postData": {"mimeType": "multipart/form-data", "params": [{}]}}, "multipart"),
        ({"response_status": 0}, "no final answer"),
        ({"response_status": 101}, "no messages"),
        ({"request_url": "data:text/plain,1"}, "URL"),
        ({"request_headers": {}}, "headers"),
    ],
)
def test_what_a_har_lacks_is_said(changes: dict[str, Any], said: str) -> None:
    assert said in reason(**changes)


@pytest.mark.parametrize("odd", [None, 1, {}, {"request": {}}, {"request": [], "response": {}}])
def test_an_entry_that_is_none_is_left_out(odd: object) -> None:
    assert [type(item) for item in read(odd, entry())] == [LeftOut, ForeignExchange]


def test_what_stands_before_a_break_is_read() -> None:
    text = json.dumps({"log": {"entries": [entry(), entry()]}})[:-150]
    items = har.read(io.BytesIO(text.encode()))
    assert isinstance(next(items), ForeignExchange)
    with pytest.raises(FormatError, match="broken after entry 1"):
        next(items)


def test_json_that_is_no_har_is_a_fault() -> None:
    with pytest.raises(FormatError, match="no log\\.entries"):
        list(har.read(io.BytesIO(b"{}")))


class Endless:
    """A HAR of so many entries, of which no more than a read is ever there."""

    def __init__(self, entries: int) -> None:
        self._left = entries
        self._ready = b'{"log":{"entries":['
        self._entry = json.dumps(entry(response_content={"text": "x" * 10_000})).encode()

    def read(self, size: int = -1) -> bytes:
        while len(self._ready) < size and self._left >= 0:
            self._ready += self._entry + b"," if self._left else b"1]}}"
            self._left -= 1
        data, self._ready = self._ready[:size], self._ready[size:]
        return data


def test_a_large_file_takes_the_memory_of_an_entry() -> None:
    tracemalloc.start()
    try:
        count = sum(1 for _ in har.read(cast(BinaryIO, Endless(400))))  # 4 MB
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 401
    assert peak < 2_000_000


def test_a_file_that_is_nested_without_end_is_broken_and_takes_no_memory() -> None:
    tracemalloc.start()
    with pytest.raises(FormatError, match="broken after entry 0"):
        list(har.read(io.BytesIO(b'{"log": {"entries": ' + b"[" * 100_000)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000_000

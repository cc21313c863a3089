"""What is written for another tool says what the recording says, and comes back the same."""

import io
import json
from collections.abc import Iterable
from typing import cast

import jsonschema  # type: ignore[import-untyped]  # types-jsonschema is not among the tools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.model import Chunk, Close, Exchange, Message, Request, Response, WebSocket
from wiretape.core.recording.document import from_exchange
from wiretape.exchange_formats import cassettes, har
from wiretape.exchange_formats.foreign import ForeignExchange, ForeignItem
from wiretape.exchange_formats.writers import WRITERS, Stored

JSON = (("content-type", "application/json"),)
BODIES = st.binary() | st.text().map(str.encode)
AT = "2026-07-27T21:32:32.500000Z"
# What the specification asks of an entry, section 12.2.
HAR = {
    "type": "object",
    "required": ["log"],
    "properties": {
        "log": {
            "required": ["version", "creator", "entries"],
            "properties": {
                "entries": {
                    "items": {
                        "required": [
                            *("startedDateTime", "time", "request", "response", "cache", "timings")
                        ],
                        "properties": {
                            "request": {
                                "required": [
                                    *("method", "url", "httpVersion", "cookies", "headers"),
                                    *("queryString", "headersSize", "bodySize"),
                                ]
                            },
                            "response": {
                                "required": [
                                    *("status", "statusText", "httpVersion", "cookies", "headers"),
                                    *("content", "redirectURL", "headersSize", "bodySize"),
                                ]
                            },
                            "timings": {"required": ["send", "wait", "receive"]},
                        },
                    }
                }
            },
        }
    },
}


def stored(exchange: Exchange) -> Stored:
    return Stored("h/e/k.json", exchange, from_exchange(exchange))


def exchange(sent: bytes = b"{}", received: bytes = b"{}") -> Exchange:
    request = Request("POST", "https", "h", 443, "/v1/x?a=1", headers=JSON, body=sent)
    chunks = (Chunk(received, 0.25),) if received else ()
    return Exchange(request, Response(200, JSON, chunks, headers_at=0.2, end_at=0.25), AT)


def text(name: str, recordings: Iterable[Exchange], left_out: list[str] | None = None) -> str:
    def leave_out(name: str, reason: str) -> None:
        assert left_out is not None, reason
        left_out.append(f"{name}: {reason}")

    return "".join(WRITERS[name](map(stored, recordings), leave_out))


def read(name: str, written: str) -> list[ForeignItem]:
    reader = {"har": har.read, "vcr": cassettes.read}[name]
    return list(reader(io.BytesIO(written.encode("utf-8", "surrogateescape"))))


@pytest.mark.parametrize("name", ["har", "vcr"])
@given(sent=BODIES, received=BODIES)
def test_what_was_written_is_read_again(name: str, sent: bytes, received: bytes) -> None:
    (item,) = read(name, text(name, [exchange(sent, received)]))
    assert isinstance(item, ForeignExchange)
    assert (item.request.url, item.request.body) == ("https://h/v1/x?a=1", sent)
    assert (item.status, item.body, item.headers) == (200, received, JSON)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_each_recording_is_an_entry_in_order(count: int) -> None:
    exchanges = [exchange(b"%d" % number) for number in range(count)]
    document = json.loads(text("har", exchanges))
    jsonschema.validate(document, HAR)
    sent = [entry["request"]["postData"]["text"] for entry in document["log"]["entries"]]
    assert sent == [str(number) for number in range(count)]
    items = cast(list[ForeignExchange], read("vcr", text("vcr", exchanges))) if count else []
    assert [item.request.body.decode() for item in items] == sent


def test_an_empty_folder_is_an_empty_cassette() -> None:
    assert read("vcr", text("vcr", [])) == []


def test_the_times_of_a_har() -> None:
    (item,) = read("har", text("har", [exchange()]))
    assert isinstance(item, ForeignExchange)
    assert (item.headers_at, item.end_at) == (0.2, 0.25)
    assert item.recorded_at is not None
    assert item.recorded_at.isoformat() == "2026-07-27T21:32:32.500000+00:00"


def test_a_websocket_goes_into_a_har_and_into_no_cassette_which_is_said() -> None:
    messages = (Message(b"hi", 0.1, "client"), Message(b"\0", 0.2, "server", True))
    response = WebSocket(101, (), messages, True, close=Close("server"))
    request = Request("GET", "https", "h", 443, "/v1/realtime")
    (item,) = read("har", text("har", [Exchange(request, response, AT)]))
    assert isinstance(item, ForeignExchange)
    assert [(m.sender, m.data, m.binary) for m in item.messages] == [
        ("client", b"hi", False),
        ("server", b"\0", True),
    ]
    left_out: list[str] = []
    assert read("vcr", text("vcr", [Exchange(request, response, AT)], left_out)) == []
    assert left_out == ["h/e/k.json: a cassette has no form for WebSockets"]


def test_lines_of_prompts_and_answers() -> None:
    chat = exchange(
        b'{"model":"m","messages":[{"role":"user","content":"h\xc3\xa9?"}]}',
        b'{"choices":[{"message":{"role":"assistant","content":"yes"}}]}',
    )
    lines = text("jsonl", [chat, chat]).splitlines()
    row = json.loads(lines[0])
    assert len(lines) == 2
    assert (row["model"], row["prompt"], row["answer_text"]) == ("m", "h\u00e9?", "yes")
    assert "h\u00e9?" in lines[0]

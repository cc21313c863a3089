"""WebSocket connections as they are recorded and stored."""

from typing import Any

import pytest

from wiretape.core.capture.websocket import WebSocketRecorder
from wiretape.core.errors import FormatError
from wiretape.core.model import Close, Message, Request, WebSocket
from wiretape.core.recording.fields import Members
from wiretape.core.recording.websocket import from_websocket, to_websocket
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.core.redaction.subprotocols import credentials_as_headers
from wiretape.core.wire.websocket import is_opening, subprotocols

UPGRADE = (("Connection", "Upgrade"), ("Upgrade", "websocket"))
KEY = "sk-proj-Xy12kd93mfAq77LpQz0aVb3n"


def opening(*headers: tuple[str, str], target: str = "/v1/realtime?model=gpt-realtime") -> Request:
    return Request("GET", "https", "api.openai.com", 443, target, headers=(*UPGRADE, *headers))


def open_recorder(limit: int = 1 << 20) -> WebSocketRecorder:
    recorder = WebSocketRecorder(opening(), limit)
    recorder.start(101, (), 0.1)
    return recorder


def recorded(*messages: Message, close: Close | None = None, end: Any = "complete") -> WebSocket:
    return WebSocket(101, (), messages, streaming=True, end=end, close=close)


def document(response: WebSocket) -> dict[str, Any]:
    """A `response` part as `core/recording/document.py` makes it, as far as messages need it."""
    members, items = from_websocket(response)
    for item, message in zip(items, response.messages, strict=True):
        if message.at is not None:
            item["at"] = message.at
    return {"status": 101, "end": response.end, **members, "body": items}


def back(part: dict[str, Any]) -> tuple[tuple[Message, ...], Close | None]:
    return to_websocket(Members(part, "response"))


# ------------------------------------------------------------------ opening requests


def test_a_request_for_an_upgrade_to_websocket_is_an_opening() -> None:
    assert is_opening(opening())
    assert not is_opening(Request("GET", "https", "h", 443, "/", headers=(("Upgrade", "h2c"),)))


def test_a_key_among_the_subprotocols_becomes_a_header() -> None:
    request = opening(("Sec-WebSocket-Protocol", f"realtime, openai-insecure-api-key.{KEY}, b.v1"))
    assert credentials_as_headers(request).headers == (
        *UPGRADE,
        ("sec-websocket-protocol", "realtime, openai-insecure-api-key, b.v1"),
        ("authorization", f"Bearer {KEY}"),
    )


@pytest.mark.parametrize("scheme", ["token", "Bearer"])
def test_what_follows_a_scheme_among_the_subprotocols_is_a_key(scheme: str) -> None:
    request = opening(("Sec-WebSocket-Protocol", f"{scheme}, abc123"))
    assert credentials_as_headers(request).headers == (
        *UPGRADE,
        ("sec-websocket-protocol", scheme),
        ("authorization", "Bearer abc123"),
    )


def test_an_account_among_the_subprotocols_becomes_the_header_it_would_be() -> None:
    request = opening(("Sec-WebSocket-Protocol", "openai-organization.org-1"))
    assert ("openai-organization", "org-1") in credentials_as_headers(request).headers


@pytest.mark.parametrize(
    "name",
    ["realtime", "openai-beta.realtime-v1", "graphql-transport-ws", "v1.json.audio", "mqttv3.1"],
)
def test_a_usual_subprotocol_stays(name: str) -> None:
    assert subprotocols(
        credentials_as_headers(opening(("Sec-WebSocket-Protocol", name))).headers
    ) == (name,)


def test_a_subprotocol_that_looks_like_a_key_is_one_whatever_names_it() -> None:
    request = opening(("Sec-WebSocket-Protocol", "my.own.Kd93mfAq77LpQz0aVb3nXy12"))
    assert subprotocols(credentials_as_headers(request).headers) == ("my.own",)


def test_redaction_knows_a_key_among_the_subprotocols() -> None:
    request = credentials_as_headers(
        opening(("Sec-WebSocket-Protocol", f"openai-insecure-api-key.{KEY}"))
    )
    redactor = Redactor(RedactionRules(patterns=()))
    secrets = redactor.secrets(request)
    part = {"method": "GET", "url": "https://h/", "headers": {}, "body": {"a": f"is {KEY}"}}
    assert KEY not in str(redactor.request(part, secrets))


def test_a_request_that_is_no_opening_stays_itself() -> None:
    request = Request(
        "GET", "https", "h", 443, "/", headers=(("Sec-WebSocket-Protocol", "token, a"),)
    )
    assert credentials_as_headers(request) is request


# ------------------------------------------------------------------ recording


def test_messages_of_both_sides_are_kept_in_order_with_their_times() -> None:
    recorder = open_recorder()
    recorder.message("server", b'{"type":"session.created"}', 0.2, binary=False)
    recorder.message("client", b"\x00\xff", 0.3, binary=True)
    outcome = recorder.closed("client", 1000, "bye")
    assert recorder.finish(outcome, 0.4).response == WebSocket(
        status=101,
        chunks=(
            Message(b'{"type":"session.created"}', 0.2, "server"),
            Message(b"\x00\xff", 0.3, "client", binary=True),
        ),
        streaming=True,
        headers_at=0.1,
        end_at=0.4,
        close=Close("client", 1000, "bye"),
    )


@pytest.mark.parametrize(("sender", "end"), [("client", "client-closed"), ("server", "cut")])
def test_an_end_without_a_closing_frame_tells_whose_it_was(sender: Any, end: str) -> None:
    recorder = open_recorder()
    response = recorder.finish(recorder.closed(sender, 1006, ""), 1.0).response
    assert isinstance(response, WebSocket)
    assert (response.end, response.close) == (end, None)


def test_a_closing_frame_without_a_code_has_none() -> None:
    recorder = open_recorder()
    assert recorder.closed("server", 1005, "") == "ended"
    assert recorder.close == Close("server", None)


def test_a_refused_upgrade_is_an_answer_like_any_other() -> None:
    recorder = WebSocketRecorder(opening())
    recorder.start(400, (("content-type", "application/json"),), 0.1)
    recorder.read(b'{"error":{}}', 0.2)
    response = recorder.finish("ended", 0.3).response
    assert (type(response).__name__, response.body) == ("Response", b'{"error":{}}')
    assert recorder.first_chunk_at == 0.2


def test_the_first_message_of_the_provider_is_the_first_chunk() -> None:
    recorder = open_recorder()
    recorder.message("client", b"{}", 0.2, binary=False)
    assert recorder.first_chunk_at is None
    recorder.message("server", b"{}", 0.5, binary=False)
    assert recorder.first_chunk_at == 0.5


def test_a_connection_beyond_the_limit_is_let_go_and_says_why() -> None:
    recorder = open_recorder(limit=1 << 20)
    for number in range(10):
        recorder.message("client", b"x" * 200_000, number / 10, binary=True)
    assert recorder.unrecorded == "a WebSocket with more than 1 MiB of messages"
    assert recorder.reads == []
    assert recorder.finish("ended", 1.0).response.chunks == ()


def test_empty_messages_count_against_the_limit_too() -> None:
    recorder = open_recorder(limit=2000)
    for _ in range(10):
        recorder.message("client", b"", 0.1, binary=False)
    assert recorder.unrecorded is not None


# ------------------------------------------------------------------ documents


def test_json_stands_as_json_in_the_style_of_its_side() -> None:
    response = recorded(
        Message(b'{"type":"session.created","n":1}', 0.1, "server"),
        Message(b'{"type": "response.create", "n": 1}', 0.2, "client"),
        close=Close("client"),
    )
    assert document(response) == {
        "status": 101,
        "end": "complete",
        "client_json": "spaced",
        "close": {"from": "client", "code": 1000},
        "body": [
            {"from": "server", "__data__": {"type": "session.created", "n": 1}, "at": 0.1},
            {"from": "client", "__data__": {"type": "response.create", "n": 1}, "at": 0.2},
        ],
    }


@pytest.mark.parametrize(
    "message",
    [
        Message(b'{"a":1}'),
        Message(b'{"a": 1}', sender="client"),
        Message(b'{\n  "setupComplete": {}\n}\n', binary=True),
        Message(b'{"n":123456789012345678901234567890,"f":1e0}'),
        Message(b'{"a":1, "b":2}'),
        Message(b'{"a":1,"a":2}'),
        Message("Grüße".encode()),
        Message(b"text", binary=True),
        Message(b""),
        Message(b"", binary=True),
        Message(b'"a string"'),
        Message(b"\x00\x01\xff", binary=True),
        Message(b'{"cut', sender="client"),
        Message(b"{\xff}", binary=True),
    ],
    ids=lambda message: repr(message.data[:20]),
)
def test_a_message_comes_back_byte_for_byte(message: Message) -> None:
    response = recorded(Message(b'{"a":1}', sender="server"), message, close=Close("server"))
    assert back(document(response)) == (response.messages, Close("server"))


def test_the_rarer_style_of_a_side_stands_with_its_message() -> None:
    response = recorded(
        Message(b'{"a": 1}'), Message(b'{"b": 1}'), Message(b'{"c":1}'), close=Close("server")
    )
    part = document(response)
    assert part["json"] == "spaced"
    assert [item.get("json") for item in part["body"]] == [None, None, "compact"]
    assert back(part)[0] == response.messages


@pytest.mark.parametrize(
    "close",
    [Close("client", None), Close("server", 1011, "Grüße"), Close("client", 4000, "x" * 123)],
)
def test_a_closing_frame_comes_back(close: Close) -> None:
    assert back(document(recorded(close=close)))[1] == close


def test_a_side_file_is_a_binary_message() -> None:
    part = {"close": {"from": "client"}, "body": [{"from": "server", "file": "f.bin"}]}
    messages, _ = to_websocket(Members(part, "response"), {"f.bin": b"\x00"}.__getitem__)
    assert messages == (Message(b"\x00", binary=True),)


ENDED = {"from": "client", "code": 1000}


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            {"body": [{"from": "me", "text": "a"}], "close": ENDED},
            "response.body[0].from: expected client or server, got 'me'",
        ),
        (
            {"body": [{"from": "client"}], "close": ENDED},
            "response.body[0]: expected one of __data__, text, base64, file, got the members from",
        ),
        (
            {"body": [{"from": "client", "text": "", "binary": 1}], "close": ENDED},
            "response.body[0].binary: expected true or false, got 1",
        ),
        (
            {"body": [], "close": {"from": "client", "code": 1006}},
            "response.close.code: expected a closing code from 1000 to 4999 that a frame can have,"
            " got 1006",
        ),
        (
            {"body": [], "close": {"from": "client", "code": 70000}},
            "response.close.code: expected a closing code from 1000 to 4999 that a frame can have,"
            " got 70000",
        ),
        (
            {"body": []},
            'response.close: expected an object such as {"from": "client", "code": 1000},'
            " got nothing",
        ),
        (
            {"body": [], "end": "cut", "close": ENDED},
            "response.end: expected no end but the closing frame's, or no `close`, got 'cut'",
        ),
    ],
)
def test_what_is_wrong_in_a_recording_is_named(part: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError) as raised:
        back(part)
    assert str(raised.value) == message


def test_a_secret_that_is_cut_up_over_messages_is_found() -> None:
    response = recorded(
        Message(b'{"type":"response.output_text.delta","delta":"key sk-proj-Xy12kd"}'),
        Message(b'{"type":"response.output_text.delta","delta":"93mfAq77LpQz0aVb3n ok"}'),
        close=Close("server"),
    )
    request = {"method": "GET", "url": "https://h/v1/realtime", "headers": {}}
    whole = {"request": request, "response": {"headers": {}, **document(response)}}
    rules = RedactionRules(patterns=(), values=(("api-key", KEY),))
    redacted, _ = Redactor(rules).document(whole)
    texts = [message.data for message in back(redacted["response"])[0]]
    assert b"sk-proj-Xy12kd" not in texts[0]
    assert b"93mfAq77" not in texts[1]


def test_the_commonest_style_is_found_in_one_pass_over_the_messages() -> None:
    """Counted by comparisons: twice the messages, twice the work."""

    class Style(str):
        compared = 0
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            Style.compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    from wiretape.core.recording.websocket import _common

    def work(number: int) -> int:
        messages = [Message(b"{}", 0.0, "server", False)] * number
        Style.compared = 0
        styles: list[Any] = [({}, Style("pretty" if at % 3 else "compact")) for at in range(number)]
        assert _common("server", messages, styles) == "pretty"
        return Style.compared

    assert work(400) < 3 * work(200) + 10

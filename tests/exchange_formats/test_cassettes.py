"""Cassettes of vcrpy, Ruby VCR and httpmock are read as what was on the wire."""

import io
import json
from datetime import UTC, datetime

import pytest

from wiretape.core.errors import FormatError
from wiretape.core.model import Request
from wiretape.exchange_formats import cassettes
from wiretape.exchange_formats.foreign import ForeignExchange, ForeignItem, LeftOut

VCRPY = """\
interactions:
- request:
    body: '{"model":"m"}'
    headers:
      accept: ['*/*']
      x-version: 2023-06-01
      x-ratio: 1.10
      x-flag: true
    method: POST
    uri: https://api.openai.com/v1/chat/completions?a=1
  response:
    body: %s
    headers:
      Content-Type: [application/json]
      Date: ['Mon, 27 Jul 2026 21:32:32 GMT']
    status: {code: 200, message: OK}
version: 1
"""

RUBY = """\
---
http_interactions:
- request:
    method: get
    uri: https://api.mistral.ai/v1/models
    body:
      encoding: US-ASCII
      string: ''
    headers:
      Authorization:
      - Bearer <KEY>
  response:
    status: {code: 200, message: OK}
    headers:
      Content-Type: [application/json]
    body:
      encoding: ASCII-8BIT
      string: !binary |-
        eyJhIjoxfQ==
  recorded_at: Fri, 07 Mar 2025 18:29:48 GMT
recorded_with: VCR 6.3.1
"""

HTTPMOCK = """\
when:
  path: /v2/chat
  method: POST
  header: [{name: content-type, value: application/json}]
  body: '{"q":1}'
then:
  status: 501
  header: [{name: content-type, value: application/json}]
  body: '{"error":1}'
"""


def read(text: str, hint: Request | None = None) -> list[ForeignItem]:
    return list(cassettes.read(io.BytesIO(text.encode()), hint))


def exchange(text: str, hint: Request | None = None) -> ForeignExchange:
    (item,) = read(text, hint)
    assert isinstance(item, ForeignExchange), item
    return item


def reason(text: str) -> str:
    (item,) = read(text)
    assert isinstance(item, LeftOut)
    return item.reason


def test_vcrpys_request_and_answer() -> None:
    item = exchange(VCRPY % "{string: '{\"id\": 1}'}")
    assert item.request.url == "https://api.openai.com/v1/chat/completions?a=1"
    assert (item.request.method, item.request.body) == ("POST", b'{"model":"m"}')
    assert (item.status, item.body) == (200, b'{"id": 1}')
    assert item.recorded_at == datetime(2026, 7, 27, 21, 32, 32, tzinfo=UTC)


def test_a_header_that_yaml_takes_for_a_date_or_a_number_stays_text() -> None:
    headers = dict(exchange(VCRPY % "{string: ''}").request.headers)
    assert headers["x-version"] == "2023-06-01"
    assert headers["x-ratio"] == "1.10"
    assert headers["x-flag"] == "true"


@pytest.mark.parametrize(
    ("body", "data"),
    [
        ("{string: héllo}", "héllo".encode()),
        ("{string: !!binary aGk=}", b"hi"),
        ("{base64_string: aGk=}", b"hi"),
        ("{string: null}", b""),
        ("null", b""),
        ("plain", b"plain"),
    ],
)
def test_the_spellings_of_a_body(body: str, data: bytes) -> None:
    assert exchange(VCRPY % body).body == data


def test_a_parsed_body_is_written_as_json_with_its_numbers_as_they_were() -> None:
    text = VCRPY.replace("    body: %s\n", "    parsed_body: {a: 0.10, b: [1, true, null]}\n")
    assert exchange(text).body == b'{"a":0.10,"b":[1,true,null]}'


def test_vcrpys_json_is_read_by_the_same_reader() -> None:
    text = (
        '{"interactions": [{"request": {"method": "GET", "uri": "http://h/a", "body": null,'
        ' "headers": {}}, "response": {"status": {"code": 204, "message": ""}, "headers": {},'
        ' "body": {"string": ""}}}], "version": 1}'
    )
    assert (exchange(text).status, exchange(text).request.url) == (204, "http://h/a")


def test_jsons_escapes_are_jsons_and_not_yamls() -> None:
    answer = {"status": {"code": 200}, "body": {"string": "\U0001f600 \x7f"}}
    entry = {"request": {"method": "GET", "uri": "http://h/a"}, "response": answer}
    text = json.dumps({"interactions": [entry]})
    assert "\\ud83d" in text
    assert exchange(text).body == "\U0001f600 \x7f".encode()


def test_ruby_vcrs_binary_body_and_time() -> None:
    item = exchange(RUBY)
    assert (item.request.method, item.body) == ("GET", b'{"a":1}')
    assert item.recorded_at == datetime(2025, 3, 7, 18, 29, 48, tzinfo=UTC)


def test_httpmock_needs_to_be_told_its_host() -> None:
    assert "--url" in reason(HTTPMOCK)
    hint = Request("POST", "https", "api.cohere.com", 443, "/")
    item = exchange(HTTPMOCK, hint)
    assert item.request.url == "https://api.cohere.com/v2/chat"
    assert (item.request.body, item.status, item.body) == (b'{"q":1}', 501, b'{"error":1}')


def test_a_url_that_was_taken_out_can_be_given() -> None:
    text = VCRPY.replace("https://api.openai.com/v1/chat/completions?a=1", "'**REDACTED**'")
    assert "URL" in reason(text % "x")
    hint = Request("POST", "https", "api.openai.com", 443, "/v1/responses")
    assert exchange(text % "x", hint).request.url == "https://api.openai.com/v1/responses"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    status: {code: 200, message: OK}", "    status: {}", "no status"),
        ("    status: {code: 200, message: OK}", "    status: 100", "no final answer"),
        ("    method: POST", "    method: 'A B'", "method"),
        ("      x-flag: true", "      'x flag': true", "header"),
        ("    body: %s", "    body: {base64_string: 'a'}", "base64"),
    ],
)
def test_what_is_no_exchange_is_left_out_with_its_reason(old: str, new: str, said: str) -> None:
    text = VCRPY.replace(old, new)
    assert said in reason(text % "x" if "%s" in text else text)


def test_a_message_of_a_websocket_is_left_out() -> None:
    assert "WebSocket" in reason("interactions:\n- {kind: message, direction: sent, data: {}}\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1\nb: }", "line 2: not YAML"),
        ("- 1\n", "expected a cassette"),
        ("a: 1\n", "no interactions"),
        ("interactions: 1\n", "no interactions"),
        ("\x00", "not YAML"),
    ],
)
def test_what_is_no_cassette_is_a_fault(text: str, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        read(text)


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!ruby/object:Gem::Version"])
def test_a_tag_makes_nothing_run(tag: str) -> None:
    text = VCRPY.replace("x-flag: true", f"x-flag: {tag} ['touch nothing']")
    assert ("x-flag", "touch nothing") in exchange(text % "x").request.headers


BOMB = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 60_000, "nested too deeply"),  # libyaml would end the process
        ("- " * 60_000, "nested too deeply"),
        ("interactions:\n- request: {body: " + "{a: " * 60_000, "nested too deeply"),
        (f"a0: &a0 {'x' * 1000}\n{BOMB}interactions: *a11\n", "aliases stand for too much"),
        ("interactions:\n- request: {parsed_body: &a [*a]}\n", "what it is in"),
    ],
    ids=["flow", "block", "within", "aliases", "itself"],
)
def test_a_cassette_that_would_end_the_program_is_refused(text: str, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        list(cassettes.read(io.BytesIO(text.encode())))


def test_aliases_of_a_cassette_are_what_they_stand_for() -> None:
    answer = "&one {status: {code: 200}, headers: &h {a: [b]}, body: {string: hi}}"
    request = "{method: GET, uri: 'https://h/x', headers: *h}"
    text = f"interactions:\n- response: {answer}\n  request: {request}\n"
    text += f"- request: {request}\n  response: *one\n"
    items = list(cassettes.read(io.BytesIO(text.encode())))
    assert [getattr(item, "body", item) for item in items] == [b"hi", b"hi"]

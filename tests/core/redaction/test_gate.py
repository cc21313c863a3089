"""The gate: what may not be written, told with its place, masked, and with its remedy."""

import base64
import gzip
import json

import pytest

from wiretape.core.model import Chunk, Exchange, Headers, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange
from wiretape.core.redaction import encodings
from wiretape.core.redaction.credential_names import is_credential
from wiretape.core.redaction.gate import (
    Leak,
    inspect,
    inspect_bytes,
    masked,
    unsearchable,
)
from wiretape.core.redaction.key_patterns import PATTERNS, Pattern
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.core.text.regex import Linear

KEY = "tgp_v1_" + "aB3dEfG9hIjK2mNoP4qRsT6uVwX8yZ0-_cD5eF7g"
PASSWORD = "kV8w2Qz-T5rXn1Lp"
JSON: Headers = (("content-type", "application/json"),)
redactor = Redactor(RedactionRules())


def request(body: object, headers: Headers = JSON, target: str = "/v1/chat/completions") -> Request:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request("POST", "https", "api.together.xyz", 443, target, headers=headers, body=data)


def answer(body: object, headers: Headers = JSON) -> Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(200, headers, (Chunk(data),))


def text_of(request: Request, answered: Response | None = None) -> str:
    return recording_format.dumps(from_exchange(Exchange(request, answered or answer({}))))


def test_a_leak_tells_rule_place_line_and_remedy() -> None:
    text = text_of(request({"model": "m", "messages": [{"content": f"my key is {KEY}"}]}))
    (leak,) = inspect(text, redactor)
    assert leak == Leak(
        "together-key",
        "request.body.messages[0].content",
        1 + text[: text.index(KEY)].count("\n"),
        f"tgp_v1_aB3…({len(KEY)} characters)",
        'redact: {json: ["$.messages[*].content"]}',
    )
    assert KEY not in repr(leak)


def test_a_known_value_is_a_leak() -> None:
    sent = request({"note": KEY}, (*JSON, ("Authorization", f"Bearer {KEY}")))
    leaks = inspect(text_of(request({"note": KEY})), redactor, redactor.secrets(sent))
    assert [(leak.rule, leak.where) for leak in leaks] == [("authorization", "request.body.note")]


def test_a_secret_header_and_parameter_are_leaks() -> None:
    sent = request({}, (*JSON, ("X-Api-Key", "plain-value")), "/v1/x?key=abc")
    leaks = inspect(text_of(sent), redactor)
    assert [(leak.rule, leak.where, leak.remedy) for leak in leaks] == [
        ("query-key", "request.url", "redact: {query: [key]}"),
        ("x-api-key", "request.headers.x-api-key", "redact: {headers: [x-api-key]}"),
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("password", PASSWORD),
        ("clientSecret", PASSWORD),
        ("api_key", PASSWORD),
        ("Authorization", f"Bearer {PASSWORD}"),
    ],
)
def test_a_value_under_a_credentials_name_is_a_leak(name: str, value: str) -> None:
    (leak,) = inspect(text_of(request({"user": {name: value}})), redactor)
    assert (leak.rule, leak.where) == ("credential-field", f"request.body.user.{name}")
    assert leak.remedy == f'redact: {{json: ["$.user.{name}"]}}'


@pytest.mark.parametrize(
    "name",
    [r"api\u005fkey", r"api\u005f\u006b\u0065\u0079", r"\u0061pi_key", r"api\"-key", r"api\/key"],
)
def test_a_credentials_name_may_be_escaped(name: str) -> None:
    text = f'{{"user": {{"{name}": "{PASSWORD}"}}}}'
    assert [leak.rule for leak in inspect(text, redactor)] == ["credential-field"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("password", "correct horse battery staple"),
        ("password", "hunter2"),
        ("api_key", "your-api-key-goes-here-please"),
        ("api_key", "REDACTED-authorization-0a1b2c3d"),
        ("api_key", f"REDACTED-a and {PASSWORD}"[:16]),
        ("api_key", base64.b64encode(b"REDACTED-authorization").decode()),
        ("next_page_token", PASSWORD),
        ("token", " understanding"),
        ("max_tokens", PASSWORD),
        ("token_id", PASSWORD),
        ("cache_key", PASSWORD),
        ("system_fingerprint", PASSWORD),
        ("token", "/var/run/secrets/token"),
    ],
)
def test_what_can_be_guessed_or_is_no_credential_is_none(name: str, value: str) -> None:
    assert inspect(text_of(request({name: value})), redactor) == ()


def test_a_models_token_is_no_credential() -> None:
    text = text_of(request({"content": [{"token": PASSWORD, "logprob": -1}]}))
    assert inspect(text, redactor) == ()


def test_har_says_its_headers_as_names_and_values() -> None:
    entry = {"headers": [{"name": "Authorization", "value": f"Bearer {PASSWORD}"}]}
    text = json.dumps({"log": {"entries": [{"request": entry}]}}, indent=1)
    (leak,) = inspect(text, redactor)
    assert leak.rule == "credential-field"
    assert leak.where == "log.entries[0].request.headers[0].value"
    assert leak.line == 1 + text[: text.index(PASSWORD)].count("\n")


def test_other_texts_tell_the_line() -> None:
    text = (
        "interactions:\n- request:\n    headers:\n      authorization:\n"
        f"      - Bearer {PASSWORD}\n    uri: https://x.example/\n  note: {KEY}\n"
    )
    leaks = inspect(text, redactor)
    assert [(leak.rule, leak.where, leak.line) for leak in leaks] == [
        ("credential-field", "", 5),
        ("together-key", "", 7),
    ]


def test_a_secret_in_another_form_is_a_leak() -> None:
    inner = base64.b64encode(f"key: {KEY}".encode()).decode()
    (leak,) = inspect(text_of(request({"file": inner})), redactor)
    assert (leak.rule, leak.where) == ("together-key", "request.body.file")


def test_a_secret_cut_up_over_a_stream_is_a_leak() -> None:
    chunks = [
        b'data: {"choices": [{"index": 0, "delta": {"content": %s}}]}\n\n'
        % json.dumps(part).encode()
        for part in (KEY[:9], KEY[9:30], KEY[30:])
    ]
    streamed = Response(
        200, (("content-type", "text/event-stream"),), tuple(map(Chunk, chunks)), streaming=True
    )
    leaks = inspect(text_of(request({}), streamed), redactor)
    assert {leak.rule for leak in leaks} == {"together-key"}


def test_what_redaction_leaves_alone_is_looked_at_too() -> None:
    document, _ = redactor.document(from_exchange(Exchange(request({}), answer({}))))
    document["response"]["body"]["__type__"] = KEY
    (leak,) = inspect(recording_format.dumps(document), redactor)
    assert leak.rule == "together-key"


def test_a_number_that_is_a_known_value_is_a_leak_that_nothing_takes_out() -> None:
    by = Redactor(RedactionRules(values=(("PIN", "271828182845904523536028"),)))
    (leak,) = inspect(text_of(request({"pin": 271828182845904523536028})), by)
    assert (leak.rule, leak.remedy.partition(" #")[0]) == ("pin", "redact: {gate: warn}")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (f'{{"a": "{KEY}", "a": "x"}}', "a"),
        (f'[{{"n": 1,\n"a": {{"b": ["{KEY}"]}}, "a": 1, "a": 2}}]', "a.b[0]"),
        (f'{{"{KEY}": 1, "a": {{}}, "{KEY}": 2, "a": {{"c": "{KEY}"}}, "a": 0}}', "a.c"),
        ('{"password": "kD9fWq7RzX2mB5nTc8vLj", "password": ""}', "password"),
    ],
)
def test_a_member_that_a_later_one_takes_the_place_of_is_searched(text: str, where: str) -> None:
    leaks = inspect(text, redactor)
    assert where in [leak.where for leak in leaks]
    assert KEY not in repr(leaks)


def test_so_is_a_number_there() -> None:
    by = Redactor(RedactionRules(values=(("PIN", "271828182845904523536028"),)))
    assert [leak.rule for leak in inspect('{"a":271828182845904523536028,"a":1}', by)] == ["pin"]


def test_a_broken_json_text_is_searched_as_it_is() -> None:
    (leak,) = inspect(f'{{"half": "a file:\n {KEY}', redactor)
    assert (leak.rule, leak.where, leak.line) == ("together-key", "", 2)


def test_a_value_that_the_request_makes_public_is_none() -> None:
    by = Redactor(RedactionRules(values=(("MODEL", "meta/llama-3.3-70b"),)))
    assert inspect(text_of(request({"model": "meta/llama-3.3-70b"})), by) == ()


def test_the_users_patterns_fit_strings_and_no_json() -> None:
    own = Redactor(RedactionRules(patterns=(*PATTERNS, Pattern("p", Linear('"url"|EMP-[0-9]+')))))
    assert inspect(text_of(request({"a": "b"})), own) == ()
    (leak,) = inspect(text_of(request({"a": "EMP-77"})), own)
    assert (leak.rule, leak.where) == ("p", "request.body.a")


def test_bytes_are_searched_with_their_compression_undone() -> None:
    for data in (KEY.encode(), b"\xff" + KEY.encode(), gzip.compress(KEY.encode())):
        assert [leak.rule for leak in inspect_bytes(data, redactor)] == ["together-key"]
    assert inspect_bytes(gzip.compress(b"nothing"), redactor) == ()


def test_a_compressed_file_that_came_in_several_chunks_is_unpacked() -> None:
    data = gzip.compress(f"my key is {KEY}".encode())
    kind: Headers = (("content-type", "application/gzip"),)
    parts = tuple(Chunk(data[at : at + 20]) for at in range(0, len(data), 20))
    streamed = Response(200, kind, parts, streaming=True)
    (leak,) = inspect(text_of(request({}), streamed), redactor)
    assert (leak.rule, leak.where) == ("together-key", "response.body")


def test_too_much_compressed_data_is_a_leak_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encodings, "MAX_DECODED", 1000)
    data = gzip.compress(bytes(2000))
    (leak,) = inspect_bytes(data, redactor)
    assert (leak.rule, leak.remedy) == ("unsearched", "redact: {unsearched: [large]}")
    text = text_of(request({"file": base64.b64encode(data).decode()}))
    assert [leak.rule for leak in inspect(text, redactor)] == ["unsearched"]
    named = Redactor(RedactionRules(unsearched=frozenset(["large"])))
    assert inspect_bytes(data, named) == ()
    assert inspect(text, named) == ()


def test_a_coding_that_is_not_known_is_a_leak_unless_it_is_named() -> None:
    odd: Headers = (("content-encoding", "x-odd"),)
    both = (request(b"abc", odd), answer(b"abc", odd))
    assert [(leak.where, leak.remedy) for leak in unsearchable(*both, redactor)] == [
        ("response.body", "redact: {unsearched: [x-odd]}"),
        ("request.body", "redact: {unsearched: [x-odd]}"),
    ]
    named = Redactor(RedactionRules(unsearched=frozenset(["x-odd"])))
    assert unsearchable(*both, named) == ()


def test_a_coding_that_is_undone_is_none() -> None:
    sent = request(gzip.compress(b"{}"), (("content-encoding", "gzip"),))
    assert unsearchable(sent, answer(b""), redactor) == ()


def test_a_body_over_the_limit_is_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "MAX_DECODED", 1000)
    (leak,) = unsearchable(request(bytes(1001)), answer(bytes(1000)), redactor)
    assert (leak.rule, leak.where) == ("unsearched", "request.body")


@pytest.mark.parametrize("value", ["", "abc", KEY, "\x1b[31m" * 9])
def test_a_masked_value_shows_a_quarter_at_most(value: str) -> None:
    shown, _, rest = masked(value).partition("…")
    assert len(shown) <= len(value) / 4
    assert rest == f"({len(value)} characters)"
    assert shown.isprintable()


def test_names_of_credentials() -> None:
    assert all(map(is_credential, ["x-api-key", "accessToken", "APIKey", "DB_PASSWORD", "secret"]))
    assert not any(map(is_credential, ["", "key", "tokens", "keyboard", "monkey", "secretary"]))

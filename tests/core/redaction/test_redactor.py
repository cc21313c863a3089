"""Redaction of whole documents: what is kept, what goes, what both sides of a match see."""

import base64
import copy
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.support import paths
from tests.support.cases import check_each
from tests.support.limits import examples, part_of

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Chunk, Exchange, Headers, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange, from_request, to_exchange
from wiretape.core.redaction.gate import inspect
from wiretape.core.redaction.key_patterns import PATTERNS, Pattern
from wiretape.core.redaction.known_values import Secrets
from wiretape.core.redaction.placeholder import digest_of, is_strong, label, placeholder
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import JsonRule, RedactionRules
from wiretape.core.redaction.traces import KnownTraces
from wiretape.core.text import exact_json
from wiretape.core.text.jsonpath import Path as JsonPath

RECORDINGS = paths.RECORDINGS
KEY = "tgp_v1_" + "aB3dEfG9hIjK2mNoP4qRsT6uVwX8yZ0-_cD5eF7g"
OTHER_KEY = "sk-other-" + "Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2"
ENV_VALUE = "configured-value-5f2e8d1c"
STANDS = placeholder("together-key", KEY)
JSON_HEADERS: Headers = (("content-type", "application/json"),)
SSE_HEADERS: Headers = (("content-type", "text/event-stream"),)

redactor = Redactor(RedactionRules())


def chat(content: str, key: str = KEY, **more: Any) -> Request:
    body = {"model": "llama-3", "messages": [{"role": "user", "content": content}], **more}
    return Request(
        method="POST",
        scheme="https",
        host="api.together.xyz",
        port=443,
        target="/v1/chat/completions",
        headers=(*JSON_HEADERS, ("Authorization", f"Bearer {key}")),
        body=json.dumps(body).encode(),
    )


def answer(data: bytes, headers: Headers = JSON_HEADERS) -> Response:
    return Response(200, headers, (Chunk(data),))


def stream(*blocks: bytes) -> Response:
    return Response(200, SSE_HEADERS, tuple(map(Chunk, blocks)), streaming=True)


def redacted(
    request: Request, response: Response | None = None, by: Redactor = redactor
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The redacted document of an exchange and its findings; it is still one, and stays so."""
    response = response or answer(b"{}")
    before = from_exchange(Exchange(request, response))
    untouched = copy.deepcopy(before)
    secrets = by.secrets(request)
    document, findings = by.document(before, secrets)
    assert before == untouched
    to_exchange(document)
    again, more = by.document(document, secrets)
    assert (again, more) == (document, ())
    assert by.request(before["request"], secrets) == document["request"]
    assert inspect(recording_format.dumps(document), by, secrets) == ()
    return document, [(finding.rule, finding.where) for finding in findings]


# ---------------------------------------------------------------------- known values


def test_the_key_goes_from_header_request_and_answer() -> None:
    document, findings = redacted(
        chat(f"my key is {KEY}, remember it"),
        answer(json.dumps({"error": f"bad key: {KEY}", "code": 401}).encode()),
    )
    assert document == {
        "wiretape": 1,
        "recorded_at": None,
        "request": {
            "method": "POST",
            "url": "https://api.together.xyz/v1/chat/completions",
            "headers": {"content-type": "application/json"},
            "body": {
                "model": "llama-3",
                "messages": [{"role": "user", "content": f"my key is {STANDS}, remember it"}],
            },
            "body_json": "spaced",
            "endpoint": "/v1/chat/completions",
            "model": "llama-3",
        },
        "response": {
            "status": 200,
            "headers": {"content-type": "application/json"},
            "is_streaming": False,
            "json": "spaced",
            "body": {
                "__type__": "openai.types.chat.chat_completion.ChatCompletion",
                "__data__": {"error": f"bad key: {STANDS}", "code": 401},
            },
        },
    }
    assert findings == [
        ("authorization", "request.headers.authorization"),
        ("authorization", "request.body.messages[0].content"),
        ("authorization", "response.body.__data__.error"),
    ]


def test_the_key_goes_from_every_field_of_a_chunk() -> None:
    document, findings = redacted(
        chat("hi"),
        stream(
            b'data: {"delta":"%s"}\n\n' % KEY.encode(),
            b"event: %s\nid: %s\ndata: plain %s\n\n" % ((KEY.encode(),) * 3),
            b": comment %s\n\n" % KEY.encode(),
            b"data: \xff %s\n\n" % KEY.encode(),
            b"data: [DONE]\n\n",
        ),
    )
    assert document["response"]["body"] == [
        {
            "__type__": "openai.types.chat.chat_completion_chunk.ChatCompletionChunk",
            "__data__": {"delta": STANDS},
        },
        {"event": STANDS, "id": STANDS, "data": f"plain {STANDS}"},
        {"text": f": comment {STANDS}\n\n"},
        {"base64": base64.b64encode(b"data: \xff %s\n\n" % STANDS.encode()).decode()},
        {"data": "[DONE]"},
    ]
    assert [where for _, where in findings[1:]] == [
        "response.body[0].__data__.delta",
        "response.body[1].event",
        "response.body[1].id",
        "response.body[1].data",
        "response.body[2].text",
        "response.body[3].base64",
    ]


def test_the_key_goes_from_bodies_that_are_no_json() -> None:
    headers = (("content-type", "text/plain"), ("x-api-key", KEY))
    request = Request(
        "POST", "https", "h.example", 443, "/", headers=headers, body=f"a {KEY} b".encode()
    )
    document, _ = redacted(request, answer(f"c {KEY} d".encode(), (("content-type", "text/csv"),)))
    stands = placeholder("together-key", KEY)
    assert document["request"]["body_text"] == f"a {stands} b"
    assert document["response"]["body"] == {"text": f"c {stands} d"}


def test_the_key_goes_from_binary_bodies_and_the_other_bytes_stay() -> None:
    audio = bytes(range(256))
    request = Request(
        "POST",
        "https",
        "h.example",
        443,
        "/",
        headers=(("api-key", KEY),),
        body=audio + KEY.encode() + audio,
    )
    document, findings = redacted(request, answer(audio, (("content-type", "audio/mpeg"),)))
    stands = placeholder("together-key", KEY).encode()
    assert to_exchange(document).request.body == audio + stands + audio
    assert to_exchange(document).response.body == audio
    assert findings[1:] == [("api-key", "request.body_base64")]


def test_the_key_goes_from_the_path_the_query_and_kept_headers() -> None:
    request = Request(
        method="GET",
        scheme="https",
        host="h.example",
        port=8443,
        target=f"/bots/{KEY}/send?text=see%20{KEY}&n=1",
        headers=(("Accept", f"text/{KEY}"), ("x-api-key", KEY)),
    )
    document, _ = redacted(request, answer(b"", (("location", f"/bots/{KEY}"), *JSON_HEADERS)))
    stands = placeholder("together-key", KEY)
    assert document["request"] == {
        "method": "GET",
        "url": f"https://h.example:8443/bots/{stands}/send?text=see%20{stands}&n=1",
        "headers": {"accept": f"text/{stands}"},
        "endpoint": f"/bots/{stands}/send",
    }
    assert document["response"]["headers"]["location"] == f"/bots/{stands}"


def test_a_member_named_as_the_key_is_renamed_and_none_is_lost() -> None:
    body = {KEY: 1, f"x{KEY}": {KEY: True}, STANDS: 2, "n": 3}
    document, findings = redacted(chat("hi", metadata=body))
    assert document["request"]["body"]["metadata"] == {
        f"{STANDS}-2": 1,
        f"x{STANDS}": {STANDS: True},
        STANDS: 2,
        "n": 3,
    }
    assert all(KEY not in where for _, where in findings)


def test_basic_credentials_go_whole_and_in_parts() -> None:
    pair = base64.b64encode(b"service-user-01:correct horse 7").decode()
    request = Request(
        "POST",
        "https",
        "h.example",
        443,
        "/",
        headers=(("authorization", f"Basic {pair}"),),
        body=json.dumps([pair, "service-user-01", "correct horse 7", "service"]).encode(),
    )
    document, _ = redacted(request)
    assert document["request"]["body"] == [
        placeholder("secret", pair),
        "REDACTED-secret",
        "REDACTED-secret",
        "service",
    ]


def test_a_cookies_value_goes_from_the_answer() -> None:
    request = Request(
        "GET", "https", "h.example", 443, "/", headers=(("cookie", f"a=b; session={KEY}"),)
    )
    document, _ = redacted(request, answer(json.dumps({"you": KEY, "a": "b"}).encode()))
    assert document["response"]["body"]["__data__"] == {
        "you": placeholder("together-key", KEY),
        "a": "b",
    }


def test_configured_values_go_wherever_they_stand() -> None:
    by = Redactor(RedactionRules(values=(("MY_SERVICE_TOKEN", ENV_VALUE), ("EMPTY", ""))))
    document, findings = redacted(chat(f"token {ENV_VALUE}."), by=by)
    stands = placeholder("secret", ENV_VALUE)
    assert document["request"]["body"]["messages"][0]["content"] == f"token {stands}."
    assert findings[1:] == [("my-service-token", "request.body.messages[0].content")]


def test_a_key_that_is_configured_too_is_labelled_by_the_request() -> None:
    by = Redactor(RedactionRules(values=(("TOGETHER_API_KEY", KEY),)))
    document, _ = redacted(chat(KEY), by=by)
    assert document["request"]["body"]["messages"][0]["content"] == STANDS


@pytest.mark.parametrize(
    "key", ["test", "x", "dummy", "none", "sk-no-key", "your-api-key-here", ""]
)
def test_a_dummy_key_changes_nothing_but_its_header(key: str) -> None:
    request = chat(f"none of this x is a test, dummy: sk-no-key or {key}", key)
    document, findings = redacted(request)
    expected = from_request(request)
    del expected["headers"]["authorization"]
    assert document["request"] == expected
    assert findings == [("authorization", "request.headers.authorization")]


def test_a_value_that_is_the_models_name_or_the_host_stays() -> None:
    values = (("MODEL", "meta/llama-3.3-70b"), ("HOST", "api.together.xyz"))
    by = Redactor(RedactionRules(values=values))
    request = chat("ask meta/llama-3.3-70b at api.together.xyz", "test", model="meta/llama-3.3-70b")
    document, findings = redacted(request, by=by)
    assert document["request"]["body"] == json.loads(request.body)
    assert document["request"]["url"] == request.url
    assert findings[1:] == []


def test_a_key_that_was_given_as_the_model_goes() -> None:
    key = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
    document, _ = redacted(chat("hi", key, model=key))
    assert document["request"]["model"] == placeholder("secret", key)
    assert document["request"]["body"]["model"] == placeholder("secret", key)


def test_the_model_in_a_path_stays() -> None:
    by = Redactor(RedactionRules(values=(("MODEL", "gemini-2.5-flash-lite"),)))
    target = "/v1beta/models/gemini-2.5-flash-lite:generateContent"
    request = Request("POST", "https", "h.example", 443, target, headers=JSON_HEADERS, body=b"{}")
    document, _ = redacted(request, by=by)
    assert document["request"]["endpoint"] == target


# ---------------------------------------------------------------------- names


def test_a_request_keeps_listed_headers_and_an_answer_all_but_listed_ones() -> None:
    request = Request(
        "GET",
        "https",
        "h.example",
        443,
        "/",
        headers=(
            ("Accept", "*/*"),
            ("User-Agent", "x/1"),
            ("Anthropic-Version", "2023-06-01"),
            ("OpenAI-Organization", "org-mine"),
            ("X-Stainless-OS", "Linux"),
        ),
    )
    headers = (
        ("Content-Type", "application/json"),
        ("Set-Cookie", "__cf_bm=1"),
        ("Set-Cookie", "_cfuvid=2"),
        ("openai-organization", "mine"),
        ("x-ratelimit-limit-requests", "5"),
        ("cf-ray", "88fa668fac30bb19-MXP"),
        ("Retry-After", "2"),
    )
    document, findings = redacted(request, answer(b"{}", headers))
    assert document["request"]["headers"] == {"accept": "*/*", "anthropic-version": "2023-06-01"}
    assert document["response"]["headers"] == {
        "content-type": "application/json",
        "x-ratelimit-limit-requests": "5",
        "retry-after": "2",
    }
    assert findings == [
        ("openai-organization", "request.headers.openai-organization"),
        ("set-cookie", "response.headers.set-cookie"),
        ("openai-organization", "response.headers.openai-organization"),
    ]


def test_a_kept_header_may_end_in_a_star_but_a_secret_one_never_stays() -> None:
    rules = RedactionRules(
        keep_request_headers=frozenset(("x-*", "authorization")),
        secret_headers=frozenset(("x-secret", "authorization")),
    )
    headers = (("x-one", "1"), ("x-secret", "2"), ("authorization", "3"), ("accept", "4"))
    request = Request("GET", "https", "h.example", 443, "/", headers=headers)
    document, _ = redacted(request, by=Redactor(rules))
    assert document["request"]["headers"] == {"x-one": "1"}


def test_secret_query_parameters_go_and_the_others_stay_as_spelled() -> None:
    target = f"/v1beta/models?alt=s%73e&key={KEY}&API%5FKEY=short&key=&monkey=a+b&sig"
    request = Request("GET", "https", "h.example", 443, target)
    document, findings = redacted(request, answer(json.dumps(f"?key={KEY}").encode()))
    stands = placeholder("together-key", KEY)
    assert document["request"]["url"] == (
        f"https://h.example/v1beta/models?alt=s%73e&key={stands}"
        "&API%5FKEY=REDACTED-secret&key=&monkey=a+b&sig"
    )
    assert document["response"]["body"]["__data__"] == f"?key={stands}"
    assert findings == [
        ("query-key", "request.url"),
        ("query-api-key", "request.url"),
        ("query-key", "response.body.__data__"),
    ]


def test_secret_form_fields_go() -> None:
    headers = (("content-type", "application/x-www-form-urlencoded; charset=utf-8"),)
    body = f"grant_type=client_credentials&client_secret={KEY}&scope=a%20b"
    request = Request(
        "POST", "https", "h.example", 443, "/token", headers=headers, body=body.encode()
    )
    document, findings = redacted(request)
    stands = placeholder("together-key", KEY)
    assert document["request"]["body_text"] == (
        f"grant_type=client_credentials&client_secret={stands}&scope=a%20b"
    )
    assert findings == [("form-client-secret", "request.body_text")]


@pytest.mark.parametrize("more", [b"", b"\xff\xfe"], ids=["text", "binary"])
def test_secret_fields_of_a_multipart_body_go(more: bytes) -> None:
    def body(token: bytes) -> bytes:
        return (
            b'--b\r\nContent-Disposition: form-data; name="token"\r\n\r\n' + token + b"\r\n"
            b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nshort\r\n'
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="token"\r\n'
            b"Content-Type: text/plain\r\n\r\na" + more + b"\r\n--b--\r\n"
        )

    headers: Headers = (("content-type", "multipart/form-data; boundary=b"),)
    request = Request("POST", "https", "h.example", 443, "/", headers=headers, body=body(b"short"))
    document, findings = redacted(request)
    assert to_exchange(document).request.body == body(b"REDACTED-secret")
    assert [rule for rule, _ in findings] == ["form-token"]


def test_a_redirects_secret_parameters_go() -> None:
    location = f"https://user:pw@store.example/f?X-Amz-Signature={KEY}&b=1#top"
    document, _ = redacted(chat("hi", "test"), answer(b"", (("location", location),)))
    assert document["response"]["headers"]["location"] == (
        "https://REDACTED-secret@store.example/f?X-Amz-Signature="
        f"{placeholder('together-key', KEY)}&b=1#top"
    )


def test_a_urls_user_and_password_go() -> None:
    document = from_request(chat("hi", "test"))
    document["url"] = "https://alice:s3cret@api.together.xyz/v1/chat/completions"
    assert redactor.request(document)["url"] == (
        "https://REDACTED-secret@api.together.xyz/v1/chat/completions"
    )


def members(*names: str) -> Callable[[Any], Iterable[JsonPath]]:
    """Finds members by name at any depth, as the JSONPath "$..name" does."""

    def find(value: Any, path: JsonPath = ()) -> Iterable[JsonPath]:
        items: Iterable[tuple[str | int, Any]] = ()
        if isinstance(value, dict):
            items = value.items()
        elif isinstance(value, list):
            items = enumerate(value)
        for step, item in items:
            if step in names:
                yield (*path, step)
            yield from find(item, (*path, step))

    return find


BY_PATH = Redactor(RedactionRules(json=(JsonRule("mcp token", members("token", "account")),)))


def test_json_paths_go_in_request_answer_and_chunks() -> None:
    request = chat("token", "test", tools=[{"token": "short", "max": 5}], token=7)
    response = stream(
        b'data: {"account": {"id": "a-1", "seats": 3, "on": true}}\n\n',
        b'data:  {"token" :"%s", "n": 1.0}\n\n' % KEY.encode(),
        b": ping\n\n",
    )
    document, findings = redacted(request, response, BY_PATH)
    assert document["request"]["body"]["tools"] == [{"token": "REDACTED-secret", "max": 5}]
    assert document["request"]["body"]["token"] == 7
    body = document["response"]["body"]
    assert body[0]["__data__"] == {"account": {"id": "REDACTED-secret", "seats": 3, "on": True}}
    stands = placeholder("together-key", KEY)
    assert body[1]["data"] == f' {{"token":"{stands}","n":1.0}}'
    assert body[2] == {"text": ": ping\n\n"}
    assert findings[1:] == [
        ("mcp-token", "request.body.tools[0].token"),
        ("mcp-token", "response.body[0].__data__.account.id"),
        ("mcp-token", "response.body[1].data.token"),
    ]


def test_json_paths_go_in_json_that_is_kept_as_text() -> None:
    body = b'{ "token" : "short",\n"big": 1e0 }'
    request = Request("POST", "https", "h.example", 443, "/", headers=JSON_HEADERS, body=body)
    block = b': hello\ndata: {"token": "short"}\nid: 1\n\n'
    document, _ = redacted(request, stream(block), BY_PATH)
    assert document["request"]["body_text"] == '{"token":"REDACTED-secret","big":1e0}'
    assert document["response"]["body"] == [
        {"text": ': hello\ndata: {"token":"REDACTED-secret"}\nid: 1\n\n'}
    ]


def test_of_two_rules_for_one_place_the_first_names_it() -> None:
    rules = (JsonRule("one", members("token")), JsonRule("two", members("token")))
    document, _ = redacted(chat("hi", "test", token="t"), by=Redactor(RedactionRules(json=rules)))
    assert document["request"]["body"]["token"] == "REDACTED-secret"


def test_a_place_does_not_tell_a_secret_that_it_leads_through() -> None:
    document, findings = redacted(chat("hi", extra={KEY: {"token": "short"}}), by=BY_PATH)
    assert document["request"]["body"]["extra"] == {STANDS: {"token": "REDACTED-secret"}}
    assert ("mcp-token", f"request.body.extra.{STANDS}.token") in findings


def test_a_json_path_to_the_model_goes_from_both_its_places() -> None:
    by = Redactor(RedactionRules(json=(JsonRule("model", members("model")),)))
    document, _ = redacted(chat("hi", "test"), by=by)
    assert document["request"]["body"]["model"] == "REDACTED-secret"
    assert document["request"]["model"] == "REDACTED-secret"


# ---------------------------------------------------------------------- patterns


def test_a_key_that_the_request_did_not_carry_goes_by_its_shape() -> None:
    other = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH"
    document, findings = redacted(chat(f"use {other} there", "test"))
    stands = placeholder("huggingface-key", other)
    assert document["request"]["body"]["messages"][0]["content"] == f"use {stands} there"
    assert findings[1:] == [("huggingface-key", "request.body.messages[0].content")]


def test_the_users_own_patterns_go_and_match_in_strings_alone() -> None:
    own = Pattern("Employee Number", re.compile(r"emp-\d{6}|17636"))
    by = Redactor(RedactionRules(patterns=(*PATTERNS, own)))
    document, findings = redacted(chat("I am emp-123456.", "test", created=1763660000), by=by)
    body = document["request"]["body"]
    assert body["messages"][0]["content"] == "I am REDACTED-employee-number."
    assert body["created"] == 1763660000
    assert findings[1:] == [("employee-number", "request.body.messages[0].content")]


@pytest.mark.parametrize(
    "regex", [".*", ".", "[A-Z]+", r"\S+", "application", "/v1", "x*", "R.{12}"]
)
def test_no_pattern_can_break_a_document(regex: str) -> None:
    by = Redactor(RedactionRules(patterns=(Pattern("greedy", re.compile(regex)),)))
    request = chat(f"hello {STANDS} there", "test")
    document, _ = redacted(request, stream(b"event: a\ndata: b\n\n", b": c\n\n"), by)
    assert to_exchange(document).request.path == document["request"]["endpoint"]


def test_a_placeholder_is_replaced_whole_or_not_at_all() -> None:
    by = Redactor(RedactionRules(patterns=(Pattern("p", re.compile("key: .{4}|RED|aut.*")),)))
    document, _ = redacted(chat(f"key: {STANDS} and {STANDS} end", "test"), by=by)
    content = document["request"]["body"]["messages"][0]["content"]
    assert content == f"{placeholder('secret', f'key: {STANDS}')} and {STANDS} end"


# ---------------------------------------------------------------------- precision


@pytest.mark.parametrize("name", sorted(path.name for path in RECORDINGS.glob("*.json")))
def test_a_shipped_recording_holds_nothing_to_redact(name: str) -> None:
    document = recording_format.loads((RECORDINGS / name).read_bytes())
    assert redactor.document(document) == (document, ())
    assert redactor.request(document["request"]) is document["request"]
    assert inspect((RECORDINGS / name).read_text(), redactor) == ()


def test_ids_numbers_hashes_and_prose_stay() -> None:
    body = {
        "id": "chatcmpl-CfR7v2Zk9mQ4wX8yB1nT6pL3sD5hJ",
        "created": 1763660000,
        "seed": 10296991816860367000,
        "price": 0.10,
        "fingerprint": "fp_44709d6fcb",
        "uuid": "3f2b8c1e-9d47-4a6b-8e05-c7d1f0a29b36",
        "commit": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "embedding": base64.b64encode(bytes(range(256)) * 8).decode(),
        "text": "risk-assessment-v2 needs sk-learn; set api_key='your-api-key-here' or Bearer …",
    }
    response = answer(exact_json.dumps(body).encode())
    document, findings = redacted(chat("hi", "test"), response)
    assert to_exchange(document).response.body == response.body
    assert findings == [("authorization", "request.headers.authorization")]


def test_a_request_without_secrets_is_not_copied() -> None:
    request = from_request(Request("GET", "https", "h.example", 443, "/v1/models?limit=5"))
    assert redactor.request(request, redactor.no_secrets) is request


# ---------------------------------------------------------------------- both sides of a match


def key_of(request: Request, by: Redactor = redactor) -> str:
    document = by.request(from_request(request), by.secrets(request))
    distinct = [label(rule.name) for rule in by.rules.json]
    matcher = Matcher(built_in(), secret_query=by.rules.secret_query, distinct=distinct)
    return matcher.canonical(document).key


@pytest.mark.parametrize("key", [OTHER_KEY, "test", STANDS, "", "wiretape-replay-no-key"])
def test_a_request_with_another_key_has_the_same_match_key(key: str) -> None:
    assert key_of(chat("hi", key)) == key_of(chat("hi", KEY))


@pytest.mark.parametrize("key", [OTHER_KEY, STANDS, "wiretape-replay-no-key"])
def test_a_request_that_says_its_key_in_the_body_has_the_same_match_key(key: str) -> None:
    assert key_of(chat(f"I am {key}!", key)) == key_of(chat(f"I am {KEY}!", KEY))


@pytest.mark.parametrize("key", [OTHER_KEY, "test", "wiretape-replay-no-key", "REDACTED-secret"])
def test_a_key_in_the_query_does_not_change_the_match_key(key: str) -> None:
    def ask(key: str) -> Request:
        return Request("GET", "https", "h.example", 443, f"/v1/models?key={key}&n=1")

    assert key_of(ask(key)) == key_of(ask(KEY))


def test_a_value_at_a_json_path_counts_by_its_digest_unless_it_is_a_key() -> None:
    first, other = chat("hi", KEY, token=OTHER_KEY), chat("hi", "test", token=OTHER_KEY + "x")
    assert key_of(first, BY_PATH) != key_of(other, BY_PATH)
    stands = placeholder("secret", OTHER_KEY)
    assert key_of(first, BY_PATH) == key_of(chat("hi", "test", token=stands), BY_PATH)
    old = placeholder("mcp-token", OTHER_KEY)
    assert key_of(first, BY_PATH) == key_of(chat("hi", "test", token=old), BY_PATH)
    assert key_of(chat("hi", KEY, token=KEY), BY_PATH) == key_of(
        chat("hi", KEY, token=placeholder("together-key", KEY)), BY_PATH
    )


def test_a_recording_matches_the_request_it_was_made_of() -> None:
    request = chat(f"my key is {KEY}")
    document, _ = redacted(request)
    stored = redactor.request(document["request"], redactor.no_secrets)
    assert stored is document["request"]
    assert Matcher(built_in()).canonical(stored).key == key_of(request)


# ---------------------------------------------------------------------- texts and the gate


def test_a_log_line_loses_known_values_and_patterns() -> None:
    secrets = redactor.secrets(chat("hi"))
    other = "gsk_" + "aB3dEfG9hIjK" * 5
    assert redactor.text(f"refused {KEY}; tried {other}", secrets) == (
        f"refused {STANDS}; tried {placeholder('groq-key', other)}"
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "GET https://h.example/v1?key=short&n=1, retrying",
            "GET https://h.example/v1?key=REDACTED-secret&n=1, retrying",
        ),
        (
            "via http://me:pw@proxy.example:8080/",
            "via http://REDACTED-secret@proxy.example:8080/",
        ),
        (f"?key={KEY}", f"?key={placeholder('together-key', KEY)}"),
        ("Authorization: Bearer abc-DEF-123-ghi", "Authorization: Bearer REDACTED-secret"),
        ("(b'x-api-key', b'abc-DEF-123-ghi')", "(b'x-api-key', b'REDACTED-secret')"),
        ('{"api-key": "abc-DEF-123-ghi"}', '{"api-key": "REDACTED-secret"}'),
        ("Cookie: a=1; b=2\nnext", "Cookie: REDACTED-secret\nnext"),
        ("set x-api-key: required", "set x-api-key: required"),
        ("Basic authentication of a bearer token", "Basic authentication of a bearer token"),
        ("GET /v1/models?limit=5 200", "GET /v1/models?limit=5 200"),
    ],
)
def test_a_log_line_loses_what_it_names(line: str, expected: str) -> None:
    assert redactor.text(line) == expected
    assert redactor.text(expected) == expected


def test_nothing_shows_a_configured_value() -> None:
    rules = RedactionRules(values=(("MY_TOKEN", ENV_VALUE),))
    assert ENV_VALUE not in repr(rules)
    assert ENV_VALUE not in repr(Redactor(rules).no_secrets)


# ---------------------------------------------------------------------- any document

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SECRET = st.text(
    st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=30
).filter(is_strong)


FRAME = (
    "REDACTED-",
    "application/json",
    "authorization",
    "content-type",
    "is_streaming",
    "text/event-stream",
    "https://api.together.xyz/v1/chat/completions",
    "https://h.example/x?key=a&n=1",
    "openai.types.chat.chat_completion_chunk.ChatCompletionChunk",
)


def bodies(text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    leaf = text | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, width=32)
    return st.recursive(
        leaf.filter(lambda value: value not in (float("inf"), float("-inf"))),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
        max_leaves=8,
    )


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[str, Exchange]:
    """A key, and an exchange that holds it in any of its places."""
    key = draw(SECRET)
    # What frames a document is no secret: a recording with such a key is refused by the gate.
    assume(not any(key in text or text in key for text in FRAME))
    text = TEXT | st.builds(lambda a, b: a + key + b, TEXT, TEXT)
    style = draw(st.sampled_from(["compact", "spaced+ascii", "indent2", "compact+html+newline"]))
    whole = bodies(text).map(lambda value: exact_json.dumps(value, style).encode())
    raw = text.map(str.encode) | st.binary(max_size=20).map(lambda data: data + key.encode())
    block = whole.map(lambda data: b"data: " + data.replace(b"\n", b"") + b"\n\n") | raw
    request = Request(
        "POST",
        "https",
        draw(st.sampled_from(["api.together.xyz", "h.example"])),
        443,
        draw(st.sampled_from(["/v1/chat/completions", "/x?key=a&n=1"])),
        headers=(*draw(st.sampled_from([JSON_HEADERS, ()])), ("Authorization", f"Bearer {key}")),
        body=draw(whole | raw),
    )
    if draw(st.booleans()):
        return key, Exchange(request, stream(*draw(st.lists(block, max_size=4))))
    return key, Exchange(request, answer(draw(whole | raw)))


def shape(value: Any) -> Any:
    """A JSON value with its strings left out: numbers, structure and all."""
    if isinstance(value, dict):
        return [shape(item) for item in value.values()]
    if isinstance(value, list):
        return [shape(item) for item in value]
    return None if isinstance(value, str) else value


def strings(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


@given(exchanges())
@settings(max_examples=examples(300), deadline=None)
def test_any_document_loses_the_key_and_nothing_else(fuzzed: tuple[str, Exchange]) -> None:
    key, exchange = fuzzed
    document, _ = redacted(exchange.request, exchange.response)
    before = from_exchange(exchange)
    assert [text for text in strings(document) if key in text] == []
    back = to_exchange(document)
    assert key.encode() not in back.request.body
    assert key.encode() not in b"".join(chunk.data for chunk in back.response.chunks)
    assert len(back.response.chunks) == len(exchange.response.chunks)
    for part in ("request", "response"):
        assert shape(document[part].get("body")) == shape(before[part].get("body"))
    assert recording_format.loads(recording_format.dumps(document)) == {
        name: value for name, value in document.items() if value is not None
    }


@given(exchanges())
@settings(max_examples=examples(100), deadline=None)
def test_any_document_without_the_key_comes_back_as_it_was(fuzzed: tuple[str, Exchange]) -> None:
    _, exchange = fuzzed
    before = from_exchange(exchange)
    assume("key=" not in before["request"]["url"])
    bare = Redactor(
        RedactionRules(secret_headers=frozenset(), keep_request_headers=frozenset(("*",)))
    )
    after, findings = bare.document(before, Secrets())
    assert bool(findings) == (after != before)
    # "Bearer KEY" names a credential wherever it stands, in a header that is kept too.
    if not any("earer" in text for text in strings(before)):
        assert after == before


# ---------------------------------------------------------------------- a value named once


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


TOKEN = "Wm4tR8qLz2" + "VbN6xKc9PdYh3Js7"
BY_TOKEN = RedactionRules(json=(JsonRule("tok", members("tok")),))
FORM = (("content-type", "application/x-www-form-urlencoded"),)


def asking(target: str = "/a", headers: Any = (), body: bytes = b"") -> Request:
    return Request("POST", "https", "h.example", 443, target, headers=headers, body=body)


NAMING: dict[str, Exchange] = {
    "authorization": Exchange(asking(headers=(("authorization", f"Bearer {TOKEN}"),)), answer(b"")),
    "cookie": Exchange(asking(headers=(("cookie", f"s={TOKEN}"),)), answer(b"")),
    "query": Exchange(asking(f"/a?key={TOKEN}"), answer(b"")),
    "form": Exchange(asking("/a", FORM, f"refresh_token={TOKEN}".encode()), answer(b"")),
    "path in a request": Exchange(
        asking("/a", JSON_HEADERS, json.dumps({"tok": TOKEN}).encode()), answer(b"")
    ),
    "path in an answer": Exchange(asking(), answer(json.dumps({"tok": TOKEN}).encode())),
    "path in a stream": Exchange(asking(), stream(f'data: {{"tok":"{TOKEN}"}}\n\n'.encode())),
    "set-cookie": Exchange(asking(), answer(b"", (("set-cookie", f"s={TOKEN}; Path=/"),))),
    "location": Exchange(asking(), answer(b"", (("location", f"https://h.example/?sig={TOKEN}"),))),
    "fragment": Exchange(
        asking(), answer(b"", (("location", f"https://h.example/cb#access_token={TOKEN}"),))
    ),
    "member of a request": Exchange(
        asking("/a", JSON_HEADERS, json.dumps({"api_key": TOKEN}).encode()), answer(b"")
    ),
    "member of an answer": Exchange(asking(), answer(json.dumps({"access_token": TOKEN}).encode())),
    "member in a stream": Exchange(
        asking(), stream(f'data: {{"client_secret":"{TOKEN}"}}\n\n'.encode())
    ),
    "name and value": Exchange(
        asking(), answer(json.dumps({"name": "api_key", "value": TOKEN}).encode())
    ),
    "header pair": Exchange(
        asking(), answer(json.dumps({"h": [["authorization", f"Bearer {TOKEN}"]]}).encode())
    ),
    "JSON in a string": Exchange(
        asking(), answer(json.dumps({"a": json.dumps({"password": TOKEN})}).encode())
    ),
    "line": Exchange(asking(), answer(json.dumps({"text": f"API_KEY={TOKEN}"}).encode())),
    "URL in prose": Exchange(
        asking(), answer(json.dumps({"text": f"see https://x.example/a?sig={TOKEN} now"}).encode())
    ),
    "URL's password": Exchange(
        asking(), answer(json.dumps({"url": f"https://me:{TOKEN}@x.example/"}).encode())
    ),
    "connection string": Exchange(
        asking(), answer(json.dumps({"c": f"AccountName=x;AccountKey={TOKEN};"}).encode())
    ),
    "form of an answer": Exchange(asking(), answer(f"access_token={TOKEN}&a=b".encode(), FORM)),
    "header of an answer": Exchange(asking(), answer(b"", (("x-session-token", TOKEN),))),
}
USING: dict[str, Request] = {
    "member": asking("/b", JSON_HEADERS, json.dumps({"note": f"use {TOKEN}, please"}).encode()),
    "form": asking("/b", FORM, f"x={TOKEN}".encode()),
    "secret form": asking("/b", FORM, f"refresh_token={TOKEN}".encode()),
    "query": asking(f"/b?x={TOKEN}"),
    "path": asking(f"/files/{TOKEN}/content"),
    "base64": asking("/b", JSON_HEADERS, json.dumps({"d": b64(f"you:{TOKEN}")}).encode()),
    "text": asking("/b", (("content-type", "text/plain"),), f"here {TOKEN} is".encode()),
    "credential's member": asking("/b", JSON_HEADERS, json.dumps({"api_key": TOKEN}).encode()),
    "member's name": asking("/b", JSON_HEADERS, json.dumps({"by": {TOKEN: 1}}).encode()),
    "JSON in a string": asking(
        "/b", JSON_HEADERS, json.dumps({"a": json.dumps({"b": TOKEN})}).encode()
    ),
    "line": asking("/b", JSON_HEADERS, json.dumps({"text": f"TOKEN={TOKEN}\n"}).encode()),
    "URL": asking(
        "/b", JSON_HEADERS, json.dumps({"u": f"https://x.example/?sig={TOKEN}"}).encode()
    ),
    "secret query": asking(f"/b?access_token={TOKEN}"),
    "kept header": asking("/b", (("if-match", f'"{TOKEN}"'),)),
    "multipart": asking(
        "/b",
        (("content-type", "multipart/form-data; boundary=b"),),
        f'--b\r\ncontent-disposition: form-data; name="x"\r\n\r\n{TOKEN}\r\n--b--\r\n'.encode(),
    ),
    "secret part": asking(
        "/b",
        (("content-type", "multipart/form-data; boundary=b"),),
        b'--b\r\ncontent-disposition: form-data; name="token"\r\n\r\n'
        + f"{TOKEN}\r\n--b--\r\n".encode(),
    ),
    "carried, too": asking(f"/b/{TOKEN}", (("authorization", f"Bearer {TOKEN}"),)),
}


@pytest.mark.parametrize(("number", "naming"), [*enumerate(NAMING)])
def test_a_value_that_was_named_once_is_secret_in_all_that_follows(
    number: int, naming: str
) -> None:
    def check_redacted(use: Request) -> None:
        by = Redactor(BY_TOKEN, remember=True)
        redacted(NAMING[naming].request, NAMING[naming].response, by)
        document, findings = redacted(use, answer(f"say {TOKEN}".encode()), by)
        text = json.dumps(document)
        assert TOKEN not in text
        assert b64(f"you:{TOKEN}")[8:24] not in text
        assert findings
        assert set(re.findall("REDACTED-[a-z0-9-]+", text)) == {placeholder("secret", TOKEN)}

    check_each(check_redacted, dict(part_of(USING.items(), number)))


@pytest.mark.parametrize(("number", "use"), [*enumerate(USING)])
def test_a_request_with_the_placeholder_of_a_value_has_its_key(number: int, use: str) -> None:
    stands = placeholder("secret", TOKEN)
    sent = USING[use]
    body = sent.body.replace(b64(f"you:{TOKEN}").encode(), b64(f"you:{stands}").encode())
    later = Request(
        "POST",
        "https",
        "h.example",
        443,
        sent.target.replace(TOKEN, stands),
        headers=tuple((name, value.replace(TOKEN, stands)) for name, value in sent.headers),
        body=body.replace(TOKEN.encode(), stands.encode()),
    )
    key = key_of(later, Redactor(BY_TOKEN))
    for naming in part_of(NAMING.values(), number):
        by = Redactor(BY_TOKEN, remember=True)
        redacted(naming.request, naming.response, by)
        assert key_of(sent, by) == key


@pytest.mark.parametrize("use", USING)
def test_a_value_is_recognised_by_the_digest_that_recordings_hold(use: str) -> None:
    by = Redactor(BY_TOKEN, remember=True)
    digest = digest_of(TOKEN)
    assert digest is not None
    assert by.recognise(from_request(USING[use]), KnownTraces(frozenset({digest})))
    assert ("recorded", TOKEN) in by.remembered
    assert not by.recognise(
        from_request(asking("/b?x=nothing-secret")), KnownTraces(frozenset({digest}))
    )


NAMED_AND_REPEATED = {
    "in a text": {"a": f"api_key={TOKEN}", "b": f"use {TOKEN} now"},
    "before it is named": {"a": f"use {TOKEN} now", "b": f"api_key={TOKEN}"},
    "in a member": {"a": {"password": TOKEN}, "b": f"x{TOKEN}y"},
    "by a scheme": {"a": f"send Bearer {TOKEN}", "b": TOKEN},
    "in a URL": {"a": f"https://u:{TOKEN}@h.example/", "b": TOKEN},
    "escaped in a URL": {"a": f"https://h.example/?sig={TOKEN}%3D&x=1", "b": f"{TOKEN}="},
    "twice in a URL": {"a": f"https://h.example/?sig={TOKEN}%2B&token={TOKEN}&x=1"},
    "by a pattern": {"a": f"sk-{TOKEN}{TOKEN}", "b": f"x sk-{TOKEN}{TOKEN}"},
}


@pytest.mark.parametrize("name", NAMED_AND_REPEATED)
def test_a_request_that_names_a_value_and_repeats_it_has_its_recordings_key(name: str) -> None:
    """A run that replays it knows nothing yet."""
    sent = asking(headers=JSON_HEADERS, body=json.dumps(NAMED_AND_REPEATED[name]).encode())
    document, _ = redacted(sent, by=Redactor(RedactionRules(), remember=True))
    assert TOKEN not in json.dumps(document)
    recorded = Matcher(built_in()).canonical(document["request"]).key
    for by in (Redactor(RedactionRules()), Redactor(RedactionRules(), remember=True)):
        assert key_of(sent, by) == recorded
        assert key_of(sent, by) == recorded  # it knows it now


def test_values_that_were_found_tell_requests_apart() -> None:
    by = Redactor(BY_TOKEN, remember=True)
    other = TOKEN[::-1]
    redacted(asking(), answer(json.dumps({"tok": [TOKEN, other]}).encode()), by)
    assert key_of(asking(f"/files/{TOKEN}"), by) != key_of(asking(f"/files/{other}"), by)


def test_without_remembering_documents_are_looked_at_one_by_one() -> None:
    by = Redactor(BY_TOKEN)
    redacted(NAMING["path in an answer"].request, NAMING["path in an answer"].response, by)
    document, _ = redacted(USING["member"], by=by)
    assert TOKEN in json.dumps(document)


def test_the_values_in_one_document_are_secret_in_all_of_it() -> None:
    by = Redactor(BY_TOKEN, remember=True)
    body = json.dumps({"tok": TOKEN, "text": f"it is {TOKEN}"}).encode()
    document, _ = redacted(asking(f"/files/{TOKEN}"), answer(body), by)
    assert TOKEN not in json.dumps(document)

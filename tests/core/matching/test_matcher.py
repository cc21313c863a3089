"""Requests that say the same have one key, and no others do."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.cases import in_one_test
from tests.support.limits import examples
from tests.support.request_document import CHAT, FORM, JSON, request

from wiretape.config.packs import built_in, rules
from wiretape.core.matching.body import plain_numbers
from wiretape.core.matching.canonical import ABSENT, Canonical, Difference, differences
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.normalise import without
from wiretape.core.matching.rule import MemberCondition, Rule
from wiretape.core.model import Exchange, Request, Response
from wiretape.core.providers.registry import Provider, Providers
from wiretape.core.recording.document import Document, from_exchange
from wiretape.core.recording.text import externalise
from wiretape.core.text.jsonpath import Finder, Path

PROVIDERS = built_in()


def canonical(document: Document, *rules: Rule) -> Canonical:
    return Matcher(PROVIDERS, ["X-Version"], rules, ["Key", "api-key"]).canonical(document)


def key(document: Document, *rules: Rule) -> str:
    return canonical(document, *rules).key


def json_key(body: str) -> str:
    return key(request(body))


# ------------------------------------------------------------------ JSON by its values


EQUAL = [
    ("1", "1.0"),
    ("1", "1e0"),
    ("1", "10E-1"),
    ("1", "1.000"),
    ("100", "1e2"),
    ("0", "-0"),
    ("0", "-0.0"),
    ("0", "0e99999"),
    ("0.1", "0.10"),
    ("0.1", "1e-1"),
    ("-2.5", "-25e-1"),
    ("1e23", "100000000000000000000000"),
    ("1.5e300", "15e299"),
    ("1e400", "10e399"),
    ("1e400", "1E+400"),
    ("1e-400", "0.1e-399"),
    ("9007199254740993", "9007199254740993.0"),
    ('"é"', '"\\u00e9"'),
    ('"😀"', '"\\ud83d\\ude00"'),
    ('"/"', '"\\/"'),
    ('{"a":1,"b":2}', '{"b":2,"a":1}'),
    ('{"a":[1,{"c":1,"b":2}]}', '{ "a" : [ 1.0 ,\n{"b":2,\t"c":1} ] }\r\n'),
]


@in_one_test("one, two", EQUAL)
def test_the_same_values_have_one_key_whatever_their_spelling(one: str, two: str) -> None:
    assert json_key(f'{{"a":{one}}}') == json_key(f'{{"a":{two}}}')
    assert json_key(one) == json_key(two)


DIFFERENT = [
    ("1", "2"),
    ("1", "true"),
    ("0", "false"),
    ("1", '"1"'),
    ("null", "false"),
    ("null", '"null"'),
    ("null", "0"),
    ('""', "null"),
    ("[]", "{}"),
    ("[]", "null"),
    ("{}", "null"),
    ("[1]", "1"),
    ("[1,2]", "[2,1]"),
    ("[1]", "[1,1]"),
    ('{"a":null}', "{}"),
    ('{"a":1}', '{"A":1}'),
    ('"a"', '"A"'),
    ('"a"', '"a "'),
    ('"é"', '"e\\u0301"'),
    ('"\\ud800"', '"\\udc00"'),
    ('"\\u0000"', '""'),
    ("9007199254740993", "9007199254740992"),
    ("9007199254740993.0", "9007199254740992.0"),
    ("0.1", "0.1000000000000000055511151231257827"),
    ("0.12345678901234567890123456789012345", "0.12345678901234567890123456789012346"),
    ("1e400", "1e401"),
    ("1e400", "-1e400"),
    ("1e400", '"1e400"'),
    ("1e400", '{"number":"1E+400"}'),
    ("1e400", '{"\\u0000number":"1e400"}'),
    ("1e-400", "0"),
    ("1e9999999", "1e9999998"),
    ("1e99999999999999999999", "1e99999999999999999998"),
    ("1e400", '"Infinity"'),
    ('{"\\u0000number":"1"}', '{"\\u0000object":{"\\u0000number":"1"}}'),
]


@in_one_test("one, two", DIFFERENT)
def test_different_values_have_different_keys(one: str, two: str) -> None:
    assert json_key(f'{{"a":{one}}}') != json_key(f'{{"a":{two}}}')
    assert json_key(one) != json_key(two)


class _Number(Fraction):
    """A JSON number's value, exactly."""


def read(text: str) -> Any:
    """JSON with exact numbers, by the standard library alone."""
    return json.loads(text, parse_int=_Number, parse_float=_Number)


def same(one: Any, two: Any) -> bool:
    """Whether two values of `read` are one, true being no number."""
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[name], two[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two)


NUMBERS = st.one_of(
    st.sampled_from(["0", "-0", "0.0", "1", "1.0", "1e0", "10e-1", "-1", "0.1", "0.10", "1e-1"]),
    st.sampled_from(["9007199254740992", "9007199254740993", "9007199254740993.0"]),
    st.sampled_from(["1e400", "10e399", "1E+400", "1e401", "1e-400", "0.10000000000000000000001"]),
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?(e[+-]?[0-9]{1,2})?", fullmatch=True),
)
WORDS = ["null", "true", "false", '""', '"1"', '"1e400"', '"\\u0000number"', "[]", "{}"]
ATOMS = NUMBERS | st.sampled_from(WORDS)
NAMES = st.sampled_from(['"a"', '"number"', '"\\u0000number"', '"\\u0000object"'])


def arrays(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(inner, max_size=2).map(lambda items: "[" + ", ".join(items) + "]")


def objects(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.dictionaries(NAMES, inner, max_size=2).map(
        lambda members: "{" + ",".join(f"{name}: {item}" for name, item in members.items()) + "}"
    )


BODIES = st.recursive(ATOMS, lambda inner: arrays(inner) | objects(inner), max_leaves=4)


@settings(max_examples=examples(500), deadline=None)
@given(BODIES, BODIES)
def test_two_bodies_have_one_key_exactly_where_their_values_are_equal(one: str, two: str) -> None:
    assert (json_key(one) == json_key(two)) is same(read(one), read(two))


@settings(deadline=None)
@given(BODIES, BODIES)
def test_there_are_differences_exactly_where_keys_differ(one: str, two: str) -> None:
    first, second = canonical(request(one)), canonical(request(two))
    assert bool(differences(first.value, second.value)) is (first.key != second.key)


def test_a_canonical_form_is_plain_json() -> None:
    value = canonical(request('{"a":[1e400,1.0,0.10],"\\u0000b":{"c":2}}')).value
    assert json.loads(json.dumps(value)) == value


def test_a_member_that_is_there_twice_is_not_taken_for_the_last_one() -> None:
    assert json_key('{"a":1,"a":2}') != json_key('{"a":2}')
    assert json_key('{"a":1,"a":2}') != json_key('{"a":2,"a":2}')


def test_streaming_counts() -> None:
    keys = {json_key(body) for body in ("{}", '{"stream":false}', '{"stream":true}')}
    assert len(keys) == 3


@pytest.mark.parametrize("body", ["{", "nul", "[1,]", "", " ", "{}{}", '{"a":NaN}', "\ufeff{}"])
def test_what_is_not_json_is_compared_as_it_is(body: str) -> None:
    assert json_key(body) == json_key(body)
    assert json_key(body) != json_key(body + " ")


def test_a_number_that_only_json_has_is_not_written_out() -> None:
    value = canonical(request('{"a":1e999999999}')).value
    assert len(json.dumps(value)) < 400


def test_numbers_become_plain() -> None:
    assert plain_numbers([1.0, -0.0, 1e16, 0.5, True, "1.0", {"a": 2.0}]) == [
        1, 0, 10**16, 0.5, True, "1.0", {"a": 2},
    ]  # fmt: skip
    assert [type(item) for item in plain_numbers([1.0, -0.0, 1e16, 0.5])] == [int, int, int, float]


# ------------------------------------------------------------------ other bodies


BINARY = b"\xff\x00" * 20_000

KINDS = {
    "none": request(),
    "empty object": request("{}"),
    "null": request("null"),
    "text": request("{}", "text/plain"),
    "other text": request("null", "text/plain"),
    "JSON string": request('"{}"'),
    "binary": request(b"\xff", "audio/mpeg"),
    "other binary": request(b"\xfe", "audio/mpeg"),
    "large binary": request(BINARY, "audio/mpeg"),
    "digest": request(hashlib.sha256(b"\xff").hexdigest(), "text/plain"),
    "form": request("a=1", FORM),
    "text of the form": request("a=1", "text/plain"),
    "multipart": request("--b--\r\n", "multipart/form-data; boundary=b"),
    "text of the multipart": request("--b--\r\n", "text/plain"),
}


def test_bodies_of_different_kinds_have_different_keys() -> None:
    keys = {name: key(document) for name, document in KINDS.items()}
    assert len(set(keys.values())) == len(keys)


@pytest.mark.parametrize(
    ("one", "two", "equal"),
    [
        ("a=1&b=2", "b=2&a=1", True),
        ("a=1+1", "a=1%201", True),
        ("a=%C3%A9", "a=é", True),
        ("a=1&a=2", "a=2&a=1", False),
        ("a=1", "a=1&a=1", False),
        ("a=1", "b=1", False),
        ("a=", "b=", False),
        ("a=", "", False),
        ("a=1%2B1", "a=1+1", False),
        ("a=%FF", "a=%FE", False),
        ("a=%FF", "a=%EF%BF%BD", False),
        ("a=1%26b", "a=1&b", False),
    ],
)
def test_forms_are_compared_by_their_fields(one: str, two: str, equal: bool) -> None:
    assert (key(request(one, FORM)) == key(request(two, FORM))) is equal
    parameters = (key(request(url=f"https://h/v1?{query}")) for query in (one, two))
    assert (next(parameters) == next(parameters)) is equal


@pytest.mark.parametrize("media", [FORM, FORM + "; charset=utf-8", "", "application/x+json"])
def test_json_that_is_called_something_else_is_still_compared_as_json(media: str) -> None:
    # `curl -d` calls everything a form, and ollama does not mind.
    assert key(request('{"a":"2+2"}', media)) == key(request('{ "a": "2\\u002b2" }', JSON))
    assert key(request('{"a":"2+2"}', media)) != key(request('{"a":"2 2"}', media))
    assert key(request('{"a":"&&"}', media)) != key(request('{"a":"&"}', media))


def multipart(boundary: str, *parts: tuple[str, bytes]) -> Document:
    lines = [f"--{boundary}\r\n{head}\r\n\r\n".encode() + data + b"\r\n" for head, data in parts]
    body = b"".join(lines) + f"--{boundary}--\r\n".encode()
    return request(body, f'multipart/form-data; boundary="{boundary}"')


MODEL = ('Content-Disposition: form-data; name="model"', b"whisper-1")
SOUND = (
    'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav',
    b"\xff\xfe",
)
PARTS = key(multipart("b", MODEL, SOUND))


def test_multipart_bodies_are_compared_by_parts_and_never_by_boundary() -> None:
    assert key(multipart("something-else", MODEL, SOUND)) == PARTS


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((SOUND, MODEL), id="order"),
        pytest.param((MODEL,), id="part missing"),
        pytest.param((MODEL, SOUND, SOUND), id="part twice"),
        pytest.param((MODEL, (SOUND[0], b"\xff\xfd")), id="bytes"),
        pytest.param((MODEL, (SOUND[0], b"")), id="nothing"),
        pytest.param(((MODEL[0], b"whisper-2"), SOUND), id="text"),
        pytest.param((MODEL, (SOUND[0].replace("a.wav", "b.wav"), SOUND[1])), id="file name"),
        pytest.param((MODEL, (SOUND[0].replace("/wav", "/mp3"), SOUND[1])), id="type"),
        pytest.param((MODEL, (SOUND[0] + "; charset=x", SOUND[1])), id="charset"),
        pytest.param((MODEL, (SOUND[0] + "\r\nX-A: 1", SOUND[1])), id="header"),
        pytest.param(((MODEL[0].replace("model", "m"), MODEL[1]), SOUND), id="name"),
        pytest.param(
            (MODEL, (SOUND[0], hashlib.sha256(b"\xff\xfe").hexdigest().encode())), id="digest"
        ),
        pytest.param((MODEL, (SOUND[0].replace('; filename="a.wav"', ""), SOUND[1])), id="no name"),
    ],
)
def test_multipart_bodies_with_other_parts_have_other_keys(parts: Any) -> None:
    assert key(multipart("b", *parts)) != PARTS


def test_a_boundary_in_a_part_does_not_end_it() -> None:
    one = multipart("b", (MODEL[0], b"x\r\n--bb\r\ny"))
    two = multipart("b", (MODEL[0], b"x\r\n--bc\r\ny"))
    assert key(one) != key(two)


@pytest.mark.parametrize(
    "media",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=other",
        "multipart/form-data; boundary*=utf-8''b",
        "multipart/mixed; boundary=b",
        ";;;=",
    ],
)
def test_multipart_that_is_none_is_compared_as_it_is(media: str) -> None:
    bodies = [b"--b\r\n\r\nx\r\n--b--", b"--b\r\n\r\ny\r\n--b--", b"--b\r\n\r\n\xff\r\n--b--"]
    assert len({key(request(body, media)) for body in bodies}) == 3


@settings(deadline=None)
@given(st.binary(max_size=40), st.text(st.sampled_from("b-'\" ;=é"), max_size=4))
def test_any_bytes_can_be_called_multipart(data: bytes, boundary: str) -> None:
    assert key(request(b"--b\r\n" + data, f"multipart/form-data; boundary={boundary}"))


def test_a_body_in_a_side_file_has_the_key_of_the_body() -> None:
    for body in (BINARY, BINARY + b"\xff"):
        live = request(body, "audio/mpeg")
        sent = Request("POST", "https", "api.together.xyz", 443, "/v1/chat/completions",
                       headers=(("content-type", "audio/mpeg"),), body=body)  # fmt: skip
        smaller, files = externalise(from_exchange(Exchange(sent, Response(200))))
        assert len(files) == 1
        assert key(smaller["request"]) == key(live)


def test_a_large_multipart_body_still_has_the_key_of_its_parts() -> None:
    def stored(boundary: str) -> Document:
        live = multipart(boundary, MODEL, (SOUND[0], BINARY))
        smaller, files = externalise({"request": live, "response": {}})
        assert files == {}
        request: Document = smaller["request"]
        return request

    assert key(stored("a")) == key(stored("b"))


# ------------------------------------------------------------------ what else a request says


BASE = key(request())


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(request(method="PUT"), id="method"),
        pytest.param(request(url=CHAT + "/"), id="slash"),
        pytest.param(request(url=CHAT + "?a=1"), id="query"),
        pytest.param(request(url=CHAT + "#a"), id="fragment"),
        pytest.param(request(url=CHAT.replace("v1", "V1")), id="case of the path"),
        pytest.param(request(url=CHAT.replace("together.xyz", "openai.com")), id="provider"),
        pytest.param(request(url=CHAT.replace("api.together.xyz", "h")), id="host"),
        pytest.param(request(headers=(("X-Version", "1"),)), id="header"),
        pytest.param(request(headers=(("X-Version", ""),)), id="empty header"),
    ],
)
def test_another_request_has_another_key(other: Document) -> None:
    assert key(other) != BASE


PATH = "/v1/chat/completions"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(request(media=""), id="content type"),
        pytest.param(request(method="post"), id="case of the method"),
        pytest.param(request(url=CHAT + "?"), id="empty query"),
        pytest.param(request(url=f"http://api.together.xyz:443{PATH}"), id="scheme"),
        pytest.param(request(url=f"https://api.together.ai{PATH}"), id="alias"),
        pytest.param(request(url=f"https://api-inference.together.ai{PATH}"), id="other alias"),
        pytest.param(request(url=f"HTTPS://API.Together.xyz{PATH}"), id="case of the host"),
        pytest.param(request(headers=(("User-Agent", "x"),)), id="other header"),
        pytest.param(request(url=CHAT + "?key=secret"), id="secret parameter"),
        pytest.param(request(url=CHAT + "?API-Key=a&KEY=b"), id="secret parameters"),
    ],
)
def test_the_same_request_has_the_same_key(other: Document) -> None:
    assert key(other) == BASE


def test_the_order_of_parameters_does_not_count_but_that_of_one_names_values_does() -> None:
    def of(query: str) -> str:
        return key(request(url=f"{CHAT}?{query}"))

    assert of("a=1&b=2") == of("b=2&a=1") == of("a=%31&b=2")
    assert of("a=1&a=2") != of("a=2&a=1")
    assert of("a=1,2") != of("a=1&a=2")


def test_a_header_that_counts_is_compared_by_its_value_in_any_case_of_its_name() -> None:
    def of(*headers: tuple[str, str]) -> str:
        return key(request(headers=headers))

    assert of(("X-Version", "1")) == of(("x-version", "1"))
    assert len({of(), of(("x-version", "1")), of(("x-version", "2"))}) == 3
    assert of(("x-version", "1"), ("x-version", "2")) != of(("x-version", "2"), ("x-version", "1"))


def test_headers_of_a_document_by_hand_may_have_any_case() -> None:
    by_hand = request("a=1&b=2", FORM) | {"headers": {"Content-Type": FORM, "X-VERSION": "1"}}
    assert key(by_hand) == key(request("b=2&a=1", FORM, headers=(("x-version", "1"),)))


@pytest.mark.parametrize("value", [[], ["text/plain"], ["application/json", "text/plain"]])
def test_a_content_type_that_is_there_several_times_is_the_first(value: list[str]) -> None:
    document = request("{", "text/plain") | {"headers": {"content-type": value}}
    assert len(key(document)) == 64


def test_other_hosts_are_places_of_their_own_with_their_ports() -> None:
    hosts = ["h", "h:8080", "h:8081", "a.openai.azure.com", "b.openai.azure.com", "[::1]:8080"]
    assert len({key(request(url=f"http://{host}/v1")) for host in hosts}) == len(hosts)


def test_providers_on_ports_of_one_host_are_two() -> None:
    two = Providers((Provider("one", ("localhost:1",)), Provider("two", ("localhost:2",))))
    matcher = Matcher(two)
    keys = [matcher.canonical(request(url=f"http://localhost:{port}/")).key for port in (1, 2)]
    assert keys[0] != keys[1]


@pytest.mark.parametrize("host", ["localhost:8000", "llm.example", "0.0.0.0:11434", "[::1]:8001"])
def test_a_host_of_no_provider_has_the_rules_of_the_dialect_it_is_asked_in(host: str) -> None:
    def chat(call: str) -> str:
        return json.dumps({"messages": [{"role": "tool", "tool_call_id": call}]})

    def messages(use: str) -> str:
        block = {"type": "tool_result", "tool_use_id": use}
        return json.dumps({"messages": [{"role": "user", "content": [block]}]})

    before, after = Providers(PROVIDERS.all), Providers(PROVIDERS.all)
    after.add_host(host)
    # Whether a host is known by name makes no other key.
    keys = []
    for providers in (before, after):
        matcher = Matcher(providers, rules=tuple(rules(providers.all)))
        for path, body in (("/v1/chat/completions", chat), ("/v1/messages", messages)):
            url = f"http://{host}{path}"
            one, two = (
                matcher.canonical(request(body(an_id), url=url)).key
                for an_id in ("call_Ab12Cd34Ef56Gh78", "call_Zz98Yy76Xx54Ww32")
            )
            assert one == two, path
            keys.append(one)
    assert keys[:2] == keys[2:]


def test_a_canonical_form_says_what_is_compared() -> None:
    made = canonical(
        request('{"b":1.0}', url=CHAT + "?b=2&a=1&key=x", headers=(("X-Version", "3"),))
    )
    assert made.endpoint == ("together", "POST", "/v1/chat/completions")
    assert made.value == {
        "method": "POST",
        "provider": "together",
        "path": "/v1/chat/completions",
        "query": {"b": ["2"], "a": ["1"]},
        "headers": {"x-version": "3"},
        "body": {"json": {"b": 1}},
    }
    text = json.dumps(made.value, sort_keys=True, separators=(",", ":"))
    assert made.key == hashlib.sha256(text.encode()).hexdigest()


# ------------------------------------------------------------------ placeholders


def test_the_digests_of_placeholders_do_not_count() -> None:
    one = request('{"a":"Bearer REDACTED-together-key-3f9a1c07."}')
    two = request('{"a":"Bearer REDACTED-together-key-00000000."}')
    bare = request('{"a":"Bearer REDACTED-together-key."}')
    assert key(one) == key(two) == key(bare)
    assert canonical(one).value["body"] == {"json": {"a": "Bearer REDACTED-secret."}}


OLD_LABELS = ("authorization", "query-key", "form-refresh-token", "my-api-key", "userinfo", "a-b")


@pytest.mark.parametrize("label", OLD_LABELS)
@pytest.mark.parametrize("text", ["{}", "Bearer {}.", "a/{}-b", "{}-report"])
def test_what_a_placeholder_is_called_does_not_count(label: str, text: str) -> None:
    now = request(json.dumps({"a": text.format("REDACTED-secret-3f9a1c07")}))
    old = request(json.dumps({"a": text.format(f"REDACTED-{label}-3f9a1c07")}))
    assert key({**now, "carried": ["3f9a1c07"]}) == key(old)
    assert key(now) != key(request(json.dumps({"a": text.format("REDACTED-secret-00000000")})))


@pytest.mark.parametrize("label", OLD_LABELS)
@pytest.mark.parametrize("text", ["{}", "Basic {}.", "data:text/plain;base64,{}"])
def test_nor_does_it_in_base64_and_hexadecimal_digits(label: str, text: str) -> None:
    for spell in (base64.b64encode, bytes.hex):
        runs = []
        for stands in ("REDACTED-secret-3f9a1c07", f"REDACTED-{label}-00000000"):
            run = spell(f"me:{stands}".encode())
            runs.append(run if isinstance(run, str) else run.decode())
        now, old = (request(json.dumps({"a": text.format(run)})) for run in runs)
        assert key({**now, "carried": ["3f9a1c07"]}) == key(old)
        assert key(now) != key(old)


def test_what_follows_a_placeholder_without_a_digest_counts() -> None:
    for label in ("secret", "authorization", "query-key"):
        one, two = (request(url=f"https://h/REDACTED-{label}-{end}") for end in ("a", "b"))
        assert key(one) != key(two)
    assert key(request(url="https://h/REDACTED-cookie-a")) == key(
        request(url="https://h/REDACTED-secret-a")
    )


def test_a_file_is_named_as_before_where_labels_are_of_before() -> None:
    old = request('{"a":"REDACTED-authorization-3f9a1c07"}')
    form = canonical(old)
    assert form.file_key != form.key
    assert canonical(request('{"a":"b"}')).file_key == canonical(request('{"a":"b"}')).key


def test_the_digest_counts_where_the_label_is_of_the_users_own() -> None:
    matcher = Matcher(PROVIDERS, distinct=["e-mail"])
    one, two = (request(f'{{"a":"REDACTED-e-mail-{digest * 8}"}}') for digest in "12")
    assert matcher.canonical(one).key != matcher.canonical(two).key
    assert matcher.canonical(one).key == matcher.canonical(one).key
    assert key(one) == key(two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("REDACTED-a-111111111", "REDACTED-a-111111112"),
        ("REDACTED-a-1111111", "REDACTED-a-1111112"),
        ("REDACTED-a-1111111G", "REDACTED-a-1111112G"),
        ("redacted-a-11111111", "redacted-a-11111112"),
        ("REDACTED-11111111", "REDACTED-11111112"),
        ("REDACTED-a-11111111x1", "REDACTED-a-11111111x2"),
    ],
)
def test_placeholders_of_other_kinds_and_what_resembles_them_count(one: str, two: str) -> None:
    assert json_key(f'{{"a":"{one}"}}') != json_key(f'{{"a":"{two}"}}')


def test_placeholders_stand_in_paths_and_parameters_too() -> None:
    urls = (f"https://h/REDACTED-a-{digit * 8}?b=REDACTED-b-{digit * 8}" for digit in "12")
    one, two = (canonical(request(url=url)) for url in urls)
    assert one == two
    assert one.endpoint == ("h", "POST", "/REDACTED-secret")


# ------------------------------------------------------------------ rules


def at(*places: Path) -> Finder:
    """A finder that finds these places where they are."""

    def there(value: Any, place: Path) -> bool:
        try:
            for step in place:
                value = value[step]
        except (IndexError, KeyError, TypeError):
            return False
        return True

    return lambda value: [place for place in places if there(value, place)]


def test_what_a_rule_ignores_does_not_count_be_it_there_or_not() -> None:
    rule = Rule("r", ignore=(at(("id",), ("meta", "time")),))
    bodies = ['{"a":1,"id":1,"meta":{}}', '{"a":1,"meta":{"time":5}}', '{"id":2,"a":1,"meta":{}}']
    assert len({key(request(body), rule) for body in bodies}) == 1
    assert key(request('{"a":2,"meta":{}}'), rule) != key(request('{"a":1,"meta":{}}'), rule)


def test_places_are_found_before_any_of_them_is_left_out() -> None:
    rule = Rule("r", ignore=(at(("a", 0)), at(("a", 1))))
    assert key(request('{"a":[1,2,3]}'), rule) == key(request('{"a":[8,9,3]}'), rule)
    assert key(request('{"a":[1,2,3]}'), rule) != key(request('{"a":[1,2,4]}'), rule)


def test_two_rules_that_ignore_one_place_ignore_it_once() -> None:
    rules = Rule("r", ignore=(at(("a", 0)),)), Rule("s", ignore=(at(("a", 0)),))
    assert key(request('{"a":[1,2]}'), *rules) != key(request('{"a":[1,3]}'), *rules)


def test_a_rule_may_ignore_parameters_and_headers_in_any_case() -> None:
    rule = Rule("r", ignore_query=frozenset({"Trace"}), ignore_headers=frozenset({"X-VERSION"}))
    plain = key(request(url=CHAT + "?a=1"), rule)
    other = request(url=CHAT + "?TRACE=5&a=1&trace=6", headers=(("x-version", "1"),))
    assert key(other, rule) == plain
    assert key(request(url=CHAT + "?a=2"), rule) != plain


AZURE = "https://mine.openai.azure.com/openai/v1/chat/completions"


@in_one_test(
    "rule, url, method, applies",
    [
        (Rule("r"), CHAT, "POST", True),
        (Rule("r", provider="together"), CHAT, "POST", True),
        (Rule("r", provider="openai"), CHAT, "POST", False),
        (Rule("r", method="POST"), CHAT, "POST", True),
        (Rule("r", method="post"), CHAT, "POST", True),
        (Rule("r", method="GET"), CHAT, "POST", False),
        (Rule("r", path="/v1/*"), CHAT, "POST", True),
        (Rule("r", path="/v1/chat/completions"), CHAT + "?a=1", "POST", True),
        (Rule("r", path="/v1"), CHAT, "POST", False),
        (Rule("r", path="/V1/*"), CHAT, "POST", False),
        (Rule("r", provider="together", method="POST", path="/v1/*"), CHAT, "POST", True),
        (Rule("r", provider="together", method="POST", path="/v2/*"), CHAT, "POST", False),
        (Rule("r", provider="azure"), AZURE, "POST", True),
        (Rule("r", provider="mine.openai.azure.com"), AZURE, "POST", True),
        (Rule("r", provider="yours.openai.azure.com"), AZURE, "POST", False),
        (Rule("r", provider="h"), "https://h/v1", "POST", True),
    ],
)
def test_a_rule_applies_where_it_says(rule: Rule, url: str, method: str, applies: bool) -> None:
    ignoring = Rule(
        rule.name, provider=rule.provider, method=rule.method, path=rule.path, ignore=(at(("a",)),)
    )
    keys = {key(request(body, url=url, method=method), ignoring) for body in ('{"a":1}', "{}")}
    assert (len(keys) == 1) is applies


def test_rules_are_for_json_alone() -> None:
    def everywhere(value: Any) -> Iterable[Path]:
        raise AssertionError("a body that is not JSON was searched")

    rule = Rule("r", ignore=(everywhere,))
    assert key(request("a=1", FORM), rule) != key(request("a=2", FORM), rule)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([], {"a": [1, {"b": 2, "c": 3}, 4], "d": None}),
        ([("a", 0)], {"a": [{"b": 2, "c": 3}, 4], "d": None}),
        ([("a", 0), ("a", 2)], {"a": [{"b": 2, "c": 3}], "d": None}),
        ([("a", 1, "b"), ("a", 0), ("a", 1, "b")], {"a": [{"c": 3}, 4], "d": None}),
        ([("a", 1), ("a", 1, "b")], {"a": [1, 4], "d": None}),
        ([("a",), ("a", 1), ("d",)], {}),
        ([("x",), ("a", 9), ("a", "b"), ("d", 0), ("a", 0, "x")], None),
    ],
)
def test_places_are_left_out(places: list[Path], expected: Any) -> None:
    value = {"a": [1, {"b": 2, "c": 3}, 4], "d": None}
    before = json.dumps(value)
    assert without(value, places) == (json.loads(before) if expected is None else expected)
    assert json.dumps(value) == before


def test_ten_items_are_left_out_by_number_and_not_by_spelling() -> None:
    value = list(range(12))
    assert without(value, [(2,), (10,), (11,)]) == [0, 1, 3, 4, 5, 6, 7, 8, 9]


# ------------------------------------------------------------------ ids by where they came from

TOKEN = "3f2a00112233#0"
OPENAI = "https://api.openai.com/v1/responses"


def sent(body: Any = None, url: str = OPENAI, **ids: str) -> Document:
    """A request that sends back ids of which it is known where they came from."""
    made = {"method": "POST", "url": url, "headers": {}, "ids": ids}
    return made if body is None else {**made, "body": body}


def spelled(body: Any, text: str) -> Any:
    return json.loads(json.dumps(body).replace("ID", text))


@pytest.mark.parametrize(
    "body",
    [
        {"previous_response_id": "ID"},
        {"file_ids": ["a", "ID"]},
        {"input": [{"type": "item_reference", "id": "ID"}]},
        {"container": "ID"},
        {"tool": {"fileId": "ID"}},
    ],
)
def test_an_id_is_compared_by_where_it_came_from(body: Any) -> None:
    one, two = (spelled(body, text) for text in ("resp_1", "resp_2"))
    first = canonical(sent(one, resp_1=TOKEN))
    assert first == canonical(sent(two, resp_2=TOKEN))
    assert first.key != key(sent(one, resp_1="3f2a00112233#1"))
    assert first.key != key(sent(one))
    assert first.key != key(sent(spelled(body, TOKEN)))


@pytest.mark.parametrize(
    "body",
    [{"content": "ID"}, {"id": "xID"}, {"id": [{"b": "ID"}]}, {"ID": "x"}, {"cachedName": "ID"}],
)
def test_what_only_reads_like_an_id_is_compared_as_it_is(body: Any) -> None:
    one, two = (spelled(body, text) for text in ("resp_1", "resp_2"))
    assert key(sent(one, resp_1=TOKEN)) != key(sent(two, resp_2=TOKEN))


def test_an_id_in_the_path_is_an_asterisk_of_the_endpoint() -> None:
    one, two = (
        canonical(sent(url=f"{OPENAI}/{name}/items", **{name: TOKEN}))
        for name in ("resp_1", "resp_2")
    )
    assert one == two
    assert one.endpoint == ("openai", "POST", "/v1/responses/*/items")
    other = canonical(sent(url=f"{OPENAI}/resp_1/items", resp_1="3f2a00112233#1"))
    assert other.key != one.key
    assert other.endpoint == one.endpoint


@pytest.mark.parametrize("ids", [None, [], "resp_1", 5])
def test_ids_that_are_none_are_left_alone(ids: Any) -> None:
    plain = sent({"id": "resp_1"})
    assert key({**plain, "ids": ids}) == key(plain)


def test_an_id_in_the_query_is_compared_by_where_it_came_from() -> None:
    one, two = (sent(url=f"{OPENAI}?after={name}", **{name: TOKEN}) for name in ("a1", "a2"))
    assert key(one) == key(two)


def test_ids_of_forms_and_parts_are_compared_by_where_they_came_from() -> None:
    def form(name: str) -> Document:
        return request(f"file_id={name}&text={name[:4]}", FORM) | {"ids": {name: TOKEN}}

    def parts(name: str) -> Document:
        head = 'Content-Disposition: form-data; name="file_id"'
        return multipart("b", (head, name.encode())) | {"ids": {name: TOKEN}}

    assert key(form("file1")) == key(form("file2"))
    assert key(parts("file1")) == key(parts("file2"))


# ------------------------------------------------------------------ bad and large bodies


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("[" * 10_000 + "]" * 10_000, id="deep list"),
        pytest.param('{"a":' * 10_000 + "1" + "}" * 10_000, id="deep object"),
        pytest.param("[" * 100_000, id="open"),
        '{"a":NaN}',
        '{"a":1,"a":2}',
        '{"a":Infinity}',
        "{'a': 1}",
        "\x00",
    ],
)
def test_a_body_that_is_not_the_json_it_says_is_compared_as_text(body: str) -> None:
    assert canonical(request(body)).value["body"] == {"text": body}


def test_a_body_of_twenty_megabytes_is_matched() -> None:
    text = "some words of a prompt, and no id. " * 600_000
    one, two = (request(json.dumps({"n": n, "messages": [{"content": text}]})) for n in (1, 2))
    assert key(one) != key(two)


# ------------------------------------------------------------------ differences


def differ(one: str, two: str) -> list[Difference]:
    return differences(canonical(request(one)).value, canonical(request(two)).value)


def test_a_difference_is_named_by_its_path() -> None:
    one = '{"messages":[{"role":"user","content":"Hi"}],"temperature":0.7}'
    two = '{"messages":[{"role":"user","content":"Hello"}],"temperature":0.7,"seed":1}'
    assert differ(one, two) == [
        Difference("body.messages[0].content", "Hi", "Hello"),
        Difference("body.seed", ABSENT, 1),
    ]


def test_an_item_that_one_list_lacks_is_absent() -> None:
    assert differ('{"a":[1,2]}', '{"a":[1]}') == [Difference("body.a[1]", 2, ABSENT)]


def test_null_differs_from_what_is_absent() -> None:
    assert differ('{"a":null}', "{}") == [Difference("body.a", None, ABSENT)]


def test_true_differs_from_one() -> None:
    assert differ('{"a":true}', '{"a":1}') == [Difference("body.a", True, 1)]


def test_bodies_of_different_kinds_differ_by_both_kinds() -> None:
    one = canonical(request("{}")).value
    two = canonical(request("{}", "text/plain")).value
    assert differences(one, two) == [
        Difference("body", {}, ABSENT),
        Difference("body", ABSENT, "{}"),
    ]


def test_a_number_that_only_json_has_differs_at_its_own_place() -> None:
    assert differ('{"a":1e400}', '{"a":1e401}') == [Difference("body.a", "1e400", "1e401")]


def test_what_is_outside_the_body_is_named_too() -> None:
    one = canonical(request(url=CHAT + "?a=1", headers=(("x-version", "1"),))).value
    two = canonical(request(url=CHAT + "?a=2&b=3")).value
    assert differences(one, two) == [
        Difference("headers.x-version", "1", ABSENT),
        Difference("query.a[0]", "1", "2"),
        Difference("query.b", ABSENT, ["3"]),
    ]


def test_differences_are_in_order_and_limited() -> None:
    one = json.dumps({f"m{n:03}": n for n in range(100)})
    two = json.dumps({f"m{n:03}": -1 for n in range(100)})
    found = differences(canonical(request(one)).value, canonical(request(two)).value, limit=3)
    assert [difference.path for difference in found] == ["body.m000", "body.m001", "body.m002"]


def test_what_is_absent_says_so() -> None:
    assert repr(ABSENT) == "absent"


@pytest.mark.parametrize("make", [lambda: request("{}"), lambda: request(b"\xff")])
def test_matching_changes_no_document(make: Callable[[], Document]) -> None:
    document = make()
    canonical(document, Rule("r", ignore=(at(("a",)),)))
    assert document == make()


def test_a_rule_is_for_bodies_with_its_members_whatever_came_before() -> None:
    condition = MemberCondition(frozenset(("tool", "model")), lambda body: body["tool"] == "t")
    rules = (Rule("own", body=condition, never_recorded=True), Rule("all", method="post"))
    matcher = Matcher(Providers(()), rules=rules)
    bodies: list[dict[str, Any]] = [
        {"model": "m"}, {"model": "m", "tool": "t"}, {"tool": "t", "model": "m"},
        {"model": "m", "tool": "u"}, {}, {"tool": "t"}, {f"n{n}": n for n in range(99)},
        {"model": "m", "tool": "t"} | {f"n{n}": n for n in range(99)},
    ]  # fmt: skip
    for body in (*bodies, *reversed(bodies)):
        is_own = matcher.canonical(request(json.dumps(body))).never_recorded == "own"
        assert is_own is condition(body)

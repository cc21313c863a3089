"""What a request carries as credentials, and the spellings in which they are found again."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wiretape.core.redaction.known_values import (
    Secrets,
    credentials_in_header,
    credentials_in_query,
)
from wiretape.core.redaction.placeholder import is_strong, placeholder
from wiretape.core.redaction.rules import Finding
from wiretape.core.redaction.secret_shapes import Shapes
from wiretape.core.redaction.value_search import Search

KEY = "tgp/v1+" + "aB3-dEfG_9hIjK2=mN"
OTHER = "another~SECRET-value-77"
BASIC = base64.b64encode(b"alice@example.com:pass:word-99").decode()
AWS = (
    "Credential=AKIDEXAMPLE12345/20261120/us-east-1/bedrock/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=" + "0a1b2c3d" * 8
)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("authorization", f"Bearer {KEY}", [("authorization", KEY)]),
        ("authorization", f"bearer   {KEY} ", [("authorization", KEY)]),
        ("authorization", KEY, [("authorization", KEY)]),
        ("authorization", f"Key {KEY}", [("authorization", KEY)]),
        ("authorization", "Bearer", [("authorization", "Bearer")]),
        ("authorization", "", [("authorization", "")]),
        (
            "authorization",
            f"Basic {BASIC}",
            [
                ("authorization", BASIC),
                ("authorization", "alice@example.com:pass:word-99"),
                ("authorization-password", "pass:word-99"),
                ("authorization-user", "alice@example.com"),
            ],
        ),
        ("authorization", "Basic not*base64", [("authorization", "not*base64")]),
        (
            "authorization",
            f"AWS4-HMAC-SHA256 {AWS}",
            [
                ("authorization", AWS),
                ("authorization", "AKIDEXAMPLE12345"),
                ("authorization", "0a1b2c3d" * 8),
            ],
        ),
        (
            "proxy-authorization",
            'Digest username="alice", realm="all", response="9f8e7d6c"',
            [
                ("proxy-authorization", 'username="alice", realm="all", response="9f8e7d6c"'),
                ("proxy-authorization", "alice"),
                ("proxy-authorization", "9f8e7d6c"),
            ],
        ),
        ("x-api-key", KEY, [("x-api-key", KEY)]),
        ("x-api-key", f"Bearer {KEY}", [("x-api-key", KEY)]),
        ("x-api-key", "two words", [("x-api-key", "two words")]),
        (
            "cookie",
            f'a={KEY}; b="{OTHER}"; c',
            [("cookie", KEY), ("cookie", OTHER), ("cookie", "")],
        ),
    ],
)
def test_the_values_of_a_header(name: str, value: str, expected: list[tuple[str, str]]) -> None:
    assert list(credentials_in_header(name, value)) == expected


def test_the_values_of_secret_query_parameters_are_decoded() -> None:
    names = frozenset(("key", "api_key"))
    query = "alt=sse&key=a%2Fb+c&KEY=d&api%5Fkey=e&key=&monkey=f"
    assert list(credentials_in_query(query, names)) == [
        ("query-key", "a/b c"),
        ("query-key", "d"),
        ("query-api_key", "e"),
    ]


def test_a_signed_url_tells_the_access_keys_id() -> None:
    credentials = credentials_in_query(
        "X-Amz-Credential=AKID1234%2F20261120%2Fus", frozenset(["x-amz-credential"])
    )
    assert list(credentials) == [
        ("query-x-amz-credential", "AKID1234/20261120/us"),
        ("query-x-amz-credential", "AKID1234"),
    ]


def search(*values: tuple[str, str]) -> tuple[Search, list[Finding]]:
    findings: list[Finding] = []
    return Search(Shapes(()), Secrets(values), findings), findings


def replaced(text: str, *values: tuple[str, str]) -> tuple[str, list[str]]:
    by, findings = search(*values)
    return by.text(text, ()), [item.rule for item in findings]


STANDS = placeholder("secret", KEY)
SPELLINGS = {
    "plain": KEY,
    "percent-encoded": quote(KEY, safe=""),
    "percent-encoded in lower case": quote(KEY, safe="").replace("%2F", "%2f"),
    "percent-encoded but for slashes": quote(KEY),
    "percent-encoded wholly": "".join(f"%{ord(c):02X}" for c in KEY),
    "percent-encoded twice": quote(quote(KEY, safe=""), safe=""),
    "with the slash escaped": KEY.replace("/", "\\/"),
    "with a hyphen escaped": KEY.replace("-", "\\u002d"),
    "with a hyphen escaped in upper case": KEY.replace("-", "\\u002D"),
    "escaped wholly": "".join(f"\\u{ord(c):04x}" for c in KEY),
    "escaped twice": KEY.replace("-", "\\\\u002d"),
    "escaped for a URL, then for JSON": quote(KEY, safe="").replace("%", "\\u0025"),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_value_is_found_in_every_spelling(spelling: str) -> None:
    by, _ = search(("authorization", KEY))
    assert by.text(f"<{spelling}>", ()) == f"<{STANDS}>"
    assert by.may_hold(json.dumps(f"<{spelling}>", ensure_ascii=False))


def test_a_value_with_quotes_and_backslashes_is_found_in_nested_json() -> None:
    value = 'pass"word\\with é 12'
    nested = json.dumps(json.dumps({"k": value}, ensure_ascii=False), ensure_ascii=False)
    by, _ = search(("password", value))
    assert by.may_hold(json.dumps(nested))
    assert by.text(nested, ()) == json.dumps('{"k": "REDACTED-secret"}')
    assert by.text(quote_plus(value), ()) == "REDACTED-secret"


def test_a_value_with_quotes_is_found_in_json_in_json_in_json() -> None:
    value = 'pass"word/with 12 more'
    text = json.dumps(json.dumps(json.dumps(value)))
    by, _ = search(("password", value))
    assert by.may_hold(json.dumps(text))
    assert by.text(text, ()) == text.replace(
        json.dumps(json.dumps(json.dumps(value)[1:-1])[1:-1])[1:-1], "REDACTED-secret"
    )


def test_a_value_beyond_the_basic_plane_is_found_escaped() -> None:
    text, labels = replaced(
        json.dumps("key-\U0001f511-0123456789"), ("k", "key-\U0001f511-0123456789")
    )
    assert (text, labels) == ('"REDACTED-secret"', ["k"])


def test_the_labels_of_what_was_found_are_told() -> None:
    text, labels = replaced(f"{KEY} {OTHER} {KEY}", ("authorization", KEY), ("MY_ENV", OTHER))
    assert text == f"{STANDS} {placeholder('secret', OTHER)} {STANDS}"
    assert labels == ["authorization", "my-env", "authorization"]


def test_a_value_that_contains_another_is_one_placeholder() -> None:
    text, _ = replaced(f"{OTHER}-{KEY}", ("a", OTHER), ("b", f"{OTHER}-{KEY}"))
    assert text == placeholder("secret", f"{OTHER}-{KEY}")


def test_of_two_labels_of_one_value_the_first_counts() -> None:
    text, _ = replaced(KEY, ("authorization", KEY), ("env", KEY))
    assert text == STANDS


@pytest.mark.parametrize("value", ["", " ", "x", "test", "none", "response_format", "0" * 30])
def test_weak_values_are_not_looked_for(value: str) -> None:
    text = f"a test: none of {value} x"
    assert replaced(text, ("env", value)) == (text, [])
    assert not search(("env", value))[0].may_hold(text)


def test_values_that_are_public_are_left_out() -> None:
    secrets = Secrets([("a", KEY), ("b", OTHER)])
    assert secrets.without(["some-model", OTHER]).values == (("a", KEY),)
    assert secrets.without(["some-model"]) is secrets


def test_secrets_do_not_show_their_values() -> None:
    assert repr(Secrets([("authorization", KEY), ("env", "test")])) == "Secrets(authorization)"


ANY = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=12, max_size=40)


@given(ANY, st.text(max_size=20), st.text(max_size=20))
def test_no_string_keeps_a_value_and_the_quick_look_sees_each(
    value: str, before: str, after: str
) -> None:
    value = value.strip()
    assume(is_strong(value))
    by, _ = search(("k", value))
    for spelled in (value, quote(value), json.dumps(value)[1:-1]):
        text = before + spelled + after
        assert by.may_hold(json.dumps(text, ensure_ascii=False))
        assert value not in by.text(text, ())

"""Values that a name marks as credentials: which names do, and where a value begins and ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.redaction.credential_names import (
    CREDENTIAL_FIELD,
    CredentialNames,
    is_credential,
    is_secret,
    leaves,
    secret_parts,
)

pytestmark = pytest.mark.usefixtures("looks_at_short_texts")
SECRET = "kV8w2Qz-T5rXn1Lp"


@pytest.mark.parametrize(
    "name", ["x-api-key", "AccountKey", "db.password", "refreshToken", "AWS_SECRET_ACCESS_KEY"]
)
def test_names_of_credentials(name: str) -> None:
    assert is_credential(name)


@pytest.mark.parametrize("name", ["max_tokens", "stop_token", "primary_key", "monkey", "", "42"])
def test_other_names(name: str) -> None:
    assert not is_credential(name)


@pytest.mark.parametrize(
    "value",
    [
        f"env:{SECRET}",
        f"https://vault.example/{SECRET}",
        f"<{SECRET}>",
        f"{{{{{SECRET}}}}}",
        "REDACTED-authorization-0a1b2c3d",
        "password",
    ],
)
def test_references_masks_and_placeholders_are_not_secrets(value: str) -> None:
    assert is_secret(SECRET)
    assert not is_secret(value)


@pytest.mark.parametrize(
    ("name", "value", "secrets"),
    [
        ("authorization", f"Bearer {SECRET}", [SECRET]),
        ("cookie", f"theme=dark; sid={SECRET}", [SECRET]),
        ("api_key", f"{SECRET} ", [SECRET]),
        ("api_key", "hunter2", []),
    ],
)
def test_the_secret_part_of_a_value(name: str, value: str, secrets: list[str]) -> None:
    assert [value[slice(*part)] for part in secret_parts(name, value)] == secrets


def test_a_value_gets_the_name_beside_it() -> None:
    document = {"headers": [{"name": "x-api-key", "value": SECRET}], "pair": ["token", SECRET]}
    named = {where: name for where, name, text in leaves(document) if text == SECRET}
    assert named == {("headers", 0, "value"): "x-api-key", ("pair", 1): "token"}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f"API key: {SECRET}", CREDENTIAL_FIELD),
        (f"curl -u alice:{SECRET} https://h", CREDENTIAL_FIELD),
        (f'<add key="ApiKey" value="{SECRET}"/>', CREDENTIAL_FIELD),
        (f'{{"a": {{"client_secret": "{SECRET}"}}}}', CREDENTIAL_FIELD),
        (f"https://h/?sig={SECRET}&x=1", "query-sig"),
    ],
)
def test_what_a_text_names_is_found_where_it_stands(text: str, rule: str) -> None:
    values = list(CredentialNames().occurrences(text))
    assert [(text[value.start : value.end], value.rule) for value in values] == [(SECRET, rule)]
    assert CredentialNames().may_occur_in(text)


@pytest.mark.parametrize("text", ["token = tokens.next_token2", "key = get_key(a1b2c3d4e5f6)"])
def test_code_is_not_a_credential(text: str) -> None:
    assert not list(CredentialNames().occurrences(text))


def test_a_further_parameter_counts() -> None:
    text = f"https://h/?zugang={SECRET}"
    assert not list(CredentialNames().occurrences(text))
    assert [value.rule for value in CredentialNames(["zugang"]).occurrences(text)] == [
        "query-zugang"
    ]


WORDS = st.sampled_from(
    [
        "api",
        "key",
        "TOKEN",
        "signature",
        "sig=",
        "sign=",
        "st=",
        "own=",
        "\u212aey",
        "\u0130",
        "\u017f",
    ]
)


@given(st.lists(WORDS | st.text(max_size=3), max_size=12).map("".join))
def test_one_look_finds_each_naming_word(text: str) -> None:
    names = CredentialNames(["own"])
    lower = text.replace("\u0130", "\0").lower()
    places = {
        (at, at + len(word) - word.endswith("="))
        for word in names._words
        for at in range(len(lower))
        if lower.startswith(word, at)
    }
    assert set(names._naming(text)) == places

"""What stands for a value, and which values may be looked for everywhere."""

import random
import re
import string
import uuid

import pytest
from tests.support.cases import in_one_test

from wiretape.config.packs import DUMMY_KEY
from wiretape.core.redaction.placeholder import (
    PLACEHOLDER,
    WITH_DIGEST,
    is_strong,
    label,
    placeholder,
)


def made_up(seed: int, length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(random.Random(seed).choices(alphabet, k=length))


def test_placeholder_of_a_value_is_the_same_on_every_machine() -> None:
    assert placeholder("x-api-key", "aB3dEfG9hIjK2mNoP4qRsT6uVwX8") == "REDACTED-x-api-key-b6520309"


def test_placeholders_of_two_values_differ() -> None:
    assert placeholder("k", made_up(1, 40)) != placeholder("k", made_up(2, 40))


def test_the_digest_is_the_values_whatever_the_label() -> None:
    value = made_up(1, 40)
    assert placeholder("a", value)[-8:] == placeholder("b", value)[-8:]


@pytest.mark.parametrize(
    "value",
    [
        "test",
        "hunter2hunter2",
        "correct-horse-battery-staple",
        "alice@example.com:Summer2026",
        "4111111111111111",
        "x" * 60,
        "sk-my-secret-key-1234567890",
    ],
)
def test_a_value_that_could_be_guessed_has_no_digest(value: str) -> None:
    assert placeholder("authorization", value) == "REDACTED-authorization"


@pytest.mark.parametrize(
    "value",
    [made_up(3, 24), made_up(4, 32, "0123456789abcdef"), "3f2b8c1e-9d47-4a6b-8e05-c7d1f0a29b36"],
)
def test_a_random_value_has_a_digest(value: str) -> None:
    assert re.fullmatch("REDACTED-k-[0-9a-f]{8}", placeholder("k", value))


@pytest.mark.parametrize("value", ["short", made_up(5, 40)])
@pytest.mark.parametrize("name", ["authorization", "X-Api-Key", "MY__KEY_2", "käse", ""])
def test_a_matcher_sees_the_label_alone(name: str, value: str) -> None:
    text = placeholder(name, value)
    assert PLACEHOLDER.fullmatch(text)
    assert WITH_DIGEST.sub(r"REDACTED-\1", text) == f"REDACTED-{label(name)}"


def test_a_label_has_lower_case_letters_digits_and_hyphens() -> None:
    assert [label(name) for name in ("TOGETHER_API_KEY", "x-api-key", "a b", "密码")] == [
        "together-api-key",
        "x-api-key",
        "a-b",
        "secret",
    ]


@in_one_test(
    "value",
    [
        "",
        "x",
        "none",
        "dummy",
        "sk-no-key",
        "abcdef12345",
        "sk-no-key-required",
        "your-api-key-here",
        "<YOUR_OPENAI_API_KEY>",
        "test-token-123",
        "fakeApiKey0000",
        "sk-xxxxxxxxxxxxxxxxxxxx",
        "xxxxxxxx-xxxx-xxxx",
        "----------------",
        "000000000000000000000000",
        "1763660000123",
        "documentation",
        "response_format",
        "MAX_COMPLETION_TOKENS",
        "application/json",
        "chat.completion.chunk",
        "/chat/completions",
        "REDACTED-authorization-0a1b2c3d",
    ],
)
def test_short_plain_and_dummy_values_are_weak(value: str) -> None:
    assert not is_strong(value)


@pytest.mark.parametrize(
    "value",
    [
        "abcdef123456",
        "sk-planted-secret-key-12345",
        "correct-horse-battery-staple",
        "tgp_v1_" + "A" * 43,
        "alice@example.com",
        "пароль-пароль-пароль",
        "12345678901234567890",
        "bcdfghjklmnpqrst",
    ],
)
def test_values_that_no_text_holds_by_chance_are_strong(value: str) -> None:
    assert is_strong(value)


def test_wiretapes_own_dummy_key_is_strong_so_that_it_matches_where_a_key_was_recorded() -> None:
    assert is_strong(DUMMY_KEY)


def test_every_random_key_is_strong() -> None:
    draw = random.Random(20261120)
    keys = [
        *("".join(draw.choices("0123456789abcdef", k=32)) for _ in range(500)),
        *("".join(draw.choices(string.ascii_letters + string.digits, k=20)) for _ in range(500)),
        *("".join(draw.choices(string.ascii_lowercase, k=32)) for _ in range(500)),
        *(str(uuid.UUID(int=draw.getrandbits(128))) for _ in range(500)),
    ]
    assert [key for key in keys if not is_strong(key)] == []

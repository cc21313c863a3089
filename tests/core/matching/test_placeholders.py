"""Placeholders that say the same are the same to a matcher, whatever they are called."""

import base64
from typing import Any

import pytest

from wiretape.core.matching.placeholders import ANY, Placeholders, carried_by

ONE, OTHER = "0a1b2c3d", "4e5f6071"


def neutral(body: Any, *carried: str, distinct: tuple[str, ...] = ()) -> Any:
    request = {"method": "POST", "url": "https://h/v1", "body": body, "carried": list(carried)}
    changed = Placeholders(distinct).neutral(request)
    return (changed or request)["body"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("REDACTED-authorization-0a1b2c3d", "REDACTED-form-refresh-token-0a1b2c3d"),
        ("REDACTED-openai-key-0a1b2c3d", "REDACTED-together-key-4e5f6071"),
        ("REDACTED-authorization", "REDACTED-query-key"),
        ("Bearer REDACTED-x-api-key", "Bearer REDACTED-userinfo"),
    ],
)
def test_a_key_is_as_good_as_another_whatever_it_is_called(one: str, other: str) -> None:
    assert neutral({"a": one}) == neutral({"a": other})


def test_two_values_that_are_no_keys_differ_as_they_did() -> None:
    first, second = (f"REDACTED-secret-{digest}" for digest in (ONE, OTHER))
    assert neutral(first) != neutral(second)
    assert neutral(first, ONE) == neutral(second, OTHER)
    assert neutral(first, ANY) == neutral(second, ANY)


def test_of_the_users_own_patterns_the_digest_counts() -> None:
    first, second = (f"REDACTED-email-{digest}" for digest in (ONE, OTHER))
    assert neutral(first, distinct=("email",)) != neutral(second, distinct=("email",))


def test_within_base64_they_are_compared_in_the_same_way() -> None:
    def encoded(label: str) -> str:
        return base64.b64encode(f"user:REDACTED-{label}".encode()).decode()

    assert neutral(encoded("authorization")) == neutral(encoded("x-api-key"))


def test_a_request_without_one_stays_itself() -> None:
    request = {"method": "POST", "url": "https://h/v1", "body": {"a": "REDACTEDLY"}}
    assert Placeholders().neutral(request) is None


@pytest.mark.parametrize("carried", [None, "x", 3, [1, None], {}])
def test_what_was_edited_by_hand_carries_nothing(carried: Any) -> None:
    assert carried_by({"carried": carried}) == []

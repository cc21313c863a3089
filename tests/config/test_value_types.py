"""What single values of config.yaml may be, and what an error says of one that may not."""

from decimal import Decimal
from typing import Any

import pytest
from tests.support.cases import in_one_test

from wiretape.config.value_types import (
    as_amount,
    as_body,
    as_flag,
    as_gate,
    as_host,
    as_json_path,
    as_normaliser,
    as_places,
    as_regex,
    as_sequences,
    as_upstream_proxy,
    got,
)


@in_one_test(
    "check, value, expected",
    [
        (as_host, "API.example.com:8443", "api.example.com:8443"),
        (as_host, "[::1]:8443", "[::1]:8443"),
        (as_host, "*.example.com", "*.example.com"),
        (as_flag, "Off", False),
        (as_flag, "yes", True),
        (as_flag, "maybe", "maybe"),
        (as_gate, "warn", "warn"),
        (as_amount, 0.1, Decimal("0.1")),
        (as_amount, "2.50", Decimal("2.50")),
        (as_json_path, "$..id", "$..id"),
        (as_body, {"$.model": "gpt-*"}, {"$.model": "gpt-*"}),
        (as_normaliser, {"round": 2, "at": ["$.x"]}, {"round": 2, "at": ["$.x"]}),
        (as_places, "yes", True),
        (as_places, ["$.a"], ["$.a"]),
        (as_regex, "a+", "a+"),
        (as_sequences, "rediss://h:1/0", "rediss://h:1/0"),
        (as_sequences, "$REDIS_URL", "$REDIS_URL"),
    ],
)
def test_values_that_fit(check: Any, value: object, expected: object) -> None:
    result = check(value)
    assert (type(result), result) == (type(expected), expected)


@in_one_test(
    "check, value, message",
    [
        (as_host, "http://localhost:8791", "path; what is asked of it by http counts as by https"),
        (as_host, "h:99999", "port from 1 to 65535"),
        (as_host, "*.*", "expected a host"),
        (as_host, "[::g]", "expected a host"),
        (as_gate, False, "cannot be off"),
        (as_gate, "off", "cannot be off"),
        (as_amount, True, "a million tokens"),
        (as_amount, -1, "a million tokens"),
        (as_amount, "NaN", "a million tokens"),
        (as_json_path, "model", "expected a JSONPath"),
        (as_body, {}, "expected a JSONPath"),
        (as_body, {"$.model": []}, "expected a value"),
        (as_normaliser, {"round": 16}, "from 0 to 15"),
        (as_normaliser, {"round": True}, "from 0 to 15"),
        (as_places, [], "expected true, or JSONPaths"),
        (as_regex, "a*", "matches the empty text"),
        (as_regex, "(?=a)b", "RE2"),
        (as_regex, "(", "not a regular expression"),
    ],
)
def test_values_that_do_not_fit(check: Any, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        check(value)


@pytest.mark.parametrize("check", [as_sequences, as_upstream_proxy])
def test_a_password_in_a_url_is_not_repeated(check: Any) -> None:
    with pytest.raises(ValueError, match="expected") as error:
        check("htp://alice:hunter2@h")
    assert "hunter2" not in str(error.value)


def test_a_value_in_a_message_is_short_and_has_no_contents() -> None:
    assert got("x" * 100) == repr("x" * 39 + "…")
    assert [got(value) for value in (1.5, None, True, ["hunter2"])] == [
        "1.5",
        "nothing",
        "a boolean",
        "a list",
    ]

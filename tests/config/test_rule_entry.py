"""What an entry says becomes a rule that does it."""

from typing import Any

import pytest

from wiretape.config.rule_entry import condition, finder, rule


def test_a_path_that_is_not_simple_is_found_as_the_standard_says() -> None:
    assert list(finder("$..a")({"a": {"a": 1}})) == [("a",), ("a", "a")]
    assert list(finder("$.a[-1:]")({"a": [1, 2]})) == [("a", 1)]


def test_a_path_that_is_none_is_an_error_that_says_where() -> None:
    with pytest.raises(ValueError, match=r"^not a JSONPath \(RFC 9535\): .* at position 2$"):
        finder("$.[")


def test_a_rules_text_is_what_it_was_given_and_nothing_empty() -> None:
    entry = {"name": "r", "when": {"path": "/v1"}, "ignore": ["$.a"], "only": [], "normalise": []}
    made = rule(entry, origin="c.yaml:3")
    assert (made.name, made.origin, made.own) == ("r", "c.yaml:3", True)
    assert made.text == {"when": {"path": "/v1"}, "ignore": ["$.a"]}


def test_a_name_and_a_provider_that_are_given_go_before_the_entrys() -> None:
    made = rule({"name": "ids", "when": {"provider": "x"}}, "y/ids", provider="y", own=False)
    assert (made.name, made.provider, made.own) == ("y/ids", "y", False)


def test_a_method_is_compared_in_upper_case() -> None:
    assert rule({"name": "r", "when": {"method": "post"}}).method == "POST"


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ({"$.a": 10**20}, True),
        ({"$.a": "1*"}, False),
        ({"$.b": "*"}, True),
        ({"$.b": "[x]"}, True),
        ({"$.c": False}, True),
        ({"$.c": 0}, False),
        ({"$.d[*]": 2}, True),
    ],
)
def test_a_value_is_met_by_its_like_and_a_text_by_its_glob(said: Any, holds: bool) -> None:
    assert condition(said)({"a": 10**20, "b": "x", "c": False, "d": [1, 2]}) is holds

"""Simple JSONPaths are found as a full implementation finds them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpath import JSONPathEnvironment

from wiretape.core.text.jsonpath import compiled

FULL = JSONPathEnvironment(strict=True)
SIMPLE = [
    "$.a",
    "$.a.b",
    "$['a']",
    "$['a b'].c",
    "$.a[*]",
    "$.a.*",
    "$[*]",
    "$[0]",
    "$.a[1].b",
    "$.a[*].b[*].c",
    "$.a[?@.b=='x']",
    "$.a[?@.b != 'x'].c",
]
NAMES = st.sampled_from(["a", "b", "c", "a b"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 1) | st.sampled_from(["x", "y", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize("path", SIMPLE)
@given(value=VALUES)
def test_it_finds_what_the_standards_implementation_finds(path: str, value: Any) -> None:
    find = compiled(path)
    assert find is not None
    # The library reads a text as JSON.
    full = FULL.finditer(path, value) if isinstance(value, dict | list) else ()
    assert list(find(value)) == [match.parts for match in full]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "$",
        "a",
        "$..a",
        "$.a[-1]",
        "$.a[0:2]",
        "$.a[0,1]",
        "$.é",
        "$.a[?@.b>1]",
        "$.a b",
        "$.a[",
    ],
)
def test_what_is_not_simple_is_left_to_others(path: str) -> None:
    assert compiled(path) is None


def test_a_member_named_as_an_index_is_none() -> None:
    find = compiled("$[0]")
    assert find is not None
    assert list(find({"0": 1})) == []

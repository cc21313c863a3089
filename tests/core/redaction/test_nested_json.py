"""What has to go in JSON that stands in a string goes so that it stays JSON."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.redaction.nested_json import Find, is_json, opens, spans, text_of, to_raw
from wiretape.core.text.spans import Span


def finder(pattern: str) -> Find:
    """Finds what a pattern fits; "R" stands for it."""
    regex = re.compile(pattern, re.DOTALL)
    return lambda text: [Span(*match.span(), "R", "rule") for match in regex.finditer(text)]


def replaced(text: str, find: Find, *, json_text: bool = False) -> str:
    for start, end, instead, _ in reversed(spans(text, find, json_text=json_text)):
        text = text[:start] + instead + text[end:]
    return text


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("b+", "a bb c", "a R c"),
        ("b+", "{a bb c", "{a R c"),
        ("b+", '{"a": "x\\nbb\\t"}', '{"a": "x\\nR\\t"}'),
        (r"\bkey\d", '["\\nkey1", "nkey2"]', '["\\nR", "nkey2"]'),
        (r"a-b", '["a\\u002db", "a\\u002Db"]', '["R", "R"]'),
        ("k.*", '{"a": "k1", "b": ["k2", "c", 3]}', '{"a": "R", "b": ["R", "c", 3]}'),
        ("[0-9]{3}", '{"a": 1234, "b": -12.5e200, "c": 12}', '{"a": "R", "b": "R", "c": 12}'),
        ('"p": "[^"]*"', '{"p": "x", "q": "y"}', '{"R": "R", "q": "y"}'),
        ("b", '{"a": "{\\"c\\": \\"\\\\nb\\"}"}', '{"a": "{\\"c\\": \\"\\\\nR\\"}"}'),
        ("😀", '["\\ud83d\\ude00", "\\n😀"]', '["R", "\\nR"]'),
        # Found over half an escape in the text as it stands: the escape goes whole.
        ("nx", '["\\nx", "nx"]', '["R", "R"]'),
    ],
)
def test_what_is_found_goes_within_strings_and_numbers(
    pattern: str, text: str, expected: str
) -> None:
    assert replaced(text, finder(pattern)) == expected
    assert is_json(expected) == is_json(text)


def test_a_text_that_is_known_to_be_json_may_end_early() -> None:
    text = '{"a": "k1", "b": "k2 and \\'
    assert replaced(text, finder("k.*"), json_text=True) == '{"a": "R", "b": "R\\'
    assert replaced(text, finder("k.*")) == '{"a": "R'


def test_nothing_found_is_nothing_to_replace() -> None:
    assert spans('{"a": "x\\ny", "n": 1}', finder("k")) == []


@pytest.mark.parametrize(
    ("text", "begins", "whole"),
    [("{}", True, True), (" [1]\n", True, True), ("[1", True, False), ('"a"', False, False)],
)
def test_json_is_an_object_or_a_list(text: str, begins: bool, whole: bool) -> None:
    assert (opens(text), is_json(text)) == (begins, whole)


@given(st.text(), st.booleans())
def test_the_inside_of_a_string_says_what_the_string_does(text: str, ascii_only: bool) -> None:
    raw = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
    assert text_of(raw) == json.loads(f'"{raw}"')
    for at in range(len(text)):
        (span,) = to_raw(raw, [Span(at, at + 1, '"', "rule")])
        assert text_of(raw[span.start : span.end]) == text[at]
        assert span.placeholder == '\\"'


@given(
    st.recursive(
        st.none() | st.integers() | st.text(st.sampled_from('ab"\\n\n{}[],:é')),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    ),
    st.sampled_from(["a", "a.*", '"', "[0-9]+", ".", "n", r"\\"]),
    st.booleans(),
)
def test_json_stays_json_whatever_is_found(value: Any, pattern: str, spaced: bool) -> None:
    text = json.dumps([value], ensure_ascii=spaced)
    assert is_json(replaced(text, finder(pattern)))

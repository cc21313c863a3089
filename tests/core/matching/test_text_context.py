"""The text around a value is the same in every run, and whole words."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.matching.text_context import literal, text_after, text_before
from wiretape.core.text.regex import Linear

KEY = "REDACTED-together-key-0a1b2c3d"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("run ", "run "),
        ("in {cwd} run ", "{cwd} run "),
        ("the session run ", "session run "),
        ("x" * 30 + " run ", "xxx run "),
        ("x" * 15, "x" * 15),
        (f"{KEY} run ", " run "),
        (f"{KEY}{KEY}", ""),
        ("the session\nrun ", "run "),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE} run ", " run "),
    ],
)
def test_text_before_a_value(text: str, expected: str) -> None:
    assert text_before(text, 8) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" done", " done"),
        (" of a session", " of a session"),
        (" in x {cwd} and", " in x {cwd}"),
        (" of " + "x" * 30, " of xxxx"),
        (f" of {KEY}", " of "),
        (KEY, ""),
        (" of\tit", " of"),
    ],
)
def test_text_after_a_value(text: str, expected: str) -> None:
    assert text_after(text, 8) == expected


@given(st.text(st.sampled_from("ab{} c\n"), max_size=40), st.integers(1, 12))
def test_it_is_a_bounded_end_or_beginning_of_the_text(text: str, length: int) -> None:
    before, after = text_before(text, length), text_after(text, length)
    assert text.endswith(before)
    assert text.startswith(after)
    line_end, line_start = text.rpartition("\n")[2], text.partition("\n")[0]
    assert min(length, len(line_end)) <= len(before) <= 2 * length
    assert min(length, len(line_start)) <= len(after) <= 2 * length


@given(st.text(st.characters(codec="ascii")))
def test_a_literal_matches_its_text_alone_in_both_engines(text: str) -> None:
    assert re.fullmatch(literal(text), text)
    Linear(literal(text))

"""The user's regular expressions: found in linear time, with faults that say why."""

import pytest

from wiretape.core.text import regex
from wiretape.core.text.regex import Linear, expect_many_texts, may_occur


def spans(pattern: str, text: str, pos: int = 0) -> list[tuple[int, int]]:
    return [match.span() for match in Linear(pattern).finditer(text, pos)]


def test_places_are_counted_in_characters() -> None:
    assert spans("EMP-[0-9]+", "é\U0001f511 EMP-12, EMP-3") == [(3, 9), (11, 16)]
    assert spans("EMP-[0-9]+", "é\U0001f511 EMP-12, EMP-3", 4) == [(11, 16)]


def test_bytes_that_are_no_utf_8_are_passed_over() -> None:
    assert spans("b+", "a\udcffbb\ud800b") == [(2, 4), (5, 6)]


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "(?<!a)b", "x{2000}", r"\Z"])
def test_what_takes_more_than_linear_time_is_a_fault(pattern: str) -> None:
    with pytest.raises(ValueError, match="invalid"):
        Linear(pattern)


def test_a_pattern_that_others_never_finish_ends() -> None:
    assert spans("(a+)+(a+)+$", "a" * 200_000 + "b") == []


def test_one_that_is_checked_compiles_when_it_is_used() -> None:
    late = Linear("(", is_checked=True)
    with pytest.raises(ValueError, match="missing"):
        late.occurs_in("(")
    assert Linear("a+", is_checked=True).occurs_in("baa")


def test_where_many_texts_are_expected_short_ones_are_looked_at_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(regex, "_short", 100)
    assert may_occur("b+", "a")
    expect_many_texts()
    assert not may_occur("b+", "a")
    assert may_occur("b+", "abc")

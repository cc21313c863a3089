"""Many cases in one test: each is checked, and each that fails is named."""

import doctest

import pytest
from tests.support import cases


def test_its_example_gives_what_it_shows() -> None:
    assert doctest.testmod(cases) == (0, 2)


def test_each_case_is_checked_whatever_another_does() -> None:
    checked = []

    def check(number: int) -> None:
        checked.append(number)
        assert number > 1, "too small"

    with pytest.raises(ExceptionGroup, match="2 of 3 cases fail: a, b") as failed:
        cases.check_each(check, {"a": 0, "b": 1, "c": 2})
    assert checked == [0, 1, 2]
    assert [error.__notes__ for error in failed.value.exceptions] == [["case: a"], ["case: b"]]


def test_no_case_at_all_is_a_failure() -> None:
    with pytest.raises(AssertionError, match="no case"):
        cases.check_each(print, {})

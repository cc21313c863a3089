"""Many cases in one test: each is checked, and each that fails is named."""

import asyncio
import doctest

import pytest
from tests.support import cases


def test_its_examples_give_what_they_show() -> None:
    assert doctest.testmod(cases) == (0, 4)


def test_each_case_is_checked_whatever_another_does() -> None:
    checked = []

    def check(number: int) -> None:
        checked.append(number)
        assert number > 1, "too small"

    with pytest.raises(ExceptionGroup, match="2 of 3 cases fail: a, b") as failed:
        cases.check_each(check, {"a": 0, "b": 1, "c": 2})
    assert checked == [0, 1, 2]
    assert [error.__notes__ for error in failed.value.exceptions] == [["case: a"], ["case: b"]]


async def test_each_case_is_awaited_whatever_another_does() -> None:
    async def check(number: int) -> None:
        await asyncio.sleep(0)
        assert number > 1, "too small"

    with pytest.raises(ExceptionGroup, match="1 of 2 cases fail: a"):
        await cases.check_each_async(check, {"a": 0, "c": 2})


def test_a_case_that_fails_by_pytest_lets_the_others_be_checked() -> None:
    checked = []

    @cases.in_one_test("error", [KeyError, ValueError])
    def test_silent(error: type[Exception]) -> None:
        checked.append(error)
        with pytest.raises(error):
            pass

    with pytest.raises(ExceptionGroup, match="2 of 2 cases fail"):
        test_silent()
    assert checked == [KeyError, ValueError]


def test_a_fixture_is_asked_for_and_a_case_is_not(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from tests.support.cases import in_one_test

        @in_one_test("a, b", [(1, 2), (3, 4)])
        def test(tmp_path, a, b):
            assert tmp_path.is_dir() and b == a + 1

        @in_one_test("a", [1])
        def test_that_fails(tmp_path, a):
            assert not tmp_path.is_dir()
    """)
    pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:asyncio").assert_outcomes(
        passed=1, failed=1
    )


def test_no_case_at_all_is_a_failure() -> None:
    with pytest.raises(AssertionError, match="no case"):
        cases.check_each(print, {})

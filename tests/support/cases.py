"""Many cases of one behaviour in one test.

pytest needs some 3 ms for each test that it collects, runs and reports: more than most cases take.
"""

import inspect
import itertools
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

import pytest

_Param = type(pytest.param())


def check_each[Case](check: Callable[[Case], None], cases: Mapping[str, Case]) -> None:
    """Check all cases; then raise what failed, each with a note that names its case.

    >>> def check_even(number: int) -> None:
    ...     assert number % 2 == 0
    >>> try:
    ...     check_each(check_even, {"two": 2, "three": 3})
    ... except ExceptionGroup as group:
    ...     print(group, [error.__notes__ for error in group.exceptions])
    1 of 2 cases fail: three (1 sub-exception) [['case: three']]
    """
    errors: dict[str, Exception] = {}
    for name, case in cases.items():
        with _kept(errors, name):
            check(case)
    _raise(errors, len(cases))


async def check_each_async[Case](
    check: Callable[[Case], Awaitable[None]], cases: Mapping[str, Case]
) -> None:
    """Check all cases, one after the other, and raise as `check_each` does."""
    errors: dict[str, Exception] = {}
    for name, case in cases.items():
        with _kept(errors, name):
            await check(case)
    _raise(errors, len(cases))


@contextmanager
def _kept(errors: dict[str, Exception], name: str) -> Iterator[None]:
    try:
        yield
    except pytest.fail.Exception as failed:  # it is no Exception, and would end the others
        errors[name] = AssertionError(str(failed))
    except Exception as error:
        errors[name] = error


def _raise(errors: dict[str, Exception], number: int) -> None:
    assert number, "there is no case to check"
    if errors:
        for name, error in errors.items():
            error.add_note(f"case: {name}")
        text = f"{len(errors)} of {number} cases fail: {', '.join(errors)}"
        raise ExceptionGroup(text, list(errors.values()))


def in_one_test(
    names: str, cases: Collection[Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a test as `pytest.mark.parametrize` does, but let one test check all cases.

    `names` are the parameters, with commas between them; a case is a value, a tuple of as many
    values, or a `pytest.param` with an id. The cases share the fixtures: a test that leaves
    something in one is to be parametrized. Without a case it is skipped, as `parametrize` does.

    >>> @in_one_test("text, number", [("1", 1), ("2", 3)])
    ... def test_int(text: str, number: int) -> None:
    ...     assert int(text) == number
    >>> test_int()
    Traceback (most recent call last):
    ExceptionGroup: 1 of 2 cases fail: 1 ('2', 3) (1 sub-exception)
    """
    parameters = [name.strip() for name in names.split(",")]

    def named(number: int, case: Any) -> tuple[str, Collection[Any]]:
        if isinstance(case, _Param):
            return str(case.id or f"{number} {case.values!r:.80}"), case.values
        return f"{number} {case!r:.80}", (case,) if len(parameters) == 1 else case

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def check_all(**fixtures: Any) -> None:
            if not cases:
                pytest.skip("there is no case: what they are read from is not here")

            def check(values: Collection[Any]) -> None:
                test(**fixtures, **dict(zip(parameters, values, strict=True)))

            check_each(check, dict(map(named, itertools.count(), cases)))

        fixtures = [
            parameter
            for name, parameter in inspect.signature(test).parameters.items()
            if name not in parameters
        ]
        vars(check_all)["__signature__"] = inspect.Signature(fixtures)
        return check_all

    return decorate

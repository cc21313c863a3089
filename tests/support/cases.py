"""Many cases of one behaviour in one test.

pytest needs some 3 ms for each test that it collects, runs and reports: more than most cases take.
"""

from collections.abc import Callable, Mapping


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
    assert cases, "there is no case to check"
    errors = {}
    for name, case in cases.items():
        try:
            check(case)
        except Exception as error:
            error.add_note(f"case: {name}")
            errors[name] = error
    if errors:
        text = f"{len(errors)} of {len(cases)} cases fail: {', '.join(errors)}"
        raise ExceptionGroup(text, list(errors.values()))

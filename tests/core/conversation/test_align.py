"""The steps of two runs are paired by what they ask."""

import pytest

from wiretape.core.conversation.align import StepPair, aligned


@pytest.mark.parametrize(
    ("first", "second", "pairs"),
    [
        ("", "", []),
        ("ab", "ab", [(0, 0), (1, 1)]),
        ("abc", "axc", [(0, 0), (1, 1), (2, 2)]),
        ("ac", "abc", [(0, 0), (None, 1), (1, 2)]),
        ("abc", "c", [(0, None), (1, None), (2, 0)]),
        ("ab", "axyz", [(0, 0), (1, 1), (None, 2), (None, 3)]),
    ],
)
def test_equal_steps_are_paired_and_the_rest_in_order(
    first: str, second: str, pairs: list[StepPair]
) -> None:
    assert aligned(list(first), list(second)) == pairs


def test_a_step_that_is_repeated_often_still_counts() -> None:
    """difflib would take what makes up 1 % of 200 lines for junk."""
    steps = ["poll"] * 300
    assert aligned(steps, ["start", *steps])[1:] == [(n, n + 1) for n in range(300)]

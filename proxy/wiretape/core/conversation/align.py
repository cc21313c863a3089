"""Line up the steps of two runs by what each asks."""

from collections.abc import Sequence
from difflib import SequenceMatcher

type StepPair = tuple[int | None, int | None]
"""The indexes of a step in both runs; None where one has none."""


def aligned(first: Sequence[str], second: Sequence[str]) -> list[StepPair]:
    """Pair the steps of two runs, given by what tells equal requests; where they part, in order.

    >>> aligned(["a", "b", "c"], ["a", "x", "c", "d"])
    [(0, 0), (1, 1), (2, 2), (None, 3)]
    """
    pairs: list[StepPair] = []
    for _, a, b, c, d in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        shorter = min(b - a, d - c)
        pairs += zip(range(a, a + shorter), range(c, c + shorter), strict=True)
        pairs += [(n, None) for n in range(a + shorter, b)]
        pairs += [(None, n) for n in range(c + shorter, d)]
    return pairs

"""How long a test waits for what has to come: it ends a hang, and no test asserts to be fast. And
how many examples it looks at.
"""

import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

PATIENCE: Final = 600.0
"""Seconds. On a busy machine what takes one second alone takes a minute; pytest's own limit, in
pyproject.toml, is longer, so that the wait that hangs is the one that is named."""


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for what another process does and tells nobody of, such as a file that it writes."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {PATIENCE:g} s in vain")
        time.sleep(0.01)


def examples(number: int) -> int:
    """As many examples of a property where all tests run, and a part of them in `make test-fast`:
    of each hundred as many as its profile in tests/conftest.py says, five at least.
    """
    from hypothesis import settings  # late: what the tests start imports this module too

    return max(5, number * settings().max_examples // 100)


def part_of[Case](cases: Iterable[Case], number: int, of: int = 4) -> list[Case]:
    """All cases where all tests run; in `make test-fast` one in `of`, others for another number:
    the tests of a product, numbered, together look at each case.
    """
    is_part = examples(100) < 100
    return list(islice(cases, number % of, None, of) if is_part else cases)

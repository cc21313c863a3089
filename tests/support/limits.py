"""How long a test waits for what has to come: it ends a hang, and no test asserts to be fast."""

import time
from collections.abc import Callable
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

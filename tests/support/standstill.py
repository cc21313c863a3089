"""When nothing moves any more in a test whose parties all share one event loop."""

import asyncio
from collections.abc import Callable
from typing import Final

_ROUNDS: Final = 2000


async def standstill(count: Callable[[], int]) -> int:
    """What `count` gives once it has stayed the same for many rounds of the loop.

    Rounds are counted and not seconds: a loopback socket that was written to is ready in the next
    one, however long it takes.
    """
    seen, still = count(), 0
    while still < _ROUNDS:
        await asyncio.sleep(0)
        still = still + 1 if count() == seen else 0
        seen = count()
    return seen

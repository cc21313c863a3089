"""Makes the calls named on the command line, or all, one after the other."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

from . import (
    ask_aiohttp,
    ask_anthropic,
    ask_curl,
    ask_httpx,
    ask_openai,
    ask_requests,
    ask_together,
)
from .say import Call, line

CALLS: dict[str, Call] = {
    **ask_openai.CALLS,
    **ask_together.CALLS,
    **ask_anthropic.CALLS,
    **ask_httpx.CALLS,
    **ask_requests.CALLS,
    **ask_aiohttp.CALLS,
    **ask_curl.CALLS,
}


def make(name: str) -> None:
    """Make one call; print what it gives and how it ended."""
    try:
        answer = CALLS[name]()
        if isinstance(answer, Iterator):
            for item in answer:
                line(name, got=item)
        else:
            asyncio.run(_print(name, answer))
    except Exception as error:  # whatever a client raises is the test's to judge, call by call
        line(name, error=f"{type(error).__name__}: {error}")
    else:
        line(name, end="ok")


async def _print(name: str, items: AsyncIterator[Any]) -> None:
    async for item in items:
        line(name, got=item)


if __name__ == "__main__":
    for name in sys.argv[1:] or CALLS:
        make(name)

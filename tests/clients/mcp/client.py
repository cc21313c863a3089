"""Call a tool through the official SDK: `client.py URL MODE CITY FIRST_ID`."""

import asyncio
import json
import sys
from typing import Any

from mcp.client import Client  # type: ignore[import-not-found]  # in the tests' own environment
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher  # type: ignore[import-not-found]

url, mode, city, first_id = sys.argv[1:]
usual = JSONRPCDispatcher.__init__


def numbered_from(self: Any, *args: Any, **kwargs: Any) -> None:
    """Count requests from another number on, as a program does that asked more before."""
    usual(self, *args, **kwargs)
    assert self._next_id == 0
    self._next_id = int(first_id)


async def main() -> None:
    progress = []

    async def note(done: float, total: float | None, text: str | None) -> None:
        progress.append([done, total, text])

    async with Client(url, mode=mode) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("weather", {"city": city}, progress_callback=note)
        print(json.dumps([names, result.content[0].text, progress]))


JSONRPCDispatcher.__init__ = numbered_from
asyncio.run(main())

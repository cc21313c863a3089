"""Call tools through the official SDK: `client.py URL MODE CITY FIRST_ID`, or with a server's
command line after that, whose URL is `stdio`. `ask` in place of a city asks for the client's model.
"""

import asyncio
import json
import os
import sys
from typing import Any

import mcp.types as types  # type: ignore[import-not-found]  # in the tests' own environment
from mcp.client import Client  # type: ignore[import-not-found]
from mcp.client.stdio import StdioServerParameters  # type: ignore[import-not-found]
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher  # type: ignore[import-not-found]

url, mode, city, first_id, *command = sys.argv[1:]
usual = JSONRPCDispatcher.__init__


def numbered_from(self: Any, *args: Any, **kwargs: Any) -> None:
    """Count requests from another number on, as a program does that asked more before."""
    usual(self, *args, **kwargs)
    assert self._next_id == 0
    self._next_id = int(first_id)


async def model(_context: Any, params: Any) -> Any:
    text = f"{params.messages[0].content.text} yes".removeprefix(os.environ.get("SAYS", ""))
    content = types.TextContent(type="text", text=text)
    return types.CreateMessageResult(role="assistant", content=content, model="m")


async def main() -> None:
    progress = []

    async def note(done: float, total: float | None, text: str | None) -> None:
        progress.append([done, total, text])

    server: Any = url
    if command:
        server = StdioServerParameters(command=command[0], args=command[1:], env=dict(os.environ))
    async with Client(server, mode=mode, sampling_callback=model) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        if city == "ask":
            result = await client.call_tool("ask", {"question": "sure?"})
        else:
            result = await client.call_tool("weather", {"city": city}, progress_callback=note)
        print(json.dumps([names, result.content[0].text, progress]))


JSONRPCDispatcher.__init__ = numbered_from
asyncio.run(main())

"""Call tools through the official SDK: `client.py URL FIRST_ID MODE:CITY,…`, or with a server's
command line after that, whose URL is `stdio`. `ask` in place of a city asks the client's model.
Each MODE:CITY has a client of its own, which prints a line: what it was told, or an error.
"""

import asyncio
import json
import os
import sys
from typing import Any

import mcp.types as types  # type: ignore[import-not-found]  # in the tests' own environment
from mcp.client import Client  # type: ignore[import-not-found]
from mcp.client.stdio import StdioServerParameters  # type: ignore[import-not-found]
from mcp.shared.exceptions import MCPError  # type: ignore[import-not-found]
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher  # type: ignore[import-not-found]

url, first_id, cases, *command = sys.argv[1:]
usual = JSONRPCDispatcher.__init__


def numbered_from(self: Any, *args: Any, **kwargs: Any) -> None:
    """Count requests from another number on, as a program does that asked more before."""
    usual(self, *args, **kwargs)
    assert self._next_id == 0
    self._next_id = int(first_id)


async def model(_context: Any, params: Any) -> Any:
    content = types.TextContent(type="text", text=f"{params.messages[0].content.text} yes")
    return types.CreateMessageResult(role="assistant", content=content, model="m")


async def case(server: Any, mode: str, city: str) -> list[Any]:
    progress: list[Any] = []

    async def note(done: float, total: float | None, text: str | None) -> None:
        progress.append([done, total, text])

    async with Client(server, mode=mode, sampling_callback=model) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        try:
            if city == "ask":
                result = await client.call_tool("ask", {"question": "sure?"})
            else:
                result = await client.call_tool("weather", {"city": city}, progress_callback=note)
        except MCPError as error:
            return [names, f"MCPError: {error}"]
        return [names, result.content[0].text, progress]


async def main() -> None:
    server: Any = url
    if command:
        server = StdioServerParameters(command=command[0], args=command[1:], env=dict(os.environ))
    for text in cases.split(","):
        print(json.dumps(await case(server, *text.split(":"))), flush=True)


JSONRPCDispatcher.__init__ = numbered_from
asyncio.run(main())

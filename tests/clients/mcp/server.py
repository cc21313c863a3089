"""A server of the official SDK, over HTTP or, as `server.py stdio`, on standard input and output.

Its tool `weather` counts its calls and reports its progress, `ask` asks the client's model.
"""

import socket
import sys

import mcp.types as types  # type: ignore[import-not-found]  # in the tests' own environment
import uvicorn  # type: ignore[import-not-found]
from mcp.server.mcpserver import Context, MCPServer  # type: ignore[import-not-found]

server = MCPServer("forecast", version="1.0")
calls = 0


@server.tool()  # type: ignore[untyped-decorator]  # its types are in the same environment
async def weather(city: str, context: Context) -> str:
    """Tell the weather."""
    global calls
    calls += 1
    await context.report_progress(0.5, 1.0, "half")
    return f"{city}: {calls}"


@server.tool()  # type: ignore[untyped-decorator]
async def ask(question: str, context: Context) -> str:
    """Ask the client's model."""
    content = types.TextContent(type="text", text=question)
    message = types.SamplingMessage(role="user", content=content)
    answer = await context.session.create_message([message], max_tokens=9)
    return f"the model said {answer.content.text}"


if sys.argv[1:2] == ["stdio"]:
    server.run("stdio")
else:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    app = server.streamable_http_app(host="127.0.0.1")
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])

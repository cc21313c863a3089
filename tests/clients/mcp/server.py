"""A server of the official SDK: its tool counts its calls and reports its progress."""

import socket

import uvicorn  # type: ignore[import-not-found]  # in the tests' own environment
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


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
app = server.streamable_http_app(host="127.0.0.1")
uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])

"""Listen on ports that are open already."""

import asyncio
from typing import Any, Final

from mitmproxy import ctx
from mitmproxy.proxy.mode_servers import AsyncioServerInstance

from wiretape.ports import QUEUE

_listen: Final = AsyncioServerInstance.listen


async def listen(self: AsyncioServerInstance[Any], host: str, port: int) -> list[Any]:
    """Take the port from our own master, which has listening sockets by their numbers."""
    listening = getattr(ctx.master, "open_ports", {}).get(port)
    if listening is None:
        return await _listen(self, host, port)
    return [await asyncio.start_server(self.handle_stream, sock=listening, backlog=QUEUE)]

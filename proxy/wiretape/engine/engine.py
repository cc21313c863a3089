"""The replay engine for a proxy that hands answers over to it: mitmproxy's."""

import asyncio

from aiohttp import web

from wiretape.core.playback.pace import Pace

from .aiohttp_server import close
from .handler import Handler
from .replayer import Replayer
from .tickets import Tickets


class Engine:
    """The replay engine on a loopback port, for a proxy that hands tickets over to it."""

    def __init__(self, replayer: Replayer, pace: Pace, tickets: Tickets | None) -> None:
        self._handler = Handler(replayer, pace, tickets)
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen on any free port; gives its number."""
        self._server = self._handler.server()
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._server, "127.0.0.1", 0)
        return int(self._listener.sockets[0].getsockname()[1])

    @property
    def under_way(self) -> int:
        """How many answers are under way."""
        return self._handler.under_way

    async def stop(self) -> None:
        """Stop listening and end the connections."""
        if self._listener is not None and self._server is not None:
            self._listener.close()
            await close(self._server)

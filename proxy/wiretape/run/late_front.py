"""Ports that are open at once, and what serves them once somebody comes.

aiohttp takes 100 ms to import and mitmproxy 500. A run whose CMD asks nothing needs neither, and
any other has the time while CMD starts: who connects meanwhile waits in the system's queue.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

_SECONDS: Final = 0.15
"""How long after its ports the server is made at the latest; `true` is over by then."""


class LateFront[Server]:
    """Makes a server for open ports by `make`, with the first connection or soon."""

    def __init__(self, make: Callable[[Sequence[socket.socket]], Awaitable[Server]]) -> None:
        self._make = make
        self._ports: Sequence[socket.socket] = ()
        self._timer: asyncio.TimerHandle | None = None
        self._serving: asyncio.Task[Server] | None = None
        self.server: Server | None = None
        """None until it is made."""

    def listen(self, ports: Sequence[socket.socket]) -> None:
        """Wait for connections to open ports."""
        loop = asyncio.get_running_loop()
        self._ports = ports
        for port in ports:
            loop.add_reader(port, self._wake)
        self._timer = loop.call_later(_SECONDS, self._wake)

    def _wake(self) -> None:
        if self._serving is None:
            self._rest()
            self._serving = asyncio.get_running_loop().create_task(self._serve())

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for port in self._ports:
            asyncio.get_running_loop().remove_reader(port)

    async def _serve(self) -> Server:
        try:
            self.server = await self._make(self._ports)
        except BaseException:
            # Who waits in the queue is to see that nobody comes.
            self._close_ports()
            raise
        return self.server

    def _close_ports(self) -> None:
        for port in self._ports:
            port.close()

    async def settled(self) -> Server | None:
        """Let in who has connected by now; gives the server, None where nobody has."""
        for _ in range(3):
            await asyncio.sleep(0)
        return None if self._serving is None else await self._serving

    async def end(self) -> Server | None:
        """Wait for no connection any more; gives the server, which is to be closed. Where there is
        none, the ports are closed.
        """
        if self._serving is not None:
            return await self._serving
        self._rest()
        self._close_ports()
        return None

"""Ports that are open at once, and the front that serves them once somebody comes.

aiohttp takes 100 ms to import. A run whose CMD asks nothing does not need it, and any other has the
time while CMD starts: who connects meanwhile waits in the system's queue.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from wiretape.core.errors import WiretapeError, reason_of

if TYPE_CHECKING:
    from wiretape.engine.front import Front

_QUEUE: Final = 1024
_SECONDS: Final = 0.05
"""How long after its ports the front is made at the latest; `true` is over by then."""


class LateFront:
    """Opens ports, and makes their front by `make` with the first connection or soon."""

    def __init__(self, make: "Callable[[], Front]") -> None:
        self._make = make
        self._ports: list[socket.socket] = []
        self._timer: asyncio.TimerHandle | None = None
        self._serving: asyncio.Task[Front] | None = None

    def listen(self, port: int, host: str, *, is_shared: bool = False) -> int:
        """Open a port (0: any free one) and give its number; WiretapeError if it is taken. One that
        `is_shared` may be open in other processes too.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listening = socket.create_server(
                (host, port), family=family, backlog=_QUEUE, reuse_port=is_shared
            )
        except OSError as error:
            raise WiretapeError(
                f"port {port} on {host} cannot be used ({reason_of(error)}):"
                " choose another with --port, or 0 for any free one"
            ) from error
        listening.setblocking(False)
        self._ports.append(listening)
        loop = asyncio.get_running_loop()
        loop.add_reader(listening, self._wake)
        self._timer = self._timer or loop.call_later(_SECONDS, self._wake)
        return int(listening.getsockname()[1])

    @property
    def under_way(self) -> int:
        """How many answers are."""
        has_front = self._serving is not None and self._serving.done()
        return self._serving.result().handler.under_way if self._serving and has_front else 0

    def _wake(self) -> None:
        if self._serving is None:
            self._rest()
            self._serving = asyncio.get_running_loop().create_task(self._serve())

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for port in self._ports:
            asyncio.get_running_loop().remove_reader(port)

    async def _serve(self) -> "Front":
        try:
            front = self._make()
            for port in self._ports:
                await front.serve(port)
        except BaseException:
            # Who waits in the queue is to see that nobody comes.
            for port in self._ports:
                port.close()
            raise
        return front

    async def idle(self) -> None:
        """Wait until no answer is under way."""
        for _ in range(3):  # who has connected by now is let in
            await asyncio.sleep(0)
        if self._serving is not None:
            await (await self._serving).handler.idle()

    async def close(self) -> None:
        """Stop listening and end the connections."""
        if self._serving is not None:
            await (await self._serving).close()
            return
        self._rest()
        for port in self._ports:
            port.close()

"""What we change in how mitmproxy holds connections: how one broke, and who waits for whom.

A provider's reset stays a reset, and loses nothing that came before it. A client that does not read
slows the provider instead of filling memory, over HTTP/2 too, and no number of streams has to wait
for a connection.
"""

import asyncio
import logging
import os
import socket
import struct
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from mitmproxy import connection
from mitmproxy.proxy import commands, events, mode_servers, server, server_hooks
from mitmproxy.utils import asyncio_utils

from wiretape.core.text.wire_quotes import failure_text, without_quotes

from .short_way import ShortWay
from .transport import END, broken, drain_timeout, draining, held, to_reset

HELD_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of an HTTP/2 stream kept for a client that does not read; then the provider waits."""

_CONNECTIONS: Final = 1000

type Begin = Callable[[commands.StartHook], Awaitable[None] | None]
"""Runs a hook in each addon; gives the rest where one has to wait, None where all is done."""


class _Reader:
    """A connection's reader that keeps how it broke and loses nothing that came before."""

    def __init__(self, reader: asyncio.StreamReader, conn: connection.Connection) -> None:
        self._reader = reader
        self._connection = conn

    async def read(self, size: int) -> bytes:
        try:
            return await self._reader.read(size)
        except (OSError, asyncio.CancelledError) as error:
            fault = self._reader.exception()
            if isinstance(fault, OSError):
                broken[self._connection] = "timeout" if isinstance(fault, TimeoutError) else "reset"
            # asyncio raises at once, over the head of bytes that came before the reset.
            rest: bytearray = self._reader._buffer  # type: ignore[attr-defined]  # has no getter
            if rest and isinstance(error, OSError):
                data = bytes(rest)
                rest.clear()
                return data
            raise


def _is_idle(writer: object) -> bool:
    """Whether a writer has sent all, and is neither closed nor broken."""
    if not isinstance(writer, asyncio.StreamWriter):
        return writer is None
    transport = writer.transport
    return not (transport.is_closing() or transport.get_write_buffer_size())


class PatchedConnectionHandler(mode_servers.ProxyConnectionHandler):
    """One client's connection and those to providers made for it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)  # type: ignore[no-untyped-call]  # mitmproxy's
        # mitmproxy lets five connections to one address live at a time; the sixth stream waits.
        self.max_conns = defaultdict(lambda: asyncio.Semaphore(_CONNECTIONS))
        self._read_on = asyncio.Event()

    async def handle_client(self) -> None:
        # Not where the addons are mitmproxy's own, among which may be any.
        begin = getattr(self.master.addons, "begin", None)
        if begin is not None:
            self.layer = ShortWay(self.layer, partial(self._begin_hook, begin))
        await super().handle_client()

    def _begin_hook(self, begin: Begin, hook: commands.StartHook) -> bool:
        rest = begin(hook)
        if rest is None:
            return True
        task, client = self._finish_hook(hook, rest), self.client.peername
        asyncio_utils.create_task(task, name=hook.name, keep_ref=True, client=client)
        return False

    async def _finish_hook(self, hook: commands.StartHook, rest: Awaitable[None]) -> None:
        await rest
        if hook.blocking:
            await self.server_event(events.HookCompleted(hook))

    async def handle_connection(self, connection: connection.Connection) -> None:
        io = self.transports[connection]
        if isinstance(io.reader, asyncio.StreamReader):
            io.reader = _Reader(io.reader, connection)  # type: ignore[assignment]  # read alone
        try:
            await super().handle_connection(connection)
        finally:
            # A cancellation that comes while mitmproxy waits for its lock leaves the socket open.
            if isinstance(io.writer, asyncio.StreamWriter):
                io.writer.close()
            self.transports.pop(connection, None)

    def log(self, message: str, level: int = logging.INFO, exc_info: Any = None) -> None:
        """Log without the bytes that mitmproxy quotes: any may be secret."""
        if not server.logger.isEnabledFor(level):
            return
        error = sys.exception() if exc_info is True else exc_info and exc_info[1]
        text = without_quotes(message)
        if error is not None:
            text = f"{text}\n{failure_text(error)}"
        super().log(text, level)

    async def handle_hook(self, hook: commands.StartHook) -> None:
        if isinstance(hook, server_hooks.ClientDisconnectedHook):
            # From here on mitmproxy closes the connections to providers.
            await self._drain()
        await super().handle_hook(hook)

    async def _drain(self) -> None:
        streams = tuple(draining.get(self.client, ()))
        with suppress(TimeoutError):
            async with drain_timeout():
                for stream in streams:
                    await stream.over.wait()
        for stream in streams:
            if not stream.over.is_set():
                stream.flow.metadata.setdefault(END, "client-closed")

    async def drain_writers(self) -> None:
        if not all(_is_idle(io.writer) for io in self.transports.values()):
            await super().drain_writers()  # type: ignore[no-untyped-call]  # mitmproxy's
        client = self.transports.get(self.client)
        if client is None or client.handler is asyncio.current_task():
            self._read_on.set()
            return
        # This task read from a provider: it reads on when the client has. The lock is not held,
        # so that the client's own task goes on and takes its window updates.
        while self._waits():
            self._read_on.clear()
            await self._read_on.wait()

    def _waits(self) -> bool:
        buffers = held.get(self.client)
        if buffers is None or self.client not in self.transports:
            return False
        if not any(size > HELD_LIMIT for size in buffers.sizes().values()):
            return False
        # An HTTP/2 connection carries other streams too: `http2.py` ends the one
        # that is too much.
        task = asyncio.current_task()
        return any(
            io.handler is task and conn.alpn != b"h2" for conn, io in self.transports.items()
        )

    def close_connection(self, connection: connection.Connection, half_close: bool = False) -> None:
        io = self.transports[connection]
        if connection in to_reset and isinstance(io.writer, asyncio.StreamWriter):
            sock = io.writer.get_extra_info("socket")
            linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        super().close_connection(connection, half_close)
        if connection is self.client:
            self._read_on.set()

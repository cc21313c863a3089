"""A server's end of a connection, with TLS or without, driven by hand.

A socket and `ssl.MemoryBIO` instead of asyncio's streams: each write is one send, finished when the
kernel has the bytes, and a connection can break in every way it breaks in the field.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress


class Wire:
    """A connection, with TLS or without: every write is one send."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = None
        if context is not None:
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._unread = bytearray()

    async def begin(self) -> None:
        if self._tls is not None:
            await self._drive(self._tls.do_handshake)

    async def read_until(self, end: bytes) -> bytes:
        """Up to and with `end`; EOFError where the client is gone before."""
        while (found := self._unread.find(end)) < 0:
            self._unread += await self._receive()
        return await self.read_exactly(found + len(end))

    async def read_exactly(self, size: int) -> bytes:
        """`size` bytes; EOFError where the client is gone before."""
        while len(self._unread) < size:
            self._unread += await self._receive()
        data = bytes(self._unread[:size])
        del self._unread[:size]
        return data

    async def write(self, data: bytes) -> None:
        if self._tls is None:
            await asyncio.get_running_loop().sock_sendall(self._sock, data)
            return
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]
        await self._flush()

    async def finish(self) -> None:
        """End what we say, with TLS's goodbye and a FIN; then hear the client out."""
        if self._tls is not None:
            with suppress(ssl.SSLWantReadError):  # that of the client's goodbye
                self._tls.unwrap()
            await self._flush()
        self._sock.shutdown(socket.SHUT_WR)
        # Closing before the client has said all makes the system send a reset after the FIN.
        while await asyncio.get_running_loop().sock_recv(self._sock, 65536):
            pass

    def reset(self) -> None:
        """Make the close to come a TCP reset."""
        linger = struct.pack("ii", 1, 0)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    async def _receive(self) -> bytes:
        if self._tls is None:
            data = await asyncio.get_running_loop().sock_recv(self._sock, 65536)
        else:
            tls = self._tls
            try:
                data = await self._drive(lambda: tls.read(65536))
            except ssl.SSLZeroReturnError:
                data = b""
        if not data:
            raise EOFError
        return data

    async def _drive[T](self, step: Callable[[], T]) -> T:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await asyncio.get_running_loop().sock_recv(self._sock, 65536)
                if not data:
                    raise EOFError from None
                self._incoming.write(data)
            except ssl.SSLError:
                await self._flush()  # the alert that tells the client why
                raise
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await asyncio.get_running_loop().sock_sendall(self._sock, self._outgoing.read())

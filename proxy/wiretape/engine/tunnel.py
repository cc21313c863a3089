"""Tunnel bytes between a client and another host, unread."""

import asyncio
import logging

log = logging.getLogger(__name__)


async def tunnel(transport: asyncio.Transport, host: str, port: int, early_data: bytes) -> None:
    """Connect a client to a host and carry bytes until one side ends; `early_data` came with its
    CONNECT.

    OSError if the host cannot be reached; nothing has been answered then.
    """
    reader, writer = await asyncio.open_connection(host, port)
    # A client may speak before our answer.
    writer.write(early_data)
    pipe = _Pipe(writer)
    transport.set_protocol(pipe)
    transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    transport.resume_reading()
    try:
        while data := await reader.read(64 * 1024):
            transport.write(data)
            if transport.get_write_buffer_size() > 1 << 20:
                await pipe.writable()
    except OSError:
        log.debug("the tunnel to %s broke", host)
    finally:
        transport.close()
        writer.close()


class _Pipe(asyncio.Protocol):
    """The client's side of a tunnel."""

    def __init__(self, upstream: asyncio.StreamWriter) -> None:
        self._upstream = upstream
        self._free = asyncio.Event()
        self._free.set()

    def data_received(self, data: bytes) -> None:
        self._upstream.write(data)

    def eof_received(self) -> bool:
        if self._upstream.can_write_eof():
            self._upstream.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._free.set()
        self._upstream.close()

    def pause_writing(self) -> None:
        self._free.clear()

    def resume_writing(self) -> None:
        self._free.set()

    async def writable(self) -> None:
        """Wait until the client has taken what was written."""
        await self._free.wait()

"""Bytes are carried both ways, unread, until one side ends."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.support.limits import PATIENCE
from tests.support.ports import unused_port

from wiretape.engine.tunnel import tunnel

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Door(asyncio.Protocol):
    """Opens a tunnel for each client, as a CONNECT does."""

    def __init__(self, port: int, early: bytes, ends: asyncio.Queue[BaseException | None]) -> None:
        self._port, self._early, self._ends = port, early, ends

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        self.task = asyncio.ensure_future(tunnel(transport, "127.0.0.1", self._port, self._early))
        self._transport = transport
        self.task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._transport.close()
        self._ends.put_nowait(task.exception())


type Provider = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def through(
    provider: Provider | None, early: bytes, sent: bytes
) -> tuple[bytes, BaseException | None]:
    """What a client gets that sends this and then its end, and how the tunnel ended."""
    ends: asyncio.Queue[BaseException | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    upstream = None
    port = unused_port()
    if provider is not None:
        upstream = await asyncio.start_server(provider, "127.0.0.1", 0)
        port = upstream.sockets[0].getsockname()[1]
    door = await loop.create_server(lambda: Door(port, early, ends), "127.0.0.1", 0)
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(*door.sockets[0].getsockname())
        writer.write(sent)
        writer.write_eof()
        error = None if provider is not None else await ends.get()
        if error is None:
            got = await reader.read()
            error = await ends.get()
        else:
            got = b""
        writer.close()
    for server in (door, upstream):
        if server is not None:
            server.close()
    return got, error


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read())
    writer.close()


@pytest.mark.parametrize("size", [1, 3 << 20])
async def test_both_sides_get_what_the_other_sends(size: int) -> None:
    got, error = await through(echo, b"early ", b"x" * size)
    assert got == ESTABLISHED + b"early " + b"x" * size
    assert error is None


async def test_a_provider_that_breaks_off_ends_the_client_s_side() -> None:
    async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"half")
        await writer.drain()
        writer.close()

    got, error = await through(breaking, b"", b"")
    assert (got, error) == (ESTABLISHED + b"half", None)


async def test_nothing_is_answered_where_nobody_listens() -> None:
    got, error = await through(None, b"", b"")
    assert got == b""
    assert isinstance(error, OSError)

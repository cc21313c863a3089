"""Ports are open before their front is there, and whoever connects is served."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress

import pytest
from tests.support.limits import PATIENCE

from wiretape.ports import number_of, open_port
from wiretape.run import late_front
from wiretape.run.late_front import LateFront


class Greeter:
    """Says hello to whoever connects."""

    def __init__(self, ports: Sequence[socket.socket]) -> None:
        self.ports = ports
        for port in ports:
            asyncio.get_running_loop().add_reader(port, self._greet, port)

    def _greet(self, port: socket.socket) -> None:
        client, _ = port.accept()
        client.sendall(b"hello")
        client.close()

    def close(self) -> None:
        for port in self.ports:
            asyncio.get_running_loop().remove_reader(port)
            port.close()


async def greeter(ports: Sequence[socket.socket]) -> Greeter:
    return Greeter(ports)


async def heard(port: socket.socket) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", number_of(port))
    text = await reader.read()
    writer.close()
    return text


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_front, "_SECONDS", 1e6)


@pytest.mark.usefixtures("never")
async def test_the_first_connection_makes_the_server_of_all_ports() -> None:
    late = LateFront(greeter)
    ports = [open_port(0, "127.0.0.1"), open_port(0, "127.0.0.1")]
    late.listen(ports)
    assert (await late.settled(), late.server) == (None, None)
    assert [await heard(port) for port in reversed(ports)] == [b"hello"] * 2
    assert late.server is await late.settled() is not None
    (await end(late)).close()


async def end(late: LateFront[Greeter]) -> Greeter:
    server = await late.end()
    assert server is not None
    return server


async def test_it_is_made_soon_though_nobody_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_front, "_SECONDS", 0.0)
    made = asyncio.Event()

    async def make(ports: Sequence[socket.socket]) -> Greeter:
        made.set()
        return Greeter(ports)

    late = LateFront(make)
    late.listen([open_port(0, "127.0.0.1")])
    await asyncio.wait_for(made.wait(), PATIENCE)
    (await end(late)).close()


@pytest.mark.usefixtures("never")
async def test_who_connects_at_the_end_is_still_let_in() -> None:
    late, port = LateFront(greeter), open_port(0, "127.0.0.1")
    late.listen([port])
    with socket.create_connection(("127.0.0.1", number_of(port))):
        assert await late.settled() is not None
    (await end(late)).close()


@pytest.mark.usefixtures("never")
async def test_where_nobody_came_nothing_is_made_and_the_port_is_free() -> None:
    late, port = LateFront(greeter), open_port(0, "127.0.0.1")
    number = number_of(port)
    late.listen([port])
    assert await late.end() is None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", number))


@pytest.mark.usefixtures("never")
async def test_a_server_that_cannot_be_made_turns_clients_away_and_fails_the_run() -> None:
    async def make(_: Sequence[socket.socket]) -> Greeter:
        raise ImportError("aiohttp is not whole")

    late, port = LateFront(make), open_port(0, "127.0.0.1")
    late.listen([port])
    with suppress(ConnectionError):  # a reset, or an end at once
        assert await asyncio.wait_for(heard(port), PATIENCE) == b""
    with pytest.raises(ImportError, match="not whole"):
        await late.end()

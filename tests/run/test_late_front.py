"""Ports are open before their front is there, and whoever connects is served."""

import asyncio
import socket
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.limits import PATIENCE

from wiretape.core.errors import WiretapeError
from wiretape.run import late_front
from wiretape.run.late_front import LateFront


class Greeter:
    """Stands for the engine's front: says hello to whoever connects."""

    def __init__(self, made: asyncio.Event) -> None:
        made.set()
        self.handler = SimpleNamespace(under_way=7, idle=self._idle)
        self.ports: list[socket.socket] = []

    async def _idle(self) -> None:
        pass

    async def serve(self, listening: socket.socket) -> None:
        def greet() -> None:
            client, _ = listening.accept()
            client.sendall(b"hello")
            client.close()

        asyncio.get_running_loop().add_reader(listening, greet)
        self.ports.append(listening)

    async def close(self) -> None:
        for port in self.ports:
            asyncio.get_running_loop().remove_reader(port)
            port.close()


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_front, "_SECONDS", 1e6)


def greeting(made: asyncio.Event) -> LateFront:
    front: Any = Greeter
    return LateFront(lambda: front(made))


async def heard(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    text = await reader.read()
    writer.close()
    return text


@pytest.mark.usefixtures("never")
async def test_the_first_connection_makes_the_front_of_all_ports() -> None:
    made = asyncio.Event()
    late = greeting(made)
    ports = [late.listen(0, "127.0.0.1"), late.listen(0, "127.0.0.1")]
    await late.idle()
    assert (made.is_set(), late.under_way) == (False, 0)
    assert [await heard(port) for port in reversed(ports)] == [b"hello"] * 2
    assert late.under_way == 7
    await late.close()


async def test_it_is_made_soon_though_nobody_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_front, "_SECONDS", 0.0)
    made = asyncio.Event()
    late = greeting(made)
    port = late.listen(0, "127.0.0.1")
    await asyncio.wait_for(made.wait(), PATIENCE)
    assert await heard(port) == b"hello"
    await late.close()


@pytest.mark.usefixtures("never")
async def test_who_connects_at_the_end_is_still_let_in() -> None:
    late = greeting(made := asyncio.Event())
    port = late.listen(0, "127.0.0.1")
    with socket.create_connection(("127.0.0.1", port)):
        await late.idle()
    assert made.is_set()
    await late.close()


@pytest.mark.usefixtures("never")
async def test_where_nobody_came_nothing_is_made_and_the_port_is_free() -> None:
    late = greeting(made := asyncio.Event())
    port = late.listen(0, "127.0.0.1")
    await late.close()
    assert not made.is_set()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.usefixtures("never")
async def test_a_front_that_cannot_be_made_turns_clients_away_and_fails_the_run() -> None:
    def broken() -> Any:
        raise ImportError("aiohttp is not whole")

    late = LateFront(broken)
    port = late.listen(0, "127.0.0.1")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(ConnectionError):  # a reset, or an end at once
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
    with pytest.raises(ImportError, match="not whole"):
        await late.close()
    writer.close()


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(WiretapeError, match=f"port {port} on 127.0.0.1 cannot be used"):
            LateFront(lambda: pytest.fail("made")).listen(port, "127.0.0.1")

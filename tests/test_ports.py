"""Ports to listen on."""

import asyncio
import socket

import pytest

from wiretape import ports
from wiretape.core.errors import WiretapeError
from wiretape.ports import number_of, open_port, open_ports


def test_an_open_port_has_its_number() -> None:
    with open_port(0, "127.0.0.1") as listening:
        number = number_of(listening)
        socket.create_connection(("127.0.0.1", number)).close()


async def test_what_is_sent_to_a_client_leaves_at_once() -> None:
    sent = asyncio.get_running_loop().create_future()

    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        sent.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listening = open_port(0, "127.0.0.1")
    async with await asyncio.start_server(accept, sock=listening):
        _, writer = await asyncio.open_connection("127.0.0.1", number_of(listening))
        assert await sent
        writer.close()


def test_a_port_that_is_taken_is_named() -> None:
    with open_port(0, "127.0.0.1") as taken:
        port = number_of(taken)
        with pytest.raises(WiretapeError, match=f"port {port} on 127.0.0.1 cannot be used"):
            open_port(port, "127.0.0.1")


def test_one_that_is_shared_may_be_opened_twice() -> None:
    with open_port(0, "127.0.0.1", is_shared=True) as first:
        number = number_of(first)
        open_port(number, "127.0.0.1", is_shared=True).close()


def test_several_are_opened_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[socket.socket] = []

    def noted(port: int, host: str, *, is_shared: bool) -> socket.socket:
        opened.append(open_port(port, host, is_shared=is_shared))
        return opened[-1]

    monkeypatch.setattr(ports, "open_port", noted)
    taken = open_port(0, "127.0.0.1")
    with taken, pytest.raises(WiretapeError, match="cannot be used"):
        open_ports((0, number_of(taken)), "127.0.0.1")
    assert [port.fileno() for port in opened] == [-1]

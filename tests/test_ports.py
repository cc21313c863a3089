"""Ports to listen on."""

import socket

import pytest

from wiretape.core.errors import WiretapeError
from wiretape.ports import number_of, open_port


def test_an_open_port_has_its_number() -> None:
    with open_port(0, "127.0.0.1") as listening:
        number = number_of(listening)
        socket.create_connection(("127.0.0.1", number)).close()


def test_a_port_that_is_taken_is_named() -> None:
    with open_port(0, "127.0.0.1") as taken:
        port = number_of(taken)
        with pytest.raises(WiretapeError, match=f"port {port} on 127.0.0.1 cannot be used"):
            open_port(port, "127.0.0.1")


def test_one_that_is_shared_may_be_opened_twice() -> None:
    with open_port(0, "127.0.0.1", is_shared=True) as first:
        number = number_of(first)
        open_port(number, "127.0.0.1", is_shared=True).close()

"""`--block-network`: connections to other machines are refused, and this machine's are not."""

import socket
from collections.abc import Iterator

import pytest
from pytest_wiretape.network import NetworkBlocked, blocked, connected, reachable


@pytest.fixture
def listening() -> Iterator[tuple[str, int]]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()


def test_another_machine_is_refused_and_the_socket_closed() -> None:
    with blocked(), socket.socket() as client:
        with pytest.raises(NetworkBlocked, match=r"a connection to 192\.0\.2\.1 was refused"):
            client.connect(("192.0.2.1", 443))
        assert client.fileno() == -1
    with blocked(), socket.socket() as client, pytest.raises(NetworkBlocked):
        client.connect_ex(("other.example", 443))


def test_this_machine_is_reached(listening: tuple[str, int]) -> None:
    with blocked():
        with socket.socket() as client:
            client.connect(listening)
        with socket.socket() as client:
            assert client.connect_ex(("localhost", listening[1])) == 0


@pytest.mark.parametrize("host", ["", "0.0.0.0", "127.1.2.3", "::1", "::1%lo", "localhost"])
def test_names_and_addresses_of_this_machine(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with blocked(), socket.socket(family) as client:
        client.settimeout(0)
        # Nobody listens: the system refuses it, and not the block.
        with pytest.raises(OSError, match=r"."):
            client.connect((host, 1))


def test_hosts_may_be_allowed_by_an_expression_for_all_of_the_name() -> None:
    with blocked([r"192\.0\.2\.\d+"]), socket.socket() as client:
        client.settimeout(0)
        with pytest.raises(BlockingIOError):
            client.connect(("192.0.2.7", 9))
    with blocked([r"0\.2\.\d+"]), socket.socket() as client, pytest.raises(NetworkBlocked):
        client.connect(("192.0.2.7", 9))


def test_all_is_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    with blocked():
        pass
    assert "connect" not in vars(socket.socket)

    def others(self: socket.socket, address: object) -> None:
        raise RuntimeError("another plugin")

    monkeypatch.setattr(socket.socket, "connect", others, raising=False)
    with blocked():
        assert vars(socket.socket)["connect"] is not others
    assert vars(socket.socket)["connect"] is others


def test_the_plugins_own_connection_is_not_blocked(
    listening: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def others(self: socket.socket, address: object) -> None:
        raise RuntimeError("another plugin")

    monkeypatch.setattr(socket.socket, "connect", others, raising=False)
    connected(*listening, 5).close()
    with socket.socket() as client, pytest.raises(RuntimeError):
        client.connect(listening)
    with reachable(*listening), socket.socket() as client:
        client.connect(listening)
        with socket.socket() as other, pytest.raises(RuntimeError):
            other.connect((listening[0], 1))


def test_a_connection_that_fails_is_closed() -> None:
    with pytest.raises(OSError, match="refused"):
        connected("127.0.0.1", 1, 5)

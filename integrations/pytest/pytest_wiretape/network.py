"""No network but this machine's: what `--block-network` and `@pytest.mark.block_network` do."""

from __future__ import annotations

import _socket
import ipaddress
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_SOCKET = socket.socket
"""The class as it was before any plugin put another in its place."""


class NetworkBlocked(RuntimeError):
    """A test wanted to connect to another machine."""


@contextmanager
def blocked(allowed_hosts: Sequence[str] = ()) -> Iterator[None]:
    """Refuse connections of this process to other machines.

    `allowed_hosts` are regular expressions, as pytest-recording's are, for the host or the address
    that is connected to.
    """
    names = ("connect", "connect_ex")
    replaced = {
        name: socket.socket.__dict__[name] for name in names if name in socket.socket.__dict__
    }

    def guarded(name: str) -> Any:
        usual = getattr(socket.socket, name)

        def connect(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                try:
                    _check(str(address[0]), allowed_hosts)
                except NetworkBlocked:
                    # Clients close it for an OSError only, and that they might try again.
                    self.close()
                    raise
            return usual(self, address)

        return connect

    for name, function in [(name, guarded(name)) for name in names]:
        setattr(socket.socket, name, function)
    try:
        yield
    finally:
        for name in names:
            # Usually they are inherited; somebody else may have replaced them.
            if name in replaced:
                setattr(socket.socket, name, replaced[name])
            else:
                delattr(socket.socket, name)


def connected(host: str, port: int, seconds: float) -> socket.socket:
    """A connection to this machine that no other plugin can block: it is the plugin's own."""
    connection = _SOCKET(socket.AF_INET6 if ":" in host else socket.AF_INET)
    connection.settimeout(seconds)
    try:
        _socket.socket.connect(connection, (host, port))
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def reachable(host: str, port: int) -> Iterator[None]:
    """Let this process's clients reach the proxy where another plugin blocks all connections."""
    usual = {name: vars(socket.socket).get(name) for name in ("connect", "connect_ex")}

    def opened(name: str, blocking: Any) -> Any:
        def connect(self: socket.socket, address: Any) -> Any:
            is_proxy = isinstance(address, tuple) and address[:2] == (host, port)
            return (getattr(_socket.socket, name) if is_proxy else blocking)(self, address)

        return connect

    for name, blocking in usual.items():
        if blocking is not None:
            setattr(socket.socket, name, opened(name, blocking))
    try:
        yield
    finally:
        for name, blocking in usual.items():
            if blocking is not None:
                setattr(socket.socket, name, blocking)


def _check(host: str, allowed_hosts: Sequence[str]) -> None:
    if any(re.fullmatch(pattern, host) for pattern in allowed_hosts) or host in ("", "localhost"):
        return
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        address = None
    if address is not None and (address.is_loopback or address.is_unspecified):
        return
    raise NetworkBlocked(
        f"network is blocked: a connection to {host} was refused; what a client asks through"
        " wiretape's proxy is not, so this one goes past it (made before the test, or with a proxy"
        " or trust of its own)"
    )

"""Ports that wiretape listens on."""

import socket
from collections.abc import Iterable

from .core.errors import WiretapeError, reason_of

QUEUE = 1024
"""How many connections may wait to be accepted."""


def open_port(port: int, host: str, *, is_shared: bool = False) -> socket.socket:
    """Listen on a port (0: any free one); WiretapeError if it is taken. One that `is_shared` may be
    open in other processes too.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server(
            (host, port), family=family, backlog=QUEUE, reuse_port=is_shared
        )
    except OSError as error:
        raise WiretapeError(
            f"port {port} on {host} cannot be used ({reason_of(error)}):"
            " choose another with --port, or 0 for any free one"
        ) from error
    # asyncio turns Nagle's algorithm off where a socket says that it is TCP, and this one does not:
    # each small answer would wait 40 ms for the client's acknowledgement.
    tcp = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, listening.detach())
    tcp.setblocking(False)
    return tcp


def open_ports(
    numbers: Iterable[int], host: str, *, is_shared: bool = False
) -> list[socket.socket]:
    """Open several as `open_port` does, or none of them."""
    ports: list[socket.socket] = []
    try:
        for number in numbers:
            ports.append(open_port(number, host, is_shared=is_shared))
    except WiretapeError:
        for port in ports:
            port.close()
        raise
    return ports


def number_of(listening: socket.socket) -> int:
    """The port's number."""
    return int(listening.getsockname()[1])

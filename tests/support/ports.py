"""Ports for tests that have to name one beforehand."""

import random
import socket
from typing import Final

GIVEN_TO_NOBODY: Final = range(15_000, 30_000)
"""Below the ports that systems give to whoever asks for any, as all other tests do."""


def unused_port() -> int:
    """A port of 127.0.0.1 that nothing listens at, and that nothing is likely to take."""
    for port in random.SystemRandom().sample(GIVEN_TO_NOBODY, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError("a hundred ports are taken")

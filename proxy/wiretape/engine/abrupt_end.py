"""End an answer that was recorded incomplete: by a close, a reset, or silence."""

import asyncio
import socket
import struct
import sys
from typing import Final

from wiretape.core.model import End

try:
    import fcntl
    import termios
except ImportError:
    # Windows has neither; what the system has not sent yet is unknown there.
    fcntl = termios = None  # type: ignore[assignment]  # missing modules

_WAITS: Final = 200
_WAIT_SECONDS: Final = 0.005


LEAVE_SECONDS: Final = 1.0


async def end(transport: asyncio.Transport, ending: End, silent: float = 0.0) -> None:
    """End a connection in the middle of an answer's body, as it was recorded. `silent` is the
    seconds of silence before the recorded end.

    If the client left in the recording, it is expected to leave again: a read that timed out has to
    time out by its own clock. A client that stays is cut off after twice the silence and a second.
    """
    if ending == "client-closed":
        await asyncio.sleep(2 * silent + LEAVE_SECONDS)
        transport.close()
    elif ending == "timeout":
        # The provider fell silent: the client gives up, which cancels this.
        await asyncio.get_running_loop().create_future()
    elif ending == "reset":
        await reset(transport)
    else:
        # Flushes what was written; the end of the body is missing.
        transport.close()


async def reset(transport: asyncio.Transport) -> None:
    """Send what was written, then a reset (RFC 9293, section 3.10.4)."""
    await _wait_until_sent(transport)
    sock = transport.get_extra_info("socket")
    if sock is not None:
        # A close that does not linger is a reset.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _wait_until_sent(transport: asyncio.Transport) -> None:
    """Wait until the client's machine has all that was written, a second at most: a reset discards
    unsent data.
    """
    sock = transport.get_extra_info("socket")
    for _ in range(_WAITS):
        waiting = transport.get_write_buffer_size()
        if not waiting and sock is not None and fcntl is not None:
            try:
                unsent = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4)
                waiting = int.from_bytes(unsent, sys.byteorder)
            except OSError:
                return
        if not waiting:
            return
        await asyncio.sleep(_WAIT_SECONDS)

"""A provider that is a function of a socket: for answers that never end and bodies no memory holds.

def talk(sock: socket.socket, head: bytes) -> None: ...

with providing(talk) as url:    # "http://127.0.0.1:PORT", for `--map HOST=URL`
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.support.limits import PATIENCE

type Talk = Callable[[socket.socket, bytes], None]
"""Answers a request; `head` is all that was read of it: its head, and perhaps more."""


@contextmanager
def providing(talk: Talk) -> Iterator[str]:
    """A provider whose every connection is one request; a fault of `talk` is raised at the end."""
    faults: list[Exception] = []
    open_ones: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(sock: socket.socket) -> None:
        with sock:
            sock.settimeout(PATIENCE)
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    data = sock.recv(65536)
                    if not data:
                        return
                    head += data
                talk(sock, head)
            except OSError:
                pass  # the proxy has left: its side tells
            except Exception as error:  # any other is a fault of the test: raised at the end
                faults.append(error)

    def accept() -> None:
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                open_ones.append(sock)
                threads.append(threading.Thread(target=serve, args=(sock,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for sock in open_ones:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
    if faults:
        raise ExceptionGroup("in the provider", faults)

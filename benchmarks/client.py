"""The load: blocking sockets, prebuilt requests, answers parsed no further than to their end.

It has to cost less than what it measures. Several connections are kept busy by one thread, in turn:
while it reads one answer the server has the requests of all the others waiting.
"""

import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from . import workload

TIMEOUT: Final = 30.0
_READ: Final = 64 * 1024
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)\r\n")
_STAMP: Final = re.compile(workload.STAMP + rb"(\d+)")
LAST_CHUNK: Final = b"\r\n0\r\n\r\n"


class Unexpected(Exception):
    """A server answered something else than 200; says what."""


@dataclass(frozen=True)
class Place:
    """Where requests are sent: a port on 127.0.0.1, and what to CONNECT to if it is a proxy."""

    port: int
    tunnel: str | None = None
    """ "HOST:PORT" """
    plain: bool = False
    """Whether it speaks HTTP without TLS."""

    @property
    def authority(self) -> str:
        """What a request's Host header says."""
        return (self.tunnel or workload.HOST).removesuffix(":443")


@dataclass(frozen=True)
class Holding:
    """An answer's body in which this text is: another program has words of its own around it."""

    text: bytes


@dataclass(frozen=True)
class Load:
    """What a server did: how many requests in how many seconds."""

    count: int
    seconds: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.count / self.seconds


def _context() -> ssl.SSLContext:
    # Whom we talk to is known, and checking it would be the same for all.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


_CONTEXT: Final = _context()


class Connection:
    """A TLS connection that a client has opened and keeps."""

    def __init__(self, place: Place) -> None:
        plain = socket.create_connection(("127.0.0.1", place.port), TIMEOUT)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if place.tunnel is not None:
            head = f"CONNECT {place.tunnel} HTTP/1.1\r\nHost: {place.tunnel}\r\n\r\n"
            plain.sendall(head.encode())
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer += _some(plain.recv(_READ))
            if not answer.startswith(b"HTTP/1.1 200"):
                raise Unexpected(f"CONNECT {place.tunnel}: {answer[:300]!r}")
        name = place.authority.partition(":")[0]
        self._socket = plain if place.plain else _CONTEXT.wrap_socket(plain, server_hostname=name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._socket.close()

    def detached(self) -> socket.socket:
        """The socket, for whoever goes on with it."""
        return self._socket

    def send(self, request: bytes) -> None:
        """Send a whole request."""
        self._socket.sendall(request)

    def answer(self) -> bytes:
        """Read an answer to its end; Unexpected where it is no 200."""
        data = _some(self._socket.recv(_READ))
        while (head := data.find(b"\r\n\r\n")) < 0:
            data += _some(self._socket.recv(_READ))
        if not data.startswith(b"HTTP/1.1 200"):
            raise Unexpected(repr(data[:500]))
        found = _LENGTH.search(data, 0, head + 2)
        if found is not None:
            whole = head + 4 + int(found[1])
            while len(data) < whole:
                data += _some(self._socket.recv(_READ))
            return data
        parts, end = [data], data[-len(LAST_CHUNK) :]
        while end != LAST_CHUNK:
            part = _some(self._socket.recv(_READ))
            parts.append(part)
            end = (end + part)[-len(LAST_CHUNK) :]
        return b"".join(parts)

    def stream(self, request: bytes) -> tuple[float, list[float]]:
        """Ask for a stamped stream: seconds to its first chunk, and each chunk's delay."""
        delays: list[float] = []
        first = 0.0
        data, seen = b"", 0
        started = time.monotonic_ns()
        self._socket.sendall(request)
        while not data.endswith(LAST_CHUNK):
            part = _some(self._socket.recv(_READ))
            now = time.monotonic_ns()
            data += part
            # A chunk counts when its end has come, not its beginning.
            ended = data.rfind(b"\n\n")
            for found in _STAMP.finditer(data, seen, max(ended, seen)):
                delays.append((now - int(found[1])) / 1e9)
                first = first or (now - started) / 1e9
                seen = found.end()
        if not data.startswith(b"HTTP/1.1 200") or not delays:
            raise Unexpected(repr(data[:500]))
        return first, delays


def _some(data: bytes) -> bytes:
    if not data:
        raise Unexpected("the connection was closed in the middle of an answer")
    return data


def kept_alive(
    place: Place, requests: Iterator[bytes], connections: int, seconds: float, most: int
) -> Load:
    """Keep some connections busy for a time, at most for `most` requests; opening them is not
    counted.
    """
    opened = [Connection(place) for _ in range(connections)]
    sent = count = 0
    started = time.perf_counter()
    deadline = started + seconds
    for connection in opened:
        connection.send(next(requests))
        sent += 1
    while sent < most and time.perf_counter() < deadline:
        for connection in opened:
            connection.answer()
            connection.send(next(requests))
        count += connections
        sent += connections
    for connection in opened:
        connection.answer()
        count += 1
    elapsed = time.perf_counter() - started
    for connection in opened:
        connection.__exit__(None, None, None)
    return Load(count, elapsed)


def compared(
    place: Place,
    questions: Iterator[tuple[bytes, bytes | Holding]],
    connections: int,
    seconds: float,
) -> Load:
    """Keep some connections busy for a time with requests and the bodies, as framed, that have to
    answer them; Unexpected where one is another.
    """
    opened = [Connection(place) for _ in range(connections)]
    expected: list[bytes | Holding] = []
    started = time.perf_counter()
    deadline = started + seconds
    for connection in opened:
        request, body = next(questions)
        connection.send(request)
        expected.append(body)
    count = 0
    while time.perf_counter() < deadline:
        for number, connection in enumerate(opened):
            _check(connection.answer(), expected[number])
            request, expected[number] = next(questions)
            connection.send(request)
            count += 1
    for number, connection in enumerate(opened):
        _check(connection.answer(), expected[number])
        count += 1
    elapsed = time.perf_counter() - started
    for connection in opened:
        connection.__exit__(None, None, None)
    return Load(count, elapsed)


def _check(answer: bytes, expected: bytes | Holding) -> None:
    body = answer.partition(b"\r\n\r\n")[2]
    if expected.text not in body if isinstance(expected, Holding) else body != expected:
        raise Unexpected(f"not the recorded body: {body[:300]!r}")


def one_at_a_time(place: Place, requests: Iterator[bytes], count: int) -> list[float]:
    """Seconds from each request's sending to its answer's end, over one kept connection."""
    times = []
    with Connection(place) as connection:
        for _ in range(count):
            started = time.perf_counter()
            connection.send(next(requests))
            connection.answer()
            times.append(time.perf_counter() - started)
    return times


def anew(place: Place, requests: Iterator[bytes], clients: int, seconds: float, most: int) -> Load:
    """A new connection for each request, by some clients at once."""
    lock = threading.Lock()
    faults: list[Exception] = []
    count = 0
    started = time.perf_counter()
    deadline = started + seconds

    def client() -> None:
        nonlocal count
        try:
            while count < most and time.perf_counter() < deadline and not faults:
                with lock:
                    request = next(requests)
                with Connection(place) as connection:
                    connection.send(request)
                    connection.answer()
                with lock:
                    count += 1
        except (OSError, Unexpected) as error:
            faults.append(error)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return Load(count, time.perf_counter() - started)

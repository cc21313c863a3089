"""A client that hides nothing: the proxy's bytes as they came, with the borders of its chunks.

    with Connection(proxy_port, ca_file, "api.together.xyz") as connection:
        reply = connection.ask("POST", "/v1/chat/completions", {"accept": "*/*"}, b"{}")

It never waits longer than `PATIENCE` for a byte, so that what hangs is a failed test.
"""

import socket
import ssl
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self

from tests.support.limits import PATIENCE

type Pairs = Mapping[str, str] | Iterable[tuple[str, str]]


SEES_RESETS: Final = sys.version_info >= (3, 12, 3)
"""Whether this Python tells a reset within TLS from a close (python/cpython#115627)."""


@dataclass
class Reply:
    """An answer; `chunks` are HTTP's chunks where it was chunked, else the whole body."""

    status: int
    headers: list[tuple[str, str]]
    chunks: list[bytes] = field(default_factory=list)
    trailers: list[tuple[str, str]] = field(default_factory=list)
    end: Literal["whole", "cut", "reset"] = "whole"
    interim: list[int] = field(default_factory=list)
    """The statuses of the answers before the final one."""

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def header(self, name: str) -> str | None:
        """The first header of that name, in any case."""
        return next((value for key, value in self.headers if key.lower() == name), None)


class Connection:
    """A tunnel through the proxy to a host; requests go one after another.

    `base` is what a base URL puts before the target: the connection is then no tunnel but plain.
    """

    def __init__(self, port: int, ca: Path | None, host: str, *, base: bool = False) -> None:
        self._host, self._prefix = host, f"/{host}" if base else ""
        self._authority = f"127.0.0.1:{port}" if base else host
        raw = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._sock: socket.socket = raw
        self._unread = bytearray()
        if not base:
            raw.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
            head = self._head()
            assert head.startswith("HTTP/1.1 200"), head
            context = ssl.create_default_context(cafile=str(ca))
            self._sock = context.wrap_socket(raw, server_hostname=host)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def close(self) -> None:
        """Leave, whatever is still to come."""
        self._sock.close()

    def ask(self, method: str, target: str, headers: Pairs = (), body: bytes = b"") -> Reply:
        """Send a request with its length, and take the whole answer."""
        self.send(method, target, headers, body)
        return self.take(method)

    def send(self, method: str, target: str, headers: Pairs = (), body: bytes = b"") -> None:
        """Send a request; its Host and length are added, the latter only where there is a body."""
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
        if body:
            pairs.append(("Content-Length", str(len(body))))
        lines = [f"{method} {self._prefix}{target} HTTP/1.1", f"Host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in pairs]
        self.write("\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._sock.sendall(data)

    def read(self, size: int = 65536) -> bytes:
        """What comes next of the stream; b"" at its end."""
        if self._unread:
            data = bytes(self._unread[:size])
            del self._unread[:size]
            return data
        return self._sock.recv(size)

    def take(self, method: str = "GET") -> Reply:
        """The next answer."""
        interim = []
        while True:
            reply = self.take_head()
            if reply.status >= 200 or reply.status == 101:
                break
            interim.append(reply.status)
        reply.interim = interim
        if method == "HEAD" or reply.status in (101, 204, 304):
            return reply
        try:
            self._take_body(reply)
        except (EOFError, ssl.SSLEOFError):
            reply.end = "cut"
        except ConnectionResetError:
            reply.end = "reset"
        return reply

    def take_head(self) -> Reply:
        """The next head, with no body."""
        first, *lines = self._head()[:-4].split("\r\n")
        return Reply(int(first.split(" ")[1]), [_pair(line) for line in lines])

    def _take_body(self, reply: Reply) -> None:
        length = reply.header("content-length")
        if (reply.header("transfer-encoding") or "").lower() == "chunked":
            while size := int(self._until(b"\r\n").partition(b";")[0], 16):
                reply.chunks.append(self._exactly(size))
                assert self._exactly(2) == b"\r\n"
            while (line := self._until(b"\r\n")) != b"\r\n":
                reply.trailers.append(_pair(line[:-2].decode()))
        elif length is not None:
            left = int(length)
            while left:
                if not self._unread:
                    self._receive()
                reply.chunks.append(self.read(left))
                left -= len(reply.chunks[-1])
            reply.chunks = [reply.body] if reply.chunks else []
        else:
            while data := self.read():
                reply.chunks.append(data)

    def _head(self) -> str:
        return self._until(b"\r\n\r\n").decode("utf-8", "surrogateescape")

    def _until(self, end: bytes) -> bytes:
        seen = 0
        while (found := self._unread.find(end, max(0, seen - len(end)))) < 0:
            seen = len(self._unread)
            self._receive()
        return self._exactly(found + len(end))

    def _exactly(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._receive()
        data = bytes(self._unread[:size])
        del self._unread[:size]
        return data

    def _receive(self) -> None:
        data = self._sock.recv(1 << 18)
        if not data:
            raise EOFError
        self._unread += data


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip(" \t")

"""Read the head of a request once: clients send the same heads again and again.

What is read here is a whole request in HTTP/1.1 with a body of a known length, at most `MOST_BODY`.
All others are aiohttp's, whose parser says here too what is HTTP and what is not.
"""

import asyncio
import socket
from typing import Final, NamedTuple, Protocol

from aiohttp import HttpVersion11
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy

MOST_FIELD: Final = 64 * 1024
"""The most bytes of a request's target, and of a header."""
MOST_BODY: Final = 1 << 20
END: Final = b"\r\n\r\n"
_MOST_HEADS: Final = 1024
_MOST_HEAD: Final = 8 * 1024
_READ_BYTES: Final = 1 << 16
# A body in chunks, a client that waits for `100 Continue`, one that wants another protocol.
_FOR_AIOHTTP: Final = ("transfer-encoding", "expect", "upgrade")


class Origin(NamedTuple):
    """The host a tunnel's client asked for, and the session it named in its CONNECT."""

    scheme: str
    host: str
    port: int
    session: str | None = None


class HttpRequest(Protocol):
    """What a request's head says; aiohttp's requests say it too."""

    @property
    def method(self) -> str: ...
    @property
    def raw_path(self) -> str: ...
    @property
    def headers(self) -> CIMultiDictProxy[str]: ...
    @property
    def raw_headers(self) -> tuple[tuple[bytes, bytes], ...]: ...
    @property
    def host(self) -> str: ...
    @property
    def transport(self) -> asyncio.Transport | None: ...


class Head:
    """A head that was read; `length` is that of the body after it."""

    __slots__ = ("headers", "host", "keep_alive", "length", "method", "raw_headers", "raw_path")

    def __init__(
        self,
        start: tuple[str, str],
        headers: CIMultiDictProxy[str],
        raw_headers: tuple[tuple[bytes, bytes], ...],
        length: int,
        keep_alive: bool,
    ) -> None:
        self.method, self.raw_path = start
        self.headers: Final = headers
        self.raw_headers: Final = raw_headers
        self.host: Final = headers["host"]
        self.length: Final = length
        self.keep_alive: Final = keep_alive


class WholeRequest:
    """A request that has come whole."""

    __slots__ = ("body", "head", "transport")

    def __init__(self, head: Head, body: bytes, transport: asyncio.Transport) -> None:
        self.head: Final = head
        self.body: Final = body
        self.transport: Final[asyncio.Transport | None] = transport

    @property
    def method(self) -> str:
        return self.head.method

    @property
    def raw_path(self) -> str:
        return self.head.raw_path

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        return self.head.headers

    @property
    def raw_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return self.head.raw_headers

    @property
    def host(self) -> str:
        return self.head.host


class Heads:
    """Reads heads; knows the latest again by their bytes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heads: dict[bytes, Head] = {}

    def read(self, raw: bytes) -> Head | None:
        """Read a head, its empty line included; None if the request is aiohttp's to answer or to
        refuse.
        """
        head = self._heads.get(raw)
        if head is None:
            head = self._parsed(raw)
            if head is not None and len(raw) <= _MOST_HEAD:
                if len(self._heads) >= _MOST_HEADS:
                    del self._heads[next(iter(self._heads))]
                self._heads[raw] = head
        return head

    def _parsed(self, raw: bytes) -> Head | None:
        parser = HttpRequestParser(
            BaseProtocol(self._loop),
            self._loop,
            _READ_BYTES,
            max_line_size=MOST_FIELD,
            max_field_size=MOST_FIELD,
            auto_decompress=False,
        )
        try:
            messages, _, _ = parser.feed_data(raw)
        except HttpProcessingError:
            return None
        if len(messages) != 1:
            return None
        message = messages[0][0]
        headers = message.headers
        length = int(headers.get("content-length", 0))
        if (
            message.version != HttpVersion11
            or message.method in ("HEAD", "CONNECT")
            or length > MOST_BODY
            or any(name in headers for name in _FOR_AIOHTTP)
        ):
            return None
        start = message.method, message.path
        return Head(start, headers, message.raw_headers, length, not message.should_close)


def acknowledge(transport: asyncio.BaseTransport | None) -> None:
    """Acknowledge received data at once (Linux only).

    urllib3 sends head and body apart and leaves Nagle's algorithm on towards a proxy: its body
    waits for our acknowledgement of the head, which the kernel delays by 40 ms.
    """
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is not None and hasattr(socket, "TCP_QUICKACK"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

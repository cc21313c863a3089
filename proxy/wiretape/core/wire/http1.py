"""How an answer is spelled in HTTP/1.1: its head, its body in chunks, and what may leave at once.

Source: RFC 9112.
"""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from wiretape.core.model import Headers, Response, WebSocket

PIECE: Final = 1 << 18
"""The most bytes of an answer that are written at once."""
BODILESS: Final = frozenset((204, 304))
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}
CONNECTION_HEADERS: Final = frozenset(
    ("connection", "content-length", "transfer-encoding", "keep-alive", "date", "server", "trailer")
)
"""The headers that belong to a connection, and are not a recording's to give."""


def in_chunks(response: Response) -> Iterator[bytes]:
    """A body in chunked transfer coding; the last chunk only if the body was complete."""
    for chunk in response.chunks:
        if chunk.data:
            yield from framed(chunk.data)
    if response.end == "complete":
        yield last_chunk(response)


def framed(data: bytes) -> Iterator[bytes]:
    """A chunk (RFC 9112, section 7.1)."""
    if len(data) <= PIECE:
        yield b"%x\r\n%b\r\n" % (len(data), data)
        return
    yield b"%x\r\n" % len(data)
    yield from pieces(data)
    yield b"\r\n"


def joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Join small parts into pieces of about `PIECE` bytes."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= PIECE:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
    yield b"".join(waiting)


def pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + PIECE] for start in range(0, len(data), PIECE))


def last_chunk(response: Response) -> bytes:
    """The end of a chunked body, with its trailers (RFC 9112, section 7.1.2)."""
    lines = [
        f"{name}: {value}\r\n".encode("utf-8", "surrogateescape")
        for name, value in response.trailers
    ]
    return b"0\r\n" + b"".join(lines) + b"\r\n"


def is_whole(response: Response) -> bool:
    """Whether an answer that is not streamed leaves in one piece."""
    return (
        response.end in ("complete", "failed")
        and not response.trailers
        and len(response.body) <= PIECE
    )


def is_ready(response: Response) -> bool:
    """Whether an answer may leave in one write."""
    if isinstance(response, WebSocket) or response.status in BODILESS or response.status < 200:
        return False
    if response.streaming:
        return response.end == "complete" and not response.trailers
    return is_whole(response)


def ready_head(response: Response, headers: Headers, name: str, length: int) -> bytes:
    """The head of a recorded answer, as aiohttp writes it, up to the time in its last header, Date.
    `name` is the recording's; `length` is that of the body.
    """
    line = f"HTTP/1.1 {response.status} {_REASONS.get(response.status, '')}"
    lines = [f"{name}: {value}" for name, value in replayed(headers, name)]
    framing = "Transfer-Encoding: chunked" if response.streaming else f"Content-Length: {length}"
    return "\r\n".join((line, *lines, framing, "Date: ")).encode("utf-8", "surrogateescape")


def replayed(headers: Headers, name: str) -> Headers:
    """A recorded answer's headers as they are sent; `name` is the recording's."""
    own = (item for item in headers if item[0].lower() not in CONNECTION_HEADERS)
    return (*own, ("x-wiretape", f"replay {quote(name)}"), ("Server", "wiretape"))

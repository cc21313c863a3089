"""An answer's content coding put back on, for a client that accepts it.

A recording holds bodies decoded, and says what they were coded with. A client that takes that
coding gets it again, flushed after each chunk so that the borders stay where they were; another
gets the body as it is.
"""

import zlib
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import brotli  # type: ignore[import-untyped]  # it ships no types
import zstandard

from wiretape.core.model import Headers, Response


class _Encoder(Protocol):
    """Apply one coding: `encode` gives what says all that came, `finish` the coding's end."""

    def encode(self, data: bytes) -> bytes: ...
    def finish(self) -> bytes: ...


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._deflate = zlib.compressobj(wbits=wbits)

    def encode(self, data: bytes) -> bytes:
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._deflate.flush()


class _BrotliEncoder:
    def __init__(self) -> None:
        # Its best, which is what it takes unasked, takes seconds for what a client waits for.
        self._squeeze = brotli.Compressor(quality=5)

    def encode(self, data: bytes) -> bytes:
        return bytes(self._squeeze.process(data) + self._squeeze.flush())

    def finish(self) -> bytes:
        return bytes(self._squeeze.finish())


class _ZstdEncoder:
    def __init__(self) -> None:
        self._pack = zstandard.ZstdCompressor().compressobj()

    def encode(self, data: bytes) -> bytes:
        return self._pack.compress(data) + self._pack.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._pack.flush()


_ENCODERS: Final[dict[str, Callable[[], _Encoder]]] = {
    "gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
    "deflate": lambda: _Zlib(zlib.MAX_WBITS),
    "br": _BrotliEncoder,
    "zstd": _ZstdEncoder,
}
_SAME: Final = {"x-gzip": "gzip"}


def accepts(accept_encoding: str | None, coding: str) -> bool:
    """Whether a client that sent this Accept-Encoding takes a content coding (RFC 9110, section
    12.5.3).

    Without the header all codings are acceptable by the book; but such a client is one that undoes
    none, and every server sends it the body as it is.
    """
    other = 0.0
    for item in (accept_encoding or "").split(","):
        name, _, parameters = item.partition(";")
        name = name.strip().lower()
        if _SAME.get(name, name) == coding:
            return _weight(parameters) > 0
        if name == "*":
            other = _weight(parameters)
    return other > 0


def _weight(parameters: str) -> float:
    """The q of an item (section 12.4.2); 0 where it is none."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return weight if 0 <= weight <= 1 else 0.0
    return 1.0


def recoded(response: Response, accept_encoding: str | None) -> tuple[Headers, tuple[bytes, ...]]:
    """The headers and chunks of an answer as a client gets them that sent this Accept-Encoding.

    There are as many chunks as the answer has, and each, decoded, is one of them. An answer that
    was not whole lacks the coding's own end.
    """
    plain = tuple(chunk.data for chunk in response.chunks)
    names = [_SAME.get(name, name) for name in _names(response.coding)]
    if not names or not plain or not all(name in _ENCODERS for name in names):
        return response.headers, plain
    if not all(accepts(accept_encoding, name) for name in names):
        return response.headers, plain
    coded = _encoded(names, plain, whole=response.end == "complete")
    return (*response.headers, ("content-encoding", ", ".join(names))), coded


def _names(coding: str | None) -> list[str]:
    return [name.strip().lower() for name in (coding or "").split(",") if name.strip()]


def _encoded(names: Iterable[str], plain: tuple[bytes, ...], *, whole: bool) -> tuple[bytes, ...]:
    chunks = list(plain)
    for name in names:
        encoder = _ENCODERS[name]()
        chunks = [encoder.encode(data) for data in chunks]
        if whole:
            chunks[-1] += encoder.finish()
    return tuple(chunks)

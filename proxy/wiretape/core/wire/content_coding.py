"""Decode content codings read by read, and encode them chunk by chunk (RFC 9110, section 8.4.1)."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

import brotli  # type: ignore[import-untyped]  # it ships no types
import zstandard

from wiretape.core.model import Headers, Request, Response

MAX_DECODED: Final = 64 * 1024 * 1024
"""The most bytes that a body is decoded to: a few KiB can hold gigabytes."""


MAX_STACKED: Final = 5
"""The most content codings that are decoded: nobody applies more than two."""


class TooLarge(ValueError):
    """A body that is, or would become, larger than the limit."""


class Decoder(Protocol):
    """Decodes one coding: `decode` each read, `flush` at the end. Raises ValueError for bytes that
    are not in the coding, TooLarge beyond the limit.
    """

    def decode(self, data: bytes) -> bytes: ...
    def flush(self) -> bytes: ...


class _Inflate(Protocol):
    """The interface that zlib's and zstandard's decompression objects share."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Limit:
    """Counts the bytes that a decoder gives; raises TooLarge beyond the limit."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise TooLarge("compressed data decodes to more than the limit")
        return data


# A slice decodes to at most 4 MiB in deflate (1,032 bytes a byte) and 8 MiB in zstd (a block of
# 128 KiB takes 4 bytes). Brotli's library has a limit of its own.
_DEFLATE_SLICE: Final = 4096
_ZSTD_SLICE: Final = 256
_BROTLI_LIMIT: Final = 1024 * 1024


def _slices(data: bytes, size: int) -> Iterator[bytes]:
    if len(data) <= size:
        yield data
        return
    for at in range(0, len(data), size):
        yield data[at : at + size]


class _Members:
    """Decodes a coding whose data is a series of members (gzip, RFC 1952, section 2.2) or frames
    (zstd, RFC 8878, section 3).
    """

    def __init__(self, member: Callable[[], _Inflate], size: int, limit: int) -> None:
        self._member = member
        self._size = size
        self._limit = _Limit(limit)
        self._inflate: _Inflate | None = None

    def decode(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        for rest in _slices(data, self._size):
            while rest:
                if self._inflate is None or self._inflate.eof:
                    self._inflate = self._member()
                try:
                    parts.append(self._limit.take(self._inflate.decompress(rest)))
                except (zlib.error, zstandard.ZstdError) as error:
                    raise ValueError(str(error)) from error
                rest = self._inflate.unused_data
        return b"".join(parts)

    def flush(self) -> bytes:
        if self._inflate is not None and not self._inflate.eof:
            raise ValueError("compressed data ends early")
        return b""


class _Deflate:
    """Decodes deflate with the zlib wrapper (RFC 1950) and, as some send it, without."""

    def __init__(self, limit: int) -> None:
        self._limit = _Limit(limit)
        self._head = b""
        self._inflate: _Inflate | None = None

    def decode(self, data: bytes) -> bytes:
        if self._inflate is None:
            self._head += data
            if len(self._head) < 2:
                return b""
            wrapped = self._head[0] & 0x0F == 8 and int.from_bytes(self._head[:2]) % 31 == 0
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
            data = self._head
        parts = []
        for part in _slices(data, _DEFLATE_SLICE):
            try:
                parts.append(self._limit.take(self._inflate.decompress(part)))
            except zlib.error as error:
                raise ValueError(str(error)) from error
            if self._inflate.unused_data:
                raise ValueError("more data after the end of the compressed data")
        return b"".join(parts)

    def flush(self) -> bytes:
        if self._head and (self._inflate is None or not self._inflate.eof):
            raise ValueError("compressed data ends early")
        return b""


class _BrotliDecoder:
    def __init__(self, limit: int) -> None:
        self._inflate = brotli.Decompressor()
        self._limit = _Limit(limit)
        self._fed = False

    def decode(self, data: bytes) -> bytes:
        self._fed = self._fed or bool(data)
        parts = []
        try:
            parts.append(self._process(data))
            while not self._inflate.can_accept_more_data():
                parts.append(self._process(b""))
        except brotli.error as error:
            raise ValueError(str(error)) from error
        return b"".join(parts)

    def _process(self, data: bytes) -> bytes:
        return self._limit.take(
            bytes(self._inflate.process(data, output_buffer_limit=_BROTLI_LIMIT))
        )

    def flush(self) -> bytes:
        if self._fed and not self._inflate.is_finished():
            raise ValueError("compressed data ends early")
        return b""


class _Stacked:
    def __init__(self, decoders: Sequence[Decoder]) -> None:
        self._decoders = decoders

    def decode(self, data: bytes) -> bytes:
        for decoder in self._decoders:
            data = decoder.decode(data)
        return data

    def flush(self) -> bytes:
        data = b""
        for decoder in self._decoders:
            data = (decoder.decode(data) if data else b"") + decoder.flush()
        return data


_DECODERS: Final[dict[str, Callable[[int], Decoder]]] = {
    "gzip": partial(_Members, partial(zlib.decompressobj, zlib.MAX_WBITS | 16), _DEFLATE_SLICE),
    "deflate": _Deflate,
    "br": _BrotliDecoder,
    "zstd": partial(_Members, lambda: zstandard.ZstdDecompressor().decompressobj(), _ZSTD_SLICE),
}
_ALIASES: Final = {"x-gzip": "gzip"}  # RFC 9110, section 8.4.1.3


def codings(headers: Headers) -> tuple[str, ...]:
    """The content codings of a message in the order they were applied, identity left out."""
    values = ",".join(value for name, value in headers if name.lower() == "content-encoding")
    return tuple(name for name in _names(values) if name != "identity")


def _names(codings: str) -> list[str]:
    return [name for item in codings.split(",") if (name := item.strip().lower())]


def decoder(names: Iterable[str], limit: int = MAX_DECODED) -> Decoder:
    """A decoder for codings, named in the order they were applied, that gives at most `limit`
    bytes. Raises ValueError for an unknown coding and for too many.
    """
    stack = [_ALIASES.get(name, name) for name in names if name != "identity"]
    unknown = next((name for name in stack if name not in _DECODERS), None)
    if unknown is not None:
        raise ValueError(f"content coding {unknown!r} is not known")
    if len(stack) > MAX_STACKED:
        raise ValueError(f"more than {MAX_STACKED} content codings")
    decoders = [_DECODERS[name](limit) for name in reversed(stack)]
    return decoders[0] if len(decoders) == 1 else _Stacked(decoders)


def decoded(headers: Headers, body: bytes, limit: int = MAX_DECODED) -> bytes:
    """Decode a whole body. Raises ValueError if it cannot be, TooLarge beyond `limit` bytes."""
    names = codings(headers)
    if not names or not body:
        return body
    body_decoder = decoder(names, limit)
    return body_decoder.decode(body) + body_decoder.flush()


def plain_request(request: Request) -> Request:
    """The request with its body decoded, or as it is if that fails."""
    try:
        body = decoded(request.headers, request.body)
    except ValueError:
        return request
    return request if body is request.body else replace(request, body=body)


class _Encoder(Protocol):
    """Applies one coding: `encode` gives all that decodes to its input, `finish` the trailer."""

    def encode(self, data: bytes) -> bytes: ...
    def finish(self) -> bytes: ...


class _FlushingEncoder:
    def __init__(self, compressor: Any, flush_mode: int) -> None:
        self._compressor = compressor
        self._flush_mode = flush_mode

    def encode(self, data: bytes) -> bytes:
        return bytes(self._compressor.compress(data) + self._compressor.flush(self._flush_mode))

    def finish(self) -> bytes:
        return bytes(self._compressor.flush())


class _BrotliEncoder:
    def __init__(self) -> None:
        # The default is the best quality, for which a client would wait seconds.
        self._compressor = brotli.Compressor(quality=5)

    def encode(self, data: bytes) -> bytes:
        return bytes(self._compressor.process(data) + self._compressor.flush())

    def finish(self) -> bytes:
        return bytes(self._compressor.finish())


def _zlib_encoder(wbits: int) -> _Encoder:
    return _FlushingEncoder(zlib.compressobj(wbits=wbits), zlib.Z_SYNC_FLUSH)


def _zstd_encoder() -> _Encoder:
    compressor = zstandard.ZstdCompressor().compressobj()
    return _FlushingEncoder(compressor, zstandard.COMPRESSOBJ_FLUSH_BLOCK)


_ENCODERS: Final[dict[str, Callable[[], _Encoder]]] = {
    "gzip": lambda: _zlib_encoder(zlib.MAX_WBITS | 16),
    "deflate": lambda: _zlib_encoder(zlib.MAX_WBITS),
    "br": _BrotliEncoder,
    "zstd": _zstd_encoder,
}


def accepts(accept_encoding: str | None, coding: str) -> bool:
    """Whether a client that sent this Accept-Encoding accepts a coding (RFC 9110, section 12.5.3).

    By the RFC a client without the header accepts every coding; in practice it decodes none, and
    servers send it the body as it is.

    >>> accepts("gzip;q=0, *", "gzip"), accepts("gzip;q=0, *", "br")
    (False, True)
    """
    any_weight = 0.0
    for item in (accept_encoding or "").split(","):
        name, _, parameters = item.partition(";")
        name = name.strip().lower()
        if _ALIASES.get(name, name) == coding:
            return _weight(parameters) > 0
        if name == "*":
            any_weight = _weight(parameters)
    return any_weight > 0


def _weight(parameters: str) -> float:
    """The q of an item (section 12.4.2); 0 if it is invalid."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return weight if 0 <= weight <= 1 else 0.0
    return 1.0


def encode(response: Response, accept_encoding: str | None) -> tuple[Headers, tuple[bytes, ...]]:
    """Put an answer's content coding back on, if the client accepts it.

    Gives the headers and the chunks to send. A recording holds bodies decoded and names their
    coding. A client that accepts it gets it again, flushed after each chunk, so that each chunk
    sent decodes to one recorded; any other client gets the body as it is. The end of the coded
    data is left out where the answer was not complete.

    >>> from wiretape.core.model import Chunk
    >>> answer = Response(200, (), (Chunk(b"hi", 0.1),), coding="gzip")
    >>> headers, chunks = encode(answer, "gzip, br")
    >>> headers, decoded(headers, b"".join(chunks))
    ((('content-encoding', 'gzip'),), b'hi')
    """
    chunks = tuple(chunk.data for chunk in response.chunks)
    names = [_ALIASES.get(name, name) for name in _names(response.coding or "")]
    if not names or not chunks or not all(name in _ENCODERS for name in names):
        return response.headers, chunks
    if not all(accepts(accept_encoding, name) for name in names):
        return response.headers, chunks
    for name in names:
        encoder = _ENCODERS[name]()
        *earlier, last = (encoder.encode(data) for data in chunks)
        if response.end == "complete":
            last += encoder.finish()
        chunks = (*earlier, last)
    return (*response.headers, ("content-encoding", ", ".join(names))), chunks

"""Content codings (RFC 9110, section 8.4.1) undone read by read, and what a content type says of a
body.
"""

import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final, Protocol

import brotli  # type: ignore[import-untyped]  # it ships no types
import zstandard

from wiretape.core.model import Framing, Headers, Request, header

FORM: Final = "application/x-www-form-urlencoded"
FRAMES: Final = "application/vnd.amazon.eventstream"

MAX_DECODED: Final = 64 * 1024 * 1024
"""The most bytes that a body is undone to: a few KiB of each coding can say gigabytes."""


MAX_STACKED: Final = 5
"""The most content codings that are undone: no one applies more than two."""


class TooLarge(ValueError):
    """A body that is, or would become, larger than the limit."""


class Decoder(Protocol):
    """Undo one coding: `decode` what came, `flush` what is left; ValueError where the bytes are not
    of the coding, TooLarge where they say more than the limit.
    """

    def decode(self, data: bytes) -> bytes: ...
    def flush(self) -> bytes: ...


class _Inflate(Protocol):
    """What zlib's and zstandard's decompression objects have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Room:
    """How many bytes more a decoder may give."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise TooLarge("compressed data says more than is undone")
        return data


# What a slice can say at most is 4 MiB in deflate (1,032 bytes a byte) and 8 MiB in zstd (a block
# of 128 KiB takes 4 bytes). Brotli's library has a limit of its own.
_DEFLATE_SLICE: Final = 4096
_ZSTD_SLICE: Final = 256
_BROTLI_LIMIT: Final = 1024 * 1024


def _slices(data: bytes, size: int) -> Iterator[bytes]:
    if len(data) <= size:
        yield data
        return
    for at in range(0, len(data), size):
        yield data[at : at + size]


class _Identity:
    def __init__(self, limit: int) -> None:
        """What is not decoded cannot grow."""

    def decode(self, data: bytes) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


class _Members:
    """A coding that may be applied piece by piece: its members follow one another (gzip, RFC 1952,
    section 2.2; zstd frames, RFC 8878, section 3).
    """

    def __init__(self, member: Callable[[], _Inflate], size: int, limit: int) -> None:
        self._member = member
        self._size = size
        self._room = _Room(limit)
        self._inflate: _Inflate | None = None

    def decode(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        for rest in _slices(data, self._size):
            while rest:
                if self._inflate is None or self._inflate.eof:
                    self._inflate = self._member()
                try:
                    parts.append(self._room.take(self._inflate.decompress(rest)))
                except (zlib.error, zstandard.ZstdError) as error:
                    raise ValueError(str(error)) from error
                rest = self._inflate.unused_data
        return b"".join(parts)

    def flush(self) -> bytes:
        if self._inflate is not None and not self._inflate.eof:
            raise ValueError("compressed data ends early")
        return b""


class _Gzip(_Members):
    def __init__(self, limit: int) -> None:
        super().__init__(lambda: zlib.decompressobj(zlib.MAX_WBITS | 16), _DEFLATE_SLICE, limit)


class _ZstdDecoder(_Members):
    def __init__(self, limit: int) -> None:
        super().__init__(lambda: zstandard.ZstdDecompressor().decompressobj(), _ZSTD_SLICE, limit)


class _Deflate:
    """deflate in both of its spellings: with the zlib wrapper (RFC 1950) and, as some send it,
    without.
    """

    def __init__(self, limit: int) -> None:
        self._room = _Room(limit)
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
                parts.append(self._room.take(self._inflate.decompress(part)))
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
        self._room = _Room(limit)
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
        return self._room.take(
            bytes(self._inflate.process(data, output_buffer_limit=_BROTLI_LIMIT))
        )

    def flush(self) -> bytes:
        if self._fed and not self._inflate.is_finished():
            raise ValueError("compressed data ends early")
        return b""


class _Stacked:
    def __init__(self, decoders: Iterable[Decoder]) -> None:
        self._decoders = tuple(decoders)

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
    "identity": _Identity,
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "br": _BrotliDecoder,
    "zstd": _ZstdDecoder,
}


def codings(headers: Headers) -> tuple[str, ...]:
    """The content codings of a message in the order they were applied, identity left out."""
    values = ",".join(value for name, value in headers if name.lower() == "content-encoding")
    names = (name.strip().lower() for name in values.split(","))
    return tuple(name for name in names if name and name != "identity")


def decoder(names: Iterable[str], limit: int = MAX_DECODED) -> Decoder:
    """A decoder for stacked codings, named in the order they were applied; ValueError for an
    unknown one. It gives at most `limit` bytes.
    """
    stack = list(names)
    unknown = next((name for name in stack if name not in _DECODERS), None)
    if unknown is not None:
        raise ValueError(f"content coding {unknown!r} is not known")
    if len(stack) > MAX_STACKED:
        raise ValueError(f"more than {MAX_STACKED} content codings")
    if len(stack) == 1:
        return _DECODERS[stack[0]](limit)
    return _Stacked(_DECODERS[name](limit) for name in reversed(stack))


def decoded(headers: Headers, body: bytes, limit: int = MAX_DECODED) -> bytes:
    """A whole body with its content codings undone; ValueError where that cannot be done, TooLarge
    where it would be more than `limit` bytes.
    """
    names = codings(headers)
    if not names or not body:
        return body
    undo = decoder(names, limit)
    return undo.decode(body) + undo.flush()


def media_type(headers: Headers) -> str:
    """The content type without its parameters, lower-case; "" where there is none."""
    return (header(headers, "content-type") or "").partition(";")[0].strip().lower()


_BOMS: Final = (
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
_CHARSETS: Final = {
    # RFC 2781, section 4.3: UTF-16 without a byte order mark is big-endian, by the book.
    "utf-16": "utf-16-be",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "utf-32": "utf-32-be",
    "utf-32le": "utf-32-le",
    "utf-32be": "utf-32-be",
    "iso-8859-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "windows-1252": "windows-1252",
}


def charset(headers: Headers, body: bytes) -> str | None:
    """What a body's text is spelled in by its byte order mark or its content type, where that is
    not UTF-8; None where neither says so, or the charset is not known.
    """
    for mark, name in _BOMS:
        if body.startswith(mark):
            return name
    found = _CHARSET.search(header(headers, "content-type") or "")
    name = found[1].lower() if found else ""
    if name == "utf-16" and body[1:2] == b"\0":
        return "utf-16-le"  # ASCII's half, whatever the book says
    return _CHARSETS.get(name)


def is_json(media: str) -> bool:
    """Whether a media type is JSON's (RFC 6839: also anything that ends in +json)."""
    return media == "application/json" or media.endswith("+json")


def is_text(media: str) -> bool:
    return media.startswith("text/") or media in (
        FORM,
        "application/xml",
        "application/javascript",
    )


_LINES: Final = frozenset(
    f"application/{name}" for name in ("x-ndjson", "ndjson", "jsonl", "jsonlines", "json-lines")
)


def framing(headers: Headers, path: str = "") -> Framing:
    """How an answer's chunks are told apart, by its content type and, for Gemini's JSON streams,
    its path.
    """
    media = media_type(headers)
    if media == "text/event-stream":
        return "sse"
    if media in _LINES:
        return "ndjson"
    if media == FRAMES:
        return "frames"
    if path.endswith(":streamGenerateContent"):
        return "reads"
    if header(headers, "content-length") is not None or is_json(media) or is_text(media):
        return "whole"
    return "reads"


def plain_request(request: Request) -> Request:
    """The request with the content coding of its body undone, where that can be done."""
    try:
        body = decoded(request.headers, request.body)
    except ValueError:
        return request
    return request if body is request.body else replace(request, body=body)

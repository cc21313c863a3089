"""Content codings (RFC 9110, section 8.4.1) undone read by read, and what a content type says of a
body.
"""

import zlib
from collections.abc import Callable, Iterable
from typing import Final, Literal, Protocol

import brotli  # type: ignore[import-untyped]  # it ships no types
import zstandard

from .model import Headers, header

type Framing = Literal["sse", "ndjson", "reads", "whole"]
"""How an answer's body is cut into chunks: at events, at lines, as it was read, or not at all."""


FORM: Final = "application/x-www-form-urlencoded"


class Decoder(Protocol):
    """Undo one coding: `decode` what came, `flush` what is left; ValueError where the bytes are not
    of the coding.
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


class _Identity:
    def decode(self, data: bytes) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


class _Members:
    """A coding that may be applied piece by piece: its members follow one another (gzip, RFC 1952,
    section 2.2; zstd frames, RFC 8878, section 3).
    """

    def __init__(self, member: Callable[[], _Inflate]) -> None:
        self._member = member
        self._inflate: _Inflate | None = None

    def decode(self, data: bytes) -> bytes:
        result = b""
        while data:
            if self._inflate is None or self._inflate.eof:
                self._inflate = self._member()
            try:
                result += self._inflate.decompress(data)
            except (zlib.error, zstandard.ZstdError) as error:
                raise ValueError(str(error)) from error
            data = self._inflate.unused_data
        return result

    def flush(self) -> bytes:
        if self._inflate is not None and not self._inflate.eof:
            raise ValueError("compressed data ends early")
        return b""


class _Gzip(_Members):
    def __init__(self) -> None:
        super().__init__(lambda: zlib.decompressobj(zlib.MAX_WBITS | 16))


class _Zstd(_Members):
    def __init__(self) -> None:
        super().__init__(lambda: zstandard.ZstdDecompressor().decompressobj())


class _Deflate:
    """deflate in both of its spellings: with the zlib wrapper (RFC 1950) and, as some send it,
    without.
    """

    def __init__(self) -> None:
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
        try:
            result = self._inflate.decompress(data)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        if self._inflate.unused_data:
            raise ValueError("more data after the end of the compressed data")
        return result

    def flush(self) -> bytes:
        if self._head and (self._inflate is None or not self._inflate.eof):
            raise ValueError("compressed data ends early")
        return b""


class _Brotli:
    def __init__(self) -> None:
        self._inflate = brotli.Decompressor()
        self._fed = False

    def decode(self, data: bytes) -> bytes:
        self._fed = self._fed or bool(data)
        try:
            return bytes(self._inflate.process(data))
        except brotli.error as error:
            raise ValueError(str(error)) from error

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


_DECODERS: Final[dict[str, type[Decoder]]] = {
    "identity": _Identity,
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}


def codings(headers: Headers) -> tuple[str, ...]:
    """The content codings of a message in the order they were applied, identity left out."""
    values = ",".join(value for name, value in headers if name.lower() == "content-encoding")
    names = (name.strip().lower() for name in values.split(","))
    return tuple(name for name in names if name and name != "identity")


def decoder(names: Iterable[str]) -> Decoder:
    """A decoder for stacked codings, named in the order they were applied; ValueError for an
    unknown one.
    """
    stack = list(names)
    unknown = next((name for name in stack if name not in _DECODERS), None)
    if unknown is not None:
        raise ValueError(f"content coding {unknown!r} is not known")
    if len(stack) == 1:
        return _DECODERS[stack[0]]()
    return _Stacked(_DECODERS[name]() for name in reversed(stack))


def decoded(headers: Headers, body: bytes) -> bytes:
    """A whole body with its content codings undone; ValueError where that cannot be done."""
    names = codings(headers)
    if not names or not body:
        return body
    undo = decoder(names)
    return undo.decode(body) + undo.flush()


def media_type(headers: Headers) -> str:
    """The content type without its parameters, lower-case; "" where there is none."""
    return (header(headers, "content-type") or "").partition(";")[0].strip().lower()


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
    if path.endswith(":streamGenerateContent"):
        return "reads"
    if header(headers, "content-length") is not None or is_json(media) or is_text(media):
        return "whole"
    return "reads"

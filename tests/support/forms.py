"""Bodies in every coding, frames and base64, and exchanges as they come back from a file."""

import base64
import zlib
from collections.abc import Callable
from typing import Final

import brotli  # type: ignore[import-untyped]  # it ships no types
import zstandard

from wiretape.core.errors import FormatError
from wiretape.core.model import Exchange
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, to_exchange
from wiretape.core.wire import aws_eventstream


def _zlib(wbits: int) -> Callable[[bytes], bytes]:
    def encode(data: bytes) -> bytes:
        deflate = zlib.compressobj(wbits=wbits)
        return deflate.compress(data) + deflate.flush()

    return encode


ENCODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": _zlib(31),
    "deflate": _zlib(15),
    "br": lambda data: bytes(brotli.compress(data, quality=1)),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


CODINGS: Final = ((), *((name,) for name in ENCODERS), ("gzip", "br"), ("deflate", "zstd", "gzip"))


def coded(data: bytes, names: tuple[str, ...]) -> bytes:
    for name in names:
        data = ENCODERS[name](data)
    return data


def filed(document: Document) -> Exchange:
    """The exchange of a document that was a file, with its side files."""
    smaller, files = recording_format.externalise(document)
    text = recording_format.dumps(smaller)
    assert recording_format.dumps(recording_format.loads(text)) == text

    def side_file(name: str) -> bytes:
        if name not in files:
            raise FormatError(name)
        return files[name]

    return to_exchange(recording_format.loads(text), side_file)


def frame(payload: bytes) -> bytes:
    headers: dict[str, aws_eventstream.HeaderValue] = {":event-type": "chunk", "n": {"integer": 7}}
    return aws_eventstream.encode(aws_eventstream.Frame(headers, payload))


def in_base64(text: str) -> bytes:
    return b'{"bytes":"' + base64.b64encode(text.encode()) + b'","p":"abc"}'

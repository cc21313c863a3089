"""A search of its own for secrets, which shares nothing with the one that is tested.

It turns a text into all that a curious reader can make of it, and looks there for pieces of a
secret: as it is, in base64 at each of its places, in hexadecimal digits.
"""

import base64
import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

import brotli  # type: ignore[import-untyped]  # it ships no types
import zstandard


class Needles(NamedTuple):
    """The pieces of a secret that must not stand, in any spelling: any twenty characters of it in a
    row hold one. Hex may be in either case.
    """

    exact: frozenset[str]
    lower: frozenset[str]


def _pieces(text: str, size: int) -> Iterator[str]:
    yield from (text[at : at + size] for at in range(0, len(text) - size + 1, size))


def needles(secret: str) -> Needles:
    # A piece is longer than how a key begins, which its placeholder may say as well.
    exact = set(_pieces(secret, 8))
    data = secret.encode()
    for before in range(3):
        # The characters at either end say something of what stands beside it, too.
        whole = base64.b64encode(b"x" * before + data).decode()
        core = whole[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        for text in (core, core.replace("+", "-").replace("/", "_")):
            exact.update(_pieces(text, 12))
    return Needles(frozenset(exact), frozenset(_pieces(data.hex(), 16)))


_ESCAPE: Final = re.compile(r"\\+u([0-9a-fA-F]{4})|\\+([/\"\\])")
_RUN: Final = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else m[2], text)


def _decompressed(data: bytes) -> Iterator[bytes]:
    for undo in (
        gzip.decompress,
        brotli.decompress,
        zlib.decompress,
        lambda d: zstandard.ZstdDecompressor().decompress(d, max_output_size=1 << 24),
    ):
        try:
            yield undo(data)
        except (OSError, EOFError, zlib.error, brotli.error, zstandard.ZstdError):
            continue


def views(data: bytes, depth: int = 0) -> Iterator[str]:
    """What a curious reader gets out of bytes: the text, unescaped, unquoted, decoded, unpacked."""
    text = data.decode("latin-1")
    yield text
    plain = text
    for _ in range(3):
        more = unquote_to_bytes(_unescape(plain).encode("utf-8", "replace")).decode("latin-1")
        if more == plain:
            break
        plain = more
        yield plain
    if depth < 2:
        for found in {match[0] for match in _RUN.finditer(plain)}:
            whole = found.rstrip("=").replace("-", "+").replace("_", "/")
            # A path before it may look like a part of it.
            for skip in range(4 if "/" in whole[:30] else 1):
                run = whole[skip:]
                yield from views(base64.b64decode(run[: len(run) // 4 * 4] + _rest(run)), depth + 1)
    # Random bytes are hardly ever brotli, which has no magic number; whole bodies are tried.
    for inner in _decompressed(data):
        yield inner.decode("latin-1")


def _rest(run: str) -> str:
    rest = run[len(run) // 4 * 4 :]
    return rest + "=" * (4 - len(rest)) if len(rest) > 1 else ""


def stands(secret: str, texts: Iterable[bytes]) -> bool:
    """Whether a piece of the secret can be had from any of the texts."""
    exact, lower = needles(secret)
    for data in texts:
        for view in views(data):
            small = view.lower()
            if any(piece in view for piece in exact) or any(piece in small for piece in lower):
                return True
    return False

"""Decode what a text holds in other encodings: the escapes of JSON and URLs, base64 and base64url
(RFC 4648), hexadecimal digits, UTF-16 and UTF-32, gzip, zlib and zstd.

Nothing here knows what a secret is. Whatever could be encoded is decoded, at each alignment, and
can be encoded again, so that it still decodes with a placeholder in place of a secret.
"""

import base64
import re
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

import brotli  # type: ignore[import-untyped]  # it ships no types
import zstandard

from wiretape.core.wire.content_coding import TooLarge, decoder

MAX_DECODED: Final = 64 * 1024 * 1024
"""The most bytes that data is decompressed to."""

# ------------------------------------------------------------------ escapes

# Colours of a terminal (ECMA-48) end in a letter, which is none of a key that follows.
_COLOUR: Final = r"(?:\x1b|\\(?:e|0?33|x1[bB]|u001[bB]))\[[0-9;]{0,20}m"
_COMMON: Final = (
    r"((?:%[0-9A-Fa-f]{2})+)"
    rf"|({_COLOUR})"
    r"|\\u([dD][89abAB][0-9A-Fa-f]{2})\\u([dD][c-fC-F][0-9A-Fa-f]{2})"
    r"|\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([\"/\\bfnrt]))"
)
_ESCAPE: Final = re.compile(_COMMON)
# Quoted-printable (RFC 2045, section 6.7): a line break in a word, any octet.
_PRINTABLE: Final = re.compile(rf"{_COMMON}|=(\r?\n)|=([0-9A-F]{{2}})")
_SHORT: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


ESCAPES: Final = r"%[0-9A-Fa-f]{2}|\x1b\[|=3D|uoted-"
"""Matches a text with a percent-escape, or one that `is_escaped`: for RE2."""


def is_escaped(text: str) -> bool:
    """Whether a text has a mark of escapes; backslashes and percent signs are not looked for."""
    # Finding constants is quick.
    return "\x1b[" in text or is_printable(text)


def is_printable(text: str) -> bool:
    """Whether a text could be quoted-printable: it says so, or has an "=" as that writes it."""
    return "=3D" in text or "uoted-" in text


class Unescaped:
    """A text without one layer of the escapes of JSON, of URLs, of literals in programs, of mail
    (quoted-printable) and of terminals, and where its parts were in the source.

    >>> unescaped = Unescaped("a%20b")
    >>> unescaped.text, unescaped.source(1, 2)
    ('a b', (1, 4))
    """

    __slots__ = ("_at", "_ends", "_sizes", "_starts", "text")

    def __init__(self, source: str) -> None:
        self._at: list[int] = []
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._sizes: list[int] = []
        parts: list[str] = []
        done = length = 0
        # Finding a constant is quick, and most texts have no escape.
        escaped = "\\" in source or "%" in source or is_escaped(source)
        escapes = _PRINTABLE if is_printable(source) else _ESCAPE
        for escape in escapes.finditer(source) if escaped else ():
            start = escape.start()
            parts.append(source[done:start])
            length += start - done
            done = escape.end()
            for character, width in _characters(escape):
                self._at.append(length)
                self._starts.append(start)
                start += width
                self._ends.append(start)
                self._sizes.append(len(character))
                parts.append(character)
                length += len(character)
        parts.append(source[done:])
        self.text: Final = "".join(parts)

    def __bool__(self) -> bool:
        """Whether there was an escape."""
        return bool(self._at)

    def source(self, start: int, end: int) -> tuple[int, int]:
        """Where a part of the text, which must not be empty, is in the source."""
        first, last = bisect_right(self._at, start) - 1, bisect_right(self._at, end - 1) - 1
        if first >= 0:
            beyond = start - self._at[first] - self._sizes[first]
            start = self._starts[first] if beyond < 0 else self._ends[first] + beyond
        if last >= 0:
            end = self._ends[last] + max(0, end - self._at[last] - self._sizes[last])
        return start, end


def _characters(escape: re.Match[str]) -> Iterator[tuple[str, int]]:
    """The characters of an escape, each with its length in the source."""
    octets, colour, high, low, unit, octet, short, *printable = escape.groups()
    if octets:
        data = bytes.fromhex(octets.replace("%", ""))
        for character in data.decode("utf-8", "surrogateescape"):
            yield character, 3 * len(character.encode("utf-8", "surrogateescape"))
    elif high:
        pair = bytes.fromhex(high + low).decode("utf-16-be")
        yield pair, 12
    elif unit:
        yield chr(int(unit, 16)), 6
    elif colour:
        yield "\x1b", len(colour)
    elif octet:
        yield chr(int(octet, 16)), 4
    elif printable and printable[0]:
        yield "", len(escape[0])
    elif printable and printable[1]:
        yield chr(int(printable[1], 16)), 3
    else:
        yield _SHORT.get(short, short), 2


_CODE_UNITS: Final = re.compile(r"(?:\\u[0-9A-Fa-f]{4})+")
_SHORT_ESCAPES: Final = (
    *(('\\"', '"'), ("\\/", "/"), ("\\n", "\n"), ("\\r", "\r"), ("\\t", "\t")),
    *(("\\b", "\b"), ("\\f", "\f")),
)


def text_of_json(json_text: str) -> str | None:
    r"""A JSON text with its strings unescaped; None if one has a backslash of its own, so that its
    text may be escaped again.

    `{"a": "x\\ny"}` gives `{"a": "x` and, on the next line, `y"}`. This can be searched instead of
    each string: in the JSON itself an escape looks like a letter before what follows.
    """
    if "\\" not in json_text:
        return json_text
    if "\\\\" in json_text:
        return None
    text = json_text
    if "\\u" in text:
        text = _CODE_UNITS.sub(_code_units, text)
        if "\\\\" in text:
            return None
    # Here each backslash begins an escape.
    for escape, character in _SHORT_ESCAPES:
        text = text.replace(escape, character)
    return None if "\\" in text else text


def _code_units(units: re.Match[str]) -> str:
    data = bytes.fromhex(units[0].replace("\\u", ""))
    # A backslash has to stay visible.
    return data.decode("utf-16-be", "surrogatepass").replace("\\", "\\\\")


# ------------------------------------------------------------------ runs of base64 or hex

_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_RUN_OR_NOT: Final = bytes(97 if octet in _ALPHABET else 32 for octet in range(256))
_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
# The last line of armour ("-----END …", RFC 7468) begins with characters of base64url.
_LINES: Final = re.compile(r"(?:\r?\n(?!-----)[A-Za-z0-9+/_-]+)+")
_HEX: Final = re.compile(r"[0-9a-f]{16,}|[0-9A-F]{16,}")
_LINE: Final = 60
"""The shortest lines of base64 (PEM has 64 characters, MIME 76)."""


def run_of(shortest: int) -> str:
    """Matches a text in which `runs` finds any: for RE2."""
    return rf"[A-Za-z0-9+/_-]{{{shortest}}}"


def runs(text: str, shortest: int) -> Iterator[tuple[int, int]]:
    """Where there are at least `shortest` characters of base64 in a row; lines of base64 are one
    run.
    """
    # One octet a character, so that indexes are the same. Finding a constant is quick.
    octets = text.encode("ascii", "replace")
    marked = octets.translate(_RUN_OR_NOT)
    wanted = b"a" * shortest
    at = marked.find(wanted)
    while at >= 0:
        end = marked.find(b" ", at)
        end = len(text) if end < 0 else end
        if end - at >= _LINE and text[end : end + 1] in ("\n", "\r"):
            more = _LINES.match(text, end)
            end = more.end() if more else end
        yield at, end
        at = marked.find(wanted, end)


class Reading:
    """The bytes that a part of a run decodes to, and how to encode others in its place."""

    __slots__ = ("_run", "_start", "_stop", "data", "is_hex")

    def __init__(self, run: str, start: int, stop: int, data: bytes, *, is_hex: bool) -> None:
        self._run, self._start, self._stop = run, start, stop
        self.data = data
        self.is_hex = is_hex

    def replaced_by(self, data: bytes) -> str:
        """The run with `data` encoded in place of the bytes that were read."""
        old = self._run[self._start : self._stop]
        if self.is_hex:
            new = data.hex() if old == old.lower() else data.hex().upper()
        else:
            url = "-" in old or "_" in old
            new = (base64.urlsafe_b64encode if url else base64.b64encode)(data).decode()
            # Padding is left out if the length or base64url shows that there was none.
            if not old.endswith("=") and (url or len(old) % 4):
                new = new.rstrip("=")
            line = old.partition("\n")[0]
            if line != old:
                end = "\r\n" if line.endswith("\r") else "\n"
                width = len(line.rstrip("\r"))
                new = end.join(new[at : at + width] for at in range(0, len(new), width))
        return self._run[: self._start] + new + self._run[self._stop :]


def readings(run: str) -> Iterator[Reading]:
    """What a run (with the "=" after it) could decode to: base64 at each of four alignments,
    hexadecimal digits at each of two.
    """
    for digits in _HEX.finditer(run):
        for start in (digits.start(), digits.start() + 1):
            stop = digits.end() - (digits.end() - start) % 2
            yield Reading(run, start, stop, bytes.fromhex(run[start:stop]), is_hex=True)
    plain = run.encode().translate(_TO_STANDARD, b"\r\n=")
    broken = "\n" in run
    for skip in range(4):
        if skip and broken:
            return
        cut = plain[skip:]
        # A single remaining letter holds no byte and stays.
        over = 1 if len(cut) % 4 == 1 else 0
        whole = cut[: len(cut) - over]
        if not whole:
            return
        data = base64.b64decode(whole + b"=" * (-len(whole) % 4))
        yield Reading(run, skip, len(run) - over, data, is_hex=False)


# ------------------------------------------------------------------ UTF-16 and UTF-32

# At least eight letters with zeros beside each; a byte that is not UTF-8 is a lone surrogate.
_LETTER: Final = "[\t\n\r -~\x80-\xff\udc80-\udcff]"
_WIDE: Final = re.compile(f"(?:{_LETTER}\0){{8,}}+[^\0]?|(?:{_LETTER}\0\0\0){{8,}}+[^\0]?")
_NARROW: Final = {0xDC00 + octet: octet for octet in range(0x80, 0x100)}


class WideText(NamedTuple):
    """A text in UTF-16 or UTF-32 within another: where it begins there, what it says, and how many
    characters there each of its own takes.
    """

    start: int
    plain: str
    width: int


def wide_texts(text: str) -> Iterator[WideText]:
    """Where a text holds others in UTF-16 or UTF-32, in order.

    In the other byte order one begins later: "\\0s\\0k" holds "sk" from 1 on.
    """
    if "\0" not in text:
        return
    for match in _WIDE.finditer(text):
        width = 4 if match[0].startswith("\0\0\0", 1) else 2
        yield WideText(match.start(), match[0].replace("\0", "").translate(_NARROW), width)


# ------------------------------------------------------------------ compressed data

# Two bytes occur by chance, so zlib only counts at the start of the data or of a multipart part.
_BEGINNING: Final = re.compile(
    rb"(?P<gzip>\x1f\x8b\x08)|(?P<zstd>\x28\xb5\x2f\xfd)"
    rb"|(?P<zlib>(?:\A|(?<=\n\r\n)|(?<=\n\n))\x78[\x01\x5e\x9c\xda])"
)
# Brotli (RFC 7932) has no mark: a multipart part says in its headers that it is.
_BROTLI_PART: Final = re.compile(
    rb"content-encoding:[ \t]*br[ \t]*\r?\n(?:[^\r\n]{1,1000}\r?\n){0,20}\r?\n", re.IGNORECASE
)
_PART_MAY_END: Final = re.compile(rb"\r?\n--")
_PROBE: Final = 1024
_STEP: Final = 512  # of zstd, whose smallest block of four bytes may decode to 128 KiB


class Packed(NamedTuple):
    """Compressed data within bytes: where it is, its content, and its format."""

    start: int
    end: int
    plain: bytes
    format: str

    def packed_again(self, plain: bytes) -> bytes:
        """Compress other bytes in the same format; equal bytes give equal bytes."""
        if self.format == "brotli":
            return bytes(brotli.compress(plain))
        if self.format == "zstd":
            return zstandard.ZstdCompressor().compress(plain)
        window = zlib.MAX_WBITS | (16 if self.format == "gzip" else 0)
        deflate = zlib.compressobj(wbits=window)
        return deflate.compress(plain) + deflate.flush()


def may_be_packed(data: bytes) -> bool:
    """Whether `data` has the start of gzip (RFC 1952), zstd (RFC 8878) or zlib (RFC 1950), or a
    multipart part in brotli.
    """
    # Finding constants is quick; the pattern alone looks at each byte in turn.
    return (
        b"\x1f\x8b\x08" in data
        or b"\x28\xb5\x2f\xfd" in data
        or ((data.startswith(b"x") or b"\nx" in data) and _BEGINNING.search(data) is not None)
        or _brotli_part(data) is not None
    )


def packed(data: bytes) -> Iterator[Packed]:
    """The compressed data in `data`, wherever it begins: a whole body, a part of a multipart one,
    a member of an archive. Raises OverflowError beyond `MAX_DECODED` bytes.
    """
    at = 0
    part = _brotli_part(data)
    while True:
        match = _BEGINNING.search(data, at)
        # Each is searched for once: thousands of marks must not take thousands of looks.
        if part is not None and part.end() < at:
            part = _BROTLI_PART.search(data, at)
        if part is not None and (match is None or part.end() <= match.start()):
            start, name = part.end(), "brotli"
        elif match is not None:
            start, name = match.start(), match.lastgroup or ""
        else:
            return
        unpacked = _UNPACKERS.get(name, _inflated)(data, start)
        if unpacked is None or not (plain := unpacked[0]):
            at = start + 1
            continue
        at = unpacked[1]
        yield Packed(start, at, plain, name)


def _brotli_part(data: bytes) -> re.Match[bytes] | None:
    """The headers of the first multipart part that is in brotli."""
    # Finding a constant is quick.
    return _BROTLI_PART.search(data) if b"content-encoding:" in data.lower() else None


def _unbrotli(data: bytes, start: int) -> tuple[bytes, int] | None:
    """The content of a multipart part in brotli from `start` on, and where it ends."""
    machine = decoder(["br"], MAX_DECODED)
    parts: list[bytes] = []
    done = start
    ends = (match.start() for match in _PART_MAY_END.finditer(data, start))
    for end in (*ends, len(data)):
        try:
            parts.append(machine.decode(data[done:end]))
        except TooLarge:
            raise OverflowError from None
        except ValueError:
            return None
        done = end
        with suppress(ValueError):  # it goes on: what looks like a boundary is its data
            machine.flush()
            return b"".join(parts), end
    return None


def _inflated(data: bytes, start: int) -> tuple[bytes, int] | None:
    """The content of gzip or zlib from `start` on, and where it ends."""
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
    end = min(start + _PROBE, len(data))
    try:
        plain = inflate.decompress(data[start:end], MAX_DECODED + 1)
        if not plain:
            return None  # so that a text full of starts takes linear time
        if not inflate.eof and len(plain) <= MAX_DECODED:
            plain += inflate.decompress(memoryview(data)[end:], MAX_DECODED + 1 - len(plain))
            end = len(data)
    except zlib.error:
        return None
    if len(plain) > MAX_DECODED:
        raise OverflowError
    return plain, end - len(inflate.unused_data)


def _unzstd(data: bytes, start: int) -> tuple[bytes, int] | None:
    machine = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
    parts: list[bytes] = []
    size = 0
    for at in range(start, len(data), _STEP):
        try:
            parts.append(machine.decompress(data[at : at + _STEP]))
        except zstandard.ZstdError:
            return None
        size += len(parts[-1])
        if size > MAX_DECODED:
            raise OverflowError
        if machine.eof:
            end = min(at + _STEP, len(data)) - len(machine.unused_data)
            return b"".join(parts), end
    return b"".join(parts), len(data)


_UNPACKERS: Final = {"zstd": _unzstd, "brotli": _unbrotli}

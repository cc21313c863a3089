"""Read and write server-sent events without losing a byte (WHATWG HTML, section 9.2).

`EventSplitter` cuts a stream into blocks at the blank lines that end events; the blocks joined are
the stream. `parse` reads a block's fields and `encode` writes them. A recording stores an event's
fields if `encode` gives the block back, and the block itself if not (comments, odd spacing, mixed
line ends).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import Final

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
# Atomic groups: a CRLF is one line end, never a CR and then an LF.
_BLANK: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
BOM: Final = b"\xef\xbb\xbf"
_PLAIN: Final = re.compile(
    rb"(?:event: ([^\r\n]*)\n)?(?:id: ([^\r\n]*)\n)?(?:retry: ([^\r\n]*)\n)?data: ([^\r\n]*)\n\n"
)


class EventSplitter:
    """Cuts a stream of bytes into event blocks, wherever the reads begin and end.

    A block runs to the end of the blank line that dispatches it, so it ends in one of the nine
    pairs of LF, CR and CRLF. Blank lines that dispatch nothing are blocks of their own.

    >>> splitter = EventSplitter()
    >>> splitter.feed(b"data: 1\\n\\ndata: ")
    [b'data: 1\\n\\n']
    >>> splitter.feed(b"2\\n\\ndata: [DO"), splitter.close()
    ([b'data: 2\\n\\n'], [b'data: [DO'])
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._has_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take one read; give the blocks it completes, in order."""
        is_one = not self._buffer and data.find(b"\n\n") == len(data) - 2 > 0
        if is_one and data[0] != 0x0A and b"\r" not in data and not self._has_cr:
            return [data]  # as most servers write
        self._buffer += data
        # Look at each read alone: an event may take thousands of them.
        self._has_cr = self._has_cr or b"\r" in data
        return self._cut(final=False)

    def close(self) -> list[bytes]:
        """End the stream; give the remaining blocks, then what no blank line ended."""
        blocks = self._cut(final=True)
        if self._buffer:
            blocks.append(bytes(self._buffer))
            self._buffer.clear()
        return blocks

    def _cut(self, *, final: bool) -> list[bytes]:
        if not self._has_cr:
            return self._cut_at_lf()
        blocks = []
        start = 0
        while True:
            lead = _LINE_END.match(self._buffer, start)
            match = lead or _BLANK.search(self._buffer, max(start, self._searched))
            if match is None:
                break
            end = match.end()
            # A CR at the end of the buffer may be half of a CRLF.
            if end == len(self._buffer) and self._buffer[end - 1] == 0x0D and not final:
                break
            blocks.append(bytes(self._buffer[start:end]))
            start = self._searched = end
        del self._buffer[:start]
        self._searched = max(0, len(self._buffer) - 3)
        self._has_cr = b"\r" in self._buffer if blocks else True
        return blocks

    def _cut_at_lf(self) -> list[bytes]:
        """Cut a stream whose lines all end in LF, as in nearly all streams."""
        blocks = []
        start = 0
        while True:
            if self._buffer.startswith(b"\n", start):
                end = start + 1
            else:
                end = self._buffer.find(b"\n\n", max(start, self._searched)) + 2
                if end < 2:
                    break
            blocks.append(bytes(self._buffer[start:end]))
            start = self._searched = end
        del self._buffer[:start]
        self._searched = max(0, len(self._buffer) - 1)
        return blocks


def plain_blocks(reads: Sequence[bytes], most: int) -> Sequence[bytes] | None:
    """Cut a whole stream into the blocks that `EventSplitter` gives, in less time: the reads
    themselves if each is a block. None where lines end in CR, blank lines are blocks of their own,
    or there are `most` ends of blocks.

    >>> plain_blocks([b"data: 1\\n\\nda", b"ta: [DO"], 9)
    [b'data: 1\\n\\n', b'data: [DO']
    """
    stream = b"".join(reads)
    if b"\r" in stream or b"\n\n\n" in stream or stream.startswith(b"\n"):
        return None
    ends = stream.count(b"\n\n")
    if ends >= most:
        return None
    if ends == len(reads) and all(map(_ends_a_block, reads)):
        return reads
    *blocks, rest = stream.split(b"\n\n")
    blocks = [block + b"\n\n" for block in blocks]
    return [*blocks, rest] if rest else blocks


_ends_a_block: Final = methodcaller("endswith", b"\n\n")


@dataclass(frozen=True, slots=True)
class Event:
    """The fields of an event block as they are on the wire; None if a field is absent."""

    data: str | None = None
    event: str | None = None
    id: str | None = None
    retry: str | None = None


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a stream spells its events: the line end, and whether a space follows the colon."""

    line_end: str = "\n"
    space: bool = True


def parse(block: bytes) -> Event | None:
    """Read a block's fields; None if it has no field or is not UTF-8.

    Several data lines are joined by "\\n", as section 9.2.6 says; comments and unknown fields are
    ignored.

    >>> parse(b": ping\\nevent: done\\ndata: a\\ndata: b\\n\\n")
    Event(data='a\\nb', event='done', id=None, retry=None)
    """
    try:
        text = block.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError:
        return None
    data: list[str] = []
    fields: dict[str, str] = {}
    for line in re.split("\r\n|\n|\r", text) if "\r" in text else text.split("\n"):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name in ("event", "id", "retry"):
            fields[name] = value
    if not data and not fields:
        return None
    return Event(data="\n".join(data) if data else None, **fields)


type Fields = tuple[str | None, str | None, str | None, str | None]
"""Event, id, retry and data of a block; None where it has no such field."""


def plain_fields(block: bytes) -> Fields | None:
    """Read the fields of a block as nearly all are: in LF, with a space after each colon, one line
    of data after the others. `encode` gives it back. None for any other.

    >>> plain_fields(b"event: done\\ndata: hi\\n\\n")
    ('done', None, None, 'hi')
    """
    match = _PLAIN.fullmatch(block)
    if match is None:
        return None
    try:
        event, id_, retry, data = match.groups()
        if event is None and id_ is None and retry is None:
            return None, None, None, data.decode()
        return _decoded(event), _decoded(id_), _decoded(retry), data.decode()
    except UnicodeDecodeError:
        return None


def data_alone(blocks: Sequence[bytes]) -> list[str] | None:
    """The data of blocks that are all one line of data as `plain_fields` reads it, in less time;
    None if one is not.

    >>> data_alone([b"data: hi\\n\\n", b"data: \\n\\n"]), data_alone([b"id: 1\\ndata: hi\\n\\n"])
    (['hi', ''], None)
    """
    stream = b"".join(blocks)
    if (
        not stream.startswith(b"data: ")
        or b"\r" in stream
        or not all(map(_ends_a_block, blocks))
        or stream.count(b"\n") != 2 * len(blocks)
    ):
        return None
    # All line ends are the blocks' own, so between any two blocks are two.
    try:
        data = stream[6:-2].decode().split("\n\ndata: ")
    except UnicodeDecodeError:
        return None
    return data if len(data) == len(blocks) else None


def _decoded(field: bytes | None) -> str | None:
    return None if field is None else field.decode()


def spelling(block: bytes) -> Spelling:
    """How a block is spelled, by its first line end and its first colon."""
    end = _LINE_END.search(block)
    colon = block.find(b":")
    return Spelling(
        line_end=end[0].decode() if end else "\n",
        space=colon < 0 or block[colon + 1 : colon + 2] == b" ",
    )


def encode(event: Event, style: Spelling = Spelling()) -> bytes:
    """Write an event block: event, id, retry, a data line for each line, then the blank line.

    >>> encode(Event(data="hi", event="done"))
    b'event: done\\ndata: hi\\n\\n'
    """
    colon = ": " if style.space else ":"
    lines = [
        name + colon + value
        for name, value in (("event", event.event), ("id", event.id), ("retry", event.retry))
        if value is not None
    ]
    if event.data is not None:
        lines += ["data" + colon + line for line in event.data.split("\n")]
    return (style.line_end.join([*lines, "", ""])).encode("utf-8", "surrogatepass")

"""What an answer is, where its content type does not say or says what is not so.

Some servers send event streams as JSON, a JSON error as an event stream, or JSON lines with no
content type at all. Clients that know their provider read them; so a recording has their events and
lines as chunks, too.
"""

import json
import re
from collections.abc import Sequence
from typing import Final

from wiretape.core.model import Framing

from .content_coding import is_json

type Reads = Sequence[tuple[bytes, float]]

_HEAD: Final = 1024 * 1024
"""What is looked at: by then an answer has shown what it is."""

# A byte order mark, comments and other fields, then an event's data or its type.
_EVENTS: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:(?:(?:|id|retry):[^\r\n]*+)?(?:\r\n|\n|\r))*+"
    rb"(?:data|event):[^\r\n]*+[\r\n]"
)
_LINES: Final = 100
"""How many lines are looked at."""
_UNTOLD: Final = frozenset(("", "application/octet-stream", "binary/octet-stream", "text/plain"))


def sniffed(told: Framing, media: str, reads: Reads, *, sized: bool = False) -> Framing:
    """How a body's chunks are told apart, given what its headers say (`told`, and its media type)
    and its reads with the content coding undone.

    Lines whose length was known before the first was sent (`sized`) are a file's, not a stream's.
    """
    if told == "sse":
        return "whole" if _is_one_value(reads) else told
    if told in ("whole", "reads") and (is_json(media) or media in _UNTOLD):
        head = _head(reads)
        if _EVENTS.match(head):
            return "sse"
        if not sized and _is_lines(head):
            return "ndjson"
    return told


def _head(reads: Reads) -> bytes:
    head = bytearray()
    for data, _ in reads:
        head += data[:_HEAD]
        if len(head) >= _HEAD:
            break
    return bytes(head[:_HEAD])


def _is_one_value(reads: Reads) -> bool:
    """Whether a body is an object or list of JSON, as errors are."""
    if not _opens(_head(reads)):
        return False
    return _parses(b"".join(data for data, _ in reads))


def _is_lines(head: bytes) -> bool:
    """Whether there are several lines, each an object or list of JSON; the last may be cut."""
    *lines, last = [line for line in head.split(b"\n", _LINES) if line.strip()] or [b""]
    return bool(lines) and _opens(last) and all(_opens(line) and _parses(line) for line in lines)


def _opens(line: bytes) -> bool:
    return line.lstrip()[:1] in (b"{", b"[")


def _parses(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True

"""How a body is divided into chunks: by its content type, or by its content if that is wrong.

Some servers send event streams as JSON, a JSON error as an event stream, or JSON lines without a
content type. Clients that know their provider read them all the same, so a recording has their
events and lines as chunks, too.
"""

import json
import re
from collections.abc import Sequence
from typing import Final

from wiretape.core.model import Framing, Headers, header

FORM: Final = "application/x-www-form-urlencoded"
FRAMES: Final = "application/vnd.amazon.eventstream"

type Reads = Sequence[tuple[bytes, float]]


def media_type(headers: Headers) -> str:
    """The content type without its parameters, in lower case; "" without a content type."""
    return (header(headers, "content-type") or "").partition(";")[0].strip().lower()


_BOMS: Final = (
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
_CHARSETS: Final = {
    # RFC 2781, section 4.3: UTF-16 without a byte order mark is big-endian.
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
    """The encoding of a body's text, by its byte order mark or its content type; None for UTF-8
    and for an encoding that is missing or unknown.
    """
    for mark, name in _BOMS:
        if body.startswith(mark):
            return name
    match = _CHARSET.search(header(headers, "content-type") or "")
    name = match[1].lower() if match else ""
    if name == "utf-16" and body[1:2] == b"\0":
        return "utf-16-le"  # ASCII begins so, whatever the RFC says
    return _CHARSETS.get(name)


def is_json(media: str) -> bool:
    """Whether a media type is JSON: application/json or one in +json (RFC 6839)."""
    return media == "application/json" or media.endswith("+json")


def is_text(media: str) -> bool:
    """Whether a media type is text of any kind but JSON."""
    return media.startswith("text/") or media in (
        FORM,
        "application/xml",
        "application/javascript",
    )


_JSON_LINES: Final = frozenset(
    f"application/{name}" for name in ("x-ndjson", "ndjson", "jsonl", "jsonlines", "json-lines")
)


def declared_framing(headers: Headers, path: str = "") -> Framing:
    """How an answer's headers say that its body is divided, and for Gemini's JSON streams its path.

    >>> declared_framing((("content-type", "text/event-stream; charset=utf-8"),))
    'sse'
    """
    media = media_type(headers)
    if media == "text/event-stream":
        return "sse"
    if media in _JSON_LINES:
        return "ndjson"
    if media == FRAMES:
        return "frames"
    if path.endswith(":streamGenerateContent"):
        return "reads"
    if header(headers, "content-length") is not None or is_json(media) or is_text(media):
        return "whole"
    return "reads"


_HEAD: Final = 1024 * 1024
"""How many bytes are looked at."""

# A byte order mark, comments and other fields, then an event's data or its type.
_EVENTS: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:(?:(?:|id|retry):[^\r\n]*+)?(?:\r\n|\n|\r))*+"
    rb"(?:data|event):[^\r\n]*+[\r\n]"
)
_LINES: Final = 100
"""How many lines are looked at."""
_UNSPECIFIC: Final = frozenset(
    ("", "application/octet-stream", "binary/octet-stream", "text/plain")
)


def actual_framing(declared: Framing, media: str, reads: Reads, *, sized: bool = False) -> Framing:
    """How a body is divided, given what its headers declare, its media type and its decoded reads.

    JSON lines whose total length was sent ahead (`sized`) are a file, not a stream.

    >>> actual_framing("whole", "application/json", [(b'data: {"id": 1}\\n\\n', 0.1)])
    'sse'
    """
    if declared == "sse":
        return "whole" if _is_json_value(reads) else declared
    if declared in ("whole", "reads") and (is_json(media) or media in _UNSPECIFIC):
        head = _head(reads)
        if _EVENTS.match(head):
            return "sse"
        if not sized and _is_lines(head):
            return "ndjson"
    return declared


def _head(reads: Reads) -> bytes:
    head = bytearray()
    for data, _ in reads:
        head += data[:_HEAD]
        if len(head) >= _HEAD:
            break
    return bytes(head[:_HEAD])


def _is_json_value(reads: Reads) -> bool:
    """Whether a body is a JSON object or list, as errors are."""
    if not _opens(_head(reads)):
        return False
    return _parses(b"".join(data for data, _ in reads))


def _is_lines(head: bytes) -> bool:
    """Whether there are several lines, each a JSON object or list; the last may be incomplete."""
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

"""Read and write AWS event streams (`application/vnd.amazon.eventstream`).

Their frames have typed headers, a payload and two checksums. `FrameSplitter` cuts a stream into
frames; the frames joined are the stream. `decode` reads a frame and `encode` writes one, with
smithy-aws-event-stream, which is imported when first used.
Source: https://smithy.io/2.0/aws/amazon-eventstream.html
"""

import base64
import struct
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

type HeaderValue = str | bool | Mapping[str, str | int]
"""A header's value: text and booleans as they are, other types as an object that names the type:
{"byte": 1}, {"short": 1}, {"integer": 1}, {"long": 1}, {"bytes": base64}, {"timestamp": ms since
1970}, {"uuid": "…"}.
"""

_PRELUDE: Final = struct.Struct("!III")
_SMALLEST: Final = 16
_MAX_HEADERS: Final = 128 * 1024
_MAX_FRAME: Final = 24 * 1024 * 1024 + _MAX_HEADERS + _SMALLEST
"""AWS's own SDKs read payloads up to 24 MiB."""


class FrameSplitter:
    """Cuts a stream of bytes into frames, wherever the reads begin and end.

    After 12 bytes that are not a valid start of a frame nothing says where the next one begins:
    from there on it gives each read as it came.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lost = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take one read; give the frames it completes, in order."""
        self._buffer += data
        frames = []
        start = 0
        while not self._lost and len(self._buffer) - start >= _PRELUDE.size:
            total, headers, checksum = _PRELUDE.unpack_from(self._buffer, start)
            prelude = bytes(self._buffer[start : start + 8])
            if (
                zlib.crc32(prelude) != checksum
                or not _SMALLEST <= total <= _MAX_FRAME
                or headers > total - _SMALLEST
            ):
                self._lost = True
            elif len(self._buffer) - start < total:
                break
            else:
                frames.append(bytes(self._buffer[start : start + total]))
                start += total
        del self._buffer[:start]
        return frames + self.close() if self._lost else frames

    def close(self) -> list[bytes]:
        """End the stream; give what is left of it."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return [rest] if rest else []


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame's headers in their order, and its payload."""

    headers: Mapping[str, HeaderValue] = field(repr=False)
    payload: bytes = field(default=b"", repr=False)


def decode(data: bytes) -> Frame | None:
    """Read a frame; None if `encode` would not give the same bytes: a wrong checksum, a duplicate
    header, more than a frame.
    """
    from smithy_aws_event_stream.events import Event
    from smithy_core.exceptions import SmithyError

    source = _Source(data)
    try:
        event = Event.decode(source)
    except (SmithyError, struct.error, KeyError, ValueError, OverflowError, OSError):
        return None
    if event is None:
        return None
    frame = Frame(
        {name: _value(value) for name, value in event.message.headers.items()},
        event.message.payload,
    )
    try:
        return frame if encode(frame) == data else None
    except ValueError:
        return None


def encode(frame: Frame) -> bytes:
    """Write a frame with its checksums.

    Raises ValueError, without quoting the frame, if it cannot be written.
    """
    from smithy_aws_event_stream.events import EventMessage
    from smithy_core.exceptions import SmithyError

    headers = {name: _typed(value) for name, value in frame.headers.items()}
    try:
        return EventMessage(headers=headers, payload=frame.payload).encode()
    except (SmithyError, struct.error, OverflowError, OSError, UnicodeEncodeError):
        raise ValueError(
            "not a frame of an event stream: too large, or a header out of range"
        ) from None


class _Source:
    """A reader of bytes that gives nothing for a negative length."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        start = self._at
        self._at = min(len(self._data), start + max(size, 0))
        return self._data[start : self._at]


def _value(value: Any) -> HeaderValue:
    from smithy_aws_event_stream.events import Byte, Long, Short

    match value:
        case str() | bool():
            return value
        case bytes():
            return {"bytes": base64.b64encode(value).decode()}
        case uuid.UUID():
            return {"uuid": str(value)}
        case Byte():
            return {"byte": int(value)}
        case Short():
            return {"short": int(value)}
        case Long():
            return {"long": int(value)}
        case int():
            return {"integer": value}
    # The one type left: the library's timestamps are datetimes.
    return {"timestamp": round(value.timestamp() * 1000)}


def _typed(value: Any) -> Any:
    """A header's value in the library's type; raises ValueError if it is invalid."""
    from smithy_aws_event_stream.events import Byte, Long, Short
    from smithy_core.types import TimestampFormat

    if isinstance(value, (str, bool)):
        return value
    match value:
        case {"bytes": str(text), **rest} if not rest:
            return base64.b64decode(text.encode(), validate=True)
        case {"uuid": str(text), **rest} if not rest:
            return uuid.UUID(text)
        case {"timestamp": int(number), **rest} if not rest:
            try:
                return TimestampFormat.EPOCH_SECONDS.deserialize(number / 1000)
            except (OverflowError, OSError):
                raise ValueError("a timestamp out of range") from None
        case {"byte": int(number), **rest} if not rest:
            return Byte(number)
        case {"short": int(number), **rest} if not rest:
            return Short(number)
        case {"integer": int(number), **rest} if not rest:
            return int(number)
        case {"long": int(number), **rest} if not rest:
            return Long(number)
    raise ValueError("a header that is neither text nor a boolean nor a value with its type")


def base64_bytes(text: str) -> bytes:
    """Decode base64; raises ValueError if it is invalid."""
    return base64.b64decode(text.encode(), validate=True)

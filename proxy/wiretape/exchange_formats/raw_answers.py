"""Answers alone: what `curl -i` prints, and the text of an event stream.

Neither holds its request: the caller says which it was.
"""

import re
from typing import BinaryIO, Final

from wiretape.core.errors import FormatError
from wiretape.core.model import Request

from .foreign import (
    ForeignExchange,
    ForeignItems,
    LeftOut,
    NotCarriedOver,
    answered_at,
    checked_headers,
    final_status,
)

_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE: Final = re.compile(r"HTTP/[0-9.]+ ([0-9]{3})(?: .*)?")
_PASSING: Final = re.compile(rb"HTTP/[0-9.]+ (?:1[0-9]{2}|200 [Cc]onnection)")

_NEEDS_REQUEST: Final = (
    "it holds an answer alone: give its request with --url and, for the body, --request-body FILE"
)


def read_curl(file: BinaryIO, hint: Request | None = None) -> ForeignItems:
    """The last answer of what `curl -i` printed, with what came before it left out: interim
    answers (100, 103) and that of a proxy.
    """
    if hint is None:
        raise FormatError(_NEEDS_REQUEST)
    data = file.read()
    while True:
        end = _HEAD_END.search(data)
        head, data = (data, b"") if end is None else (data[: end.start()], data[end.end() :])
        if not (_PASSING.match(head) and data.startswith(b"HTTP/")):
            break
    first, *lines = head.decode("utf-8", "surrogateescape").splitlines()
    status = _STATUS_LINE.fullmatch(first)
    if status is None:
        raise FormatError("expected what `curl -i` prints, beginning with a status line")
    try:
        headers = checked_headers(
            (name.strip(), value) for name, _, value in (line.partition(":") for line in lines)
        )
        yield ForeignExchange(
            where="#1",
            request=hint,
            status=final_status(status[1]),
            headers=headers,
            body=data,
            recorded_at=answered_at(headers),
        )
    except NotCarriedOver as error:
        yield LeftOut("#1", str(error))


def read_events(file: BinaryIO, hint: Request | None = None) -> ForeignItems:
    """The text of an event stream as a 200 of type text/event-stream (WHATWG HTML, section 9.2)."""
    if hint is None:
        raise FormatError(_NEEDS_REQUEST)
    headers = (("content-type", "text/event-stream"),)
    yield ForeignExchange(where="#1", request=hint, status=200, headers=headers, body=file.read())

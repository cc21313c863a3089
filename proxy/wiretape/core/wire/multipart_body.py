"""Parse multipart bodies of any kind (RFC 2046, section 5.1), as leniently as servers do.

Form data is one kind; a resumable upload sends `multipart/related`, a batch `multipart/mixed`, and
a part may itself be multipart. Line ends may be LF, a part may lack headers; text before the first
boundary and after the last is ignored.
"""

import re
from typing import NamedTuple

import multipart  # type: ignore[import-untyped]  # it ships no types

MOST_PARTS = 10_000
"""The most parts; a body with more is compared by its bytes."""


class BodyPart(NamedTuple):
    """One part: its headers in order, names in lower case, and its content."""

    headers: tuple[tuple[str, str], ...]
    content: bytes

    def header(self, name: str) -> str:
        """The first header of a name in lower case, or ""."""
        return next((value for key, value in self.headers if key == name), "")


def boundary_of(content_type: str) -> str | None:
    """The boundary that a content type names; None if it is not multipart.

    >>> boundary_of('multipart/related; type="text/xml"; boundary="a b"')
    'a b'
    """
    media, parameters = multipart.parse_options_header(content_type)
    boundary = parameters.get("boundary")
    return str(boundary) if media.startswith("multipart/") and boundary else None


def parts_of(body: bytes, boundary: str) -> list[BodyPart] | None:
    """The parts of a body in order; None if it does not contain the boundary.

    >>> [part.content for part in parts_of(b"--b\\n\\nhi\\n--b--", "b")]
    [b'hi']
    """
    # A delimiter begins a line; white space may follow it (RFC 2046, section 5.1.1).
    line = re.compile(
        rb"(?:\A|\r?\n)--"
        + re.escape(boundary.encode("utf-8", "surrogateescape"))
        + rb"(--)?[ \t]*(?=\r?\n|\Z)"
    )
    parts = []
    start: int | None = None
    for delimiter in line.finditer(body):
        if start is not None:
            parts.append(_part(body[start : delimiter.start()]))
            if len(parts) > MOST_PARTS:
                return None
        start = delimiter.end()
        if delimiter[1]:
            return parts
    if start is not None:
        # Without a final delimiter, as in a truncated body, the last part runs to the end.
        parts.append(_part(body[start:]))
    return parts or None


_HEADERS_END = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]+")


def _part(data: bytes) -> BodyPart:
    # `data` begins with the end of the delimiter's line.
    end = _HEADERS_END.search(data)
    head, content = (data[: end.start()], data[end.end() :]) if end else (data, b"")
    text = _FOLD.sub(" ", head.decode("utf-8", "surrogateescape"))
    headers = []
    for row in text.splitlines():
        name, colon, value = row.partition(":")
        if colon:
            headers.append((name.strip().lower(), value.strip()))
    return BodyPart(tuple(headers), content)

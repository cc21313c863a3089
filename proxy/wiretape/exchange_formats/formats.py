"""The formats that are read, and which of them a file has, by how it begins."""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, cast

from wiretape.core.errors import FormatError
from wiretape.core.model import Request

from . import cassettes, har, raw_answers, stored
from .foreign import ForeignItems

type Reader = Callable[[BinaryIO, Request | None], ForeignItems]

_HEAD_BYTES: Final = 64 * 1024
_FLOWS: Final = re.compile(rb"[0-9]{1,12}:[0-9]{1,12}:")
_EVENTS: Final = re.compile(rb"(?::|data:|event:|id:|retry:)")
_CASSETTE: Final = re.compile(
    rb"^(?:interactions|http_interactions|requests|when|version) *:", re.MULTILINE
)
_GZIP: Final = b"\x1f\x8b"


def _read_flows(file: BinaryIO, hint: Request | None) -> ForeignItems:
    # Only who has such a file needs mitmproxy, which takes half a second to import.
    from wiretape_mitm.flow_file import read

    return read(file, hint)


READERS: Final[dict[str, Reader]] = {
    "vcr": cassettes.read,
    "har": har.read,
    "flows": _read_flows,
    "llama-stack": stored.read,
    "curl": raw_answers.read_curl,
    "sse": raw_answers.read_events,
}
"""By what `--from` calls them."""


@contextmanager
def unpacked(file: BinaryIO) -> Iterator[BinaryIO]:
    """A file from its beginning, without the gzip that it may be in.

    FormatError where that breaks.
    """
    # A progress bar's reader cannot peek.
    packed = file.read(2) == _GZIP
    file.seek(0)
    try:
        yield cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
    except (gzip.BadGzipFile, zlib.error, EOFError):
        raise FormatError("its gzip data is broken or cut off") from None


def format_of(file: BinaryIO) -> str:
    """The name of a file's format; it is read from its beginning again afterwards.

    FormatError where it begins like none of them.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text.startswith(b"{"):
        return _of_text(head, text)
    if re.search(rb'"log"\s*:\s*\{', text):
        return "har"
    if re.search(rb'"(?:interactions|http_interactions)"\s*:', text):
        return "vcr"
    if (b'"request"' in text and b'"response"' in text) or _has_request(file):
        return "llama-stack"
    raise _unknown()


def _of_text(head: bytes, text: bytes) -> str:
    if text.startswith(b"HTTP/"):
        return "curl"
    if _FLOWS.match(head):
        return "flows"
    if _EVENTS.match(text):
        return "sse"
    if _CASSETTE.search(text):
        return "vcr"
    raise _unknown()


def _has_request(file: BinaryIO) -> bool:
    """Whether JSON that is too long to be known by its beginning has a request and an answer."""
    try:
        document = json.load(file)
    except (ValueError, RecursionError):
        return False
    finally:
        file.seek(0)
    return isinstance(document, dict) and {"request", "response"} <= document.keys()


def _unknown() -> FormatError:
    return FormatError(
        f"begins like none of the formats that are read: name it with --from ({', '.join(READERS)})"
    )

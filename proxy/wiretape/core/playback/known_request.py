"""Know a live request again by its bytes: the short way to a recorded request's key.

The long way parses a request, redacts it and makes its canonical form. All of that is a function of
what is recorded of it (method, URL, the headers that are kept, body) and of the values that are
secret. So where the bytes are those of a recorded request, its key is that request's, provided that

- the recording holds nothing that was redacted, and is exactly what its bytes give when they are
  read (`document_digest` checks both, when a recording is indexed), and
- no secret value of the live request is in it (`is_free_of`). In a recording that hides nothing in
  another encoding (`_hides_nothing`) that is one look for the values as they are.

Whatever is in doubt has no digest, and goes the long way.
"""

import binascii
import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Final, NamedTuple

from wiretape.core.errors import FormatError
from wiretape.core.model import Headers, Request
from wiretape.core.recording.document import Document, from_request, to_request
from wiretape.core.redaction import encodings, token_ids
from wiretape.core.redaction.known_values import Secrets
from wiretape.core.redaction.placeholder import SHORT, may_be_in
from wiretape.core.text import exact_json


class KnownRequest(NamedTuple):
    """What the long way makes of the requests with a digest: the key, the texts where ids are
    expected, the model, and the names of the rules that found something.
    """

    key: str
    request_ids: tuple[str, ...] = ()
    model: str | None = None
    rules: tuple[str, ...] = ()


def kept_headers(request: Request, is_kept: Callable[[str], bool]) -> Headers | None:
    """The headers that are recorded of a request, sorted, with their names in lower case; None for
    a request whose body has to be decoded.

    >>> request = Request("GET", "https", "h.example", 443, "/", headers=(("B", "1"), ("A", "2")))
    >>> kept_headers(request, lambda name: name == "a")
    (('a', '2'),)
    """
    headers = []
    for name, value in request.headers:
        lower = name.lower()
        if lower == "content-encoding":
            return None
        if is_kept(lower):
            headers.append((lower, value))
    # Stable: the order of one header's values counts.
    headers.sort(key=itemgetter(0))
    return tuple(headers)


def digest_of(request: Request, headers: Headers) -> bytes:
    """The digest of what is recorded of a request, `headers` of its headers."""
    state = digest_of_head(request, headers)
    state.update(request.body)
    return state.digest()


def digest_of_head(request: Request, headers: Headers) -> "hashlib.blake2b":
    """The state of `digest_of` without the body: `copy` it and `update` it with one."""
    head = ascii((request.method, request.url, headers))
    return hashlib.blake2b(head.encode() + b"\n", digest_size=16)


def document_digest(
    stored: Document, redacted: Document, read: Request | None = None
) -> bytes | None:
    """The digest of the live requests that a recording's `request` part stands for; None where
    their bytes do not tell. `redacted` is the part as a live one would be, `read` the request of
    `stored` where that was read already.
    """
    part = {name: value for name, value in redacted.items() if name != "ids"}
    if part.keys() & {"carried", "body_base64", "body_file"}:
        return None
    # Headers may be fewer: the answer's Vary names more to be recorded.
    if any(value is not stored.get(name) for name, value in part.items() if name != "headers"):
        return None
    headers = stored.get("headers", {})
    if any(headers.get(name) != value for name, value in part["headers"].items()):
        return None
    if read is not None and redacted is stored:
        request = read
    else:
        try:
            request = to_request(part)
        except (FormatError, UnicodeError):
            return None
    if from_request(request) != part or not _hides_nothing(part, request.body):
        return None
    recorded_headers = kept_headers(request, lambda name: True)
    return None if recorded_headers is None else digest_of(request, recorded_headers)


_ASCII_ESCAPED: Final = re.compile(rb"\\u00[2-7]|\\/")
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
# What a list of token ids becomes depends on the answers that the run has given.
_TOKEN_IDS: Final = re.compile(
    rf'\\*"(?:{"|".join(sorted(token_ids.LISTS))})\\*"\s*:\s*\[[\[\s]*\\*"?\d'
)
_LIST: Final = re.compile(r":\s*\[[\[\s]*\\*\"?\d")
"""Matches wherever `_TOKEN_IDS` does, and takes less time to be looked for."""
_RUN: Final = -(-4 * SHORT // 3)
"""As many letters of base64 as the shortest value takes that is searched for everywhere."""
_LINE: Final = 60
_SHORT_RUN: Final = 256
_HEX: Final = re.compile(rf"[0-9A-Fa-f]{{{2 * SHORT}}}")
# Visible characters, zeros and others: a value, itself or encoded once more, is a row of the first
# kind; in UTF-16 and UTF-32 there are zeros between.
_KINDS: Final = bytes(97 if 32 <= octet < 127 else 48 if octet == 0 else 32 for octet in range(256))
_STANDARD: Final = str.maketrans("-_", "+/")
_PADS: Final = ("", "AAA", "AA", "A")
_VISIBLE: Final = b"a" * SHORT
_WIDE: Final = (b"a0" * 8, b"a000" * 8)
_ZLIB: Final = re.compile(rb"(?:\0\0\0|\n)x[\x01\x5e\x9c\xda]")


def _hides_nothing(part: Document, body: bytes) -> bool:
    """Whether no value could be in a part but as it is: neither escaped, nor in base64, hexadecimal
    digits, UTF-16, UTF-32 or compressed data. True is certain.
    """
    json_text = exact_json.dumps(part, parsed=True)
    text = encodings.text_of_json(json_text)
    if text is None or may_be_in(json_text) or "\0" in text:
        return False
    if _PERCENT.search(text) or _ASCII_ESCAPED.search(body):
        return False
    if _LIST.search(json_text) and _TOKEN_IDS.search(json_text):
        return False
    for start, end in encodings.runs(text, _RUN):
        run = text[start:end]
        if len(run) >= _LINE and (text.startswith(("\n", "\r"), end) or "\n" in run):
            return False  # lines of base64, which decode together
        # Most are paths, models and media types, which nearly all requests of a folder have.
        hides = _run_hides_nothing if len(run) < _SHORT_RUN else _run_hides_nothing.__wrapped__
        if not hides(run):
            return False
    return True


@lru_cache(maxsize=4096)
def _run_hides_nothing(run: str) -> bool:
    """Whether nothing could be hidden in a run of letters of base64."""
    return not _HEX.search(run) and not _may_show(_decoded(run))


def _decoded(run: str) -> bytes:
    """What a run of base64 decodes to from each of four letters on, with zeros around each."""
    padded = [run[skip:] + _PADS[(len(run) - skip) % 4] for skip in range(4)]
    return binascii.a2b_base64(f"AAAA{'AAAA'.join(padded)}AAAA".translate(_STANDARD))


def _may_show(data: bytes) -> bool:
    """Whether decoded data could hold a value, encoded or not."""
    kinds = data.translate(_KINDS)
    if _VISIBLE in kinds or any(wide in kinds for wide in _WIDE):
        return True
    return b"\x1f\x8b\x08" in data or b"\x28\xb5\x2f\xfd" in data or bool(_ZLIB.search(data))


def text_of_head(request: Request, headers: Headers) -> str:
    """The text that is recorded of a request besides its body, `headers` of its headers."""
    return "\n".join((request.url, *(value for _, value in headers)))


def is_free_of(secrets: Secrets, head: str, body: bytes) -> bool:
    """Whether no secret is in what is recorded of a request whose digest is a recording's; True is
    certain. `head` is what `text_of_head` gives.
    """
    return not len(secrets) or (
        _are_visible(secrets)
        and not secrets.may_occur_in(head)
        and not secrets.may_occur_in(body.decode("utf-8", "replace"))
    )


@lru_cache(maxsize=256)
def _are_visible(secrets: Secrets) -> bool:
    """Whether values consist of characters that JSON writes as they are, or with a backslash."""
    return all(value.isascii() and value.isprintable() for _, value in secrets.values)

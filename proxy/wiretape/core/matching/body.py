"""Read what a request's body says, whatever its spelling: JSON by value, forms by field, multipart
by parts, text and binary by their bytes.
"""

import base64
import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import multipart  # type: ignore[import-untyped]  # it ships no types

from wiretape.core.recording.document import Document
from wiretape.core.text import exact_json
from wiretape.core.wire.framing import FORM, is_json
from wiretape.core.wire.multipart_body import BodyPart, boundary_of, parts_of

FORM_DATA: Final = "multipart/form-data"
_DEPTH: Final = 5
"""How many multipart bodies may stand in one another."""


def by_name(query: str, dropped: frozenset[str] = frozenset()) -> dict[str, list[Any]]:
    """Parameters by name: their order does not count, the order of one name's values does."""
    result: dict[str, list[Any]] = {}
    # Not "replace", which would make all bytes equal that are not UTF-8.
    for name, text in parse_qsl(query, keep_blank_values=True, errors="surrogateescape"):
        if name.lower() not in dropped:
            result.setdefault(name, []).append(text)
    return result


def body_of(request: Document, headers: Mapping[str, Any]) -> tuple[str, Any]:
    """A document's body as its kind (json, form, multipart, text, sha256; "" for none) and value,
    which shares nothing with the document; `headers` have lower-case names.
    """
    if "body" in request:
        return "json", plain_numbers(request["body"])
    content_type = headers.get("content-type", "")
    if isinstance(content_type, list):
        content_type = content_type[0] if content_type else ""
    media, parameters = multipart.parse_options_header(content_type)
    if "body_text" in request:
        text = request["body_text"]
        if is_json(media) or not media or (media == FORM and text[:1] in ("{", "[")):
            try:
                # JSON that no style gives back is still compared by value, unless a member is there
                # twice.
                if exact_json.unique_keys(text):
                    return "json", plain_numbers(exact_json.parse(text))
            except ValueError:
                pass
        if media == FORM:
            return "form", by_name(text)
        data = text.encode("utf-8", "surrogatepass")
    elif "body_base64" in request:
        text, data = None, base64.b64decode(request["body_base64"])
    elif "body_file" in request:
        # A side file is named by what the body's digest would be.
        return "sha256", request["body_file"].removesuffix(".bin")
    else:
        return "", None
    if media.startswith("multipart/") and parameters.get("boundary"):
        parts = _form_parts(data, parameters["boundary"]) if media == FORM_DATA else None
        parts = parts or _any_parts(data, parameters["boundary"])
        if parts is not None:
            return "multipart", parts
    return ("text", text) if text is not None else ("sha256", hashlib.sha256(data).hexdigest())


def _any_parts(data: bytes, boundary: str, depth: int = 0) -> list[Any] | None:
    """Read a multipart body of any kind by its parts: headers without boundaries and lengths,
    content or its digest, nested parts alike; None where it is not multipart.
    """
    parts = parts_of(data, boundary)
    if parts is None:
        return None
    return [_any_part(part, depth) for part in parts]


def _any_part(part: BodyPart, depth: int) -> dict[str, Any]:
    kind = part.header("content-type")
    inner = boundary_of(kind) if depth < _DEPTH else None
    within = None if inner is None else _any_parts(part.content, inner, depth + 1)
    headers = [
        [name, value.partition(";")[0] if within is not None and name == "content-type" else value]
        for name, value in part.headers
        if name != "content-length"
    ]
    facts: dict[str, Any] = {"headers": sorted(headers)} if headers else {}
    return {**facts, "parts": within} if within is not None else {**facts, **_content(part.content)}


def _content(data: bytes) -> dict[str, str]:
    """A part's content: its text, else its digest."""
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"sha256": hashlib.sha256(data).hexdigest()}


def _form_parts(data: bytes, boundary: str) -> list[Any] | None:
    """Form data by its parts (RFC 7578): name, file name, type, content or its digest; None where
    it is not spelled as it should be.
    """
    try:
        with multipart.PushMultipartParser(boundary, content_length=len(data)) as parser:
            parts: list[Any] = []
            content = bytearray()
            for event in parser.parse(data):
                if isinstance(event, multipart.MultipartSegment):
                    parts.append(_part(event))
                    content.clear()
                elif event:
                    content += event
                elif event is None:
                    parts[-1] |= _content(bytes(content))
            return parts
    except (multipart.MultipartError, ValueError):
        return None


def _part(segment: Any) -> dict[str, Any]:
    facts = {
        "name": segment.name,
        "file": segment.filename,
        "type": segment.content_type,
        "charset": segment.charset,
        "headers": [
            list(header)
            for header in segment.headerlist
            if header[0] not in ("Content-Disposition", "Content-Type", "Content-Length")
        ],
    }
    return {name: value for name, value in facts.items() if value not in (None, [])}


# ------------------------------------------------------------------ numbers


# No usual JSON has these names; an object that has one is put into an _OBJECT, see below.
MARK: Final = "\0"
_NUMBER: Final = MARK + "number"
_OBJECT: Final = MARK + "object"

_SPELLING: Final = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_DIGITS: Final = 400
"""The most digits an integer is written out with: 1e999999 is a legal number too."""


def plain_numbers(value: exact_json.Json) -> exact_json.Json:
    """The same value with each number spelled one way: 1, 1.0 and 1e0 become 1.

    A number that neither an int nor a float is exactly, such as 1e400, becomes an object of its
    digits; an object that looks like such a number is wrapped, so that the two stay different.
    """
    kind = type(value)
    if kind is dict:
        plain = {
            key: item if type(item) in _PLAIN else plain_numbers(item)
            for key, item in value.items()
        }
        marked = len(plain) == 1 and next(iter(plain))[:1] == MARK
        return {_OBJECT: plain} if marked else plain
    if kind is list:
        return [item if type(item) in _PLAIN else plain_numbers(item) for item in value]
    return _plain(value) if isinstance(value, float) else value


_PLAIN: Final = frozenset((str, int, bool, type(None)))


def _plain(number: float) -> exact_json.Json:
    if type(number) is float and not number.is_integer():
        return number
    text = number.text if isinstance(number, exact_json.Number) else repr(number)
    if len(text) > 10 * _DIGITS:
        return {_NUMBER: text}
    sign, digits, power = parts = _split(text)
    if not digits:
        return 0
    if power >= 0 and len(digits) + power <= _DIGITS:
        return int(sign + digits + "0" * power)
    near = float(number)
    if math.isfinite(near) and _split(repr(near)) == parts:
        return near
    return {_NUMBER: f"{sign}{digits}e{power}"}


def _split(text: str) -> tuple[str, str, int]:
    """A number as sign, digits without zeros around them, and the power of ten they are times."""
    match = _SPELLING.fullmatch(text)
    if match is None:
        raise ValueError("not a JSON number")
    sign, whole, fraction, exponent = match.groups(default="")
    digits = (whole + fraction).lstrip("0")
    significant = digits.rstrip("0")
    return sign, significant, int(exponent or 0) - len(fraction) + len(digits) - len(significant)

"""Redaction by value: a search of a document for known values and for patterns.

Nearly all documents hold neither, and each replayed request is searched. So one look at a part's
JSON tells whether one of them could be in it at all, and only then its strings are gone through.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from . import jsontext
from .credentials import Secrets
from .document import Document
from .keyshapes import LITERALS, SIGNS, Pattern
from .placeholder import PLACEHOLDER, looks_random, placeholder
from .places import each_chunk, url_parts
from .redactrules import Finding, Where, finding

_serialise: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode

_HOST: Final = re.compile(r"(\[.*\]|.*?)((?::[0-9]*)?)", re.DOTALL)
_MODEL_IN_PATH: Final = re.compile(r"/(?:models?|deployments|engines)/([^/:?#]+)")

# Members that say how a document is to be read; what they hold is ours, not the provider's.
_REQUEST_FRAME: Final = frozenset(("method", "body_json", "body_file"))
_RESPONSE_FRAME: Final = frozenset(
    ("status", "is_streaming", "end", "headers_at", "end_at", "json", "line_end", "colon_space")
)
_CHUNK_FRAME: Final = frozenset(("__type__", "at", "json", "retry", "file"))


def public_values(request: Document) -> Iterator[str]:
    """What a request tells everybody, its model and its host: no secret equals these.

    But a model's name that looks as keys do is one that was put in the wrong place.
    """
    _, _, _, host, path, _ = url_parts(request["url"])
    yield from (host, host.rpartition(":")[0])
    for model in (request.get("model"), *_MODEL_IN_PATH.findall(path)):
        if isinstance(model, str) and not looks_random(model):
            yield model


class Shapes:
    """Patterns; those that wiretape comes with are set apart, as one look tells they are absent."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        patterns = tuple(patterns)
        self._shipped = tuple((p, LITERALS[p]) for p in patterns if p in LITERALS)
        self._own = tuple(p for p in patterns if p not in LITERALS)

    def may_stand_in(self, json_text: str) -> bool:
        """Whether a string in a JSON text could hold one; False is certain."""
        return bool(self._own) or SIGNS.search(json_text) is not None

    def for_text(self, text: str, *, own: bool) -> Iterator[Pattern]:
        """The patterns that have to be searched for in a text; `own` asks for the user's too."""
        if SIGNS.search(text):
            yield from (pattern for pattern, literal in self._shipped if literal in text)
        if own:
            yield from self._own


class Search:
    """Replaces known values and patterns, and tells `findings`.

    A part in which nothing has to change comes back itself.
    """

    def __init__(self, shapes: Shapes, secrets: Secrets, findings: list[Finding]) -> None:
        self._shapes = shapes
        self._secrets = secrets
        self._findings = findings

    def _may_hold(self, json_text: str) -> bool:
        return self._shapes.may_stand_in(json_text) or self._secrets.may_stand_in(json_text)

    def request(self, part: Document) -> Document:
        """A document's `request` part."""
        if "body_base64" not in part and not self._may_hold(_serialise(part)):
            return part
        before = len(self._findings)
        result = {
            key: value if key in _REQUEST_FRAME else self._request_member(key, value)
            for key, value in part.items()
        }
        return result if len(self._findings) > before else part

    def _request_member(self, key: str, value: Any) -> Any:
        where = ("request", key)
        if key == "url":
            return self._url(value, where)
        if key == "endpoint":
            return self._path(value, where)
        if key == "headers":
            return self._headers(value, where)
        return self._base64(value, where) if key == "body_base64" else self.values(value, where)

    def response(self, part: Document) -> Document:
        """A document's `response` part."""
        text = _serialise(part)
        if '"base64": ' not in text and not self._may_hold(text):
            return part
        before = len(self._findings)
        result = {
            key: value if key in _RESPONSE_FRAME else self._response_member(key, value)
            for key, value in part.items()
        }
        return result if len(self._findings) > before else part

    def _response_member(self, key: str, value: Any) -> Any:
        where = ("response", key)
        if key == "headers":
            return self._headers(value, where)
        return each_chunk(self._chunk, value, where) if key == "body" else self.values(value, where)

    def _chunk(self, chunk: Document, where: Where) -> Document:
        return {
            key: value if key in _CHUNK_FRAME else self._chunk_member(key, value, (*where, key))
            for key, value in chunk.items()
        }

    def _chunk_member(self, key: str, value: Any, where: Where) -> Any:
        return self._base64(value, where) if key == "base64" else self.values(value, where)

    # ------------------------------------------------------------------ members

    def values(self, value: jsontext.Json, where: Where) -> jsontext.Json:
        """A JSON value with its strings and its members' names searched."""
        if isinstance(value, str):
            return self.text(value, where)
        if isinstance(value, list):
            return [self.values(item, (*where, at)) for at, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        result: dict[str, jsontext.Json] = {}
        for key, item in value.items():
            name = self.text(key, where)
            if name != key:
                # Two names that became one would lose a member.
                name = next(
                    one for one in _numbered(name) if one not in result and one not in value
                )
            result[name] = self.values(item, (*where, name))
        return result

    def _url(self, url: str, where: Where) -> str:
        scheme, slashes, user, authority, path, rest = url_parts(url)
        found = _HOST.fullmatch(authority)
        host, port = found.groups() if found else (authority, "")
        host, path, rest = self.text(host, where), self._path(path, where), self.text(rest, where)
        return "".join((scheme, slashes, user, host, port, path, rest))

    def _path(self, path: str, where: Where) -> str:
        # Without its first slash a path would become part of the host.
        slash = path[:1] if path.startswith("/") else ""
        return slash + self.text(path[len(slash) :], where)

    def _headers(self, headers: Document, where: Where) -> Document:
        return {name: self._header(name, value, (*where, name)) for name, value in headers.items()}

    def _header(self, name: str, value: Any, where: Where) -> Any:
        if isinstance(value, list):
            return [self._header(name, one, where) for one in value]
        if name != "content-type":
            return self.text(value, where)
        # The media type tells how a body is to be read.
        media, semicolon, parameters = value.partition(";")
        return media + semicolon + self.text(parameters, where)

    def _base64(self, encoded: str, where: Where) -> str:
        try:
            data = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            return self.text(encoded, where)
        # Bytes that are no UTF-8 come back as they were.
        text = data.decode("utf-8", "surrogateescape")
        redacted = self.text(text, where)
        if redacted == text:
            return encoded
        return base64.b64encode(redacted.encode("utf-8", "surrogateescape")).decode()

    # ------------------------------------------------------------------ strings

    def text(self, text: str, where: Where, *, own: bool = True) -> str:
        """A string with the known values in it replaced, then what is shaped as a secret."""
        text = self._secrets.replace(text, lambda rule: self._found(rule, where))
        for pattern in self._shapes.for_text(text, own=own):
            text = self._shape(pattern, text, where)
        return text

    def _found(self, rule: str, where: Where) -> None:
        self._findings.append(finding(rule, where))

    def _shape(self, pattern: Pattern, text: str, where: Where) -> str:
        standing = [found.span() for found in PLACEHOLDER.finditer(text)]
        parts: list[str] = []
        done = at = 0
        while at <= len(text) and (match := pattern.regex.search(text, at)) is not None:
            start, end = match.span()
            inside = next((span for span in standing if span[0] <= start < span[1]), None)
            if inside is not None or start == end:
                at = inside[1] if inside else end + 1
                continue
            # A placeholder goes whole or not at all.
            end = max([end, *(span[1] for span in standing if start < span[0] < end)])
            self._found(pattern.name, where)
            parts += (text[done:start], placeholder(pattern.name, text[start:end]))
            done = at = end
        return "".join(parts) + text[done:]


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1

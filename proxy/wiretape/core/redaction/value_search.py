"""Redaction by value: search a document for known values and for shapes of secrets.

A quick look at a part's JSON tells whether it could hold one; only then its strings are searched
(`text_search.py`).
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, Final

from wiretape.core.model import models_in_path
from wiretape.core.recording.document import Document
from wiretape.core.text import exact_json

from .credential_names import CREDENTIAL_FIELD, is_credential, members, secret_parts
from .named_places import each_chunk, url_parts
from .placeholder import looks_random
from .rules import Where, finding
from .text_search import TextSearch

_HOST: Final = re.compile(r"(\[.*\]|.*?)((?::[0-9]*)?)", re.DOTALL)

# Members that say how to read a document; wiretape wrote them, not the provider.
_REQUEST_FRAME: Final = frozenset(("method", "body_json", "body_file", "carried"))
_RESPONSE_FRAME: Final = frozenset(
    (
        *("status", "is_streaming", "end", "headers_at", "end_at", "json", "line_end"),
        *("colon_space", "coding", "framing", "client_json", "until_close"),
    )
)
_CHUNK_FRAME: Final = frozenset(
    ("__type__", "at", "json", "retry", "file", "charset", "bytes_json", "from", "binary")
)


def public_values(request: Document) -> Iterator[str]:
    """The model and the host of a request, which are public: no secret equals these.

    A model's name that looks like a key is left out: it is a key in the wrong place.
    """
    _, _, _, host, path, _ = url_parts(request["url"])
    yield from (host, host.rpartition(":")[0])
    for model in (request.get("model"), *models_in_path(path)):
        if isinstance(model, str) and not looks_random(model):
            yield model


class Search(TextSearch):
    """Replaces known values and secrets of known shapes in documents; a part without secrets comes
    back itself.
    """

    def request_may_hold(self, part: Document, text: str | None = None) -> bool:
        """Whether a document's `request` part, `text` if that is given, could hold a secret; False
        is certain.
        """
        if "body_base64" in part:
            return True
        return self.may_hold(exact_json.dumps(part, parsed=True) if text is None else text)

    def request(self, part: Document) -> Document:
        """Redact a document's `request` part."""
        return self.in_request(part) if self.request_may_hold(part) else part

    def in_request(self, part: Document) -> Document:
        """Redact a `request` part that may hold a secret."""
        before = len(self.findings)
        result = {
            key: value if key in _REQUEST_FRAME else self._request_member(key, value)
            for key, value in part.items()
        }
        return result if len(self.findings) > before else part

    def _request_member(self, key: str, value: Any) -> Any:
        where = ("request", key)
        if key == "url":
            return self._url(value, where)
        if key == "endpoint" and isinstance(value, str):  # a recording may be edited by hand
            return self._path(value, where)
        if key == "headers":
            return self._headers(value, where)
        return self._base64(value, where, 1) if key == "body_base64" else self.values(value, where)

    def response_may_hold(self, part: Document, text: str | None = None) -> bool:
        """Whether a document's `response` part, `text` if that is given, could hold a secret; False
        is certain.
        """
        text = exact_json.dumps(part, parsed=True) if text is None else text
        return '"base64":' in text or self.may_hold(text)

    def response(self, part: Document) -> Document:
        """Redact a document's `response` part."""
        return self.in_response(part) if self.response_may_hold(part) else part

    def in_response(self, part: Document) -> Document:
        """Redact a `response` part that may hold a secret."""
        before = len(self.findings)
        result = {
            key: value if key in _RESPONSE_FRAME else self._response_member(key, value)
            for key, value in part.items()
        }
        return result if len(self.findings) > before else part

    def _response_member(self, key: str, value: Any) -> Any:
        where = ("response", key)
        if key in ("headers", "trailers"):
            return self._headers(value, where)
        return each_chunk(self._chunk, value, where) if key == "body" else self.values(value, where)

    def _chunk(self, chunk: Document, where: Where) -> Document:
        return {
            key: value if key in _CHUNK_FRAME else self._chunk_member(key, value, (*where, key))
            for key, value in chunk.items()
        }

    def _chunk_member(self, key: str, value: Any, where: Where) -> Any:
        return self._base64(value, where, 0) if key == "base64" else self.values(value, where)

    # ------------------------------------------------------------------ members

    def values(self, value: exact_json.Json, where: Where, name: str = "") -> exact_json.Json:
        """Redact the strings and the members' names of a JSON value that is called `name`."""
        if isinstance(value, str):
            return self._member(value, where, name)
        if isinstance(value, list):
            return [
                self.values(item, (*where, at), named) for at, item, named in members(value, name)
            ]
        if not isinstance(value, dict):
            return value
        result: dict[str, exact_json.Json] = {}
        for key, item, named in members(value, name):
            shown = self.text(str(key), where)
            if shown != key:
                # Two names that became equal would lose a member.
                free = (other for other in _numbered(shown) if other not in {*result, *value})
                shown = next(free)
            result[shown] = self.values(item, (*where, shown), named)
        return result

    def _member(self, text: str, where: Where, name: str) -> str:
        shown = self.text(text, where)
        if shown != text or not is_credential(name):
            return shown
        for start, end in reversed(secret_parts(name, text)):
            self.findings.append(finding(CREDENTIAL_FIELD, where))
            instead = self._shapes.placeholder(text[start:end])
            self.note(CREDENTIAL_FIELD, text[start:end], instead)
            shown = shown[:start] + instead + shown[end:]
        return shown

    def _url(self, url: str, where: Where) -> str:
        scheme, slashes, user, authority, path, rest = url_parts(url)
        match = _HOST.fullmatch(authority)
        host, port = match.groups() if match else (authority, "")
        host, path, rest = self.text(host, where), self._path(path, where), self.text(rest, where)
        return "".join((scheme, slashes, user, host, port, path, rest))

    def _path(self, path: str, where: Where) -> str:
        # Without its first slash the path would become part of the host.
        slash = path[:1] if path.startswith("/") else ""
        return slash + self.text(path[len(slash) :], where)

    def _headers(self, headers: Document, where: Where) -> Document:
        return {name: self._header(name, value, (*where, name)) for name, value in headers.items()}

    def _header(self, name: str, value: Any, where: Where) -> Any:
        if isinstance(value, list):
            return [self._header(name, item, where) for item in value]
        if name != "content-type":
            # The user chose the headers of a request to record; keys depend on their values.
            return self._member(value, where, name if where[0] == "response" else "")
        # The media type says how to read a body.
        media, semicolon, parameters = value.partition(";")
        return media + semicolon + self.text(parameters, where)

    def _base64(self, encoded: str, where: Where, depth: int) -> str:
        try:
            data = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            return self.text(encoded, where)
        redacted = self._bytes(data, depth, own=True)
        if redacted is None:
            return encoded
        data, rules = redacted
        self.findings += [finding(rule, where) for rule in rules]
        return base64.b64encode(data).decode()


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1

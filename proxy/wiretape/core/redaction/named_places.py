"""Redaction by name: the places in a document whose values are secret whatever they are.

Query parameters, form fields, a URL's user and the places that JSON paths find. A value there gets
a placeholder; numbers, true, false and null stay, and so does a placeholder.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote_plus

from wiretape.core.recording.document import Document
from wiretape.core.text import exact_json

from .known_values import KnownValue
from .placeholder import PLACEHOLDER
from .rules import SECRET_FORM, Finding, RedactionRules, Where, finding

# scheme, authority, path, the rest: RFC 3986, appendix B
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)?(//[^/?#]*)?([^?#]*)(.*)", re.DOTALL)
# A part of multipart/form-data (RFC 7578) and its name, up to the next line with two hyphens.
_PART: Final = re.compile(
    r"(\r?\n?content-disposition:[^\r\n]*?;[ ]*name=\"?([^\";\r\n]+)\"?[^\r\n]*(?:\r?\n[^\r\n]+)*"
    r"\r?\n\r?\n)([^\r\n]*)(?=\r?\n--)",
    re.IGNORECASE,
)
_URL_IN_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s<>\"']+")
_JSON_LINE: Final = re.compile(r"((?:data:)?\s*)([\[{].*[\]}])(\s*)", re.DOTALL)


def url_parts(url: str) -> tuple[str, str, str, str, str, str]:
    """Scheme, "//", user and "@", host and port, path, and the rest; joined they are the URL."""
    found = _URL.fullmatch(url)
    scheme, authority, path, rest = found.groups("") if found else ("", "", url, "")
    user, at, host = authority[2:].rpartition("@")
    return scheme, authority[:2], user + at, host, path, rest


def _is_multipart(part: Document) -> bool:
    headers = part.get("headers", {})
    return str(headers.get("content-type")).lower().startswith("multipart/")


def each_chunk(
    redact: Callable[[Document, Where], Document], body: Any, where: Where
) -> list[Document] | Document | None:
    """An answer's body with each of its chunks redacted: a list of them, one, or none."""
    if isinstance(body, list):
        return [redact(chunk, (*where, at)) for at, chunk in enumerate(body)]
    return None if body is None else redact(body, where)


class Places:
    """Replaces what stands in the places that `rules` name, and tells `findings`.

    A part in which nothing has to change comes back itself.
    """

    def __init__(
        self, rules: RedactionRules, findings: list[Finding], placeholder: Callable[[str], str]
    ) -> None:
        self._json = rules.json
        self._query = rules.secret_query
        self._findings = findings
        self._placeholder = placeholder
        self.carried: list[KnownValue] = []
        """The values of parameters and fields, which are credentials."""
        self.named: list[KnownValue] = []
        """The values at JSON paths, which may be anything."""

    def request(self, part: Document) -> Document:
        """A document's `request` part."""
        before = len(self._findings)
        result = dict(part)
        result["url"] = self._url(part["url"], ("request", "url"))
        if self._json and "body" in part:
            result["body"] = body = self._body(part["body"], ("request", "body"))
            # A copy of the body's member stands beside it.
            if "model" in part and isinstance(body, dict) and isinstance(body.get("model"), str):
                result["model"] = body["model"]
        if "body_text" in part:
            result["body_text"] = self._body_text(part, ("request", "body_text"))
        if "body_base64" in part and _is_multipart(part):
            result["body_base64"] = self._binary_parts(part["body_base64"])
        return result if len(self._findings) > before else part

    def response(self, part: Document) -> Document:
        """A document's `response` part."""
        before = len(self._findings)
        result = dict(part)
        result["headers"] = {
            name: self._urls(value, ("response", "headers", name))
            for name, value in part.get("headers", {}).items()
        }
        if self._json and "body" in part:
            result["body"] = each_chunk(self._chunk, part["body"], ("response", "body"))
        return result if len(self._findings) > before else part

    def _chunk(self, chunk: Document, where: Where) -> Document:
        result = dict(chunk)
        if "__data__" in chunk:
            result["__data__"] = self._body(chunk["__data__"], (*where, "__data__"))
        for key in ("data", "text"):
            if key in chunk:
                result[key] = self._json_text(chunk[key], (*where, key))
        return result

    def _value(self, rule: str, value: str, where: Where) -> str:
        if not value:
            return value
        self.carried.append((rule, value))
        return self._instead(rule, value, where)

    def _instead(self, rule: str, value: str, where: Where) -> str:
        if PLACEHOLDER.fullmatch(value):
            return value
        self._findings.append(finding(rule, where))
        return self._placeholder(value)

    # ------------------------------------------------------------------ parameters

    def _url(self, url: str, where: Where) -> str:
        if not any(mark in url for mark in "?@#"):
            return url
        scheme, slashes, user, host, path, rest = url_parts(url)
        if user:
            user = self._value("userinfo", user[:-1], where) + "@"
        query, mark, fragment = rest.partition("#")
        query = query[:1] + self._pairs("query", query[1:], where)
        # An OAuth server gives its tokens in the fragment (RFC 6749, section 4.2.2).
        fragment = self._pairs("query", fragment, where)
        return "".join((scheme, slashes, user, host, path, query, mark, fragment))

    def _urls(self, value: Any, where: Where) -> Any:
        """A header's value with each URL in it redacted: it may be one, or hold some (Link)."""
        if isinstance(value, list):
            return [self._urls(item, where) for item in value]
        if value.startswith("/"):
            return self._url(value, where)
        return _URL_IN_HEADER.sub(lambda found: self._url(found[0], where), value)

    def _body_text(self, part: Document, where: Where) -> str:
        text: str = part["body_text"]
        if "x-www-form-urlencoded" in str(part.get("headers", {}).get("content-type")).lower():
            return self._pairs("form", text, where)
        if _is_multipart(part):
            return self._parts(text, where)
        return self._json_text(text, where)

    def _binary_parts(self, encoded: str) -> str:
        try:
            text = base64.b64decode(encoded, validate=True).decode("utf-8", "surrogateescape")
        except binascii.Error:
            return encoded
        named = self._parts(text, ("request", "body_base64"))
        return base64.b64encode(named.encode("utf-8", "surrogateescape")).decode()

    def _parts(self, text: str, where: Where) -> str:
        """A multipart body with the values of its secret fields replaced."""

        def instead(found: re.Match[str]) -> str:
            head, name, value = found.groups()
            if name.lower() not in self._query | SECRET_FORM - {"code"}:
                return found[0]
            return head + self._value(f"form-{name.lower()}", value, where)

        return _PART.sub(instead, text)

    def _pairs(self, kind: str, text: str, where: Where) -> str:
        """Parameters (WHATWG URL, section 5) with the secret ones' values replaced and the others
        as they were spelled.
        """
        pairs = text.split("&")
        names = self._query
        if kind == "form":
            names |= SECRET_FORM
            if not any(pair.startswith("grant_type=") for pair in pairs):
                names -= {"code"}  # of a program, a country; what looks secret is found as such
        for at, pair in enumerate(pairs):
            name, _, value = pair.partition("=")
            plain = unquote_plus(name).lower()
            if plain in names and value:
                instead = self._value(f"{kind}-{plain}", unquote_plus(value), where)
                pairs[at] = f"{name}={instead}"
        return "&".join(pairs)

    # ------------------------------------------------------------------ JSON paths

    def _body(self, value: exact_json.Json, where: Where) -> exact_json.Json:
        places: dict[Where, str] = {}
        for rule in self._json:
            for place in rule.find(value):
                places.setdefault(tuple(place), rule.name)
        return self._cover(value, places, (), None, where) if places else value

    def _cover(
        self,
        value: exact_json.Json,
        places: Mapping[Where, str],
        place: Where,
        rule: str | None,
        where: Where,
    ) -> exact_json.Json:
        """A copy of `value`, which stands at `place`, with the strings at and below `places`
        replaced.
        """
        rule = places.get(place, rule)
        if isinstance(value, dict):
            return {
                key: self._cover(item, places, (*place, key), rule, (*where, key))
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [
                self._cover(item, places, (*place, at), rule, (*where, at))
                for at, item in enumerate(value)
            ]
        if rule is None or not isinstance(value, str) or not value:
            return value
        self.named.append((rule, value))
        return self._instead(rule, value, where)

    def _json_text(self, text: str, where: Where) -> str:
        """JSON that is kept as text, since no style gives it back: whole, or a line of events.

        Only where it holds a secret it is spelled anew.
        """
        if not self._json:
            return text
        whole = self._json_line(text, where)
        if whole != text:
            return whole
        return "".join(self._json_line(line, where) for line in text.splitlines(keepends=True))

    def _json_line(self, text: str, where: Where) -> str:
        found = _JSON_LINE.fullmatch(text)
        if found is None:
            return text
        try:
            value = exact_json.parse(found[2])
        except ValueError:
            return text
        before = len(self._findings)
        covered = self._body(value, where)
        if len(self._findings) == before:
            return text
        return found[1] + exact_json.dumps(covered) + found[3]

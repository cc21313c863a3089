"""Redaction by name: replace the values of places that are secret whatever they hold.

These are query parameters, form fields, a URL's user and what JSON paths select. A string there
becomes a placeholder; numbers, true, false, null and placeholders stay.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

from wiretape.core.recording.document import Document
from wiretape.core.text import exact_json

from .known_values import USERINFO, KnownValue, credentials_in_userinfo
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
    match = _URL.fullmatch(url)
    scheme, authority, path, rest = match.groups("") if match else ("", "", url, "")
    user, at, host = authority[2:].rpartition("@")
    return scheme, authority[:2], user + at, host, path, rest


def _is_multipart(part: Document) -> bool:
    headers = part.get("headers", {})
    return str(headers.get("content-type")).lower().startswith("multipart/")


def each_chunk(
    redact: Callable[[Document, Where], Document], body: Any, where: Where
) -> list[Document] | Document | None:
    """An answer's body with `redact` applied to each of its chunks."""
    if isinstance(body, list):
        return [redact(chunk, (*where, at)) for at, chunk in enumerate(body)]
    return None if body is None else redact(body, where)


class NamedPlaces:
    """Replaces the values in the places that `rules` name, and adds to `findings`.

    A part without secrets comes back itself.
    """

    def __init__(
        self,
        rules: RedactionRules,
        findings: list[Finding],
        placeholder: Callable[[str], str],
        named_placeholder: Callable[[str], str] | None = None,
    ) -> None:
        self._json = rules.json
        self._query = rules.secret_query
        self._findings = findings
        self._placeholder = placeholder
        self._named_placeholder = named_placeholder or placeholder
        self.carried: list[KnownValue] = []
        """The values of parameters and fields: credentials."""
        self.named: list[KnownValue] = []
        """The values at JSON paths, of any kind."""

    def request(self, part: Document) -> Document:
        """Redact a document's `request` part."""
        before = len(self._findings)
        result = dict(part)
        result["url"] = self._url(part["url"], ("request", "url"))
        if self._json and "body" in part:
            result["body"] = body = self._body(part["body"], ("request", "body"))
            # `model` is a copy of the body's member.
            if "model" in part and isinstance(body, dict) and isinstance(body.get("model"), str):
                result["model"] = body["model"]
        if "body_text" in part:
            result["body_text"] = self._body_text(part, ("request", "body_text"))
        if "body_base64" in part and _is_multipart(part):
            result["body_base64"] = self._binary_parts(part["body_base64"])
        return result if len(self._findings) > before else part

    def response(self, part: Document) -> Document:
        """Redact a document's `response` part."""
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
        return self._instead(rule, value, where, self._placeholder)

    def _instead(
        self, rule: str, value: str, where: Where, placeholder: Callable[[str], str]
    ) -> str:
        if PLACEHOLDER.fullmatch(value):
            return value
        self._findings.append(finding(rule, where))
        return placeholder(value)

    # ------------------------------------------------------------------ parameters

    def _url(self, url: str, where: Where) -> str:
        if not any(mark in url for mark in "?@#"):
            return url
        scheme, slashes, user, host, path, rest = url_parts(url)
        if user:
            self.carried += credentials_in_userinfo(unquote(user[:-1]))
            user = self._value(USERINFO, user[:-1], where) + "@"
        query, mark, fragment = rest.partition("#")
        query = query[:1] + self._pairs("query", query[1:], where)
        # An OAuth server gives its tokens in the fragment (RFC 6749, section 4.2.2).
        fragment = self._pairs("query", fragment, where)
        return "".join((scheme, slashes, user, host, path, query, mark, fragment))

    def _urls(self, value: Any, where: Where) -> Any:
        """Redact the URLs in a header's value: it may be one, or hold some (Link)."""
        if isinstance(value, list):
            return [self._urls(item, where) for item in value]
        if value.startswith("/"):
            return self._url(value, where)
        return _URL_IN_HEADER.sub(lambda match: self._url(match[0], where), value)

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
        """Redact the secret fields of a multipart body."""

        def instead(match: re.Match[str]) -> str:
            head, name, value = match.groups()
            if name.lower() not in self._query | SECRET_FORM - {"code"}:
                return match[0]
            return head + self._value(f"form-{name.lower()}", value, where)

        return _PART.sub(instead, text)

    def _pairs(self, kind: str, text: str, where: Where) -> str:
        """Redact the secret parameters of a query or form (WHATWG URL, section 5)."""
        pairs = text.split("&")
        names = self._query
        if kind == "form":
            names |= SECRET_FORM
            if not any(pair.startswith("grant_type=") for pair in pairs):
                names -= {
                    "code"
                }  # of a program, a country; a value that looks secret is found anyway
        for at, pair in enumerate(pairs):
            name, _, value = pair.partition("=")
            plain = unquote_plus(name).lower()
            if plain in names and value:
                instead = self._value(f"{kind}-{plain}", unquote_plus(value), where)
                pairs[at] = f"{name}={instead}"
        return "&".join(pairs)

    # ------------------------------------------------------------------ JSON paths

    def _body(self, value: exact_json.Json, where: Where) -> exact_json.Json:
        paths: dict[Where, str] = {}
        for rule in self._json:
            for path in rule.find(value):
                paths.setdefault(tuple(path), rule.name)
        return self._cover(value, paths, (), None, where) if paths else value

    def _cover(
        self,
        value: exact_json.Json,
        paths: Mapping[Where, str],
        path: Where,
        rule: str | None,
        where: Where,
    ) -> exact_json.Json:
        """A copy of `value`, which is at `path`, with the strings at and below `paths` replaced."""
        rule = paths.get(path, rule)
        if isinstance(value, dict):
            return {
                key: self._cover(item, paths, (*path, key), rule, (*where, key))
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [
                self._cover(item, paths, (*path, at), rule, (*where, at))
                for at, item in enumerate(value)
            ]
        if rule is None or not isinstance(value, str) or not value:
            return value
        self.named.append((rule, value))
        return self._instead(rule, value, where, self._named_placeholder)

    def _json_text(self, text: str, where: Where) -> str:
        """Redact JSON that is stored as text, since no style gives it back: whole, or by lines of
        events. It is written anew only if it holds a secret.
        """
        if not self._json:
            return text
        whole = self._json_line(text, where)
        if whole != text:
            return whole
        return "".join(self._json_line(line, where) for line in text.splitlines(keepends=True))

    def _json_line(self, text: str, where: Where) -> str:
        match = _JSON_LINE.fullmatch(text)
        if match is None:
            return text
        try:
            value = exact_json.parse(match[2])
        except ValueError:
            return text
        before = len(self._findings)
        covered = self._body(value, where)
        if len(self._findings) == before:
            return text
        return match[1] + exact_json.dumps(covered) + match[3]

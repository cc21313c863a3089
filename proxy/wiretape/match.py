"""Is this request that one: canonical forms, keys and differences.

A request is matched by a key: the SHA-256 of its canonical form, computed from its document *after
redaction*. Two requests have one key when method, provider, path, query, the chosen headers and the
body say the same, whatever their spelling: order of members, number spelling and white space do not
count; `stream` does.
"""

import base64
import fnmatch
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

import multipart  # type: ignore[import-untyped]  # it ships no types

from . import jsontext
from .content import FORM, is_json
from .document import Document
from .model import split_url
from .providers import Providers

type Path = tuple[str | int, ...]
"""A place in a JSON value: ("messages", 0, "content")."""

type Finder = Callable[[jsontext.Json], Iterable[Path]]
"""Finds places in a JSON value, as a compiled JSONPath does (RFC 9535)."""

PLACEHOLDER_DIGEST: Final = re.compile(
    r"REDACTED-([a-z0-9]+(?:-[a-z0-9]+)*?)-[0-9a-f]{8}(?![0-9a-f])"
)
"""A placeholder's digest tells one secret from another; to a matcher any key of a kind is the same,
so that a recording made with one answers another.
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """What not to compare, and where: a rule applies when provider, method and path fit (a path may
    be a glob). Names of parameters and headers have any case.
    """

    name: str
    provider: str | None = None
    method: str | None = None
    path: str | None = None
    ignore: tuple[Finder, ...] = ()
    ignore_query: frozenset[str] = frozenset()
    ignore_headers: frozenset[str] = frozenset()

    def applies(self, place: str, method: str, path: str) -> bool:
        """Whether a request to `path` at a provider (or host) is this rule's."""
        return (
            (self.provider is None or self.provider == place)
            and (self.method is None or self.method.upper() == method)
            and (self.path is None or fnmatch.fnmatchcase(path, self.path))
        )


@dataclass(frozen=True, slots=True)
class Canonical:
    """What a request says; `endpoint` (place, method, path) is what requests must share to be
    compared at all.
    """

    endpoint: tuple[str, str, str]
    value: dict[str, Any]
    key: str


class Matcher:
    """Turns request documents into canonical forms.

    `headers` are the header names that count, `secret_query` the query parameters that never do.
    Of placeholders with a label in `distinct` (the user's own patterns and places, which may find
    more than keys: an e-mail address) the digest counts, as the values did.
    """

    def __init__(
        self,
        providers: Providers,
        headers: Iterable[str] = (),
        rules: Sequence[Rule] = (),
        secret_query: Iterable[str] = (),
        distinct: Iterable[str] = (),
    ) -> None:
        self.headers: Final = tuple(sorted({name.lower() for name in headers}))
        self._providers = providers
        self._rules = tuple(rules)
        self._secret_query = frozenset(name.lower() for name in secret_query)
        self._distinct = frozenset(distinct)

    def canonical(self, request: Document) -> Canonical:
        """The canonical form of a document's `request` part, which has been redacted."""
        _, host, port, target = split_url(request["url"])
        method = request["method"].upper()
        path, _, query = target.partition("?")
        place = self._providers.place(host, port)
        rules = self._rules_for(host, port, place, method, path) if self._rules else []
        dropped = self._secret_query.union(*(_lower(rule.ignore_query) for rule in rules))
        headers = {name.lower(): value for name, value in request.get("headers", {}).items()}
        unheard = frozenset[str]().union(*(_lower(rule.ignore_headers) for rule in rules))
        value: dict[str, Any] = {
            "method": method,
            "provider": place,
            "path": path,
            "query": _by_name(query, dropped),
            "headers": {
                name: headers[name]
                for name in self.headers
                if name in headers and name not in unheard
            },
            "body": _body(request, headers, rules),
        }
        # ASCII, so a lone surrogate in a prompt can be hashed too.
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        if "REDACTED-" in text:
            text = PLACEHOLDER_DIGEST.sub(self._without_digest, text)
            value = json.loads(text)
        key = hashlib.sha256(text.encode()).hexdigest()
        return Canonical((value["provider"], value["method"], value["path"]), value, key)

    def _without_digest(self, found: re.Match[str]) -> str:
        return found[0] if found[1] in self._distinct else f"REDACTED-{found[1]}"

    def _rules_for(self, host: str, port: int, place: str, method: str, path: str) -> list[Rule]:
        # A host that a pattern covers is a place of its own, but its provider's rules are its too.
        provider = self._providers.find(host, port)
        names = {place, provider.name if provider else place}
        return [
            rule for rule in self._rules if any(rule.applies(name, method, path) for name in names)
        ]


def _lower(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


def _by_name(query: str, dropped: frozenset[str] = frozenset()) -> dict[str, list[str]]:
    """Parameters by name: their order does not count, the order of one name's values does."""
    result: dict[str, list[str]] = {}
    # Not "replace", which would make one of all bytes that are not UTF-8.
    for name, text in parse_qsl(query, keep_blank_values=True, errors="surrogateescape"):
        if name.lower() not in dropped:
            result.setdefault(name, []).append(text)
    return result


def _body(request: Document, headers: Mapping[str, Any], rules: Sequence[Rule]) -> Any:
    kind, value = _read_body(request, headers)
    if kind == "json":
        # All places are found before any is left out: that would move the items after it.
        places = {tuple(at) for rule in rules for finder in rule.ignore for at in finder(value)}
        value = without(value, places)
    return {kind: value} if kind else None


def _read_body(request: Document, headers: Mapping[str, Any]) -> tuple[str, Any]:
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
                if jsontext.unique_keys(text):
                    return "json", plain_numbers(jsontext.parse(text))
            except ValueError:
                pass
        if media == FORM:
            return "form", _by_name(text)
        data = text.encode("utf-8", "surrogatepass")
    elif "body_base64" in request:
        text, data = None, base64.b64decode(request["body_base64"])
    elif "body_file" in request:
        # A side file is named by what the body's digest would be.
        return "sha256", request["body_file"].removesuffix(".bin")
    else:
        return "", None
    if media.startswith("multipart/") and parameters.get("boundary"):
        parts = _parts(data, parameters["boundary"])
        if parts is not None:
            return "multipart", parts
    return ("text", text) if text is not None else ("sha256", hashlib.sha256(data).hexdigest())


def _parts(data: bytes, boundary: str) -> list[Any] | None:
    """A multipart body by its parts (RFC 7578): name, file name, type, content or its digest; None
    where it is not one.
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
                    try:
                        parts[-1]["text"] = content.decode("utf-8")
                    except UnicodeDecodeError:
                        parts[-1]["sha256"] = hashlib.sha256(content).hexdigest()
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


# No JSON that is met has these names, and one that has is put into an _OBJECT: see below.
_MARK: Final = "\0"
_NUMBER: Final = _MARK + "number"
_OBJECT: Final = _MARK + "object"

_SPELLING: Final = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_DIGITS: Final = 400
"""The most digits an integer is written out with: 1e999999 is a legal number too."""


def plain_numbers(value: jsontext.Json) -> jsontext.Json:
    """The same value with each number spelled one way: 1, 1.0 and 1e0 become 1.

    A number that neither an int nor a float is exactly, such as 1e400, becomes an object of its
    digits; an object that looks like one of these is wrapped, so that it does not become the same.
    """
    if isinstance(value, float):
        return _plain(value)
    if isinstance(value, dict):
        plain = {
            key: item if type(item) in _PLAIN else plain_numbers(item)
            for key, item in value.items()
        }
        marked = len(plain) == 1 and next(iter(plain)).startswith(_MARK)
        return {_OBJECT: plain} if marked else plain
    if isinstance(value, list):
        return [item if type(item) in _PLAIN else plain_numbers(item) for item in value]
    return value


_PLAIN: Final = frozenset((str, int, bool, type(None)))


def _plain(number: float) -> jsontext.Json:
    if type(number) is float and not number.is_integer():
        return number
    text = number.text if isinstance(number, jsontext.Number) else repr(number)
    if len(text) > 10 * _DIGITS:
        return {_NUMBER: text}
    sign, digits, power = found = _split(text)
    if not digits:
        return 0
    if power >= 0 and len(digits) + power <= _DIGITS:
        return int(sign + digits + "0" * power)
    near = float(number)
    if math.isfinite(near) and _split(repr(near)) == found:
        return near
    return {_NUMBER: f"{sign}{digits}e{power}"}


def _split(text: str) -> tuple[str, str, int]:
    """A number as sign, digits without zeros around them, and the power of ten they are times."""
    found = _SPELLING.fullmatch(text)
    if found is None:
        raise ValueError("not a JSON number")
    sign, whole, fraction, exponent = found.groups(default="")
    digits = (whole + fraction).lstrip("0")
    kept = digits.rstrip("0")
    return sign, kept, int(exponent or 0) - len(fraction) + len(digits) - len(kept)


def without(value: jsontext.Json, places: Iterable[Path]) -> jsontext.Json:
    """A copy of `value` with the members and items at `places` left out."""
    doomed = sorted(set(places), key=lambda place: [str(step) for step in place], reverse=True)
    if not doomed:
        return value
    value = _copy(value)
    removed: list[tuple[list[Any], int]] = []
    for place in doomed:
        target = value
        try:
            for step in place[:-1]:
                target = target[step]
            if isinstance(target, dict):
                target.pop(place[-1], None)
            elif isinstance(target, list) and isinstance(place[-1], int):
                removed.append((target, place[-1]))
        except (KeyError, IndexError, TypeError):
            continue
    for items, index in sorted(removed, key=lambda item: item[1], reverse=True):
        if index < len(items):
            del items[index]
    return value


def _copy(value: jsontext.Json) -> jsontext.Json:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value


# ------------------------------------------------------------------ differences


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()
"""Stands for a member that one side lacks."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which a request differs from a recorded one; the path reads
    "body.messages[1].content".
    """

    path: str
    got: Any
    recorded: Any


def differences(got: Any, recorded: Any, limit: int = 50) -> list[Difference]:
    """Where two canonical values differ, leaf by leaf, at most `limit` of them."""
    found: list[Difference] = []
    stack: list[tuple[str, Any, Any]] = [("", got, recorded)]
    while stack and len(found) < limit:
        path, one, two = stack.pop()
        if isinstance(one, dict) and isinstance(two, dict):
            keys = sorted(one.keys() | two.keys(), reverse=True)
            stack += [
                (f"{path}.{k}" if path else k, one.get(k, ABSENT), two.get(k, ABSENT)) for k in keys
            ]
        elif isinstance(one, list) and isinstance(two, list):
            stack += [
                (
                    f"{path}[{i}]",
                    one[i] if i < len(one) else ABSENT,
                    two[i] if i < len(two) else ABSENT,
                )
                for i in reversed(range(max(len(one), len(two))))
            ]
        elif type(one) is not type(two) or one != two:
            found.append(Difference(_readable(path), one, two))
    return found


def _readable(path: str) -> str:
    # The kind of body ("json", "form") is a level of the canonical form that no reader needs.
    path = re.sub(r"^body\.(json|form|multipart|text|sha256)\b", "body", path)
    return re.sub(r"\.\0(number|object)", "", path)

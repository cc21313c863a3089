"""Redaction by value: search a document for known values and for patterns.

Nearly all documents hold neither, and each replayed request is searched. So a quick look at a
part's JSON tells whether it could hold one, and only then its strings are searched: as they are,
without their escapes, and with their base64, hexadecimal digits and compressed data decoded
(`encodings.py`).
"""

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote, unquote, unquote_plus

from wiretape.core.model import models_in_path
from wiretape.core.recording.document import Document
from wiretape.core.text import exact_json
from wiretape.core.text.regex import linear
from wiretape.core.text.spans import Edit, Span, applied

from . import encodings
from .credential_names import (
    CREDENTIAL_FIELD,
    CredentialNames,
    is_credential,
    members,
    secret_parts,
)
from .key_patterns import LITERALS, SIGNS, STARTS, Pattern
from .known_values import USERINFO, KnownValue, Secrets, credentials_in_userinfo
from .named_places import each_chunk, url_parts
from .placeholder import (
    PLACEHOLDER,
    SECRET,
    digest_of,
    exact_placeholder,
    looks_random,
    placeholder,
)
from .rules import Finding, Where, finding

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


_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_SHORT_RUN: Final = 256
_DEPTH: Final = 5
"""How many encodings may be nested: JSON in JSON, base64 in a form in gzip."""
_SHAPE: Final = 20
"""The length of the shortest pattern of `key_patterns.py` (an AWS access key's id)."""
_OWN: Final = 12
"""The fewest bytes in base64 or hexadecimal digits that the user's patterns are matched with."""


class Shapes:
    """Recognises secrets by their pattern or by a name beside them.

    The shipped patterns are separate, since one look tells whether they are absent. `parameters`
    are names of query parameters and form fields in addition to wiretape's own. With `exact`, what
    the user's own rules name is told from any other value (`placeholder.exact_placeholder`).
    """

    def __init__(
        self, patterns: Iterable[Pattern], parameters: Iterable[str] = (), *, exact: bool = False
    ) -> None:
        patterns = tuple(patterns)
        self._exact = exact
        self.names: Final = CredentialNames(parameters)
        self._shipped = tuple((p, LITERALS[p]) for p in patterns if p in LITERALS)
        self.own: Final = tuple(p for p in patterns if p not in LITERALS)
        self.signs: Final = f"{STARTS}|{encodings.ESCAPES}|{self.names.signs}|\\x00"
        """Matches a text that could hold a secret, unless that is encoded: for RE2."""
        self.shortest: Final = _OWN if self.own else _SHAPE
        """The fewest bytes that are looked for in base64 or hexadecimal digits."""

    def placeholder(self, value: str) -> str:
        """The placeholder of a value, which names the pattern that matches all of it."""
        for pattern in (*self.own, *(p for p, literal in self._shipped if literal in value)):
            if any(match.span() == (0, len(value)) for match in pattern.regex.finditer(value)):
                if pattern in self.own:
                    return self._own(placeholder(pattern.name, value), value)
                return placeholder(pattern.name, value)
        return placeholder(SECRET, value)

    def named(self, value: str) -> str:
        """The placeholder of a value at one of the user's JSON paths."""
        return self._own(self.placeholder(value), value)

    def _own(self, shown: str, value: str) -> str:
        return exact_placeholder(value) if self._exact and digest_of(value) is None else shown

    def for_text(self, text: str, *, own: bool) -> Iterator[Pattern]:
        """The patterns to search for in a text; `own` includes the user's."""
        if SIGNS.search(text):
            yield from (pattern for pattern, literal in self._shipped if literal in text)
        if own:
            yield from self.own


class Search:
    """Replaces known values and matches of patterns, and adds to `findings`.

    A part without secrets comes back itself. A placeholder within compressed data has no digest,
    since a matcher could not ignore it there.
    """

    def __init__(self, shapes: Shapes, secrets: Secrets, findings: list[Finding]) -> None:
        self._shapes = shapes
        self._secrets = secrets
        self._findings = findings
        self.replaced: list[KnownValue] = []
        """The values that were replaced, with their rules."""
        self.unsearched = False
        """Whether there was compressed data too large to be searched."""
        self._empty_runs = set[tuple[str, int]]()
        """Short runs of base64 that hold nothing, and how deep they were."""
        least = min(shapes.shortest, secrets.shortest or shapes.shortest)
        # The fewest letters of base64 that so many bytes take at any alignment.
        self._run = -(-4 * least // 3)

    def may_hold(self, json_text: str) -> bool:
        """Whether a string in a JSON text could hold a secret; False is certain.

        A pre-check may only err towards searching, so it looks at the strings without escapes.
        """
        text = encodings.text_of_json(json_text)
        if text is None or self._shapes.own or self._secrets.may_occur_in(text):
            return True
        # One look for all that follows, which finds nothing in nearly every text.
        signs = self._shapes.signs
        if not linear(f"{signs}|{encodings.run_of(self._run)}").occurs_in(text):
            return False
        return self._encoded_may_hold(text, 0) or (
            linear(signs).occurs_in(text)
            and (
                ("%" in text and _PERCENT.search(text) is not None)
                or encodings.is_escaped(text)
                or SIGNS.search(text) is not None
                or self._wide_may_hold(text, 0)
                or self._shapes.names.may_occur_in(json_text)
            )
        )

    def text_may_hold(self, text: str) -> bool:
        """Whether a text that is not JSON could hold a secret; False is certain."""
        return "\\" in text or self.may_hold(text)

    def _encoded_may_hold(self, text: str, depth: int) -> bool:
        for start, end in encodings.runs(text, self._run):
            if end - start >= 60 and text.startswith(("\n", "\r"), end):
                return True  # lines of base64, which decode together
            run = text[start:end]
            # Each chunk of a stream has the same ids.
            if (run, depth) in self._empty_runs:
                continue
            if self._run_may_hold(run, depth):
                return True
            if len(run) < _SHORT_RUN:
                self._empty_runs.add((run, depth))
        return False

    def _run_may_hold(self, run: str, depth: int) -> bool:
        decoded = [reading.data for reading in encodings.readings(run)]
        if len(run) < _SHORT_RUN and not any(map(encodings.may_be_packed, decoded)):
            # Most runs are ids: look at all their readings at once.
            plain = b"\n".join(decoded).decode("utf-8", "surrogateescape")
            if not (
                self._shapes.own
                or linear(self._shapes.signs).occurs_in(plain)
                or "\\" in plain
                or self._secrets.may_occur_in(plain)
                or self._encoded_may_hold(plain, depth + 1)
            ):
                return False
        return any(self._bytes_may_hold(data, depth + 1) for data in decoded)

    def _bytes_may_hold(self, data: bytes, depth: int) -> bool:
        """Whether decoded bytes could hold a secret; most are neither text nor base64."""
        if depth > _DEPTH:
            return False
        return encodings.may_be_packed(data) or self._decoded_may_hold(
            data.decode("utf-8", "surrogateescape"), depth
        )

    def _decoded_may_hold(self, text: str, depth: int) -> bool:
        if _is_text(text) and (
            self._shapes.own
            or "\\" in text
            or _PERCENT.search(text) is not None
            or encodings.is_escaped(text)
        ):
            return True
        # An image may hold backslashes, too: look at the text without them as well.
        for _ in range(_DEPTH + 1):
            if (
                self._plain_may_hold(text)
                or self._encoded_may_hold(text, depth)
                or self._wide_may_hold(text, depth)
            ):
                return True
            unescaped = encodings.Unescaped(text)
            if not unescaped:
                return False
            text = unescaped.text
        return False

    def _wide_may_hold(self, text: str, depth: int) -> bool:
        return any(
            self._decoded_may_hold(plain, depth + 1)
            for _, plain, _ in encodings.wide_texts(text)
            if depth < _DEPTH
        )

    def _plain_may_hold(self, text: str) -> bool:
        return (
            self._secrets.may_occur_in(text)
            or any(
                True
                for pattern in self._shapes.for_text(text, own=False)
                for _ in pattern.regex.finditer(text)
            )
            or any(True for _ in self._shapes.names.occurrences(text))
        )

    def request(self, part: Document) -> Document:
        """Redact a document's `request` part."""
        if "body_base64" not in part and not self.may_hold(exact_json.dumps(part, parsed=True)):
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
        return self._base64(value, where, 1) if key == "body_base64" else self.values(value, where)

    def response_may_hold(self, part: Document) -> bool:
        """Whether a document's `response` part could hold a secret; False is certain."""
        text = exact_json.dumps(part, parsed=True)
        return '"base64":' in text or self.may_hold(text)

    def response(self, part: Document) -> Document:
        """Redact a document's `response` part."""
        if not self.response_may_hold(part):
            return part
        before = len(self._findings)
        result = {
            key: value if key in _RESPONSE_FRAME else self._response_member(key, value)
            for key, value in part.items()
        }
        return result if len(self._findings) > before else part

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
            self._findings.append(finding(CREDENTIAL_FIELD, where))
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
        self._findings += [finding(rule, where) for rule in rules]
        return base64.b64encode(data).decode()

    # ------------------------------------------------------------------ strings

    def text(self, text: str, where: Where, *, own: bool = True) -> str:
        """Redact a string."""
        spans = self.spans(text, own=own)
        if not spans:
            return text
        self._findings += [finding(span.rule, where) for span in spans]
        for span in spans:
            self.note(span.rule, text[span.start : span.end], span.placeholder)
        return applied(text, spans)

    def note(self, rule: str, value: str, instead: str) -> None:
        """Add a value to `replaced` if it was not encoded but as a URL spells it: that for which
        `instead` stands, since elsewhere it has to get the same placeholder.
        """
        if PLACEHOLDER.fullmatch(instead) and "\\" not in value:
            plains = dict.fromkeys((value, unquote(value), unquote_plus(value)))
            same = [plain for plain in plains if self._shapes.placeholder(plain) == instead]
            for plain in same:
                is_userinfo = rule == USERINFO
                self.replaced += credentials_in_userinfo(plain) if is_userinfo else [(rule, plain)]

    def spans(self, text: str, *, own: bool = True) -> list[Span]:
        """What to replace in a text, in order and without overlaps; `own` includes the user's
        patterns.
        """
        return self._spans(text, 0, 0, own)

    def cut_off(self, text: str) -> list[Span]:
        """The start of a known value at the end of a text that was cut off."""
        known_start = self._secrets.begins_at_end(text)
        if known_start is None:
            return []
        start, rule, value = known_start
        return [Span(start, len(text), self._shapes.placeholder(value), rule)]

    def literal_spans(self, text: str) -> list[Span]:
        """The known values and matches of shipped patterns in a text, without decoding it."""
        return self._shaped(text, 0, own=False).spans

    def _plain(self, text: str, depth: int, *, own: bool) -> Edit:
        edit = self._shaped(text, depth, own=own)
        edit.put(
            [
                Span(start, end, self._shapes.placeholder(value), rule)
                for start, end, rule, value in self._shapes.names.occurrences(edit.text)
            ]
        )
        return edit

    def _shaped(self, text: str, depth: int, *, own: bool) -> Edit:
        edit = Edit(text)
        edit.put(
            [
                Span(start, end, self._shapes.placeholder(value), name)
                for start, end, name, value in self._secrets.occurrences(text)
            ]
        )
        for pattern in self._shapes.for_text(edit.text, own=own):
            edit.put(list(self._shape(pattern, edit.text, depth)))
        while edit.spans and (beside := self._beside(edit, depth)):
            edit.put(beside)
        return edit

    def _beside(self, edit: Edit, depth: int) -> list[Span]:
        """Keys directly beside another secret: once that is replaced, a pattern has its border."""
        for start, end in edit.gaps():
            gap = edit.text[start:end]
            for pattern in self._shapes.for_text(gap, own=False):
                spans = [
                    Span(start + span.start, start + span.end, span.placeholder, span.rule)
                    for span in self._shape(pattern, gap, depth)
                ]
                if spans:
                    return spans
        return []

    def _spans(self, text: str, layer: int, depth: int, own: bool) -> list[Span]:
        """The spans of a text under `layer` layers of escapes and `depth` encodings."""
        edit = self._plain(text, depth, own=own)
        if layer < _DEPTH and (plain := encodings.Unescaped(edit.text)):
            edit.put(
                [
                    Span(*source, _quoted(span.placeholder, edit.text[slice(*source)]), span.rule)
                    for span in self._spans(plain.text, layer + 1, depth, own)
                    for source in (plain.source(span.start, span.end),)
                ]
            )
        # After the escapes: base64 in a URL has its punctuation escaped.
        if depth < _DEPTH:
            edit.put(list(self._encoded(edit.text, depth, own)))
            edit.put(list(self._wide(edit.text, depth, own)))
        return edit.spans

    def _wide(self, text: str, depth: int, own: bool) -> Iterator[Span]:
        """What to replace in the parts of a text that are UTF-16 or UTF-32, spelled as these."""
        for first, plain, width in encodings.wide_texts(text):
            zeros = "\0" * (width - 1)
            for start, end, instead, rule in self._spans(plain, 0, depth + 1, own):
                # In the other byte order the last zeros belong to the next letter.
                stop = first + width * end - len(zeros)
                yield Span(first + width * start, stop, zeros.join(instead), rule)

    def _shape(self, pattern: Pattern, text: str, depth: int) -> Iterator[Span]:
        standing = [match.span() for match in PLACEHOLDER.finditer(text)]
        starts = [start for start, _ in standing]
        at = done = 0
        while at >= 0:
            matches = pattern.regex.finditer(text, at)
            at = -1
            for match in matches:
                start, end = match.span()
                near = bisect_right(starts, start) - 1
                if near >= 0 and start < standing[near][1]:
                    at = standing[near][1]  # a match cannot begin within a placeholder
                    break
                if start < done or start == end:
                    continue
                near = bisect_right(starts, end - 1) - 1
                if near >= 0 and start < starts[near]:
                    end = max(end, standing[near][1])  # a placeholder is not divided
                done = end
                if pattern.stand_in and depth:
                    continue
                instead = pattern.stand_in or self._shapes.placeholder(text[start:end])
                yield Span(start, end, instead, pattern.name)

    # ------------------------------------------------------------------ encodings

    def _encoded(self, text: str, depth: int, own: bool) -> Iterator[Span]:
        """Runs of base64 and hexadecimal digits that hold a secret, encoded again without it."""
        for start, end in encodings.runs(text, self._run):
            while text.startswith("=", end):
                end += 1
            run = text[start:end]
            rules: list[str] = []
            # A replacement moves what follows, so a changed run is read again.
            changed = True
            while changed and len(rules) < _MANY:
                changed = False
                for reading in encodings.readings(run):
                    if not self._bytes_may_hold(reading.data, depth + 1):
                        continue
                    redacted = self._bytes(reading.data, depth + 1, own=own)
                    if redacted is not None:
                        run = reading.replaced_by(redacted[0])
                        rules += redacted[1]
                        changed = True
                        break
            if rules:
                yield Span(start, end, run, rules[0])

    def _bytes(self, data: bytes, depth: int, *, own: bool) -> tuple[bytes, list[str]] | None:
        """Bytes without their secrets, and the rules that matched; None if none did."""
        try:
            packed = list(encodings.packed(data)) if depth < _DEPTH else []
        except OverflowError:
            self.unsearched = True
            return None
        parts: list[bytes] = []
        rules: list[str] = []
        done = 0
        for inner in packed:
            parts.append(self._text_bytes(data[done : inner.start], depth, rules, own=own))
            if redacted := self._bytes(inner.plain, depth + 1, own=own):
                parts.append(inner.packed_again(redacted[0]))
                rules += redacted[1]
            else:
                parts.append(data[inner.start : inner.end])
            done = inner.end
        parts.append(self._text_bytes(data[done:], depth, rules, own=own))
        return (b"".join(parts), rules) if rules else None

    def _text_bytes(self, data: bytes, depth: int, rules: list[str], *, own: bool) -> bytes:
        """Uncompressed bytes without their secrets; adds the rules that matched to `rules`."""
        # Bytes that are not UTF-8 come back unchanged.
        text = data.decode("utf-8", "surrogateescape")
        spans = self._spans(text, 0, depth, own and _is_text(text))
        if not spans:
            return data
        rules += [span.rule for span in spans]
        return applied(text, spans).encode("utf-8", "surrogateescape")


_MANY: Final = 1000
_NO_TEXT: Final = re.compile("[\0-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def _is_text(text: str) -> bool:
    return _NO_TEXT.search(text) is None


def _quoted(instead: str, source: str) -> str:
    """Escape base64 if the source has percent-escapes; a placeholder needs no escape."""
    return quote(instead, safe="") if "%" in source else instead


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1

"""Search texts for known values and for shapes of secrets: as they are, without their escapes, and
with their base64, hexadecimal digits and compressed data decoded (`encodings.py`).

Nearly all texts hold neither, and each replayed request is searched. So a quick look tells whether
a text could hold one.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote, unquote_plus

from wiretape.core.text.regex import may_occur
from wiretape.core.text.spans import Edit, Span, applied

from . import encodings
from .key_patterns import SIGNS, Pattern
from .known_values import USERINFO, KnownValue, Secrets, credentials_in_userinfo
from .placeholder import PLACEHOLDER, STARTS_OF_ANY
from .rules import Finding, Where, finding
from .secret_shapes import Shapes

_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_SHORT_RUN: Final = 256
_MOST_RUNS: Final = 4096
DEPTH: Final = 5
"""How many encodings may be nested: JSON in JSON, base64 in a form in gzip."""


@lru_cache(maxsize=8)
def _empty_runs(shapes: Shapes, secrets: Secrets) -> set[tuple[str, int]]:
    """Short runs of base64 that hold none of these, and how deep they were: the same paths, models
    and media types are in nearly all requests of a folder.
    """
    return set()


class TextSearch:
    """Replaces known values and secrets of known shapes in texts, and adds to `findings`.

    A placeholder within compressed data has no digest, since a matcher could not ignore it there.
    """

    def __init__(self, shapes: Shapes, secrets: Secrets, findings: list[Finding]) -> None:
        self._shapes = shapes
        self._secrets = secrets
        self.findings = findings
        self.replaced: list[KnownValue] = []
        """The values that were replaced, with their rules."""
        self.unsearched = False
        """Whether there was compressed data too large to be searched."""
        self.plain: str | None = None
        """The latest JSON text in which `may_hold` saw no sign of a secret nor of a placeholder."""
        self._empty_runs = _empty_runs(shapes, secrets)
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
        if not may_occur(f"{signs}|{encodings.run_of(self._run)}|{STARTS_OF_ANY}", text):
            self.plain = json_text
            return False
        return self._encoded_may_hold(text, 0) or (
            may_occur(signs, text)
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
                if len(self._empty_runs) >= _MOST_RUNS:
                    self._empty_runs.clear()
                self._empty_runs.add((run, depth))
        return False

    def _run_may_hold(self, run: str, depth: int) -> bool:
        decoded = [reading.data for reading in encodings.readings(run)]
        if len(run) < _SHORT_RUN and not any(map(encodings.may_be_packed, decoded)):
            # Most runs are ids: look at all their readings at once.
            plain = b"\n".join(decoded).decode("utf-8", "surrogateescape")
            if not (
                self._shapes.own
                or SIGNS.search(plain)
                or "%" in plain
                or "\\" in plain
                or "\0" in plain
                or self._plain_may_hold(plain)
                or self._encoded_may_hold(plain, depth + 1)
            ):
                return False
        return any(self._bytes_may_hold(data, depth + 1) for data in decoded)

    def _bytes_may_hold(self, data: bytes, depth: int) -> bool:
        """Whether decoded bytes could hold a secret; most are neither text nor base64."""
        if depth > DEPTH:
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
        for _ in range(DEPTH + 1):
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
            if depth < DEPTH
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

    # ------------------------------------------------------------------ strings

    def text(self, text: str, where: Where, *, own: bool = True) -> str:
        """Redact a string."""
        spans = self.spans(text, own=own)
        if not spans:
            return text
        self.findings += [finding(span.rule, where) for span in spans]
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
        if layer < DEPTH and (plain := encodings.Unescaped(edit.text)):
            edit.put(
                [
                    Span(*source, _quoted(span.placeholder, edit.text[slice(*source)]), span.rule)
                    for span in self._spans(plain.text, layer + 1, depth, own)
                    for source in (plain.source(span.start, span.end),)
                ]
            )
        # After the escapes: base64 in a URL has its punctuation escaped.
        if depth < DEPTH:
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
            packed = list(encodings.packed(data)) if depth < DEPTH else []
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

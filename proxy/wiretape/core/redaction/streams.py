"""Redact secrets that a stream has divided, so that no chunk holds one whole.

The strings of a stream's chunks are joined by path (`stream_texts.py`), and so are events' data
that is not JSON, and reads. A secret that `Search` finds across a border is replaced: the piece
where it begins gets the placeholder, the following pieces lose their part of it. All pieces stay,
and with them number, order and framing of the chunks; joined, they read as the text with the
placeholder. The search of single strings handles what a piece holds whole.

A path that is not known to be text may hold ids or counters, in which a pattern matches by chance:
there a match counts only if the pieces differ as those of a text do.
"""

import base64
import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, NamedTuple

from wiretape.core.recording.document import Document
from wiretape.core.text import exact_json
from wiretape.core.text.span_pieces import divided, located, moved
from wiretape.core.text.spans import Span, applied

from . import nested_json, stream_texts, token_lists
from .joined_texts import JoinedTexts
from .key_patterns import PATTERNS
from .rules import Finding, Where, finding
from .stream_texts import JsonPath, Leaf, TextPath
from .value_search import Search

_SHAPES: Final = frozenset(pattern.name for pattern in PATTERNS)
_ID: Final = 4
"""Two equal pieces in a row of at least this length are an id, not a text."""
_FIXED: Final = 8
"""Pieces of equal length, at least this long, are not a text either."""


@dataclass(slots=True)
class _RawValue:
    """Changes of a JSON value that is stored as text."""

    texts: dict[JsonPath, str] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    again: bool = False

    def changes(self, text: str, start: int) -> list[Span]:
        """The changes as spans of the text in which the value begins at `start`.

        A value is written anew only if numbers in it have to follow its strings.
        """
        if not self.again:
            return self.spans
        _, end = json.JSONDecoder().raw_decode(text, start)
        value = exact_json.parse(text[start:end])
        rewritten = exact_json.dumps(token_lists.follow(value, _rewritten(value, self.texts)))
        rule = next((span.rule for span in self.spans if span.rule), "")
        return [Span(start, end, rewritten, rule)]


@dataclass(slots=True, kw_only=True)
class _Run:
    """Neighbouring items that are text or bytes, and their joined text.

    If one is base64, all `pieces` are bytes in latin-1: a read may divide a character.
    """

    items: list[tuple[int, str]]
    pieces: list[str]
    are_bytes: bool = False
    changed: bool = False
    spans: list[Span] = field(default_factory=list)
    """What to replace in its strings."""
    values: "dict[int, _RawValue]" = field(default_factory=dict)
    """What has to go in the JSON values of its text, by where they begin."""

    @property
    def text(self) -> str:
        text = "".join(self.pieces)
        return _from_latin(text) if self.are_bytes else text

    def member(self, item: int) -> str:
        """The member that holds an item's text; the items of a run are neighbours."""
        return self.items[item - self.items[0][0]][1]

    def put(self, spans: Iterable[Span]) -> None:
        """Replace spans of the pieces."""
        shares = divided(self.pieces, spans)
        self.pieces = [applied(*both) for both in zip(self.pieces, shares, strict=True)]
        self.changed = True


class _Piece(NamedTuple):
    """A string of a path: in the JSON of an item, or as `raw` at `start` of a run's text, in JSON
    that begins at `value`.
    """

    leaf: Leaf
    item: int
    run: _Run | None = None
    start: int = 0
    raw: str = ""
    value: int = 0


def redact(
    response: Document, search: Search, findings: list[Finding], *, is_searched: bool = False
) -> Document:
    """Replace the secrets that a response's chunks hold only together, and add them to `findings`.
    `is_searched` says that no string of the part could hold one by itself.

    Gives the `response` part itself if there are none.
    """
    body, items, events = response.get("body"), _items(response), _is_of_events(response)
    is_cut = response.get("end", "complete") != "complete" or _is_too_long(items)
    if is_searched and not _may_be_divided(items, search, events=events, is_cut=is_cut):
        return response
    stream = _Stream(items, search, numbered=isinstance(body, list), events=events, is_cut=is_cut)
    stream.search_texts()
    stream.search_reads()
    if not stream.findings:
        return response
    findings += stream.findings
    changed = stream.changed()
    return {**response, "body": changed if isinstance(body, list) else changed[0]}


_TEXT_MEMBERS: Final = ("text", "base64", "data")
_TEXT_NAMES: Final = frozenset(_TEXT_MEMBERS)


def _text_member(item: Document) -> str | None:
    """The member of an item that is text or bytes."""
    for name in _TEXT_MEMBERS:
        if isinstance(item.get(name), str):
            return name
    return None


def divided_texts(response: Document) -> list[str] | None:
    """The texts that a response's chunks hold only together; None if that takes `redact`'s reading.

    >>> content = [{"__data__": {"delta": {"text": part}}} for part in ("Hel", "lo")]
    >>> divided_texts({"headers": {}, "body": content})
    ['Hello']
    """
    return _joined_texts(_items(response), events=_is_of_events(response))


def _items(response: Document) -> list[Document]:
    body = response.get("body")
    return body if isinstance(body, list) else [body] if isinstance(body, dict) else []


def _is_of_events(response: Document) -> bool:
    # A document's header names are in lower case; a repeated header is a list.
    media = str(response.get("headers", {}).get("content-type", "")).lower()
    return media.startswith("text/event-stream")


def _joined_texts(
    items: Sequence[Document], *, events: bool, singles: bool = False
) -> list[str] | None:
    """The texts of items, joined as `JoinedTexts.joined` does; None if only `_Stream` reads all."""
    if not set(map(type, items)) <= {dict}:
        return None  # written by hand
    texts = JoinedTexts()
    comments: list[str] = []
    # What is JSON alone is taken together.
    others = [at for at, item in enumerate(items) if not _TEXT_NAMES.isdisjoint(item)]
    for at in others:
        item = items[at]
        member = _text_member(item)
        if member is None:
            if "__data__" in item:
                texts.add([item["__data__"]], [at])
        elif member == "data" and (
            item["data"][:1] not in ("{", "[", '"') or item["data"] == _DONE
        ):
            texts.add_data(item["data"], at)
        elif member == "text" and events and _COMMENT.fullmatch(item["text"]):
            comments.append(item["text"])
        else:
            return None
    skipped = frozenset(others)
    numbers = [at for at, item in enumerate(items) if "__data__" in item and at not in skipped]
    texts.add([items[at]["__data__"] for at in numbers], numbers)
    joined = texts.joined(singles=singles)
    if joined is None:
        return None
    return [text for text in (*joined, "".join(comments)) if text]


def _may_be_divided(
    items: Sequence[Document], search: Search, *, events: bool, is_cut: bool
) -> bool:
    """Whether `_Stream` could find anything in items of which no string holds a secret by itself;
    False is certain.
    """
    joined = _joined_texts(items, events=events, singles=is_cut)
    if not joined:
        return joined is None
    return (is_cut and any(map(search.cut_off, joined))) or search.may_hold(
        exact_json.dumps(joined, parsed=True)
    )


_DONE: Final = "[DONE]"
_COMMENT: Final = re.compile(r":[^\r\n]*\n\n")
"""An event of a comment alone, with which a server keeps a connection open."""


class _Stream:
    def __init__(
        self,
        items: Sequence[Document],
        search: Search,
        *,
        numbered: bool,
        events: bool,
        is_cut: bool,
    ) -> None:
        self._items = items
        self._is_cut = is_cut
        self._search = search
        self._numbered = numbered
        self._events = events
        self._pieces: list[_Piece] = []
        self._runs: list[_Run] = []
        self._values: dict[int, dict[JsonPath, str]] = {}
        self.findings: list[Finding] = []
        self._read()

    # ------------------------------------------------------------------ reading

    def _read(self) -> None:
        run: list[tuple[int, str]] = []
        for at, item in enumerate(self._items):
            if not isinstance(item, dict):
                item = {}  # written by hand, like a member that is not a string
            member = _text_member(item)
            if member in ("text", "base64"):
                run.append((at, member))
                continue
            self._close(run)
            run = []
            if "__data__" in item:
                self._pieces += [
                    _Piece(leaf, at) for leaf in stream_texts.leaves(item["__data__"])[0]
                ]
            elif member is not None:
                self._close([(at, member)])
        self._close(run)

    def _close(self, items: list[tuple[int, str]]) -> None:
        """End a run of items."""
        if not items:
            return
        texts: list[str] = [self._items[at][member] for at, member in items]
        are_bytes = any(member == "base64" for _, member in items)
        if are_bytes:
            try:
                texts = [
                    _latin(text, member) for text, (_, member) in zip(texts, items, strict=True)
                ]
            except ValueError:
                return  # written by hand; its strings are searched singly
        run = _Run(items=items, pieces=texts, are_bytes=are_bytes)
        self._runs.append(run)
        # Offsets are in characters, not bytes: near enough to find the item.
        ends = list(accumulate(map(len, texts)))
        for string in stream_texts.in_text(run.text, items[0][1], events=self._events):
            at = min(bisect_right(ends, string.start), len(items) - 1)
            self._pieces.append(
                _Piece(string.leaf, items[at][0], run, string.start, string.raw, string.value)
            )

    # ------------------------------------------------------------------ strings

    def search_texts(self) -> None:
        """Search the strings of each path as one text."""
        by_path: dict[TextPath, list[_Piece]] = {}
        for piece in self._pieces:
            by_path.setdefault(piece.leaf.path, []).append(piece)
        single = (pieces[0] for pieces in by_path.values() if len(pieces) == 1)
        merged = stream_texts.merged((p.leaf.path, (p.item, p.value)) for p in single)
        for path, plain in merged.items():
            pieces = by_path.setdefault(plain, [])
            pieces += by_path.pop(path)
            pieces.sort(key=lambda piece: (piece.item, piece.start))
        for path, pieces in by_path.items():
            first = pieces[0]
            if (
                len(pieces) > 1
                or self._is_cut
                or first.leaf.again
                or "\\" in first.raw
                or nested_json.opens(first.leaf.text)
            ):
                self._search_text(path, pieces)
        for run in self._runs:
            text = run.text if run.values else ""
            for start, value in run.values.items():
                run.spans += value.changes(text, start)
            if run.spans:
                run.put(_in_pieces(run, sorted(run.spans)))

    def _search_text(self, path: TextPath, pieces: list[_Piece]) -> None:
        texts = [piece.leaf.text for piece in pieces]
        is_text = stream_texts.is_text(path)
        if not is_text and len(texts) > 1 and len(set(texts)) == 1:
            return

        def find(text: str) -> list[Span]:
            return self._search.spans(text, own=is_text)

        joined = "".join(texts)
        spans = nested_json.spans(joined, find, json_text=stream_texts.is_json_text(path))
        cut = self._cut_off(joined, spans) if self._is_cut else []
        spans += cut
        if not spans:
            return
        across = [
            span
            for span, first, last, offset in located(texts, spans)
            if (is_text or span.rule not in _SHAPES or _vary(texts, first, last))
            and not (
                first == last
                and not pieces[first].leaf.again
                and "\\" not in pieces[first].raw
                and moved(span, -offset) in find(texts[first])
            )
        ]
        for span in across:
            if span in cut:
                continue  # only the start of a value
            self._search.note(span.rule, joined[span.start : span.end], span.placeholder)
        for piece, shares in zip(pieces, divided(texts, across), strict=True):
            if shares:
                self._replace(piece, shares)

    def _cut_off(self, text: str, spans: list[Span]) -> list[Span]:
        """The start of a known value at the end of a cut text."""
        done = spans[-1].end if spans else 0
        return [moved(span, done) for span in self._search.cut_off(text[done:])]

    def _replace(self, piece: _Piece, shares: list[Span]) -> None:
        run, leaf = piece.run, piece.leaf
        member = "__data__" if run is None else run.member(piece.item)
        self._report(shares, piece.item, (member, *leaf.json_path))
        text = applied(leaf.text, shares)
        if run is None:
            self._values.setdefault(piece.item, {})[leaf.json_path] = text
            return
        if leaf.number >= 0:
            shares = nested_json.to_raw(piece.raw, shares)
            changes = run.values.setdefault(piece.value, _RawValue())
            changes.texts[leaf.json_path] = text
            changes.again |= leaf.again
            changes.spans += [moved(span, piece.start) for span in shares]
        else:
            run.spans += [moved(span, piece.start) for span in shares]

    def _report(self, shares: Iterable[Span], item: int, where: JsonPath) -> None:
        json_path: Where = ("response", "body", *((item,) if self._numbered else ()), *where)
        self.findings += [finding(span.rule, json_path) for span in shares if span.rule]

    # ------------------------------------------------------------------ reads

    def search_reads(self) -> None:
        """Search the joined text of reads."""
        for run in self._runs:
            is_last = self._is_cut and run is self._runs[-1]
            if not is_last and len(run.pieces) < 2:
                continue
            text = run.text
            if not self._events:
                spans = nested_json.spans(text, self._search.spans)
            else:
                # The strings of events are searched by `search_texts`, which leaves what stands
                # between texts that a client would read as one, but for their events' borders.
                spans = self._search.spans(text) if len(run.pieces) > 1 else []
            if is_last:
                spans += self._cut_off(text, spans)
            if not spans:
                continue
            across = [
                span
                for span, first, last, offset in located(run.pieces, _in_pieces(run, spans))
                if first < last
                or (is_last and span.end == sum(map(len, run.pieces)))
                or not (
                    self._events
                    or run.are_bytes
                    or moved(span, -offset) in self._search.spans(run.pieces[first])
                )
            ]
            if across:
                for item, shares in zip(run.items, divided(run.pieces, across), strict=True):
                    self._report(shares, item[0], (item[1],))
                run.put(across)

    def changed(self) -> list[Document]:
        """The items with their secrets replaced."""
        items = list(self._items)
        for at, texts in self._values.items():
            value = items[at]["__data__"]
            items[at] = {
                **items[at],
                "__data__": token_lists.follow(value, _rewritten(value, texts)),
            }
        for run in self._runs:
            if run.changed:
                for (at, member), text in zip(run.items, run.pieces, strict=True):
                    if run.are_bytes:
                        data = text.encode("latin-1")
                        text = (
                            base64.b64encode(data).decode() if member == "base64" else data.decode()
                        )
                    items[at] = {**items[at], member: text}
        return items


_TOO_LONG: Final = frozenset(("length", "max_tokens", "MAX_TOKENS", "max_output_tokens"))
"""Reasons for a model to stop in the middle of a text."""


def _is_too_long(items: Sequence[Document]) -> bool:
    """Whether one of the last chunks says that the text stops in the middle."""
    return any(
        _says_too_long(item["__data__"])
        for item in items[-_LAST:]
        if isinstance(item, dict) and "__data__" in item
    )


def _says_too_long(value: exact_json.Json) -> bool:
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, str):
            if node in _TOO_LONG:
                return True
        elif isinstance(node, dict):
            pending += node.values()
        elif isinstance(node, list):
            pending += node
    return False


_LAST: Final = 4


# ---------------------------------------------------------------------- pieces of a text


def _vary(texts: Sequence[str], first: int, last: int) -> bool:
    """Whether pieces of a path differ as those of a text do."""
    if len(texts) > 2 and len(texts[0]) >= _FIXED and len(set(map(len, texts[:-1]))) == 1:
        return False
    return not any(
        len(texts[at]) >= _ID and texts[at] == texts[at + 1] for at in range(first, last)
    )


def _in_pieces(run: _Run, spans: Iterable[Span]) -> list[Span]:
    """Spans of a run's text as spans of its pieces."""
    if not run.are_bytes:
        return list(spans)
    text, done, offset = run.text, 0, 0
    result: list[Span] = []
    for start, end, instead, rule in spans:
        first = offset + len(_to_latin(text[done:start]))
        done, offset = end, first + len(_to_latin(text[start:end]))
        result.append(Span(first, offset, instead, rule))
    return result


def _latin(text: str, member: str) -> str:
    data = base64.b64decode(text, validate=True) if member == "base64" else text.encode()
    return data.decode("latin-1")


def _from_latin(text: str) -> str:
    # Bytes that are not UTF-8 come back unchanged.
    return text.encode("latin-1").decode("utf-8", "surrogateescape")


def _to_latin(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


# ---------------------------------------------------------------------- values


def _rewritten(value: exact_json.Json, texts: Mapping[JsonPath, str]) -> exact_json.Json:
    """A copy of `value` with the strings at some paths replaced."""
    if () in texts:
        return texts[()]
    below: dict[str | int, dict[JsonPath, str]] = {}
    for json_path, text in texts.items():
        below.setdefault(json_path[0], {})[json_path[1:]] = text
    if isinstance(value, list):
        return [
            _rewritten(item, below[at]) if at in below else item for at, item in enumerate(value)
        ]
    return {
        name: _rewritten(item, below[name]) if name in below else item
        for name, item in value.items()
    }

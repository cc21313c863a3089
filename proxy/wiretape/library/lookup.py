"""Look up the recordings of a folder by key. A file's content says which keys it answers."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Final

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.canonical import Canonical
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.sketch import rank, sketch
from wiretape.core.model import Exchange, Request
from wiretape.core.playback.known_request import KnownRequest, document_digest
from wiretape.core.recording.document import Document
from wiretape.core.recording.given_ids import AnswerId, IdSource, sent_ids
from wiretape.core.redaction.traces import KnownTraces

from .direct_rows import DirectRows
from .file_cache import CachedRecording, RecordingCache
from .index import Index
from .index_rows import DirectRow, IndexRow, Rooted
from .on_demand import NotHere, may_defer
from .recording_file import (
    Endpoint,
    Stat,
    StoredRequest,
    answered,
    load_requests,
    stat_or_none,
)
from .scanned_folder import LOOK_SECONDS, LocalState, ScannedFolder
from .sequence import Roots, sequence

_MEMO: Final = 4_096
_MOST_CHECKED_EACH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A recording as the index knows it. `name` is its path below the folder, with "/"; `token`
    (KEY12[.TAKE]) names it as the source of the `ids` in its answer; `since` is its index row,
    `digest` that of the live requests whose bytes are its request's.
    """

    name: str
    key: str
    endpoint: Endpoint
    take: int = 1
    foreign: bool = False
    token: str = ""
    since: int = 0
    digest: bytes | None = None
    ids: tuple[AnswerId, ...] = ()


type _MemoKey = tuple[str, str, tuple[tuple[str, str], ...]]
"""A request's own key, its key with the ids spelled out, and (id, token of its creator) pairs."""


@dataclass(slots=True)
class _Memo:
    """The takes of a request, and what their files must still look like."""

    entries: tuple[Entry, ...]
    stats: tuple[tuple[str, Stat], ...]
    checked: float = 0.0

    def is_fresh(self, trusted: float = 0.0) -> bool:
        """Whether the files are unchanged, or were so up to `trusted` seconds ago."""
        if len(self.stats) > _MOST_CHECKED_EACH:
            trusted = LOOK_SECONDS
        if trusted:
            now = monotonic()
            if now < self.checked + trusted:
                return True
            self.checked = now
        try:
            for path, stat in self.stats:
                info = os.stat(path)
                if (info.st_mtime_ns, info.st_size, info.st_ino) != (stat[1], stat[2], stat[0]):
                    return False
        except OSError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class _TracesRead:
    """What an index's rows up to `last` hold in redacted form."""

    index: Index
    last: int
    traces: frozenset[str]
    recorded: KnownTraces


class Lookup(ScannedFolder):
    """Reads the recordings of one folder, or of one session in it.

        lookup = Lookup(Path("recordings"), matcher)
        lookup.load()
        key = lookup.canonical(request).key
        for entry in lookup.takes(key):
            exchange = lookup.read(entry.name)

    `prepare` turns a stored `request` part into the one that is matched: it redacts it as a live
    request is redacted. `state` is where the lock of the folder is, and its index if it is large.
    """

    own_prepare: Callable[[Document], Document] | None = None
    """How this machine redacts a stored `request` part, where the index is one that others share.
    """

    def __init__(
        self,
        folder: Path,
        matcher: Matcher,
        prepare: Callable[[Document], Document] = lambda request: request,
        session: str | None = None,
        state: LocalState | None = None,
    ) -> None:
        super().__init__(folder, session, state)
        self._prefix = os.path.join(self.folder, "")
        self._matcher = matcher
        self._last_matched: tuple[Document, Canonical] | None = None
        self._prepare = prepare
        self._redacted: _TracesRead | None = None
        self._memo: dict[_MemoKey, _Memo] = {}
        self._known: dict[bytes, KnownRequest] = {}
        self._direct = DirectRows(self.folder)
        self._recordings = RecordingCache(self.folder, self._fetch)
        self._edits: dict[str, CachedRecording] = {}

    def edit(self, name: str, exchange: Exchange) -> None:
        """Give an exchange in place of a recording while this run lasts."""
        self._edits[name] = CachedRecording.of(exchange)

    @cached_property
    def _other_keys(self) -> dict[str, tuple[str, ...]]:
        """What `seek` has looked for, and the keys it found."""
        return {}

    # -------------------------------------------------------------- matching

    def canonical(self, request: Document) -> Canonical:
        """The canonical form of a stored `request` part, redacted first as a live one would be."""
        return self._matcher.canonical(self._prepare(request))

    def matched(self, request: Document) -> Canonical:
        """The canonical form of a live `request` part that has been redacted."""
        # What is recorded is asked for twice, one right after the other.
        last = self._last_matched
        if last is None or last[0] is not request:
            last = self._last_matched = request, self._matcher.canonical(request)
        return last[1]

    def keys(self, request: Document) -> tuple[Canonical, ...]:
        """The canonical forms of a redacted `request` part: its own, and if it has `ids`, the one
        with these spelled out. A recording answers the keys of both.
        """
        own = self.matched(request)
        if "ids" not in request:
            return (own,)
        with_ids = self._matcher.canonical({k: v for k, v in request.items() if k != "ids"})
        return (own,) if with_ids.key == own.key else (own, with_ids)

    def _stored_keys(self, request: Document) -> tuple[Canonical, ...]:
        return self.keys(self._prepare(request))

    def _examine(self, request: Document, /, read: Request | None = None) -> StoredRequest:
        redacted = self._prepare(request)
        forms = self.keys(redacted)
        return _stored_request(request, redacted, forms, _digest(request, redacted, forms, read))

    def _examine_all(self, requests: Sequence[tuple[Document, Request]]) -> Sequence[StoredRequest]:
        all_redacted = [self._prepare(request) for request, _ in requests]
        all_forms = [self.keys(redacted) for redacted in all_redacted]
        parts = [
            (request, redacted, forms, read)
            for (request, read), redacted, forms in zip(
                requests, all_redacted, all_forms, strict=True
            )
        ]
        digests = [_digest(*each) for each in parts]
        return [
            _stored_request(*each[:3], digest) for each, digest in zip(parts, digests, strict=True)
        ]

    def known(self, digest: bytes) -> KnownRequest | None:
        """What is known of the live requests with a digest (`known_request.digest_of`); None if no
        recording answers them now.
        """
        with self._guard:
            self._look()
            known, row = self._known.get(digest), None
            if known is None:
                answer = self._query(lambda index: index.known(digest))
                if answer is None:
                    return None
                known, row = answer
            is_answered = row is not None and self._is_answered_by(row, known.key)
            if not is_answered and not self.answering((known.key,), known.request_ids):
                return None
            # What is known depends on a request's bytes alone, not on what recordings there are.
            if len(self._known) >= _MEMO:
                self._known.clear()
            self._known[digest] = known
            return known

    def direct(self, digest: bytes) -> DirectRow | None:
        """The answer to live requests with a digest, if the index has it ready and the recording is
        the only one that answers them and what it was.
        """
        if self._origin is not None:
            return None
        with self._guard:
            self._look()
            row = self._direct.get(digest, self._query, self._recordings.cache_seconds)
            if row is None or row.name in self._replaced or row.name in self._edits:
                return None
            return row

    def _is_answered_by(self, row: IndexRow, key: str) -> bool:
        """Whether the one take of a key answers it, its file being what it was; it is read at once,
        for it will be asked for next.
        """
        memo_key: _MemoKey = (key, key, ())
        if memo_key in self._memo or not row.settled or row.name in self._replaced:
            return False
        with suppress(FormatError, StoreError):
            recording = self._recordings.get(row.name)
            if recording.stat == row.stat:
                stats = ((recording.path, row.stat),)
                self._remember(memo_key, _Memo((_entry(row, key),), stats, recording.checked))
                return True
        return False

    def _remember(self, memo_key: _MemoKey, memo: _Memo) -> None:
        if len(self._memo) >= _MEMO:
            self._memo.clear()
        self._memo[memo_key] = memo

    def cache_for(self, seconds: float) -> None:
        """Check a recording's file at most once in so many seconds: at thousands of requests a
        second, asking the system each time costs as much as everything else.
        """
        self._recordings.cache_seconds = seconds

    def _note_change(self, index: Index) -> None:
        self._forget_answers()
        self._find_roots(index)

    def _forget_answers(self) -> None:
        self._memo.clear()
        self._direct.forget()

    def _find_roots(self, index: Index) -> None:
        """Name ids by the answer that created them; earlier versions named each poll of an id by
        the poll before.
        """
        roots = Roots(index.givers)
        rooted = []
        for number, name, links in index.unrooted():
            root_by_id = {text: roots.of(text, token) for text, token in links.items()}
            if not all(root.is_sure for root in root_by_id.values()):
                continue
            new_links = {
                text: root.token for text, root in root_by_id.items() if root.token is not None
            }
            hops = max((root.hops for root in root_by_id.values()), default=0)
            keys = None
            if new_links != links:
                with suppress(FormatError, StoreError):
                    request = self._recordings.get(name).request
                    keys = answered(self._stored_keys(with_links(request, new_links)))
                if keys is None:
                    continue
            rooted.append(Rooted(number, new_links, hops, keys or ()))
        if rooted:
            index.put_roots(rooted)
            self._forget_answers()

    def takes(self, key: str) -> tuple[Entry, ...]:
        """The recordings of a key, in the order they were made; see `answering`."""
        return self.answering((key,))

    def answering(
        self,
        keys: Sequence[str],
        request_ids: Iterable[str] = (),
        id_sources: Mapping[str, IdSource] | None = None,
    ) -> tuple[Entry, ...]:
        """The takes of a request in the order they were recorded, as the files are now.

        `keys` are its own and, if it differs, the one with its ids spelled out; `request_ids` are
        the texts it holds where ids are expected, and `id_sources` the answers that gave them to
        this session. llama-stack's recordings answer where no other does.
        """
        created = [
            (text, source.token.rpartition("#")[0])
            for text, source in (id_sources.items() if id_sources else ())
            if source.created
        ]
        memo_key = (keys[0], keys[-1], tuple(sorted(created)))
        with self._guard:
            self._look()
            memo = self._memo.get(memo_key)
            if memo is not None and memo.is_fresh(self._recordings.cache_seconds):
                return memo.entries
            return self._query(lambda index: self._answering_anew(index, memo_key, request_ids))

    def _answering_anew(
        self, index: Index, memo_key: _MemoKey, request_ids: Iterable[str]
    ) -> tuple[Entry, ...]:
        entries: tuple[Entry, ...] = ()
        # Again each time that a file turns out to have changed; files that change faster than they
        # are read are taken as they were.
        for _ in range(4):
            rows = self._sequence(index, memo_key, request_ids)
            entries = tuple(_entry(row, memo_key[0]) for row in rows)
            if not rows:
                full = monotonic() >= self._next_full_scan_at
                if not self._scan(index, full=full):
                    break
                continue
            # What a store's manifest lists does not change while a run lasts.
            stats = tuple((self._prefix + row.name, row.stat) for row in rows if not self._origin)
            doubtful = [
                row.name
                for row, (path, stat) in zip(rows, stats, strict=not self._origin)
                if not row.settled or not _Memo((), ((path, stat),)).is_fresh()
            ]
            if not doubtful:
                self._remember(memo_key, _Memo(entries, stats, monotonic()))
                break
            if not self._sweep.read(index, doubtful):
                break
            self._note_change(index)
        return entries

    def _takes(self, index: Index, key: str) -> list[IndexRow]:
        keys = (key, *self._other_keys.get(key, ()))
        return [row for each in keys for row in index.takes(each)]

    def _sequence(
        self, index: Index, memo_key: _MemoKey, request_ids: Iterable[str]
    ) -> list[IndexRow]:
        own_key, spelled_key, creator_pairs = memo_key
        with_ids = [
            row for row in self._takes(index, spelled_key) if row.name not in self._replaced
        ]
        if len(with_ids) == 1 and own_key == spelled_key and not creator_pairs:
            return with_ids
        exact: list[IndexRow] = []
        if own_key != spelled_key:
            exact = [row for row in self._takes(index, own_key) if row.name not in self._replaced]
        with_ids_ours = [row for row in with_ids if not row.is_foreign]
        exact_ours = [row for row in exact if not row.is_foreign]
        if not with_ids_ours and not exact_ours:
            return exact or with_ids
        creators = index.created(dict.fromkeys(request_ids)) if with_ids_ours else {}
        created_by = {text: token for text, token in creator_pairs if text in creators}
        return sequence(exact_ours, with_ids_ours, created_by, creators)

    def seek(self, canonical: Canonical) -> bool:
        """Look among the nearest recordings for those of a request that a shared index has under
        another key, since it holds a value or folder that only this machine knows as such; gives
        whether there are some, which answer it from now on.
        """
        key = canonical.key
        if self.own_prepare is None or key in self._other_keys:
            return False
        others: set[str] = set()
        for name, _ in self.nearest(canonical):
            with suppress(FormatError, StoreError):
                forms = self.keys(self.own_prepare(self._linked_request(name)))
                pairs = zip(forms, self.recorded(name), strict=False)
                others.update(shared.key for own, shared in pairs if own.key == key != shared.key)
        with self._guard:
            self._other_keys[key] = tuple(sorted(others))
            self._forget_answers()
        return bool(others)

    def known_at_start(self, entries: Iterable[Entry]) -> bool:
        """Whether one of these was there when the run began, edited since or not."""
        return any(self._was_there_at_start(entry.since, entry.name) for entry in entries)

    def host_keys(self) -> set[str]:
        """The hosts of the recordings, as `Providers.host_key` names them."""
        return self._query(Index.host_keys)

    def count(self, endpoint: Endpoint) -> int:
        """How many recordings are of an endpoint."""
        return self._query(lambda index: len(index.sketches(endpoint)))

    def nearest(self, canonical: Canonical, limit: int = 20) -> list[tuple[str, Canonical]]:
        """The recordings of the same endpoint most like a request, the most like first, to explain
        a miss with.
        """
        request_sketch = sketch(canonical.value)

        def nearest_names(index: Index) -> list[str]:
            nearest = index.sketches(canonical.endpoint).nearest(request_sketch, limit)
            return index.names_of(nearest)

        neighbours = []
        for name in self._query(nearest_names):
            # One that went bad since it was indexed is left out.
            with suppress(FormatError, StoreError):
                forms = [(form, sketch(form.value)) for form in self.recorded(name)]
                neighbours.append((name, rank(request_sketch, forms, 1)[0]))
        return neighbours

    def redacted(self) -> KnownTraces:
        """What tells values again that the recordings hold in redacted form, or held in this
        run.
        """

        def update(index: Index) -> KnownTraces:
            last, known = index.last(), self._redacted
            if known is not None and (known.index, known.last) == (index, last):
                return known.recorded
            since = known.last if known is not None and known.index is index else 0
            traces = index.traces(since) | (known.traces if known else frozenset())
            self._redacted = _TracesRead(index, last, traces, KnownTraces.of(traces))
            return self._redacted.recorded

        return self._query(update)

    # -------------------------------------------------------------- reading

    def read(self, name: str) -> Exchange:
        """The exchange of a recording, by its name; FormatError or StoreError if it went bad."""
        return self.stored(name).exchange

    def stored(self, name: str) -> CachedRecording:
        """A recording whose request is not read before it is asked for; errors as `read`."""
        return self._edits.get(name) or self._recordings.get(name)

    def request(self, name: str) -> Document:
        """The `request` part of a recording, as it is stored; errors as `read` has them."""
        return self._recordings.get(name).request

    def recorded(self, name: str) -> tuple[Canonical, ...]:
        """The canonical forms of a recording's request, its own first; errors as `read`."""
        cached = self._recordings.get(name)
        if not cached.forms:
            cached.forms = self._stored_keys(self._linked_request(name))
        return cached.forms

    def _linked_request(self, name: str) -> Document:
        request = self._recordings.get(name).request
        if "ids" in request:
            return with_links(request, self._query(lambda index: index.links(name)))
        return request

    def endpoints(self) -> list[tuple[str, Stat, Endpoint]]:
        """The recordings by name, in order: each with its stat and an endpoint that it answers."""
        rows = self._query(Index.endpoints)
        return [
            row
            for row in rows
            if row[0] not in self._replaced
            and (self._origin is None or stat_or_none(self.folder / row[0]) == row[1])
        ]

    def requests(self, name: str, stat: Stat | None = None) -> Iterator[tuple[str, Document]]:
        """What a recording answers, as rules see it: its request, further ones of llama-stack's,
        and the messages of a WebSocket's client; by name and number. Errors as `load_requests`.
        """
        for number, part in enumerate(load_requests(self.folder / name, stat)):
            if "ids" in part:
                part = with_links(part, self._query(lambda index: index.links(name)))
            yield f"{name} #{number}" if number else name, self._prepare(part)

    def ids(self, name: str) -> tuple[AnswerId, ...]:
        """The ids in a recording's answer, in order."""
        return self._query(lambda index: index.ids(name))

    def _fetch(self, name: str) -> None:
        if self._origin is None:
            return
        if may_defer() and not self._sweep.has(self._query, name):
            raise NotHere(lambda: self._recordings.get(name))
        self._sweep.fetch(self._query, name)


def _digest(
    request: Document, redacted: Document, forms: Sequence[Canonical], read: Request | None
) -> bytes | None:
    """The digest of the live requests that a stored part stands for, if their bytes tell."""
    # A live request has no tokens of ids: its form is the one with the ids spelled out.
    is_spelled = "ids" not in redacted or len(forms) > 1
    return document_digest(request, redacted, read) if is_spelled else None


def _stored_request(
    request: Document, redacted: Document, forms: tuple[Canonical, ...], digest: bytes | None
) -> StoredRequest:
    if digest is None:
        return StoredRequest(forms)
    spelled, sent = forms[-1], sent_ids(redacted)
    known = KnownRequest(spelled.key, sent, redacted.get("model"), spelled.rules)
    return StoredRequest(forms, digest, known, sent if redacted is request else None)


def _entry(row: IndexRow, key: str) -> Entry:
    return Entry(
        name=row.name,
        key=key,
        endpoint=row.endpoint,
        take=row.take,
        foreign=row.is_foreign,
        token=row.token,
        since=row.since,
        digest=row.digest,
        ids=row.ids,
    )


def with_links(request: Document, links: Mapping[str, str]) -> Document:
    """A `request` part with `links` as its ids, or without ids if there are none."""
    bare = {name: value for name, value in request.items() if name != "ids"}
    return {**bare, "ids": dict(links)} if links else bare

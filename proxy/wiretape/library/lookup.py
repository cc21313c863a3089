"""The recordings of a folder, looked up by key: what a file answers is told by its content.

The folder is looked at again while it is used: a file that is changed, added or removed is noticed
when it would make a difference, and none is read that was read before.
"""

import math
import os
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from time import monotonic, time_ns
from typing import Final

from filelock import FileLock, Timeout

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.canonical import Canonical
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.sketch import rank, sketch
from wiretape.core.model import Exchange
from wiretape.core.recording.document import Document
from wiretape.core.recording.given_ids import AnswerId, IdSource

from . import index_cache, replace_files
from .file_cache import RecordingCache
from .index import Index, IndexRow, Rooted
from .recording_file import (
    MTIME_GRANULARITY_NS,
    Endpoint,
    Facts,
    Stat,
    answered,
    load_requests,
)
from .scan_folder import LINKED, Sweep, has_at_least
from .sequence import Roots, sequence

SESSION_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")

LARGE: Final = 200
"""Folders of at least so many recordings keep their index between runs."""

_SMALL: Final = 5_000  # so many files are all looked at when a run begins
_FEW: Final = 1_000  # and so many whenever a request would miss
_LOOK_SECONDS: Final = 0.5
_SWEEP_SECONDS: Final = 3.0
_LOCK_SECONDS: Final = 30.0
_DIGEST: Final = re.compile(rb"REDACTED-secret-([0-9a-f]{8})(?![0-9a-f])")
_MEMO: Final = 4_096
_CHECKED_EACH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A recording as the index knows it; `name` is its path below the folder, with "/", and `token`
    what the ids it gives out are told by: KEY12[.TAKE]. `since` is its number in the index.
    """

    name: str
    key: str
    endpoint: Endpoint
    take: int = 1
    foreign: bool = False
    token: str = ""
    since: int = 0


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that was skipped, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


type _Wanted = tuple[str, str, tuple[tuple[str, str], ...]]
"""A request's own key, the key of its spelling, and the recordings that created ids of it."""


@dataclass(slots=True)
class _Memo:
    """The takes of a request, and what their files must still look like."""

    entries: tuple[Entry, ...]
    stats: tuple[tuple[str, Stat], ...]
    checked: float = 0.0

    def is_fresh(self, trusted: float = 0.0) -> bool:
        """Whether the files are as they were, or were so up to `trusted` seconds ago."""
        if len(self.stats) > _CHECKED_EACH:
            trusted = _LOOK_SECONDS
        if trusted:
            now = monotonic()
            if now < self.checked + trusted:
                return True
            self.checked = now
        try:
            for path, stat in self.stats:
                found = os.stat(path)
                if (found.st_mtime_ns, found.st_size, found.st_ino) != (stat[1], stat[2], stat[0]):
                    return False
        except OSError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class LocalState:
    """What is kept of recordings outside their folder: in `folder` the file that those lock who
    change them, and below it the indexes of large folders, under the `fingerprint` of all that keys
    depend on (`index_cache.fingerprint`). Without a fingerprint no index is kept.
    """

    folder: Path
    fingerprint: str = ""

    @property
    def indexes(self) -> Path:
        """The folder of the indexes."""
        return self.folder / "index"


class Lookup:
    """The recordings of one folder (or of one session in it), to be asked and read.

    `prepare` turns a stored `request` part into the one that is matched: redaction, the same as
    for a live request. `state` is where the lock of the folder is, and its index if it is large.
    """

    def __init__(
        self,
        folder: Path,
        matcher: Matcher,
        prepare: Callable[[Document], Document] = lambda request: request,
        session: str | None = None,
        state: LocalState | None = None,
    ) -> None:
        if session is not None and not SESSION_NAME.fullmatch(session):
            raise StoreError(
                f"session {session!r}: expected letters, digits, - and _, at most 100 of them"
            )
        self.folder: Final = folder / session if session else folder
        self.session: Final = session
        self.notify: Callable[[SkippedFile], None] | None = None
        """Told of files that become bad after `load`; it may be called in any thread."""
        self._state = state or LocalState(Path(tempfile.gettempdir()))
        self._matcher = matcher
        self._prepare = prepare
        self._cached = (
            index_cache.database_path(self._state.indexes, self.folder, self._state.fingerprint)
            if self._state.fingerprint
            else None
        )
        # The recorder's thread writes while the proxy's reads.
        self._guard = RLock()
        self._index = Index()
        self._sweep = Sweep(
            self.folder, self._stored_keys, self._faulty, is_session=session is not None
        )
        self._loaded = False
        self._digests: tuple[tuple[str, ...], frozenset[str]] | None = None
        self._records = False
        self._next_scan_at = 0.0
        self._next_full_scan_at = 0.0
        self._memo: dict[_Wanted, _Memo] = {}
        self._recordings = RecordingCache(self.folder)
        # Rows up to this number stood on disk when the run began.
        self._last_row_at_start = -1
        # Where the index is lost under way: what is older than this stood there.
        self._lost = False
        self._began_ns: float = -math.inf
        self._written_here: set[str] = set()
        # Void by a list, and could not be removed.
        self._replaced: set[str] = set()
        self._lock = FileLock(self._lock_file(), timeout=_LOCK_SECONDS)

    def __len__(self) -> int:
        return self._ask(Index.count) - len(self._replaced)

    def close(self) -> None:
        """Let go of the index; nothing is to be asked after this."""
        with self._guard:
            self._index.close()

    # -------------------------------------------------------------- looking

    def load(self) -> None:
        """Read the folder; files that are no recordings become `faults` and the rest works.

        A folder that is not there is an empty library. StoreError where it cannot be read.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise StoreError(f"{self.folder}: not a folder; recordings are kept in one")
        with self._guard:
            began = time_ns()
            if self._cached and (self._cached.exists() or has_at_least(self.folder, LARGE)):
                is_new = not self._cached.exists()
                opened = index_cache.open_database(self._cached)
                if opened is not None:
                    self._index.close()
                    self._index = opened
                    if is_new:
                        index_cache.tidy(self._cached)
            # What is to be replaced has to be known as it is.
            full = self._records
            self._ask(lambda index: self._look(index, full=full or index.count() <= _SMALL))
            self._settle(_LOCK_SECONDS)
            self._last_row_at_start = self._ask(Index.last)
            self._began_ns = began - MTIME_GRANULARITY_NS
            self._loaded = True

    def check(self) -> None:
        """Look at the disk: what was changed, added or removed counts from now on."""
        self._ask(lambda index: self._look(index, full=index.count() <= _SMALL))

    def _ask[T](self, ask: Callable[[Index], T]) -> T:
        with self._guard:
            try:
                return ask(self._index)
            except sqlite3.Error as error:
                self._start_over(error)
                return ask(self._index)

    def _start_over(self, error: sqlite3.Error) -> None:
        """The index was lost: a disk full, a file damaged. Its like is made in memory."""
        with suppress(sqlite3.Error):
            self._index.close()
        if self._cached and not isinstance(error, sqlite3.OperationalError):
            index_cache.remove(self._cached)
        self._cached = None
        self._index = Index()
        self._memo.clear()
        self._look(self._index, full=True)
        self._lost = self._loaded

    def _look(self, index: Index, *, full: bool) -> bool:
        began = monotonic()
        try:
            changed = self._sweep.look(index, full=full)
        except StoreError:
            # While a run lasts, what was known of a folder that cannot be read just now goes on.
            if not self._loaded:
                raise
            changed = False
        if changed:
            self._memo.clear()
            self._find_roots(index)
        now = monotonic()
        # Looking is never to be what the time is spent on.
        self._next_scan_at = now + max(_LOOK_SECONDS, min(20 * (now - began), _SWEEP_SECONDS))
        if full:
            few = index.count() <= _FEW
            self._next_full_scan_at = now if few else now + min(5 * (now - began), _SWEEP_SECONDS)
        if self._loaded and self._sweep.voids:
            self._settle(0)
        return changed

    def _settle(self, wait: float) -> None:
        """Finish what a writer that died left undone."""
        if not self._sweep.voids:
            return
        try:
            with self._lock.acquire(timeout=wait):
                for listed in list(self._sweep.voids):
                    self._forget(*replace_files.settle(self.folder, listed))
                    self._sweep.voids.discard(listed)
        except Timeout:
            # Its writer lives, and will have done in a moment.
            return
        except OSError:
            for listed in self._sweep.voids:
                self._replaced.update(
                    replace_files.void_by(self.folder, replace_files.read_list(listed))
                )

    def _forget(self, removed: set[str], left: set[str]) -> None:
        for name in removed:
            folder, _, last = name.rpartition("/")
            self._ask(lambda index, folder=folder, last=last: index.forget(folder, [last]))  # type: ignore[misc]  # mypy cannot infer a lambda's defaults
        self._replaced |= left
        self._memo.clear()

    def _faulty(self, facts: Facts) -> None:
        if self._loaded and self.notify is not None:
            self.notify(SkippedFile(facts.name, facts.fault or ""))

    @property
    def faults(self) -> list[SkippedFile]:
        """Files that are no recordings just now, and folders that cannot be read."""
        faults = self._ask(Index.faults)
        with self._guard:
            faults += [(name, LINKED) for name in self._sweep.links]
        return [SkippedFile(name, reason) for name, reason in sorted(faults)]

    def names(self) -> list[str]:
        """The names of all recordings, in order."""
        return [name for name in self._ask(Index.names) if name not in self._replaced]

    # -------------------------------------------------------------- matching

    def canonical(self, request: Document) -> Canonical:
        """The canonical form of a stored `request` part, redacted first as a live one would be."""
        return self._matcher.canonical(self._prepare(request))

    def matched(self, request: Document) -> Canonical:
        """The canonical form of a live `request` part that has been redacted."""
        return self._matcher.canonical(request)

    def keys(self, request: Document) -> tuple[Canonical, ...]:
        """The canonical forms of a redacted `request` part: its own, and where it has `ids`, the
        one with them spelled. A recording is found under each.
        """
        own = self._matcher.canonical(request)
        if "ids" not in request:
            return (own,)
        spelled = self._matcher.canonical({k: v for k, v in request.items() if k != "ids"})
        return (own,) if spelled.key == own.key else (own, spelled)

    def _stored_keys(self, request: Document) -> tuple[Canonical, ...]:
        return self.keys(self._prepare(request))

    def cache_for(self, seconds: float) -> None:
        """Let a look at a recording's file count for so long: where requests come by the thousand a
        second, asking the system each time costs as much as all the rest.
        """
        self._recordings.trusted = seconds

    def _find_roots(self, index: Index) -> None:
        """Tell ids by where they came from in the end; earlier versions named each poll of an id
        by the one before.
        """
        roots = Roots(index.givers)
        rooted = []
        for number, name, links in index.unrooted():
            found = {text: roots.of(text, token) for text, token in links.items()}
            if not all(root.is_sure for root in found.values()):
                continue
            now = {text: root.token for text, root in found.items() if root.token is not None}
            hops = max((root.hops for root in found.values()), default=0)
            keys = None
            if now != links:
                with suppress(FormatError, StoreError):
                    request = self._recordings.get(name).request
                    keys = answered(self._stored_keys(_with_links(request, now)))
                if keys is None:
                    continue
            rooted.append(Rooted(number, now, hops, keys or ()))
        if rooted:
            index.put_roots(rooted)
            self._memo.clear()

    def takes(self, key: str) -> tuple[Entry, ...]:
        """The recordings of a key, in the order they were made; see `answering`."""
        return self.answering((key,))

    def answering(
        self,
        keys: Sequence[str],
        sent: Iterable[str] = (),
        origins: Mapping[str, IdSource] | None = None,
    ) -> tuple[Entry, ...]:
        """The takes of a request in the order they were recorded, as the files are now.

        `keys` are its own and, where that is another, the one with its ids spelled; `sent` is what
        it holds where ids stand, and `origins` where the session has these from. llama-stack's
        recordings answer where no other does.
        """
        created = {
            text: origin.token.rpartition("#")[0]
            for text, origin in (origins or {}).items()
            if origin.created
        }
        wanted = (keys[0], keys[-1], tuple(sorted(created.items())))
        with self._guard:
            if monotonic() >= self._next_scan_at:
                self._ask(lambda index: self._look(index, full=False))
            found = self._memo.get(wanted)
            if found is not None and found.is_fresh(self._recordings.trusted):
                return found.entries
            return self._ask(lambda index: self._answering_anew(index, wanted, sent))

    def _answering_anew(
        self, index: Index, wanted: _Wanted, sent: Iterable[str]
    ) -> tuple[Entry, ...]:
        entries: tuple[Entry, ...] = ()
        # Once more each time that what is found turns out to have changed; files that change
        # faster than they are read are taken as they were.
        for _ in range(4):
            rows = self._sequence(index, wanted, sent)
            entries = tuple(_entry(row, wanted[0]) for row in rows)
            if not rows:
                full = monotonic() >= self._next_full_scan_at
                if not self._look(index, full=full):
                    break
                continue
            stats = tuple((str(self.folder / row.name), row.stat) for row in rows)
            doubtful = [
                row.name
                for row, (path, stat) in zip(rows, stats, strict=True)
                if not row.settled or not _Memo((), ((path, stat),)).is_fresh()
            ]
            if not doubtful:
                if len(self._memo) >= _MEMO:
                    self._memo.clear()
                self._memo[wanted] = _Memo(entries, stats, monotonic())
                break
            if not self._sweep.read(index, iter(doubtful)):
                break
            self._memo.clear()
            self._find_roots(index)
        return entries

    def _sequence(self, index: Index, wanted: _Wanted, sent: Iterable[str]) -> list[IndexRow]:
        own, spelling, created = wanted
        by_spelling = [row for row in index.takes(spelling) if row.name not in self._replaced]
        exact: list[IndexRow] = []
        if own != spelling:
            exact = [row for row in index.takes(own) if row.name not in self._replaced]
        ours = [row for row in by_spelling if not row.is_foreign]
        exact_ours = [row for row in exact if not row.is_foreign]
        if not ours and not exact_ours:
            return exact or by_spelling
        creators = index.created(dict.fromkeys(sent)) if ours else {}
        known = {text: token for text, token in created if text in creators}
        return sequence(exact_ours, ours, known, creators)

    def known_at_start(self, entries: Iterable[Entry]) -> bool:
        """Whether one of these was there when the run began, and it, or what an editor has made of
        it, still stands.
        """
        return any(self._stood(entry.since, entry.name) for entry in entries)

    def places(self) -> set[str]:
        """The places of which there are recordings (see `Providers.place`)."""
        return self._ask(Index.places)

    def count(self, endpoint: Endpoint) -> int:
        """How many recordings are of an endpoint."""
        return self._ask(lambda index: index.count_of(endpoint))

    def nearest(self, canonical: Canonical, limit: int = 20) -> list[tuple[str, Canonical]]:
        """The recordings of the same endpoint that a request is most like, the most like first:
        what to explain a miss with.
        """
        mine = sketch(canonical.value)

        def ranked(index: Index) -> list[str]:
            return index.named(rank(mine, index.sketches(canonical.endpoint), limit))

        found = []
        for name in self._ask(ranked):
            # It was whole when it was indexed; a miss is no time to complain of it.
            with suppress(FormatError, StoreError):
                forms = [(form, sketch(form.value)) for form in self.recorded(name)]
                found.append((name, rank(mine, forms, 1)[0]))
        return found

    def digests(self) -> frozenset[str]:
        """The digests of the placeholders of values that fit no pattern, in all recordings; read
        anew where there are other recordings.
        """
        names = tuple(self.names())
        if self._digests is None or self._digests[0] != names:
            found: set[bytes] = set()
            for name in names:
                with suppress(OSError):
                    found.update(_DIGEST.findall((self.folder / name).read_bytes()))
            self._digests = names, frozenset(digest.decode() for digest in found)
        return self._digests[1]

    # -------------------------------------------------------------- reading

    def read(self, name: str) -> Exchange:
        """The exchange of a recording, by its name; FormatError or StoreError if it went bad."""
        return self._recordings.get(name).exchange

    def request(self, name: str) -> Document:
        """The `request` part of a recording, as it is stored; errors as `read` has them."""
        return self._recordings.get(name).request

    def recorded(self, name: str) -> tuple[Canonical, ...]:
        """The canonical forms of a recording's request, its own first; errors as `read`."""
        cached = self._recordings.get(name)
        if not cached.forms:
            request = cached.request
            if "ids" in request:
                request = _with_links(request, self._ask(lambda index: index.links(name)))
            cached.forms = self._stored_keys(request)
        return cached.forms

    def endpoints(self) -> list[tuple[str, Stat, Endpoint]]:
        """The recordings by name, in order: each with its stat and an endpoint that it answers."""
        rows = self._ask(Index.endpoints)
        return [row for row in rows if row[0] not in self._replaced]

    def requests(self, name: str, stat: Stat) -> Iterator[tuple[str, Document]]:
        """What a recording answers, as rules see it: its request, further ones of llama-stack's,
        and the messages of a WebSocket's client; by name and number. Errors as `load_requests`.
        """
        for number, part in enumerate(load_requests(self.folder / name, stat)):
            if "ids" in part:
                part = _with_links(part, self._ask(lambda index: index.links(name)))
            yield f"{name} #{number}" if number else name, self._prepare(part)

    def ids(self, name: str) -> tuple[AnswerId, ...]:
        """The ids in a recording's answer, in order."""
        cached = self._recordings.known(name)
        if cached is None:
            return self._ask(lambda index: index.ids(name))
        if cached.ids is None:
            cached.ids = self._ask(lambda index: index.ids(name))
        return cached.ids

    def _stood(self, number: int, name: str) -> bool:
        """Whether a row, or its name, was there when the run began."""
        if not self._lost:
            return number <= self._last_row_at_start
        if name in self._written_here:
            return False
        try:
            stat = os.stat(self.folder / name)
        except OSError:
            return False
        return max(stat.st_mtime_ns, stat.st_ctime_ns) < self._began_ns

    def _lock_file(self) -> Path:
        # Beside the recordings it would have to be kept out of git; one lock per folder and user.
        folder = re.sub(r"[^A-Za-z0-9]+", "-", str(self.folder.resolve()))[-150:]
        return self._state.folder / f"wiretape{folder}.lock"


def _entry(row: IndexRow, key: str) -> Entry:
    return Entry(
        name=row.name,
        key=key,
        endpoint=row.endpoint,
        take=row.take,
        foreign=row.is_foreign,
        token=row.token,
        since=row.since,
    )


def _with_links(request: Document, links: Mapping[str, str]) -> Document:
    """A `request` part with other tokens for its ids, or with none."""
    bare = {name: value for name, value in request.items() if name != "ids"}
    return {**bare, "ids": dict(links)} if links else bare

"""Keep the index of a folder of recordings true to its files.

The folder is scanned again while it is used: a file that is changed, added or removed is noticed
when it would make a difference, and unchanged files are not read again.
"""

import math
import os
import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import RLock
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Final

from wiretape.core.errors import StoreError
from wiretape.core.model import Request
from wiretape.core.recording.document import Document
from wiretape.state_dir import state_dir

from . import index_cache, replace_files, replace_set
from .folder_names import LINKED, SESSION_NAME
from .index import Index
from .index_tables import FileRows
from .on_demand import RecordingOrigin
from .recording_file import MTIME_GRANULARITY_NS, StoredRequest
from .scan_folder import Sweep, has_at_least

if TYPE_CHECKING:
    from filelock import FileLock

LARGE: Final = 200
"""Folders of at least so many recordings keep their index between runs."""

_SCAN_ALL_AT_START: Final = 5_000  # up to so many files are all checked when a run begins
_SCAN_ALL_ON_MISS: Final = 1_000  # and up to so many whenever a request would miss
LOOK_SECONDS: Final = 0.5
_SWEEP_SECONDS: Final = 3.0
_LOCK_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that was skipped, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True, slots=True)
class LocalState:
    """Where a library's lock file and the index of a large folder lie, outside the recordings.

    Indexes are kept under the `fingerprint` of all that keys depend on (see
    `index_cache.fingerprint`); without one, no index is kept.
    """

    folder: Path
    fingerprint: str = ""
    origin: RecordingOrigin | None = None
    """Where recordings are fetched from when they are first used."""

    @property
    def indexes(self) -> Path:
        """The folder of the indexes."""
        return self.folder / "index"

    def lock(self, recordings: Path) -> "FileLock":
        """The lock of a folder of recordings, which who writes there holds; not yet acquired."""
        # Imported late: replay seldom locks.
        from filelock import FileLock

        # Beside the recordings it would have to be kept out of git; one lock per folder and user.
        name = re.sub(r"[^A-Za-z0-9]+", "-", str(recordings.resolve()))[-150:]
        return FileLock(self.folder / f"wiretape{name}.lock", timeout=_LOCK_SECONDS)


class ScannedFolder(ABC):
    """The files of one folder, or of one session in it, and their index.

    What is made of a file's request is for who inherits this to say. `state` is where the lock of
    the folder is, and its index if it is large; without one, the lock is where runs have it.
    """

    def __init__(
        self, folder: Path, session: str | None = None, state: LocalState | None = None
    ) -> None:
        if session is not None and not SESSION_NAME.fullmatch(session):
            raise StoreError(
                f"session {session!r}: expected letters, digits, - and _, at most 100 of them;"
                " up to ten such names may have / between them"
            )
        self._top = folder
        self.folder: Final = folder / session if session else folder
        self.session: Final = session
        self.notify: Callable[[SkippedFile], None] | None = None
        """Called with each file that becomes bad after `load`, in any thread."""
        self._state = state or LocalState(state_dir())
        self._cached = (
            index_cache.database_path(self._state.indexes, self.folder, self._state.fingerprint)
            if self._state.fingerprint
            else None
        )
        # The recorder's thread writes while the proxy's reads.
        self._guard = RLock()
        self._index = Index()
        self._origin = self._state.origin
        self._sweep = self._new_sweep()
        self._loaded = False
        self._records = False
        self._next_scan_at = 0.0
        self._next_full_scan_at = 0.0
        # Rows up to this number were on disk when the run began.
        self._last_row_at_start = -1
        # When the index is lost during the run, files older than this were there at its start.
        self._is_index_lost = False
        self._began_ns: float = -math.inf
        self._written_here: set[str] = set()
        # Replaced by another file, and could not be removed.
        self._replaced: set[str] = set()

    @abstractmethod
    def _examine(self, request: Document, /, read: Request | None = None) -> StoredRequest:
        """What the index is to know of a stored `request` part."""

    @abstractmethod
    def _examine_all(self, requests: Sequence[tuple[Document, Request]]) -> Sequence[StoredRequest]:
        """The same of many, each with its request."""

    @abstractmethod
    def _note_change(self, index: Index) -> None:
        """Take note that rows of the index have changed."""

    @abstractmethod
    def _forget_answers(self) -> None:
        """Forget what was worked out from the index."""

    def _new_sweep(self) -> Sweep:
        sweep = Sweep if self._origin is None else self._origin.sweep
        is_session = self.session is not None
        return sweep(self.folder, self._examine, self._faulty, is_session=is_session)

    @cached_property
    def _lock(self) -> "FileLock":
        return self._state.lock(self.folder)

    def __len__(self) -> int:
        return self._query(Index.count) - len(self._replaced)

    def close(self) -> None:
        """Close the index; call nothing after this."""
        with self._guard:
            self._index.close()

    def read_in_processes(self, remembered: Callable[[], int]) -> None:
        """Let `load` read many files in several processes at once, as long as `prepare` remembers
        nothing of one for the next: `remembered` counts that.
        """
        self._sweep.remembered = remembered
        self._sweep.examine_all = self._examine_all

    def load(self) -> None:
        """Read the folder. Files that are not recordings become `faults`; the others still work.

        A folder that does not exist is an empty library. StoreError if it cannot be read.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise StoreError(f"{self.folder}: not a folder; recordings are kept in one")
        for folder in dict.fromkeys((self._top, self.folder)):
            self._finish_replacing(folder)
        with self._guard:
            began = time_ns()
            is_new = self._cached is not None and not self._cached.exists()
            if self._cached and self._origin is not None and is_new:
                self._origin.place_index(self._cached, self.session)
            if self._cached and (
                self._cached.exists() or self._origin or has_at_least(self.folder, LARGE)
            ):
                database = index_cache.open_database(self._cached)
                if database is not None:
                    self._index.close()
                    self._index = database
                    if is_new:
                        index_cache.tidy(self._cached)
            # Before takes are replaced, each must be known as it is now.
            full = self._records
            self._query(
                lambda index: self._scan(index, full=full or index.count() <= _SCAN_ALL_AT_START)
            )
            self._settle(_LOCK_SECONDS)
            self._last_row_at_start = self._query(Index.last)
            self._began_ns = began - MTIME_GRANULARITY_NS
            self._loaded = True

    def keep_index_apart(self) -> None:
        """Go on with a copy of the index, in which this run's recordings are noted for it alone."""
        with self._guard:
            copy = self._query(Index.copy)
            self._index.close()
            self._index, self._cached = copy, None
            self._forget_answers()
            self._query(lambda index: self._scan(index, full=False))

    def _finish_replacing(self, folder: Path) -> None:
        """Carry out what `wiretape redact` decided and was interrupted in."""
        if not (folder / replace_set.FOLDER).exists():
            return
        try:
            with self._state.lock(folder):
                replace_set.finish(folder)
        except OSError as error:  # one that locks for too long, too
            if not replace_set.is_begun(folder):
                return  # nothing of it counts
            raise StoreError(
                f"{folder}: files are being replaced by `wiretape redact`, which was interrupted,"
                f" and it cannot be finished: {error}"
            ) from error

    def check(self) -> None:
        """Scan the disk: what was changed, added or removed counts from now on."""
        self._query(lambda index: self._scan(index, full=index.count() <= _SCAN_ALL_AT_START))

    def _query[T](self, ask: Callable[[Index], T]) -> T:
        with self._guard:
            try:
                return ask(self._index)
            except sqlite3.Error as error:
                self._start_over(error)
                return ask(self._index)

    def _start_over(self, error: sqlite3.Error) -> None:
        """Build the index again, in memory: the disk is full or its file is damaged."""
        with suppress(sqlite3.Error):
            self._index.close()
        if self._cached and not isinstance(error, sqlite3.OperationalError):
            index_cache.remove(self._cached)
        self._cached = None
        self._index = Index()
        self._forget_answers()
        self._scan(self._index, full=True)
        self._is_index_lost = self._loaded

    def _scan(self, index: Index, *, full: bool) -> bool:
        began = monotonic()
        try:
            changed = self._sweep.scan(index, full=full)
        except StoreError:
            # During a run, what is known of a folder counts while it cannot be read.
            if not self._loaded:
                raise
            changed = False
        if changed:
            self._note_change(index)
        now = monotonic()
        # Scans must not take most of the time.
        self._next_scan_at = now + max(LOOK_SECONDS, min(20 * (now - began), _SWEEP_SECONDS))
        if full:
            is_small = index.count() <= _SCAN_ALL_ON_MISS
            self._next_full_scan_at = (
                now if is_small else now + min(5 * (now - began), _SWEEP_SECONDS)
            )
        if self._loaded and self._sweep.void_lists:
            self._settle(0)
        return changed

    def _settle(self, wait: float) -> None:
        """Finish the replacements of a writer that died."""
        if not self._sweep.void_lists:
            return
        try:
            with self._lock.acquire(timeout=wait):
                for listed in list(self._sweep.void_lists):
                    self._forget(*replace_files.settle(self.folder, listed))
                    self._sweep.void_lists.discard(listed)
        except TimeoutError:
            # The writer is alive and about to finish.
            return
        except OSError:
            for listed in self._sweep.void_lists:
                self._replaced.update(
                    replace_files.void_by(self.folder, replace_files.read_list(listed))
                )

    def _forget(self, removed: set[str], unremoved: set[str]) -> None:
        for name in removed:
            folder, _, last = name.rpartition("/")
            self._query(lambda index, folder=folder, last=last: index.forget(folder, [last]))  # type: ignore[misc]  # mypy cannot infer a lambda's defaults
        self._replaced |= unremoved
        self._forget_answers()

    def _faulty(self, file: FileRows) -> None:
        if self._loaded and self.notify is not None:
            self.notify(SkippedFile(file.name, file.fault or ""))

    @property
    def faults(self) -> list[SkippedFile]:
        """Files that are not recordings now, and folders that cannot be read."""
        faults = self._query(Index.faults)
        with self._guard:
            faults += [(name, LINKED) for name in self._sweep.links]
        return [SkippedFile(name, reason) for name, reason in sorted(faults)]

    @property
    def is_there(self) -> bool:
        """Whether there is a folder to find recordings in."""
        return self.folder.is_dir()

    def names(self) -> list[str]:
        """The names of all recordings, in order."""
        return [name for name in self._query(Index.names) if name not in self._replaced]

    def _look(self) -> None:
        """Scan the folder if it is time to."""
        if monotonic() >= self._next_scan_at:
            self._query(lambda index: self._scan(index, full=False))

    @property
    def index_file(self) -> Path | None:
        """The file of the index, where there is one."""
        return self._cached

    @property
    def sweep(self) -> Sweep:
        """What keeps the index."""
        return self._sweep

    def _was_there_at_start(self, number: int, name: str) -> bool:
        """Whether a row, or its name, was there when the run began."""
        if not self._is_index_lost:
            return number <= self._last_row_at_start
        if name in self._written_here:
            return False
        try:
            stat = os.stat(self.folder / name)
        except OSError:
            return False
        return max(stat.st_mtime_ns, stat.st_ctime_ns) < self._began_ns

    def _lock_file(self) -> Path:
        return Path(self._lock.lock_file)

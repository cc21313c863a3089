"""Recordings of a store that are fetched when they are first used.

    .wiretape/index/FINGERPRINT/SESSION.sqlite    a line of JSON, then the index of a library (zstd)

An index tells which recording answers a key, so that a run begins without the recordings. What it
lacks of what the manifests list is fetched and added. It is made by other machines, so it is not
taken at its word: a recording is used if it has the digest that the index has of it, and answers
the keys that the index says. Indexes are made without any machine's secrets or folders.
"""

import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from itertools import takewhile
from pathlib import Path
from typing import Final

import zstandard

from wiretape.core.errors import FormatError, StoreError
from wiretape.files import write_whole
from wiretape.library import index_cache
from wiretape.library.folder_names import is_host_folder
from wiretape.library.index import Index, is_index
from wiretape.library.index_rows import StoredFile
from wiretape.library.index_tables import FileRows
from wiretape.library.library import Library, LocalState
from wiretape.library.lookup import with_links
from wiretape.library.recording_file import (
    Examine,
    LoadedRecording,
    Same,
    answered,
    parsed,
    sides_in,
    stat_or_none,
)
from wiretape.library.scan_folder import AskIndex, Sweep

from . import manifest
from .manifest import digest
from .mirror import Mirror
from .store import ObjectStore, in_parallel

INDEXES: Final = manifest.ROOT + "index/"
MOST_BYTES: Final = 2 << 30
"""The most that the files take which were fetched on demand, of all stores."""

_MOST_INDEX_BYTES: Final = 4 << 30
_MOST_INDEXES: Final = 8
_BATCH: Final = 500
_YOUNG_SECONDS: Final = 60.0
_TRIES: Final = 2


class OnDemand:
    """A store as the origin of a library's recordings, which lie below `folder` once fetched.

        origin = OnDemand(ObjectStore("s3://bucket/prefix"), folder, fingerprint)
        library = Library(folder, matcher, prepare, None, origin.state(state_dir(), None))
        library.load()
        origin.publish(library)

    `fingerprint` is that of all that keys depend on. Files that are `near`, in a folder with the
    same names, are not fetched. A run that records does so in the folder of its `mirror`.
    """

    def __init__(
        self,
        store: ObjectStore,
        folder: Path,
        fingerprint: str,
        near: Path | None = None,
        most_bytes: int = MOST_BYTES,
        mirror: Mirror | None = None,
    ) -> None:
        self.folder: Final = folder
        self._store = store
        self._fingerprint = fingerprint
        self._near = near
        self._most_bytes = most_bytes
        self._mirror = mirror
        self._fetched_bytes = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._tags = manifest.tags(store)
        self._unlisted: manifest.Files = {}
        if not self._tags:
            self._unlisted = manifest.rebuild_all(store)
            self._tags = {
                path: digest(manifest.dumps(manifest.in_folder(self._unlisted, path)))
                for path in map(manifest.folder_of, self._unlisted)
            }

    def tags(self, session: str | None) -> dict[str, str]:
        """The tags of the manifests of a session's folders, by their paths below it."""
        if session is None:
            return {
                path: tag
                for path, tag in self._tags.items()
                if not path or is_host_folder(path.partition("/")[0])
            }
        lead = f"{session}/"
        return {
            f"{path}/".removeprefix(lead).rstrip("/"): tag
            for path, tag in self._tags.items()
            if f"{path}/".startswith(lead)
        }

    def sessions(self, minimum: int) -> set[str]:
        """The sessions of so many files or more, by what of their manifests is known here."""
        counts: Counter[str] = Counter()
        for path in self._tags:
            names = list(takewhile(lambda name: not is_host_folder(name), path.split("/")))
            if not names:
                continue
            count = len(self.listed(path))
            counts.update({"/".join(names[:end]): count for end in range(1, len(names) + 1)})
        return {name for name, count in counts.items() if count >= minimum}

    def state(self, folder: Path, session: str | None) -> LocalState:
        """The state of a library of this store. Its index is that of what the store has now."""
        now = digest(json.dumps(sorted(self.tags(session).items())).encode())
        return LocalState(folder, f"{self._fingerprint[:24]}{now[:16]}", self)

    def sweep(
        self,
        folder: Path,
        examine: Examine,
        report_fault: Callable[[FileRows], None],
        *,
        is_session: bool,
    ) -> "StoreSweep":
        """As `RecordingOrigin` has it."""
        session = folder.relative_to(self.folder).as_posix() if is_session else None
        return StoreSweep(folder, examine, report_fault, self, session)

    # -------------------------------------------------------------- the index

    def place_index(self, path: Path, session: str | None) -> None:
        """As `RecordingOrigin` has it; one that is damaged is not used."""
        there = self._store.read(self._index_name(session))
        if there is None:
            return
        with suppress(ValueError, zstandard.ZstdError, sqlite3.Error):
            data = _unpacked(there.data)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                write_whole(temporary, data)
                if is_index(temporary):
                    # Another run of this machine may have it open already.
                    with suppress(FileExistsError):
                        os.link(temporary, path)
            finally:
                index_cache.remove(temporary)

    def publish(self, library: Library) -> bool:
        """Upload the index of a library, if others would have much to add to the one in the store;
        gives whether it was.
        """
        path, sweep = library.index_file, library.sweep
        if path is None or not isinstance(sweep, StoreSweep):
            return False
        if not path.exists() or sweep.changes * 100 <= len(library):
            return False
        self._store.put(self._index_name(library.session), _packed(path))
        others: dict[str, float] = {}
        for stored in self._store.listing(INDEXES):
            kind = stored.name.removeprefix(INDEXES).partition("/")[0]
            others[kind] = max(others.get(kind, 0.0), stored.changed)
        others.pop(self._fingerprint, None)
        for kind in sorted(others, key=others.__getitem__)[: -(_MOST_INDEXES - 1)]:
            for name in list(self._store.names(f"{INDEXES}{kind}")):
                self._store.remove(name)
        return True

    def _index_name(self, session: str | None) -> str:
        return f"{INDEXES}{self._fingerprint}/{session or '_'}.sqlite"

    # -------------------------------------------------------------- files

    def listed(self, path: str) -> dict[str, bytes]:
        """The files of a folder of the store with their digests."""
        files = manifest.in_folder(self._unlisted, path) or manifest.read(self._store, path)
        return {name: bytes.fromhex(sha) for name, sha in files.items()}

    def file(self, name: str, sha256: bytes) -> bytes:
        """The content of a file, which lies below the folder then; StoreError for any other."""
        if not manifest.is_recording(name):  # an index may name any file of this machine
            raise StoreError(f"{self._store.url}: its index names {name!r:.200}, no recording")
        for folder in filter(None, (self.folder, self._near)):
            with suppress(OSError):
                data = (folder / name).read_bytes()
                if digest(data) == sha256.hex():
                    if folder != self.folder:
                        self._keep(name, data)
                    return data
        there = None
        for _ in range(_TRIES):
            there = self._store.read(name)
            if there is not None and digest(there.data) == sha256.hex():
                self._keep(name, there.data)
                return there.data
        state = "is gone" if there is None else "is not what its manifest said"
        raise StoreError(
            f"{self._store.url}/{name} {state}: it was changed since this run began, or while it"
            " was read; begin again, and if it stays so, `wiretape push --rebuild`"
        )

    def recorded_here(self) -> set[str]:
        """The files of the folder that runs of this machine recorded and did not upload yet."""
        if self._mirror is None:
            return set()
        return {name for name in self._mirror.unsent() if (self.folder / name).exists()}

    def _keep(self, name: str, data: bytes) -> None:
        path = self.folder / name
        try:
            if self._mirror is not None:
                self._mirror.keep(name, data)
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written: {error.strerror}") from error
        self._fetched_bytes += len(data)
        if self._fetched_bytes > self._most_bytes // 8:
            self.trim()

    def trim(self) -> None:
        """Remove the files fetched first, of all stores, where they are too many; not those of the
        last minute, which may be about to be read.
        """
        if not self._fetched_bytes:
            return
        self._fetched_bytes = 0
        files: list[tuple[float, int, str]] = []
        for cache in self.folder.parent.glob("*.cache"):
            for folder, _, names in os.walk(cache):
                for name in names:
                    with suppress(OSError):
                        info = os.stat(path := os.path.join(folder, name))
                        files.append((info.st_mtime, info.st_size, path))
        total = sum(size for _, size, _ in files)
        for changed, size, path in sorted(files):
            if total <= self._most_bytes * 7 // 8 or changed > time.time() - _YOUNG_SECONDS:
                break
            with suppress(OSError):
                os.unlink(path)
            total -= size


class StoreSweep(Sweep):
    """Keeps the index of a store's recordings, and fetches them."""

    keeps_answers = False

    def __init__(
        self,
        folder: Path,
        examine: Examine,
        report_fault: Callable[[FileRows], None],
        origin: OnDemand,
        session: str | None,
    ) -> None:
        super().__init__(folder, examine, report_fault, is_session=session is not None)
        self._origin = origin
        self._session = session
        self._scanned: Index | None = None
        self._fetched: set[str] = set()
        self.changes = 0
        """How many files the index was changed by."""

    def scan(self, index: Index, *, full: bool) -> bool:
        """Bring an index to what the store's manifests list; later changes are not looked for."""
        if index is self._scanned:
            return False
        if index.is_copy:
            self._scanned = index
            return self._read_recorded_here(index)
        tags, known = self._origin.tags(self._session), index.folders()
        changes = self.changes
        for path in known.keys() - tags.keys():
            self.changes += len(index.contents(path))
            index.forget_folder(path)
        for path, tag in tags.items():
            if self._session or path:
                (self.folder / path).mkdir(parents=True, exist_ok=True)
            if known.get(path) != (number := _number(tag)):
                self._scan_manifest(index, path)
                index.put_folder(path, *number)
        self._scanned = index
        return self.changes > changes

    def scan_folder(self, index: Index, path: str) -> None:
        """Do nothing: what the folder lacks is in the store."""

    def _read_recorded_here(self, index: Index) -> bool:
        """Put into the index what runs of this machine recorded: it counts before what the store
        has of these names.
        """
        lead = f"{self._session}/" if self._session else ""
        recorded = {
            name.removeprefix(lead)
            for name in self._origin.recorded_here()
            if name.startswith(lead) and (lead or is_host_folder(name.partition("/")[0]))
        }
        return self.read(index, sorted(recorded), recorded)

    def is_fetched(self, name: str) -> bool:
        """As `Sweep` has it."""
        return name in self._fetched

    def _scan_manifest(self, index: Index, path: str) -> None:
        files = self._origin.listed(self._full(path))
        recordings = {name: sha for name, sha in files.items() if name.endswith(".json")}
        known = index.contents(path)
        removed = known.keys() - recordings.keys()
        index.forget(path, removed)
        broken = index.without_side(path, files.keys() - recordings.keys())
        lead = f"{path}/" if path else ""
        new = {
            lead + name: sha
            for name, sha in recordings.items()
            if known.get(name) != (sha, False) or name in broken
        }
        self.changes += len(removed) + len(new)
        names = sorted(new)
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            self._fetch({name: new[name] for name in batch}, path, files)
            self.read(index, batch, set(batch))

    def _fetch(self, wanted: dict[str, bytes], path: str, listed: dict[str, bytes]) -> None:
        """Fetch recordings, and the side files that they name."""
        sides: set[str] = set()

        def fetch(name: str) -> None:
            data = self._origin.file(self._full(name), wanted[name])
            sides.update(side for side in sides_in(data) if side in listed)

        in_parallel(fetch, wanted, "fetching")
        in_parallel(lambda side: _drop(self._side(path, side)), sorted(sides), "fetching")

    def has(self, query: AskIndex, name: str) -> bool:
        """As `Sweep` has it: it was checked, and nobody touched it since."""
        stored = query(lambda index: index.stored(name))
        return stored is None or self._is_checked(name, stored)

    def _is_checked(self, name: str, stored: StoredFile) -> bool:
        return stored.settled and stat_or_none(self.folder / name) == stored.stat

    def fetch(self, query: AskIndex, name: str) -> None:
        """As `Sweep` has it; StoreError for any recording but what the index says that it is."""
        stored = query(lambda index: index.stored(name))
        if stored is None:
            raise StoreError(f"{self.folder / name}: not in the store")
        if self._is_checked(name, stored):
            return
        if self._full(name) in self._origin.recorded_here():
            self._fetched.discard(name)
            query(lambda index: self.read(index, [name], {name}))
            return
        data = self._origin.file(self._full(name), stored.content)
        folder = name.rpartition("/")[0]
        sides = {side: self._side(folder, side) for side in stored.sides}
        path = self.folder / name
        stat = stat_or_none(path) or (0, 0, len(data))
        with suppress(FormatError):  # who reads it is told
            if self._keys(parsed(data, stat, sides.__getitem__), stored) != stored.keys:
                raise StoreError(
                    f"{path}: the store's index says that it answers other requests than it does;"
                    " `wiretape push --rebuild` makes the index anew"
                )
        self._fetched.add(name)
        query(lambda index: index.touch([(name, Same(stat, settled=True))]))

    def _keys(self, recording: LoadedRecording, stored: StoredFile) -> frozenset[str]:
        request = recording.document["request"]
        forms = self._examine(with_links(request, stored.links) if "ids" in request else request)
        more = [form for also in recording.also for form in self._examine(also).forms]
        keys = answered(forms.forms, more, foreign=recording.foreign)
        return frozenset(answered_key.key for answered_key in keys)

    def _side(self, folder: str, name: str) -> bytes:
        """A side file, which is named by its content."""
        full = self._full(f"{folder}/{name}" if folder else name)
        return self._origin.file(full, bytes.fromhex(name.removesuffix(".bin")))

    def _full(self, name: str) -> str:
        return "/".join(filter(None, (self._session, name)))


def _drop(data: bytes) -> None:
    """Take what is of no more use."""


def _number(tag: str) -> tuple[int, int]:
    """A manifest's tag, as an index keeps the inode and the time of a folder."""
    return 0, int(digest(tag.encode())[:15], 16)


def _packed(path: Path) -> bytes:
    """The index in a file as an object: nothing of this machine is in it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.packed")
    try:
        with closing(sqlite3.connect(path)) as database:
            database.execute("VACUUM INTO ?", (str(temporary),))
        with closing(sqlite3.connect(temporary)) as database:
            database.execute("UPDATE files SET ino = 0, changed = 0, settled = 0")
            database.commit()
        data = temporary.read_bytes()
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path}: cannot be copied: {error}") from error
    finally:
        index_cache.remove(temporary)
    packed = zstandard.ZstdCompressor(level=3).compress(data)
    header = {"wiretape_index": 1, "sha256": digest(packed), "bytes": len(data)}
    return json.dumps(header).encode() + b"\n" + packed


def _unpacked(data: bytes) -> bytes:
    """The file of an index; ValueError for what is none, or is damaged."""
    first, _, packed = data.partition(b"\n")
    header = json.loads(first)
    if (
        not isinstance(header, dict)
        or header.get("wiretape_index") != 1
        or header.get("sha256") != digest(packed)
        or not 0 < int(header.get("bytes", 0)) <= _MOST_INDEX_BYTES
    ):
        raise ValueError("not an index, or of another version")
    return zstandard.ZstdDecompressor().decompress(packed, max_output_size=int(header["bytes"]))

"""Recordings on disk: found by key, read when wanted, written so that none is ever half there.

    recordings/[SESSION/]HOST/ENDPOINT-SLUG/KEY12[.TAKE].json

Files are named for people; what a file answers is computed from its content, so a moved or
hand-edited file still works. llama-stack's own files are read wherever they lie.
"""

import math
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from secrets import token_hex
from typing import Final

from filelock import FileLock, Timeout

from . import format as recording_format
from . import llamastack
from .document import Document, to_exchange, to_request
from .errors import FormatError, StoreError
from .match import Canonical, Matcher
from .model import Exchange, split_url
from .running import is_alive

MAX_FILE_BYTES: Final = 256 * 1024 * 1024
SESSION_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_TAKE: Final = re.compile(r"\.(\d{1,6})$")
_LOCK_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A recording as the index knows it; `name` is its path below the folder, with "/"."""

    name: str
    key: str
    endpoint: tuple[str, str, str]
    order: tuple[int, int, str]
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """A file that was skipped, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class Library:
    """The recordings of one folder (or of one session in it).

    `prepare` turns a stored `request` part into the one that is matched: redaction, the same as
    for a live request.
    """

    def __init__(
        self,
        folder: Path,
        matcher: Matcher,
        prepare: Callable[[Document], Document] = lambda request: request,
        session: str | None = None,
        locks: Path | None = None,
    ) -> None:
        if session is not None and not SESSION_NAME.fullmatch(session):
            raise StoreError(
                f"session {session!r}: expected letters, digits, - and _, at most 100 of them"
            )
        self.folder: Final = folder / session if session else folder
        self.session: Final = session
        self.faults: Final[list[Fault]] = []
        self._locks = locks or Path(tempfile.gettempdir())
        self._matcher = matcher
        self._prepare = prepare
        self._entries: dict[str, list[Entry]] = {}
        self._by_endpoint: dict[tuple[str, str, str], list[Entry]] = {}
        # What stood on disk when the run began: such takes are replaced, later ones added to.
        self._seen: dict[Path, tuple[int, int, int]] = {}
        self._rewritten: set[str] = set()
        # The next take of a key to try: a million takes are not to be looked for one by one.
        self._takes: dict[str, int] = {}
        self._lock = FileLock(self._lock_file(), timeout=_LOCK_SECONDS)
        self._marker: Path | None = None
        # Files younger than this are the work of another run that is still recording.
        self._others_since_ns: float = math.inf
        self._count = 0
        self.read = lru_cache(maxsize=2048)(self._read)

    def __len__(self) -> int:
        return self._count

    # -------------------------------------------------------------- reading

    def load(self) -> None:
        """Read the folder; files that are no recordings become `faults` and the rest works.

        A folder that is not there is an empty library. StoreError where it cannot be read.
        """
        if not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise StoreError(f"{self.folder}: not a folder; recordings are kept in one")
        for path in sorted(self._files()):
            name = path.relative_to(self.folder).as_posix()
            try:
                self._index(path, name)
            except (FormatError, StoreError) as error:
                self.faults.append(Fault(name, str(error)))

    def _files(self) -> Iterator[Path]:
        def fail(error: OSError) -> None:
            if Path(error.filename or "") == self.folder:
                raise StoreError(f"{self.folder}: cannot be read: {error.strerror}") from error
            self.faults.append(Fault(str(error.filename), f"cannot be read: {error.strerror}"))

        for where, folders, files in os.walk(self.folder, onerror=fail):
            if self.session is None and Path(where) == self.folder:
                # Other top-level folders are sessions: see `host_folder`.
                folders[:] = [name for name in folders if "." in name[1:] or "+" in name]
            folders[:] = [name for name in folders if not name.startswith(".")]
            yield from (
                Path(where, name)
                for name in files
                if name.endswith(".json") and not name.startswith(".")
            )

    def _index(self, path: Path, name: str) -> None:
        document = self._load(path)
        foreign = llamastack.is_llamastack(document)
        requests = [document["request"]]
        if foreign:
            converted = llamastack.convert(document)
            document = converted.document
            requests = [document["request"], *(also for also in converted.also)]
        # Whether it can be replayed is to be known now, not when a test asks for it.
        to_exchange(document, self._side_file(path))
        stat = path.stat()
        self._seen[path] = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        take = _TAKE.search(path.stem)
        self._count += 1
        for request in requests:
            canonical = self.canonical(request)
            order = (int(take[1]) if take else 1, 1 if foreign else 0, name)
            self._add(Entry(name, canonical.key, canonical.endpoint, order, foreign))

    def _add(self, entry: Entry) -> None:
        # A new list, not a sorted one: the recorder's thread writes while the proxy's reads.
        takes = [*self._entries.get(entry.key, []), entry]
        self._entries[entry.key] = sorted(takes, key=lambda take: (take.foreign, take.order))
        self._by_endpoint.setdefault(entry.endpoint, []).append(entry)

    def canonical(self, request: Document) -> Canonical:
        """The canonical form of a stored `request` part, redacted first as a live one would be."""
        return self._matcher.canonical(self._prepare(request))

    def matched(self, request: Document) -> Canonical:
        """The canonical form of a live `request` part that has been redacted."""
        return self._matcher.canonical(request)

    def takes(self, key: str) -> list[Entry]:
        """The takes of a key in order; ours go before llama-stack's of the same request."""
        found = self._entries.get(key, [])
        ours = [entry for entry in found if not entry.foreign]
        return ours or found

    def written(self, key: str) -> bool:
        """Whether this run has recorded this key."""
        return key in self._rewritten

    def neighbours(self, endpoint: tuple[str, str, str]) -> Iterator[tuple[str, Canonical]]:
        """The recordings of one endpoint by name, read anew, to compare a miss with."""
        for entry in self._by_endpoint.get(endpoint, []):
            try:
                document = self._load(self.folder / entry.name)
                if entry.foreign:
                    document = llamastack.convert(document).document
                to_request(document["request"], self._side_file(self.folder / entry.name))
                yield entry.name, self.canonical(document["request"])
            except (FormatError, StoreError):
                # It was whole when the run began; a miss is no time to complain of it.
                continue

    def _read(self, name: str) -> Exchange:
        """The exchange of a recording, by its name; FormatError or StoreError if it went bad."""
        path = self.folder / name
        document = self._load(path)
        if llamastack.is_llamastack(document):
            document = llamastack.convert(document).document
        return to_exchange(document, self._side_file(path))

    def _load(self, path: Path) -> Document:
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise StoreError(f"larger than {MAX_FILE_BYTES >> 20} MiB, not read")
            return recording_format.loads(path.read_bytes())
        except OSError as error:
            raise StoreError(f"cannot be read: {error.strerror}") from error

    def _side_file(self, recording: Path) -> Callable[[str], bytes]:
        def read(name: str) -> bytes:
            # The name comes from the recording, which is not trusted to point anywhere else.
            if not recording_format.SIDE_FILE_NAME.fullmatch(name):
                raise FormatError(f"side file {name[:80]!r}: expected 64 hex digits and .bin")
            path = recording.with_name(name)
            try:
                data = path.read_bytes()
            except OSError as error:
                raise FormatError(f"side file {name}: {error.strerror}") from error
            if recording_format.side_file_name(data) != name:
                raise FormatError(f"side file {name}: its content is not what its name says")
            return data

        return read

    # -------------------------------------------------------------- writing

    def join(self) -> None:
        """Announce a recording run, before `load`: what runs beside it record is not replaced."""
        marker = self._lock_file().with_suffix(f".{os.getpid()}.{token_hex(4)}.run")
        try:
            marker.touch()
        except OSError as error:
            raise StoreError(f"{marker}: cannot be written: {error.strerror}") from error
        self._marker = marker
        for other in marker.parent.glob(f"{self._lock_file().stem}.*.run"):
            if other == marker:
                continue
            if not is_alive(int(other.name.split(".")[-3])):
                other.unlink(missing_ok=True)
                continue
            with suppress(OSError):
                self._others_since_ns = min(self._others_since_ns, other.stat().st_mtime_ns)

    def leave(self) -> None:
        """The recording run is over."""
        if self._marker is not None:
            self._marker.unlink(missing_ok=True)

    def write(self, document: Document, text: str, files: dict[str, bytes]) -> Entry:
        """Store a redacted recording: `text` of `document`, and its side files.

        The first of a key in this run replaces the takes that were there before it; the next are
        added. StoreError names the file and the system's reason; nothing is left half written.
        """
        canonical = self.canonical(document["request"])
        folder = self.folder / host_folder(document) / endpoint_slug(document)
        try:
            with self._lock:
                folder.mkdir(parents=True, exist_ok=True)
                for name, data in files.items():
                    _write(folder / name, data)
                path, void = self._place(folder, canonical.key)
                _write(path, text.encode("utf-8"))
                for old in void:
                    old.unlink(missing_ok=True)
        except Timeout as error:
            raise StoreError(f"{folder}: locked by another wiretape for 30 s") from error
        except OSError as error:
            raise StoreError(
                f"{error.filename or folder}: cannot be written: {error.strerror}"
            ) from error
        name = path.relative_to(self.folder).as_posix()
        take = _TAKE.search(path.stem)
        entry = Entry(
            name, canonical.key, canonical.endpoint, (int(take[1]) if take else 1, 0, name)
        )
        self._add(entry)
        self._count += 1
        self.read.cache_clear()
        return entry

    def _lock_file(self) -> Path:
        # Beside the recordings it would have to be kept out of git; one lock per folder and user.
        folder = re.sub(r"[^A-Za-z0-9]+", "-", str(self.folder.resolve()))[-150:]
        return self._locks / f"wiretape{folder}.lock"

    def _place(self, folder: Path, key: str) -> tuple[Path, list[Path]]:
        """Where the next take of a key goes, and the older files it makes void.

        Void are the takes that stood here when the run began and are unchanged since: a second
        writer's are not. One of them may be the place itself, to be written over.
        """
        void: list[Path] = []
        if key not in self._rewritten:
            self._rewritten.add(key)
            kept = []
            for entry in self._entries.get(key, []):
                path = self.folder / entry.name
                if entry.foreign or not self._is_as_seen(path):
                    kept.append(entry)
                    continue
                void.append(path)
                self._by_endpoint[entry.endpoint].remove(entry)
                self._count -= 1
            self._entries[key] = kept
        for take in range(self._takes.get(key, 1), 1_000_000):
            path = folder / (f"{key[:12]}.json" if take == 1 else f"{key[:12]}.{take}.json")
            if path in void or not path.exists():
                self._takes[key] = take + 1
                return path, [other for other in void if other != path]
        raise StoreError(f"{folder}: a million takes of one request")

    def _is_as_seen(self, path: Path) -> bool:
        try:
            stat = path.stat()
        except OSError:
            return False
        seen = self._seen.get(path)
        return (
            seen == (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            and stat.st_mtime_ns < self._others_since_ns
        )


def host_folder(document: Document) -> str:
    """The folder of a recording's host: "api.together.xyz", "localhost+8080".

    It always holds a dot or a plus, which no session's name does.
    """
    scheme, host, port, _ = split_url(document["request"]["url"])
    host = re.sub(r"[^a-z0-9.-]+", "-", host.lower()).strip(".-")[:120] or "host"
    usual = port == (443 if scheme == "https" else 80)
    return host if usual and "." in host else f"{host}+{port}"


def endpoint_slug(document: Document) -> str:
    """The folder of a recording's endpoint: "v1-chat-completions"."""
    path = split_url(document["request"]["url"])[3].partition("?")[0]
    return re.sub(r"[^A-Za-z0-9._]+", "-", path).strip("-.")[:80] or "root"


def _write(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, whole."""
    temporary = path.with_name(f".{token_hex(8)}.tmp")
    # The system applies the user's umask here.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(temporary, flags, 0o644)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise

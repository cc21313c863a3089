"""Write recordings atomically, into folders named for people.

    recordings/[SESSION/]HOST/ENDPOINT-SLUG/KEY12[.TAKE].json

Files are named for people; what a file answers is computed from its content, so a moved or
hand-edited file still works. llama-stack's own files are read wherever they lie. `lookup.py`
finds them; this module writes them.
"""

import math
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Final, Protocol

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import SWITCHING, Exchange, WebSocket, split_url
from wiretape.core.playback.policy import RecordMode
from wiretape.core.playback.websocket import as_request
from wiretape.core.recording.document import Document, to_exchange, to_request
from wiretape.core.redaction.traces import traces_in
from wiretape.core.wire.selecting_headers import document_vary
from wiretape.files import write_whole

from . import recording_file, replace_files
from .folder_names import LINKED, SESSION_NAME
from .index import Index, IndexRow
from .lookup import Entry, Lookup
from .processes import is_alive
from .recording_file import MAX_FILE_BYTES, Facts, MatchKind, StoredRequest, stat_of
from .scan_folder import is_linked
from .scanned_folder import LARGE, LocalState, SkippedFile

__all__ = [
    "LARGE",
    "MAX_FILE_BYTES",
    "SESSION_NAME",
    "Entry",
    "Library",
    "LocalState",
    "SkippedFile",
    "endpoint_slug",
    "host_folder",
]


class NamesElsewhere(Protocol):
    """The names of takes in a store that other machines write to as well."""

    def reserve(self, path: Path, *, is_replaced: bool) -> int | None:
        """Take the name of a recording's file for this run; None if that is done, else the number
        of the take to try. `is_replaced` where a file of this name is written over.
        """
        ...

    def drop(self, paths: list[Path]) -> None:
        """Note that recordings were replaced by others."""
        ...


ATTRIBUTES: Final = """\
# Written by wiretape: recordings are read byte for byte, and are long in a pull request.
*.json text eol=lf linguist-generated
*.bin -text
"""


class Library(Lookup):
    """The recordings of one folder (or of one session in it); arguments as `Lookup` has them.

    `record_mode`: replace, add to or keep the takes of a key that were there before this run.
    """

    def __init__(
        self,
        folder: Path,
        matcher: Matcher,
        prepare: Callable[[Document], Document] = lambda request: request,
        session: str | None = None,
        state: LocalState | None = None,
        record_mode: RecordMode = "replace",
    ) -> None:
        super().__init__(folder, matcher, prepare, session, state)
        self.record_mode: Final = record_mode
        # The older takes of these are replaced already.
        self._rewritten: set[tuple[str, object]] = set()
        # The next take of a key to try, so that earlier ones are not looked for again.
        self._next_takes: dict[str, int] = {}
        self._marker: Path | None = None
        self._has_attributes = False
        # Files younger than this are the work of another run that is still recording.
        self._others_since_ns: float = math.inf
        self.names_elsewhere: NamesElsewhere | None = None

    def join(self, since_ns: float = math.inf) -> None:
        """Announce a recording run; call it before `load`.

        Takes that runs beside this one record are not replaced, nor those younger than `since_ns`
        (nanoseconds of the epoch).
        """
        self._others_since_ns = since_ns
        marker = self._lock_file().with_suffix(f".{os.getpid()}.{token_hex(4)}.run")
        try:
            marker.touch()
        except OSError as error:
            raise StoreError(f"{marker}: cannot be written: {error.strerror}") from error
        self._marker = marker
        self._records = True
        for marker_file in marker.parent.glob(f"{self._lock_file().stem}.*.run"):
            if marker_file == marker:
                continue
            if not is_alive(int(marker_file.name.split(".")[-3])):
                marker_file.unlink(missing_ok=True)
                continue
            with suppress(OSError):
                self._others_since_ns = min(self._others_since_ns, marker_file.stat().st_mtime_ns)

    def leave(self) -> None:
        """End the recording run that `join` announced."""
        if self._marker is not None:
            self._marker.unlink(missing_ok=True)

    def write(self, document: Document, text: str, files: dict[str, bytes]) -> Entry | None:
        """Store a redacted recording: `text` of `document`, and its side files by name.

            library.join()
            library.load()
            entry = library.write(document, dumps(document), {})
            entry.name  # "api.openai.com/v1-chat-completions/3f2a00112233.json"
            library.read(entry.name)  # the Exchange

        With `record_mode` "replace" the first take of a key in this run replaces the takes that
        were there before it, all at once; the next are added. With "missing-only" it gives None if
        there is a take already. WebSockets of one key all open alike: each replaces only those on
        which the client sent the same messages. StoreError names the file and the system's reason;
        nothing is left half written.
        """
        from filelock import Timeout

        stored = self._examine(document["request"])
        key = stored.forms[0].key
        below = f"{host_folder(document)}/{endpoint_slug(document)}"
        folder = self.folder / below
        try:
            if is_linked(self.folder, below):
                raise StoreError(f"{folder}: {LINKED}")
            with self._lock:
                folder.mkdir(parents=True, exist_ok=True)
                self._write_attributes()
                listed = replace_files.list_path(folder, key)
                if listed.exists():
                    self._forget(*replace_files.settle(self.folder, listed))
                new = self._new_take(document, stored, files)
                if self.record_mode == "missing-only" and self._has_others(key, new):
                    return None
                return self._write(folder, key, new, text.encode("utf-8"), files)
        except Timeout as error:
            raise StoreError(f"{folder}: locked by another wiretape for 30 s") from error
        except OSError as error:
            raise StoreError(
                f"{error.filename or folder}: cannot be written: {error.strerror}"
            ) from error

    def _write_attributes(self) -> None:
        """Keep git from changing line ends; an existing .gitattributes stays."""
        top = self.folder
        for _ in self.session.split("/") if self.session else ():
            top = top.parent
        path = top / ".gitattributes"
        if not self._has_attributes and not os.path.lexists(path):
            # A recording is not lost where this cannot be written.
            with suppress(OSError):
                write_whole(path, ATTRIBUTES.encode())
        self._has_attributes = True

    def _write(
        self, folder: Path, key: str, new: "_NewTake", data: bytes, files: dict[str, bytes]
    ) -> Entry:
        folder_name = folder.relative_to(self.folder).as_posix()
        path, take, void = self._reserved_path(folder, key, new)
        name = path.relative_to(self.folder).as_posix()
        folder_before = self._query(lambda index: index.folders().get(folder_name))
        stat_before = folder.stat()
        for side_name, content in files.items():
            write_whole(folder / side_name, content)
        side_files = self._sides([*void, name])
        listed = replace_files.list_path(folder, key)
        replace_files.replace(self.folder, listed, path, data, [self.folder / old for old in void])
        self._next_takes[key] = take + 1
        self._rewritten.add((key, new.identity))
        self._written_here.add(name)
        facts = recording_file.of_document(
            new.document,
            name,
            stat_of(path),
            recording_file.digest(data),
            lambda _: new.stored,
            settled=False,
        )
        facts = replace(facts, traces=traces_in(data))

        def update(index: Index) -> None:
            for old in void:
                index.forget(old.rpartition("/")[0], [old.rpartition("/")[2]])
            index.put([facts], anew=True)
            # No other process changed the folder in between: it need not be scanned again.
            if folder_before == (stat_before.st_ino, stat_before.st_mtime_ns):
                stat_after = folder.stat()
                index.put_folder(folder_name, stat_after.st_ino, stat_after.st_mtime_ns)
            self._memo.clear()

        self._query(update)
        self._remove_sides(side_files)
        return _entry_of(facts)

    def _has_others(self, key: str, new: "_NewTake") -> bool:
        return any(
            entry.name not in self._written_here and self._is_replaced_by(entry.name, new)
            for entry in self.takes(key)
        )

    def _reserved_path(
        self, folder: Path, key: str, new: "_NewTake"
    ) -> tuple[Path, int, list[str]]:
        """As `_next_path`, for no two machines that share a store the same."""
        while True:
            path, take, void = self._next_path(folder, key, new)
            if self.names_elsewhere is None:
                return path, take, void
            later = self.names_elsewhere.reserve(path, is_replaced=os.path.lexists(path))
            if later is None:
                self.names_elsewhere.drop([self.folder / name for name in void])
                return path, take, void
            self._next_takes[key] = max(take + 1, later)

    def _next_path(self, folder: Path, key: str, new: "_NewTake") -> tuple[Path, int, list[str]]:
        """The path of a key's next take, its number, and the names of the files it replaces.

        Replaced are the takes that were here when the run began and are unchanged since; not those
        of a second writer, nor of a request with other headers. The path may be that of a replaced
        take, which is then written over and not listed.
        """
        void: list[str] = []
        rewritten = (key, new.identity) in self._rewritten
        if self.record_mode == "replace" and not rewritten:
            rows = self._query(lambda index: index.takes(key))
            void = [
                row.name
                for row in rows
                if row.match_kind is MatchKind.EXACT
                and self._is_unchanged(row)
                and self._is_replaced_by(row.name, new)
            ]
        for take in range(self._next_takes.get(key, 1), 1_000_000):
            path = folder / (f"{key[:12]}.json" if take == 1 else f"{key[:12]}.{take}.json")
            name = path.relative_to(self.folder).as_posix()
            if name in void or not os.path.lexists(path):
                return path, take, [old for old in void if old != name]
        raise StoreError(f"{folder}: a million takes of one request")

    def _new_take(
        self, document: Document, stored: StoredRequest, files: dict[str, bytes]
    ) -> "_NewTake":
        messages: tuple[str, ...] = ()
        if document["response"]["status"] == SWITCHING:
            messages = self._client_messages(to_exchange(document, files.__getitem__))
        return _NewTake(document, stored, (*_choosing_headers(document), messages), messages)

    def _client_messages(self, exchange: Exchange) -> tuple[str, ...]:
        """The keys of the messages that a client sent over a WebSocket, in order; else empty."""
        request, response = exchange.request, exchange.response
        if not isinstance(response, WebSocket):
            return ()
        return tuple(
            self.canonical(as_request(request.url, request.path, message)).key
            for message in response.messages
            if message.sender == "client"
        )

    def _is_replaced_by(self, name: str, new: "_NewTake") -> bool:
        """Whether a recording and a new take are of the same request: their headers choose the same
        of several answers, and over a WebSocket the client sent the same. True if the recording
        cannot be read.
        """
        try:
            stored = self.read(name)
            if new.client_messages != self._client_messages(stored):
                return False
        except (FormatError, StoreError):
            return True
        bare = {key: value for key, value in new.document["request"].items() if "body" not in key}
        request = to_request(bare)
        if self._matcher.apart(stored, request, streams=False):
            return False
        accepted = [value for key, value in stored.request.headers if key.lower() == "accept"]
        return not accepted or accepted == [
            value for key, value in request.headers if key.lower() == "accept"
        ]

    def _is_unchanged(self, row: IndexRow) -> bool:
        path = self.folder / row.name
        try:
            stat = stat_of(path)
            if stat[1] >= self._others_since_ns or not self._was_there_at_start(row.id, row.name):
                return False
            if row.settled and stat == row.stat:
                return True
            return recording_file.digest(recording_file.read_bytes(path)[0]) == row.content
        except (OSError, StoreError):
            return False

    def _sides(self, names: list[str]) -> dict[str, set[str]]:
        """The side files of recordings about to be removed, by folder."""
        by_folder: dict[str, set[str]] = {}
        for name in names:
            sides = self._query(lambda index, name=name: index.sides_of(name))  # type: ignore[misc]  # mypy cannot infer a lambda's defaults
            by_folder.setdefault(name.rpartition("/")[0], set()).update(sides)
        return {folder: sides for folder, sides in by_folder.items() if sides}

    def _remove_sides(self, sides: dict[str, set[str]]) -> None:
        """Remove the side files that no recording in their folder needs."""
        for folder, names in sides.items():

            def used(index: Index, folder: str = folder) -> set[str]:
                # Another writer's recordings may not be in the index yet.
                self._sweep.scan_folder(index, folder)
                return index.sides_in(folder)

            # A side file that cannot be removed does no harm.
            with suppress(OSError):
                for name in names - self._query(used):
                    (self.folder / folder / name).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _NewTake:
    """A recording to be written, and what distinguishes it from others of its key."""

    document: Document
    stored: StoredRequest
    identity: tuple[object, ...]
    client_messages: tuple[str, ...]
    """The keys of the messages that the client sent over a WebSocket."""


def _choosing_headers(document: Document) -> tuple[object, ...]:
    """The values that distinguish requests of one key: of Accept and the answer's Vary headers."""
    headers = document["request"].get("headers", {})
    names = ("accept", *document_vary(document["response"]))
    return tuple(str(headers.get(name)) for name in names)


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


def _entry_of(facts: Facts) -> Entry:
    answered = facts.keys[0]
    return Entry(
        name=facts.name,
        key=answered.key,
        endpoint=answered.endpoint,
        take=facts.take,
        foreign=False,
        token=facts.token,
        ids=facts.ids,
    )

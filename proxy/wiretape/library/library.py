"""Write recordings atomically, into folders named for people.

    recordings/[SESSION/]HOST/ENDPOINT-SLUG/KEY12[.TAKE].json

Files are named for people; what a file answers is computed from its content, so a moved or
hand-edited file still works. llama-stack's own files are read wherever they lie. `lookup.py`
finds them; this module writes them.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Final, Protocol

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import SWITCHING, Exchange, WebSocket
from wiretape.core.playback.policy import RecordMode
from wiretape.core.playback.websocket import as_request
from wiretape.core.recording.document import Document, to_answer, to_exchange, to_request
from wiretape.core.wire.selecting_headers import document_vary
from wiretape.files import write_whole

from . import recording_file, replace_files
from .folder_names import LINKED, SESSION_NAME, recording_folder
from .index import Index
from .index_rows import IndexRow
from .lookup import Entry, Lookup
from .processes import is_alive
from .recording_file import MAX_FILE_BYTES, Facts, MatchKind, StoredRequest, stat_of, stat_or_none
from .scan_folder import is_linked
from .scanned_folder import LARGE, LocalState, SkippedFile
from .staged_take import NewTake, StagedTake, store_error

__all__ = [
    "LARGE",
    "MAX_FILE_BYTES",
    "SESSION_NAME",
    "Entry",
    "Library",
    "LocalState",
    "SkippedFile",
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
        self._staged: dict[str, StagedTake] = {}
        self._staged_folders: dict[str, Path] = {}
        self._marker: Path | None = None
        self._has_attributes = False
        # Files younger than this are the work of another run that is still recording.
        self._others_since_ns: float = math.inf
        self.names_elsewhere: NamesElsewhere | None = None
        self.is_asked = True
        """Whether this run answers requests from these recordings. Where it does not, an index that
        goes with the run holds no more of what is written than writing needs.
        """

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
        try:
            take = self.stage(document, text, files)
        finally:
            self.commit()
        if take is None:
            return None
        if take.error is not None:
            raise take.error
        return take.entry

    def stage(self, document: Document, text: str, files: dict[str, bytes]) -> "StagedTake | None":
        """Give a recording its name, to be written by `commit` together with the others that are
        staged; arguments, None and StoreError as `write` has them.

        Until then this thread holds the folder's lock: stage few, and commit whatever happens.
        """
        from filelock import Timeout

        request = document["request"]
        is_asked = self.is_asked or not self._query(lambda index: index.is_in_memory)
        stored = self._examine(request) if is_asked else StoredRequest(self._stored_keys(request))
        key = stored.forms[0].key
        below = recording_folder(request["url"])
        folder = self._staged_folders.get(below) or self.folder / below
        try:
            if below not in self._staged_folders:
                if not self._lock.is_locked:
                    self._lock.acquire()
                if is_linked(self.folder, below):
                    raise StoreError(f"{folder}: {LINKED}")
                folder.mkdir(parents=True, exist_ok=True)
                self._write_attributes()
                self._staged_folders[below] = folder
            if os.path.lexists(f"{self._prefix}{below}/{replace_files.list_name(key)}"):
                listed = replace_files.list_path(folder, key)
                self._forget(*replace_files.settle(self.folder, listed))
            new = self._new_take(document, stored, files)
            if self.record_mode == "missing-only" and self._has_others(key, new):
                return None
            take = self._staged_take(below, new, text.encode("utf-8"), files, is_asked=is_asked)
            self._staged[take.entry.name] = take
            return take
        except Timeout as error:
            raise StoreError(f"{folder}: locked by another wiretape for 30 s") from error
        except OSError as error:
            raise store_error(error, folder) from error

    def commit(self) -> None:
        """Write what is staged: each file is synced before the first is renamed to its name, and
        their folders once after the last. Where one cannot be written, its `error` says why, and
        the others are.
        """
        staged = [*self._staged.values()]
        try:
            if staged:
                self._write(staged)
        except BaseException:
            for take in staged:
                if take.file is not None:
                    take.file.discard()
            raise
        finally:
            self._staged.clear()
            self._staged_folders.clear()
            if self._lock.is_locked:
                self._lock.release()

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

    def _staged_take(
        self, below: str, new: NewTake, data: bytes, files: dict[str, bytes], *, is_asked: bool
    ) -> StagedTake:
        key = new.stored.forms[0].key
        name, void = self._reserved_name(below, key, new)
        is_first = (key, new.identity) not in self._rewritten
        self._rewritten.add((key, new.identity))
        content = recording_file.digest(data)
        facts = recording_file.of_document(
            new.document,
            data,
            Facts(name=name, stat=(0, 0, 0), settled=False, content=content),
            lambda *_: new.stored,
            (lambda: to_answer(new.document)) if is_asked else None,
            is_asked=is_asked,
        )
        return StagedTake(
            entry=_entry_of(facts),
            path=self.folder / name,
            key=key,
            new=new,
            data=data,
            files=files,
            facts=facts,
            void=void,
            is_first=is_first,
        )

    def _write(self, staged: Sequence[StagedTake]) -> None:
        folders = dict(self._staged_folders)
        known = self._query(Index.folders)
        before = {name: (known.get(name), _folder_stat(path)) for name, path in folders.items()}
        sides = self._sides([name for take in staged for name in (*take.void, take.entry.name)])
        for take in staged:
            take.prepare()
        for take in staged:
            take.sync()
        failed: set[tuple[str, object]] = set()
        for take in staged:
            if take.first in failed and take.error is None:
                # The one before it was to replace the older takes: now this one does.
                take.is_first = True
                take.void = [
                    name
                    for name in self._older_takes(take.key, take.new)
                    if name != take.entry.name
                ]
            take.rename(self.folder)
            if take.is_first and take.error is not None:
                failed.add(take.first)
            elif take.is_first:
                failed.discard(take.first)
        self._rewritten -= failed
        for folder in {take.path.parent for take in staged if not take.void and not take.error}:
            replace_files.sync(folder)
        self._put([take for take in staged if take.error is None], before)
        self._remove_sides(sides)

    def _put(
        self,
        written: Sequence[StagedTake],
        before: Mapping[str, tuple[tuple[int, int] | None, tuple[int, int] | None]],
    ) -> None:
        """Put what was written into the index."""
        self._written_here.update(take.entry.name for take in written)
        stats = ((take.facts, stat_or_none(take.path)) for take in written)
        # What is gone already is for a scan to find out.
        all_facts = [replace(facts, stat=stat) for facts, stat in stats if stat is not None]

        def update(index: Index) -> None:
            for take in written:
                for old in take.void:
                    index.forget(old.rpartition("/")[0], [old.rpartition("/")[2]])
            index.put(all_facts, anew=True)
            for name, (known, stat_before) in before.items():
                # No other process changed the folder in between: it need not be scanned again.
                stat_after = _folder_stat(self.folder / name)
                if known is not None and known == stat_before and stat_after is not None:
                    index.put_folder(name, *stat_after)
            self._forget_answers()

        self._query(update)

    def _has_others(self, key: str, new: NewTake) -> bool:
        return any(
            entry.name not in self._written_here and self._is_replaced_by(entry.name, new)
            for entry in self.takes(key)
        )

    def _reserved_name(self, below: str, key: str, new: NewTake) -> tuple[str, list[str]]:
        """The name of a key's next take, and the names of the files it replaces; for no two
        machines that share a store the same.

        The name may be that of a replaced take, which is then written over and not listed.
        """
        first = (key, new.identity)
        void = [] if first in self._rewritten else self._older_takes(key, new)
        # What one before it replaces will be gone then.
        gone = [
            old
            for take in self._staged.values()
            if take.void and take.first == first
            for old in take.void
        ]
        free = {*void, *gone}
        for take in range(self._next_takes.get(key, 1), 1_000_000):
            name = f"{below}/{key[:12]}.json" if take == 1 else f"{below}/{key[:12]}.{take}.json"
            exists = self._exists(name)
            is_taken = name in self._staged or (exists and name not in free)
            if is_taken or take < self._next_takes.get(key, 1):
                continue
            if self.names_elsewhere is not None:
                later = self.names_elsewhere.reserve(self.folder / name, is_replaced=exists)
                if later is not None:
                    self._next_takes[key] = max(take + 1, later)
                    continue
            # Whether it can be written or not: a request that follows may name it as its source.
            self._next_takes[key] = take + 1
            void = [old for old in void if old != name]
            if self.names_elsewhere is not None:
                self.names_elsewhere.drop([self.folder / old for old in void])
            return name, void
        raise StoreError(f"{self.folder / below}: a million takes of one request")

    def _older_takes(self, key: str, new: NewTake) -> list[str]:
        """The takes that a key's first one in this run replaces: those that were here when it began
        and are unchanged since; not those of a second writer, nor of a request with other headers.
        """
        is_new = self._last_row_at_start <= 0 and not self._is_index_lost
        if self.record_mode != "replace" or is_new:
            return []
        return [
            row.name
            for row in self._rows_here(key)
            if row.match_kind is MatchKind.EXACT
            and self._is_unchanged(row)
            and self._is_replaced_by(row.name, new)
        ]

    def _rows_here(self, key: str) -> list[IndexRow]:
        """The takes of a key, with their files where those can be had."""
        if self._origin is not None:
            for row in self._query(lambda index: index.takes(key)):
                with suppress(FormatError, StoreError):  # what cannot be had is not replaced
                    self._sweep.fetch(self._query, row.name)
        return self._query(lambda index: index.takes(key))

    def _exists(self, name: str) -> bool:
        """Whether there is a file of a name, here or where it can be fetched from."""
        if os.path.lexists(self._prefix + name):
            return True
        return self._origin is not None and bool(self._query(lambda index: index.content(name)))

    def _new_take(
        self, document: Document, stored: StoredRequest, files: dict[str, bytes]
    ) -> NewTake:
        messages: tuple[str, ...] = ()
        if document["response"]["status"] == SWITCHING:
            messages = self._client_messages(to_exchange(document, files.__getitem__))
        return NewTake(document, stored, (*_choosing_headers(document), messages), messages)

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

    def _is_replaced_by(self, name: str, new: NewTake) -> bool:
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
            if not self._was_there_at_start(row.id, row.name):
                return False
            if stat[1] >= self._others_since_ns and not self._sweep.is_fetched(row.name):
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


def _folder_stat(folder: Path) -> tuple[int, int] | None:
    stat = stat_or_none(folder)
    return None if stat is None else stat[:2]


def _choosing_headers(document: Document) -> tuple[object, ...]:
    """The values that distinguish requests of one key: of Accept and the answer's Vary headers."""
    headers = document["request"].get("headers", {})
    names = ("accept", *document_vary(document["response"]))
    return tuple(str(headers.get(name)) for name in names)


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

"""Write exchanges that are not recorded yet to a journal that survives a killed process.

    HOME/journal/FOLDER.PID.RUN/        FOLDER: a digest of the recordings' folder
        lock                            locked as long as the run lives
        run.json                        the path of its key; encrypted: start and known secrets
        1, 2, …                         an exchange each, until it is recorded
        N.spare                         one whose exchange is recorded, emptied for the next

An exchange's file has entries: a length, then a letter and bytes, encrypted. Each is written in one
call without waiting for the disk: the kernel keeps it when the process dies. So the last entry may
be torn, and reading stops there. An exchange is not redacted yet, so everything is encrypted, and
the run's key is never on a disk (`journal_key.py`).
"""

import base64
import hashlib
import json
import logging
import os
import shutil
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from secrets import token_hex
from time import time_ns
from typing import Any, Final, cast

from filelock import FileLock, Timeout

from wiretape.core.capture.recorder import Recorder
from wiretape.core.capture.websocket import WebSocketRecorder
from wiretape.core.model import SENDERS, Headers, Outcome, Request
from wiretape.core.redaction.known_values import KnownValue
from wiretape.files import write_all, write_whole

from .journal_key import RunKey, make

log = logging.getLogger(__name__)

MAX_HANDLES: Final = 128
"""Files kept open; with more exchanges at once, the others are opened for each write."""

_MOST_SPARE: Final = 16
"""Files kept for exchanges to come. To make and remove one each time takes longer, where the system
looks through what was removed in the last seconds (ext4) a fifth of what an exchange costs.
"""

_LOCK_SECONDS: Final = 10.0
ENTRY: Final = struct.Struct("<I")
AT: Final = struct.Struct("<d")
MESSAGE: Final = struct.Struct("<dB?")
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)

ABOUT: Final = (0, 0)
"""The file and entry number of the encrypted part of run.json; other files count from 1."""

REQUEST, SENT, START, READ, MESSAGED, ENDED = b"Q", b"U", b"S", b"D", b"M", b"E"


class Journal:
    """The journal of one run; `known` are the secrets that its redaction looks for everywhere.

    If it cannot be written, `notify` is called with the reason, and the run continues without. If
    there is no folder in memory for its key, the run continues without as well.
    """

    def __init__(
        self,
        home: Path,
        recordings: Path,
        known: Iterable[KnownValue] = (),
        notify: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._notify = notify
        self._numbers = count(1)
        self._handles: set[int] = set()
        self._spare: list[tuple[int, str]] = []
        name = f"{digest(recordings)}.{os.getpid()}.{token_hex(4)}"
        self.folder: Final = home / "journal" / name
        self._lock = lock_of(self.folder, _LOCK_SECONDS)
        self._is_open = False
        key = make(self.folder)
        if key is None:
            log.debug("no journal is kept: no folder for its key is in memory and private")
            return
        self.key: Final = key
        try:
            self.folder.mkdir(mode=0o700, parents=True)
            self._lock.acquire()
            text = json.dumps(_header(key, known), indent=1)
            write_whole(self.folder / "run.json", text.encode(), 0o600)
            self._is_open = True
        except (OSError, Timeout) as error:
            key.remove()
            self.report_fault(error)

    def begin(
        self, request: Request, session: str | None, recorded_at: str
    ) -> "ExchangeFile | None":
        """Begin an exchange's file; None if no journal is kept."""
        if not self._is_open:
            return None
        number = next(self._numbers)
        head = {
            "number": number,
            "session": session,
            "recorded_at": recorded_at,
            "method": request.method,
            "scheme": request.scheme,
            "host": request.host,
            "port": request.port,
            "target": request.target,
            "headers": request.headers,
        }
        file = ExchangeFile(self, self.key, number)
        file.add(REQUEST, json.dumps(head).encode() + b"\n" + request.body)
        return file

    def next_number(self) -> int:
        """A number that orders the beginnings and ends of exchanges."""
        return next(self._numbers)

    def open_file(self, path: str) -> tuple[int, bool]:
        """Open a file: its handle, and whether it stays open; OSError as the system has it."""
        while self._spare:
            handle, spare = self._spare.pop()
            try:
                os.rename(spare, path)
                return handle, True
            except OSError:
                self.close_file(handle)
        handle = os.open(path, _FLAGS, 0o600)
        if len(self._handles) >= MAX_HANDLES:
            return handle, False
        self._handles.add(handle)
        return handle, True

    def set_aside(self, handle: int, path: str) -> None:
        """Empty a file that stayed open, for another exchange, or remove it."""
        spare = f"{path}.spare"
        with suppress(OSError):
            if self._is_open and len(self._spare) < _MOST_SPARE:
                # First: from now on its exchange is not to be recovered.
                os.rename(path, spare)
                path = spare
                os.ftruncate(handle, 0)
                self._spare.append((handle, spare))
                return
        self.close_file(handle)
        with suppress(OSError):
            os.unlink(path)

    def close_file(self, handle: int) -> None:
        """Close a handle that stayed open."""
        self._handles.discard(handle)
        os.close(handle)

    def report_fault(self, error: Exception) -> None:
        """Report that the journal cannot be written; `notify` shows a text only once."""
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        self._notify(
            f"{self.folder.parent}: cannot be written ({reason}): recording goes on, but a kill"
            " would lose the exchanges that are under way"
        )

    def close(self) -> None:
        """Remove the journal: the run is over, and everything is recorded or reported."""
        was_open, self._is_open = self._is_open, False
        for handle in list(self._handles):
            self.close_file(handle)
        with suppress(OSError):
            (self.folder / "run.json").unlink(missing_ok=True)
        if was_open:
            self.key.remove()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()


class ExchangeFile:
    """One exchange's file: a recorder's listener."""

    def __init__(self, journal: Journal, key: RunKey, number: int) -> None:
        self._journal = journal
        self._key = key
        self._path = f"{journal.folder}{os.sep}{number}"
        self._number = number
        self._entries = 0
        self._handle: int | None = None
        # After a missing entry, later ones would make up another answer.
        self._is_whole = True

    def sent(self, data: bytes) -> None:
        self.add(SENT, data)

    def start(self, status: int, headers: Headers, at: float) -> None:
        self.add(START, json.dumps([status, headers, at]).encode())

    def read(self, data: bytes, at: float) -> None:
        self.add(READ, AT.pack(at) + data)

    def message(self, sender: str, data: bytes, at: float, *, binary: bool) -> None:
        kind = SENDERS.index(cast(Any, sender))
        self.add(MESSAGED, MESSAGE.pack(at, kind, binary) + data)

    def ended(self, recorder: Recorder, outcome: Outcome, at: float, recorded_at: str) -> None:
        """Note that the exchange is over and waits to be recorded."""
        close = recorder.close if isinstance(recorder, WebSocketRecorder) else None
        entry = {
            "number": self._journal.next_number(),
            "recorded_at": recorded_at,
            "outcome": outcome,
            "at": at,
            "trailers": recorder.trailers,
            "close": close and [close.sender, close.code, close.reason],
        }
        self.add(ENDED, json.dumps(entry).encode())

    def drop(self) -> None:
        """Remove the file: the exchange is recorded, or never will be."""
        self._is_whole = False
        handle, self._handle = self._handle, None
        if handle is not None:
            self._journal.set_aside(handle, self._path)
            return
        with suppress(OSError):
            os.unlink(self._path)

    def add(self, kind: bytes, data: bytes) -> None:
        """Append an entry; the journal reports a fault, and the exchange goes on."""
        if not self._is_whole:
            return
        encrypted = self._key.encrypt(self._number, self._entries, kind + data)
        self._entries += 1
        entry = ENTRY.pack(len(encrypted)) + encrypted
        try:
            if self._handle is not None:
                write_all(self._handle, entry)
            else:
                self._open_and_write(entry)
        except OSError as error:
            self._is_whole = False
            self._journal.report_fault(error)

    def _open_and_write(self, entry: bytes) -> None:
        handle, stays_open = self._journal.open_file(self._path)
        if stays_open:
            self._handle = handle
        try:
            write_all(handle, entry)
        finally:
            if not stays_open:
                os.close(handle)


def lock_of(folder: Path, seconds: float) -> FileLock:
    """The lock that a run holds on its journal while it lives."""
    return FileLock(folder / "lock", timeout=seconds, thread_local=False)


def digest(recordings: Path) -> str:
    """The first part of the names of journals of a folder of recordings."""
    return hashlib.sha256(os.fsencode(recordings.resolve())).hexdigest()[:16]


def _header(key: RunKey, known: Iterable[KnownValue]) -> dict[str, Any]:
    about = {
        "began_ns": time_ns(),
        "known": [[name, key.digest_of(value)] for name, value in known],
    }
    encrypted = key.encrypt(*ABOUT, json.dumps(about).encode())
    return {
        "wiretape_journal": 2,
        "key": str(key.path),
        "about": base64.b64encode(encrypted).decode(),
    }

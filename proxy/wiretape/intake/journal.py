"""What has come of exchanges that are not recorded yet, kept where a kill cannot take it.

    HOME/journal/FOLDER.PID.RUN/        FOLDER: a digest of the recordings' folder
        lock                            locked as long as the run lives
        run.json                        where its key is; sealed: when it began, what it knew
        1, 2, …                         an exchange each, gone as soon as it is recorded

An exchange's file has entries: a length, then a letter and bytes, sealed. Each is written in one
call and nothing waits for the disk: what the kernel has been given outlives the process. So the
last entry may be torn, and reading ends where one is. An exchange is what it was on the wire,
secrets and all, since redaction has yet to come: so everything is sealed, and the run's key is on
no disk (`journal_key.py`).
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
from wiretape.files import write_whole

from .journal_key import RunKey, make

log = logging.getLogger(__name__)

MAX_HANDLES: Final = 128
"""Files that are kept open; those of more exchanges at once are opened for each write."""

_LOCK_SECONDS: Final = 10.0
ENTRY: Final = struct.Struct("<I")
AT: Final = struct.Struct("<d")
MESSAGE: Final = struct.Struct("<dB?")
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)

ABOUT: Final = (0, 0)
"""The number of what is sealed in run.json: files are counted from 1."""

REQUEST, SENT, START, READ, MESSAGED, ENDED = b"Q", b"U", b"S", b"D", b"M", b"E"


class Journal:
    """The journal of one run; `known` are the secrets that its redaction looks for everywhere.

    Where it cannot be written, `notify` is told, and the run goes on without. Where there is no
    place for its key, the run goes on without, too.
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
        name = f"{digest(recordings)}.{os.getpid()}.{token_hex(4)}"
        self.folder: Final = home / "journal" / name
        self._lock = lock_of(self.folder, _LOCK_SECONDS)
        self._is_open = False
        key = make(self.folder)
        if key is None:
            log.debug("no journal is kept: no folder for its key is in memory and private")
            return
        self.seal: Final = key
        try:
            self.folder.mkdir(mode=0o700, parents=True)
            self._lock.acquire()
            text = json.dumps(_header(key, known), indent=1)
            write_whole(self.folder / "run.json", text.encode(), 0o600)
            self._is_open = True
        except (OSError, Timeout) as error:
            key.remove()
            self.fault(error)

    def begin(self, request: Request, session: str | None, recorded_at: str) -> "Track | None":
        """An exchange has begun; None where nothing can be kept of it."""
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
        track = Track(self, self.seal, number)
        track.add(REQUEST, json.dumps(head).encode() + b"\n" + request.body)
        return track

    def next_number(self) -> int:
        """What tells the order in which exchanges began and ended."""
        return next(self._numbers)

    def opened(self, path: Path) -> tuple[int, bool]:
        """A file's handle, and whether it stays open; OSError as the system has it."""
        handle = os.open(path, _FLAGS, 0o600)
        if len(self._handles) >= MAX_HANDLES:
            return handle, False
        self._handles.add(handle)
        return handle, True

    def closed(self, handle: int) -> None:
        """A handle is not used any more."""
        self._handles.discard(handle)
        os.close(handle)

    def fault(self, error: Exception) -> None:
        """The journal cannot be written; said once, since it would be said of every exchange."""
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        self._notify(
            f"{self.folder.parent}: cannot be written ({reason}): recording goes on, but a kill"
            " would lose the exchanges that are under way"
        )

    def close(self) -> None:
        """The run is over and everything is recorded or told: nothing is to be recovered."""
        was_open, self._is_open = self._is_open, False
        for handle in list(self._handles):
            self.closed(handle)
        with suppress(OSError):
            (self.folder / "run.json").unlink(missing_ok=True)
        if was_open:
            self.seal.remove()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()


class Track:
    """One exchange's file: a recorder's listener."""

    def __init__(self, journal: Journal, key: RunKey, number: int) -> None:
        self._journal = journal
        self._key = key
        self._path = journal.folder / str(number)
        self._number = number
        self._entries = 0
        self._handle: int | None = None
        # After one that is missing, entries would tell of an answer that never was.
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
        """The exchange is over and waits to be recorded."""
        close = recorder.close if isinstance(recorder, WebSocketRecorder) else None
        told = {
            "number": self._journal.next_number(),
            "recorded_at": recorded_at,
            "outcome": outcome,
            "at": at,
            "trailers": recorder.trailers,
            "close": close and [close.sender, close.code, close.reason],
        }
        self.add(ENDED, json.dumps(told).encode())

    def drop(self) -> None:
        """The exchange is recorded, or never will be."""
        self._is_whole = False
        if self._handle is not None:
            self._journal.closed(self._handle)
            self._handle = None
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def add(self, kind: bytes, data: bytes) -> None:
        """Append an entry; a fault is the journal's to tell, and the exchange goes on."""
        if not self._is_whole:
            return
        sealed = self._key.sealed(self._number, self._entries, kind + data)
        self._entries += 1
        entry = ENTRY.pack(len(sealed)) + sealed
        try:
            if self._handle is not None:
                _write(self._handle, entry)
            else:
                self._open_and_write(entry)
        except OSError as error:
            self._is_whole = False
            self._journal.fault(error)

    def _open_and_write(self, entry: bytes) -> None:
        handle, stays = self._journal.opened(self._path)
        if stays:
            self._handle = handle
        try:
            _write(handle, entry)
        finally:
            if not stays:
                os.close(handle)


def _write(handle: int, data: bytes) -> None:
    written = os.write(handle, data)
    # A disk that fills up takes a part, and tells why with the next.
    while written < len(data):
        written += os.write(handle, data[written:])


def lock_of(folder: Path, seconds: float) -> FileLock:
    """The lock that a run holds on its journal as long as it lives."""
    return FileLock(folder / "lock", timeout=seconds, thread_local=False)


def digest(recordings: Path) -> str:
    """What the journals of a folder of recordings are called by."""
    return hashlib.sha256(os.fsencode(recordings.resolve())).hexdigest()[:16]


def _header(key: RunKey, known: Iterable[KnownValue]) -> dict[str, Any]:
    about = {"began_ns": time_ns(), "known": [[name, key.mark_of(value)] for name, value in known]}
    sealed = key.sealed(*ABOUT, json.dumps(about).encode())
    return {
        "wiretape_journal": 2,
        "key": str(key.path),
        "about": base64.b64encode(sealed).decode(),
    }

"""Read the journals of killed runs, by feeding each exchange to a recorder again.

They are not trusted to be complete: reading stops at a torn entry, and invalid files are left out.
"""

import base64
import json
import shutil
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from time import time
from typing import Any, Final

from filelock import Timeout

from wiretape.core.capture.recorder import Recorder
from wiretape.core.capture.stdio import recovered_outcome
from wiretape.core.capture.websocket import WebSocketRecorder
from wiretape.core.model import MAX_BODY, SENDERS, Close, Headers, Outcome, Request, header
from wiretape.core.redaction.known_values import KnownValue
from wiretape.core.wire.jsonrpc import STDIO_HOST
from wiretape.core.wire.websocket import is_opening

from .journal import (
    ABOUT,
    AT,
    ENDED,
    ENTRY,
    MESSAGE,
    MESSAGED,
    READ,
    REQUEST,
    SENT,
    START,
    digest,
    lock_of,
)
from .journal_key import RunKey, find

_UNFINISHED_SECONDS: Final = 3600.0

KEEP_SECONDS: Final = 7 * 24 * 3600.0
"""A journal that no run recovers is removed at this age, since it holds secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedExchange:
    """An exchange of a killed run, as far as it came.

    `recorder` holds it, `ended` says whether it was over; exchanges are sorted by `order`.
    """

    path: Path
    session: str | None
    recorder: Recorder
    outcome: Outcome
    at: float
    recorded_at: str
    ended: bool
    order: int


@dataclass(frozen=True, slots=True)
class KilledRun:
    """What a killed run left behind.

    `key` is None if it is gone; then the journal cannot be read.
    """

    folder: Path
    began: str
    key: RunKey | None
    began_ns: int = 0
    known: tuple[tuple[str, str], ...] = ()

    def is_of(self, recordings: Path) -> bool:
        """Whether the run recorded into this folder."""
        return self.folder.name.partition(".")[0] == digest(recordings)

    def unknown(self, values: Iterable[KnownValue]) -> list[str]:
        """The names of secrets that the run knew and that are not among these."""
        if self.key is None:
            return []
        marks = {self.key.digest_of(value) for _, value in values}
        return [name for name, mark in self.known if mark not in marks]

    @property
    def size(self) -> int:
        """How many exchanges it has, readable or not."""
        return len(self._files())

    @property
    def age(self) -> float:
        """Seconds since the run last wrote."""
        times = []
        for path in (self.folder, *self._files()):
            with suppress(OSError):
                times.append(path.stat().st_mtime)
        return time() - max(times, default=0.0)

    def exchanges(self) -> tuple[list[UnfinishedExchange], int]:
        """The exchanges that can be recovered, in the order they ended, the unfinished ones last;
        and the number of exchanges without any answer.
        """
        exchanges: list[UnfinishedExchange] = []
        if self.key is None:
            return exchanges, 0
        for path in self._files():
            # An invalid file is skipped.
            with suppress(OSError, ValueError, LookupError, TypeError, struct.error):
                exchange = read(path, self.key)
                if exchange is not None:
                    exchanges.append(exchange)
        answered = [exchange for exchange in exchanges if exchange.recorder.status]
        answered.sort(key=lambda exchange: (not exchange.ended, exchange.order))
        return answered, len(exchanges) - len(answered)

    def remove(self) -> None:
        """Remove the journal and its key."""
        with suppress(OSError):
            (self.folder / "run.json").unlink(missing_ok=True)
        if self.key is not None:
            self.key.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[Path]:
        with suppress(OSError):
            return [path for path in self.folder.iterdir() if path.name.isdecimal()]
        return []


def killed_runs(home: Path) -> Iterator[KilledRun]:
    """The killed runs of this user; each journal is locked while it is in use, so that two runs
    that start at once do not both recover it.
    """
    for folder in sorted((home / "journal").glob("*.*.*")):
        if not (folder / "run.json").exists():
            _tidy(folder, _UNFINISHED_SECONDS)
            continue
        with _locked(folder) as is_dead:
            killed_run = _killed_run(folder) if is_dead else None
            if killed_run is not None:
                yield killed_run
            elif is_dead:
                _tidy(folder, KEEP_SECONDS)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Lock a journal whose run is over; gives False if the run is alive."""
    lock = lock_of(folder, 0)
    try:
        lock.acquire()
    except (OSError, Timeout):
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
        if not (folder / "run.json").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _tidy(folder: Path, seconds: float) -> None:
    # The run may have made the folder and not locked it yet, or be of another version.
    with suppress(OSError):
        if time() - folder.stat().st_mtime > seconds:
            shutil.rmtree(folder, ignore_errors=True)


def _killed_run(folder: Path) -> KilledRun | None:
    path = folder / "run.json"
    try:
        began = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        match json.loads(path.read_bytes()):
            case {"wiretape_journal": 2, "key": str(key_path), "about": str(encrypted)}:
                # Only a key with the journal's name is accepted, whatever the file says.
                key = find(Path(key_path)) if Path(key_path).name == folder.name else None
                if key is None:
                    return KilledRun(folder, began, None)
                about = key.decrypt(*ABOUT, base64.b64decode(encrypted))
                return (
                    None
                    if about is None
                    else _killed_run_with_key(folder, began, key, json.loads(about))
                )
    except (OSError, ValueError, LookupError, TypeError):
        pass
    return None


def _killed_run_with_key(folder: Path, began: str, key: RunKey, about: dict[str, Any]) -> KilledRun:
    known = tuple((str(name), str(mark)) for name, mark in about["known"])
    return KilledRun(folder, began, key, int(about["began_ns"]), known)


def entries(data: bytes, number: int, key: RunKey) -> Iterator[tuple[bytes, bytes]]:
    """The entries of the file of this number, kind and content, up to the first torn one."""
    at = 0
    for entry in count():
        if at + ENTRY.size > len(data):
            return
        (length,) = ENTRY.unpack_from(data, at)
        at += ENTRY.size
        content = key.decrypt(number, entry, data[at : at + length])
        if not content:
            return
        yield content[:1], content[1:]
        at += length


def read(path: Path, key: RunKey) -> UnfinishedExchange | None:
    """Read a file's exchange; None if not even its request is complete."""
    data = path.read_bytes()
    file_entries = iter(entries(data, int(path.name), key))
    kind, content = next(file_entries, (b"", b""))
    if kind != REQUEST:
        return None
    text, _, body = content.partition(b"\n")
    head = json.loads(text)
    request = Request(
        head["method"],
        head["scheme"],
        head["host"],
        head["port"],
        head["target"],
        headers=_pairs(head["headers"]),
        body=body,
    )
    # The run that wrote it kept its own limit.
    in_messages = is_opening(request) or request.host == STDIO_HOST
    recorder_type = WebSocketRecorder if in_messages else Recorder
    recorder = recorder_type(request, max(MAX_BODY, len(data)))
    at, end = 0.0, None
    for kind, content in file_entries:
        if kind == ENDED:
            end = json.loads(content)
        else:
            at = max(at, _feed(recorder, kind, content))
    if end is None:
        outcome = _outcome(recorder)
        recorded_at, order = head["recorded_at"], head["number"]
    else:
        outcome, at = end["outcome"], end["at"]
        recorded_at, order = end["recorded_at"], end["number"]
        recorder.trailers = _pairs(end["trailers"])
        if isinstance(recorder, WebSocketRecorder) and end["close"] is not None:
            recorder.close = Close(*end["close"])
    return UnfinishedExchange(
        path=path,
        session=head["session"],
        recorder=recorder,
        outcome=outcome,
        at=at,
        recorded_at=recorded_at,
        ended=end is not None,
        order=order,
    )


def _feed(recorder: Recorder, kind: bytes, content: bytes) -> float:
    """Feed an entry to a recorder; gives its time."""
    if kind == SENT:
        recorder.sent(content)
        return 0.0
    if kind == START:
        status, headers, at = json.loads(content)
        recorder.start(status, _pairs(headers), at)
        return float(at)
    if kind == READ:
        (at,) = AT.unpack_from(content)
        recorder.read(content[AT.size :], at)
        return float(at)
    if kind == MESSAGED and isinstance(recorder, WebSocketRecorder):
        at, sender, binary = MESSAGE.unpack_from(content)
        recorder.message(SENDERS[sender], content[MESSAGE.size :], at, binary=binary)
        return float(at)
    return 0.0


def _outcome(recorder: Recorder) -> Outcome:
    """How an exchange ended whose run was killed: by what is left of it."""
    if isinstance(recorder, WebSocketRecorder) and recorder.request.host == STDIO_HOST:
        return recovered_outcome(recorder) if recorder.is_open else "cut"
    return "ended" if _is_complete(recorder) else "cut"


def _is_complete(recorder: Recorder) -> bool:
    """Whether all of the body that an answer's headers announce has come."""
    if header(recorder.headers, "transfer-encoding") is not None or recorder.status == 101:
        return False
    if recorder.request.method == "HEAD" or recorder.status in (204, 304):
        return True
    length = header(recorder.headers, "content-length") or ""
    size = sum(len(data) for data, _ in recorder.reads)
    return length.isascii() and length.isdecimal() and len(length) < 20 and size == int(length)


def _pairs(headers: Iterable[Iterable[str]]) -> Headers:
    return tuple((name, value) for name, value in headers)

"""Journals of runs that were killed, read: each exchange is told to a recorder anew.

Nothing in them is trusted to be whole: what is torn ends there, and what makes no sense is left
out.
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
from wiretape.core.capture.websocket import WebSocketRecorder
from wiretape.core.model import MAX_BODY, SENDERS, Close, Headers, Outcome, Request, header
from wiretape.core.redaction.known_values import KnownValue
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
"""A journal that nobody comes for is removed when it is this old: it holds what is secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedExchange:
    """An exchange of a run that was killed, as far as it came.

    `recorder` holds it, `ended` says whether it was over, `order` tells it from the others.
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
class Left:
    """What a run that was killed has left behind.

    `key` is None where it is gone, and with it all that was in the journal.
    """

    folder: Path
    began: str
    key: RunKey | None
    began_ns: int = 0
    known: tuple[tuple[str, str], ...] = ()

    def is_of(self, recordings: Path) -> bool:
        """Whether the run recorded into this folder."""
        return self.folder.name.partition(".")[0] == digest(recordings)

    def unknown(self, known: Iterable[KnownValue]) -> list[str]:
        """The names of secrets that the run knew and that are not among these."""
        if self.key is None:
            return []
        marks = {self.key.mark_of(value) for _, value in known}
        return [name for name, mark in self.known if mark not in marks]

    @property
    def size(self) -> int:
        """How many exchanges it is of, whatever came of them."""
        return len(self._files())

    @property
    def age(self) -> float:
        """Seconds since the last was heard of the run."""
        times = []
        for path in (self.folder, *self._files()):
            with suppress(OSError):
                times.append(path.stat().st_mtime)
        return time() - max(times, default=0.0)

    def exchanges(self) -> tuple[list[UnfinishedExchange], int]:
        """What can be recovered, in the order it ended, then what had not ended; and of how many
        exchanges nothing had come yet.
        """
        found: list[UnfinishedExchange] = []
        if self.key is None:
            return found, 0
        for path in self._files():
            # A file that makes no sense is of no use: the others are.
            with suppress(OSError, ValueError, LookupError, TypeError, struct.error):
                exchange = read(path, self.key)
                if exchange is not None:
                    found.append(exchange)
        answered = [exchange for exchange in found if exchange.recorder.status]
        answered.sort(key=lambda exchange: (not exchange.ended, exchange.order))
        return answered, len(found) - len(answered)

    def remove(self) -> None:
        """Nothing of it is needed any more."""
        with suppress(OSError):
            (self.folder / "run.json").unlink(missing_ok=True)
        if self.key is not None:
            self.key.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[Path]:
        with suppress(OSError):
            return [path for path in self.folder.iterdir() if path.name.isdecimal()]
        return []


def left_behind(home: Path) -> Iterator[Left]:
    """What runs of this user that were killed have left behind; each is locked while it is looked
    at, so that two that start at once do not both recover it.
    """
    for folder in sorted((home / "journal").glob("*.*.*")):
        if not (folder / "run.json").exists():
            _tidy(folder, _UNFINISHED_SECONDS)
            continue
        with _locked(folder) as is_dead:
            left = _left(folder) if is_dead else None
            if left is not None:
                yield left
            elif is_dead:
                _tidy(folder, KEEP_SECONDS)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Whether the run of a journal is over; it is locked then."""
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
    # A run makes the folder first and locks it then; what another version wrote it may come for.
    with suppress(OSError):
        if time() - folder.stat().st_mtime > seconds:
            shutil.rmtree(folder, ignore_errors=True)


def _left(folder: Path) -> Left | None:
    path = folder / "run.json"
    try:
        began = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        match json.loads(path.read_bytes()):
            case {"wiretape_journal": 2, "key": str(place), "about": str(sealed)}:
                # Whatever stands there, only a key that is called as the journal is one of it.
                key = find(Path(place)) if Path(place).name == folder.name else None
                if key is None:
                    return Left(folder, began, None)
                about = key.opened(*ABOUT, base64.b64decode(sealed))
                return None if about is None else _opened(folder, began, key, json.loads(about))
    except (OSError, ValueError, LookupError, TypeError):
        pass
    return None


def _opened(folder: Path, began: str, key: RunKey, about: dict[str, Any]) -> Left:
    known = tuple((str(name), str(mark)) for name, mark in about["known"])
    return Left(folder, began, key, int(about["began_ns"]), known)


def entries(data: bytes, number: int, key: RunKey) -> Iterator[tuple[bytes, bytes]]:
    """The entries of the file of this number, kind and content, up to the first that is torn."""
    at = 0
    for entry in count():
        if at + ENTRY.size > len(data):
            return
        (length,) = ENTRY.unpack_from(data, at)
        at += ENTRY.size
        content = key.opened(number, entry, data[at : at + length])
        if not content:
            return
        yield content[:1], content[1:]
        at += length


def read(path: Path, key: RunKey) -> UnfinishedExchange | None:
    """The exchange of a file; None where not even its request is there."""
    data = path.read_bytes()
    found = iter(entries(data, int(path.name), key))
    kind, content = next(found, (b"", b""))
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
    # What is here was within the limit of the run that wrote it.
    kind_of = WebSocketRecorder if is_opening(request) else Recorder
    recorder = kind_of(request, max(MAX_BODY, len(data)))
    at, told = 0.0, None
    for kind, content in found:
        if kind == ENDED:
            told = json.loads(content)
        else:
            at = max(at, _again(recorder, kind, content))
    if told is None:
        outcome: Outcome = "ended" if _is_all(recorder) else "cut"
        recorded_at, order = head["recorded_at"], head["number"]
    else:
        outcome, at = told["outcome"], told["at"]
        recorded_at, order = told["recorded_at"], told["number"]
        recorder.trailers = _pairs(told["trailers"])
        if isinstance(recorder, WebSocketRecorder) and told["close"] is not None:
            recorder.close = Close(*told["close"])
    return UnfinishedExchange(
        path=path,
        session=head["session"],
        recorder=recorder,
        outcome=outcome,
        at=at,
        recorded_at=recorded_at,
        ended=told is not None,
        order=order,
    )


def _again(recorder: Recorder, kind: bytes, content: bytes) -> float:
    """Tell a recorder what an entry says it was told, and when that was."""
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


def _is_all(recorder: Recorder) -> bool:
    """Whether all that an answer's head announces has come."""
    if header(recorder.headers, "transfer-encoding") is not None or recorder.status == 101:
        return False
    if recorder.request.method == "HEAD" or recorder.status in (204, 304):
        return True
    length = header(recorder.headers, "content-length") or ""
    size = sum(len(data) for data, _ in recorder.reads)
    return length.isascii() and length.isdecimal() and len(length) < 20 and size == int(length)


def _pairs(headers: Iterable[Iterable[str]]) -> Headers:
    return tuple((name, value) for name, value in headers)

"""Cache parsed recordings while their files are unchanged."""

import os
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Final

from wiretape.core.matching.canonical import Canonical
from wiretape.core.model import Exchange
from wiretape.core.recording.document import Document
from wiretape.core.recording.given_ids import AnswerId

from .recording_file import Stat, load, stat_of

_MOST: Final = 2_048
_MOST_BYTES: Final = 16 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class CachedRecording:
    """A recording: its request as stored, its exchange; its canonical forms and the ids of its
    answer once they are known. `checked` is when its file was last seen unchanged.
    """

    path: str
    stat: Stat
    request: Document
    exchange: Exchange
    checked: float
    forms: tuple[Canonical, ...] = ()
    ids: tuple[AnswerId, ...] | None = None


class RecordingCache:
    """The recordings below a folder, by name; the least recently used are dropped."""

    def __init__(self, folder: Path) -> None:
        self._prefix = os.path.join(folder, "")
        self._recordings: OrderedDict[str, CachedRecording] = OrderedDict()
        self._bytes = 0
        self._guard = Lock()
        self.cache_seconds = 0.0
        """Seconds until a file is checked again."""

    def peek(self, name: str) -> CachedRecording | None:
        """A recording as it was last read, if it is still cached."""
        return self._recordings.get(name)

    def get(self, name: str) -> CachedRecording:
        """A recording as it is now; FormatError or StoreError if it went bad."""
        now = monotonic()
        with self._guard:
            cached = self._recordings.get(name)
            if cached is not None:
                if now < cached.checked + self.cache_seconds:
                    return cached
                with suppress(OSError):
                    if stat_of(cached.path) == cached.stat:
                        cached.checked = now
                        self._recordings.move_to_end(name)
                        return cached
        path = self._prefix + name
        recording = load(path)
        request = recording.document["request"]
        cached = CachedRecording(
            path=path,
            stat=recording.stat,
            request=request,
            exchange=recording.exchange,
            checked=now,
        )
        with self._guard:
            old = self._recordings.pop(name, None)
            self._recordings[name] = cached
            self._bytes += cached.stat[2] - (old.stat[2] if old else 0)
            while self._is_full:
                self._bytes -= self._recordings.popitem(last=False)[1].stat[2]
        return cached

    @property
    def _is_full(self) -> bool:
        count = len(self._recordings)
        return count > _MOST or (self._bytes > _MOST_BYTES and count > 1)

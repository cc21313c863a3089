"""Recordings that were read lately, kept while their files stay as they were."""

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


@dataclass(slots=True)
class Kept:
    """A recording: its request as stored, its exchange; its canonical forms and the ids of its
    answer once they are known. `looked` is when its file was found as it was.
    """

    path: str
    stat: Stat
    request: Document
    exchange: Exchange
    looked: float
    forms: tuple[Canonical, ...] = ()
    ids: tuple[AnswerId, ...] | None = None


class Held:
    """The recordings below a folder, by name; the least lately used are let go of."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: OrderedDict[str, Kept] = OrderedDict()
        self._bytes = 0
        self._guard = Lock()
        self.trusted = 0.0
        """Seconds for which a look at a file counts."""

    def known(self, name: str) -> Kept | None:
        """A recording as it was when it was read last, if it is still kept."""
        return self._held.get(name)

    def get(self, name: str) -> Kept:
        """A recording as it is now; FormatError or StoreError if it went bad."""
        now = monotonic()
        with self._guard:
            held = self._held.get(name)
            if held is not None:
                if now < held.looked + self.trusted:
                    return held
                with suppress(OSError):
                    if stat_of(held.path) == held.stat:
                        held.looked = now
                        self._held.move_to_end(name)
                        return held
        path = self._folder / name
        recording = load(path)
        request = recording.document["request"]
        held = Kept(str(path), recording.stat, request, recording.exchange, now)
        with self._guard:
            old = self._held.pop(name, None)
            self._held[name] = held
            self._bytes += held.stat[2] - (old.stat[2] if old else 0)
            while len(self._held) > _MOST or (self._bytes > _MOST_BYTES and len(self._held) > 1):
                self._bytes -= self._held.popitem(last=False)[1].stat[2]
        return held

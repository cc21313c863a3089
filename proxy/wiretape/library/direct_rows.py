"""Look up direct answers in the index, and read ahead what may be asked for next.

One by one, each costs several steps in the index; many at once cost a third of that. A test suite
asks in the order of recording, where what follows is read; that four are in order by chance happens
once in a hundred times. Or it asks in any order, for most of what a small folder holds: after so
many requests the rows beside each are read, all of which stay in memory.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from .index import Index
from .index_rows import DirectRow
from .recording_file import stat_or_none
from .scan_folder import AskIndex

_IN_ORDER: Final = 4
_AHEAD: Final = 48
_MOST: Final = 512
"""Rows in memory, which may take 16 kB each."""
_SINGLE: Final = 24
_SMALL: Final = 8 * 1024
"""The rows of an index up to which all of them may be held."""
_MOST_BYTES: Final = 8 * 1024 * 1024


@dataclass(slots=True)
class _Entry:
    """A row, where its recording lies, and when that was last as it was indexed."""

    row: DirectRow
    path: str
    checked: float = 0.0

    def is_fresh(self, trusted: float) -> bool:
        now = monotonic()
        if now < self.checked + trusted:
            return True
        is_same = stat_or_none(self.path) == self.row.stat
        self.checked = now if is_same else 0.0
        return is_same


class DirectRows:
    """The direct answers of the recordings below a folder; call it for one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._prefix = os.path.join(folder, "")
        self._entries: dict[bytes, _Entry | None] = {}
        self._bytes = 0
        self._last = (0, 0)
        self._in_order = 0
        self._single = 0
        self._is_too_large = False
        """Whether there was more to hold than may be."""

    def forget(self) -> None:
        """Forget what was read: the index has changed."""
        self._entries.clear()
        self._bytes = 0

    def get(self, digest: bytes, query: AskIndex, trusted: float) -> DirectRow | None:
        """The row that answers the live requests with a digest; None if the index has none, or the
        file is not what it was. It is looked at unless that was done `trusted` seconds ago or less.
        """
        entry = self._entries.get(digest)
        if entry is None and digest not in self._entries:
            entry = query(lambda index: self._read(index, digest))
        return entry.row if entry is not None and entry.is_fresh(trusted) else None

    def _read(self, index: Index, digest: bytes) -> _Entry | None:
        is_small = not self._is_too_large and index.last() <= _SMALL
        if len(self._entries) >= (_SMALL if is_small else _MOST) or self._bytes > _MOST_BYTES:
            self._is_too_large = self._bytes > _MOST_BYTES
            self.forget()
        row = index.direct(digest)
        if row is None:
            self._entries[digest] = None
            return None
        self._in_order = self._in_order + 1 if row.position > self._last else 0
        self._last = row.position
        self._single += 1
        more: list[DirectRow] = []
        if self._in_order >= _IN_ORDER:
            more = index.direct_after(row.position, _AHEAD)
        elif is_small and self._single > _SINGLE:
            more = index.direct_beside(row.position[1], _AHEAD)
        for each in (row, *more):
            # What was looked at already stays: when that was counts.
            if each.digest not in self._entries:
                self._entries[each.digest] = _Entry(each, self._prefix + each.name)
                self._bytes += len(each.answer.head) + len(each.answer.body)
        return self._entries[digest]

"""The rows of a run, however many there are: the older ones wait compressed.

A run may serve for weeks. A row of a miss holds what was asked for and takes kilobytes; packed with
its like it takes some tens of bytes.
"""

import pickle
import zlib
from collections.abc import Iterator
from typing import Final

_OPEN: Final = 256
"""How many rows are kept as they are before they are packed."""


class Rows[T]:
    """A list that is appended to and read from the front; it gives equal rows, not the same ones.

    What it packs it has made itself, in memory: nothing foreign is ever unpickled.
    """

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._open: list[T] = []

    def append(self, row: T) -> None:
        """Add a row at the end."""
        self._open.append(row)
        if len(self._open) >= _OPEN:
            self._packed.append(zlib.compress(pickle.dumps(self._open, pickle.HIGHEST_PROTOCOL), 1))
            self._open = []

    def __len__(self) -> int:
        return len(self._packed) * _OPEN + len(self._open)

    def __iter__(self) -> Iterator[T]:
        for block in self._packed:
            yield from pickle.loads(zlib.decompress(block))
        yield from self._open

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list | Rows) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as a list's

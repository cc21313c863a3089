"""Keep the rows of `wiretape ls` between runs, for files that stay what they were.

What is kept (`kept_json.py`) holds nothing that is not in the recordings. Rows that were made by
other code, or with another configuration, are never used.
"""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from wiretape.kept_json import forget_kept, read_kept, write_kept
from wiretape.library.read_file import is_settled

type FileState = list[int]
"""A file's inode, when its content and when anything of it changed (ns), and its size in bytes."""


def state_of(path: Path) -> FileState | None:
    """What tells that a file is still the same; None where a change now would not show in it."""
    state, now = _state(path), time.time_ns()
    if state is None or not all(is_settled(changed, now) for changed in state[1:3]):
        return None
    return state


def _state(path: Path) -> FileState | None:
    try:
        info = os.stat(path)
    except (OSError, ValueError):
        return None
    return [info.st_ino, info.st_mtime_ns, info.st_ctime_ns, info.st_size]


class KnownRows:
    """The rows of a folder, by the names of recordings: what JSON can hold of each, or a text that
    says what is wrong with a file that is no recording.

    `key` stands for all that a row depends on besides its file; where it is empty nothing is kept.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._name: Final = _name_of(folder)
        self._key: Final = key
        self._rows: dict[str, tuple[FileState, Any]] = {}
        if key:
            self._rows = read_kept(self._name, key) or {}
        self._changed = False

    def get(self, name: str, path: Path) -> Any:
        """The row of a recording; None if it is not known, or its file is not what it was."""
        if (known := self._rows.get(name)) is None:
            return None
        state, row = known
        if state == _state(path):
            return row
        del self._rows[name]
        self._changed = True
        return None

    def add(self, name: str, state: FileState | None, row: Any) -> None:
        """Keep the row of a recording whose file had this state before it was read."""
        if state is not None:
            self._rows[name] = state, row
            self._changed = True

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget the rows of all other recordings."""
        for name in self._rows.keys() - set(names):
            del self._rows[name]
            self._changed = True

    def save(self) -> None:
        """Write what has changed; where that is not possible, the next listing reads anew."""
        if self._changed and self._key:
            write_kept(self._name, self._key, self._rows)


def forget_rows(folder: Path) -> None:
    """Forget all rows of a folder."""
    forget_kept(_name_of(folder))


def _name_of(folder: Path) -> str:
    return f"rows of {os.path.realpath(folder)}"

"""Look at a folder of recordings on disk, and bring its index up to date.

A folder's time of change tells whether files in it came or went, so the cheap look asks for that of
each folder alone; the full one asks for each file's as well, which also finds those edited in
place. What changed so lately that a clock's tick may hide another change is looked at again.
"""

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from wiretape.core.errors import StoreError

from .index import Index
from .recording_file import CanonicalForms, Facts, Same, Stat, facts, is_settled
from .replace_files import SUFFIX as VOID_SUFFIX

LINKED: Final = "a link to a folder, which is not followed: put the folder itself here"
_BATCH: Final = 500


class Sweep:
    """Looks at one folder. `is_session` says that it is a session's, in which other folders than
    hosts' count too. `faulty` is told of files that turn out not to be recordings.
    """

    def __init__(
        self,
        folder: Path,
        keys: CanonicalForms,
        faulty: Callable[[Facts], None],
        *,
        is_session: bool,
    ) -> None:
        self.folder: Final = folder
        self.voids: Final[set[Path]] = set()
        """The lists of replaced recordings that were met: see `replace_files.py`."""
        self.links: list[str] = []
        """Links to folders that were met, which nobody follows."""
        self._keys = keys
        self._faulty = faulty
        self._is_session = is_session

    def look(self, index: Index, *, full: bool) -> bool:
        """Bring the index up to date; gives whether it changed. StoreError where the top folder is
        there and cannot be read.
        """
        known = index.folders()
        changed = False
        # Those that are found on the way are walked into as well.
        pending = sorted({"", *known}, reverse=True)
        seen: set[str] = set()
        while pending:
            path = pending.pop()
            if path in seen:
                continue
            seen.add(path)
            found = _stat_of_folder(self.folder, path)
            if found is None:
                if path in known:
                    index.forget_folder(path)
                    changed = True
                continue
            if full or known.get(path) != (found.st_ino, found.st_mtime_ns):
                altered, below = self._scan(index, path, found)
                changed = changed or altered
                pending += [name for name in below if name not in known and name not in seen]
        return changed

    def look_in(self, index: Index, path: str) -> None:
        """Bring the index up to date for one folder that is there, each file in it looked at."""
        self._scan(index, path, os.stat(self.folder / path))

    def _scan(self, index: Index, path: str, found: os.stat_result) -> tuple[bool, list[str]]:
        """Look at the files right in a folder; gives whether one changed, and the folders."""
        where = self.folder / path
        looked = time.time_ns()
        files: dict[str, Stat] = {}
        sides: set[str] = set()
        below: list[str] = []
        links: list[str] = []
        try:
            with os.scandir(where) as entries:
                for entry in entries:
                    name = entry.name
                    if name.startswith("."):
                        if name.endswith(VOID_SUFFIX):
                            self.voids.add(where / name)
                    elif entry.is_dir(follow_symlinks=False) or (
                        entry.is_symlink() and os.path.isdir(entry.path)
                    ):
                        if not (path or self._is_session or "." in name[1:] or "+" in name):
                            continue
                        if entry.is_symlink():
                            links.append(f"{path}/{name}" if path else name)
                        else:
                            below.append(f"{path}/{name}" if path else name)
                    elif name.endswith(".json"):
                        if (now := _stat(entry)) is not None:
                            files[name] = now
                    elif name.endswith(".bin"):
                        sides.add(name)
        except OSError as error:
            if not path:
                raise StoreError(f"{where}: cannot be read: {error.strerror}") from error
            # Its mode may change without its time: it is looked at again each time.
            index.put_folder(path, found.st_ino, 0, f"cannot be read: {error.strerror}")
            return False, []
        changed = self._compare(index, path, files, sides)
        self.links = [*(link for link in self.links if link.rpartition("/")[0] != path), *links]
        when = found.st_mtime_ns if is_settled(found.st_mtime_ns, looked) else 0
        index.put_folder(path, found.st_ino, when)
        return changed, below

    def _compare(self, index: Index, path: str, files: dict[str, Stat], sides: set[str]) -> bool:
        known = index.files(path)
        gone = known.keys() - files.keys()
        if gone:
            index.forget(path, gone)
        broken = index.without_side(path, sides)
        doubtful = [
            name
            for name, now in files.items()
            if (row := known.get(name)) is None
            or row[1] != now
            or not row[2]
            or row[3]
            or name in broken
        ]
        del known
        prefix = f"{path}/" if path else ""
        changed = self.read(
            index, (prefix + name for name in sorted(doubtful)), {prefix + name for name in broken}
        )
        return changed or bool(gone)

    def read(self, index: Index, names: Iterator[str], force: set[str] = frozenset()) -> bool:  # type: ignore[assignment]  # an empty set that nobody changes
        """Read files anew; gives whether one says something else. Those in `force` are read
        through although their content is what it was.
        """
        changed = False
        batch: list[Facts] = []
        same: list[tuple[str, Same]] = []
        for name in names:
            known = None if name in force else index.content(name)
            now = facts(self.folder, name, self._keys, known)
            if now is None:
                folder, _, last = name.rpartition("/")
                index.forget(folder, [last])
                changed = True
            elif isinstance(now, Facts):
                changed = True
                batch.append(now)
            else:
                same.append((name, now))
            if len(batch) + len(same) >= _BATCH:
                self._put(index, batch, same)
        self._put(index, batch, same)
        return changed

    def _put(self, index: Index, batch: list[Facts], same: list[tuple[str, Same]]) -> None:
        for fault in index.put(batch) if batch else ():
            self._faulty(fault)
        if same:
            index.touch(same)
        batch.clear()
        same.clear()


def is_linked(root: Path, path: str) -> bool:
    """Whether a folder below `root`, or one on the way to it, is a link."""
    parts = path.split("/") if path else []
    return any((root / "/".join(parts[:depth])).is_symlink() for depth in range(1, len(parts) + 1))


def _stat_of_folder(root: Path, path: str) -> os.stat_result | None:
    """The stat of a folder that is read; None where there is none. The top one may be a link."""
    try:
        found = os.stat(root / path)
    except OSError:
        return None
    return found if stat.S_ISDIR(found.st_mode) and not is_linked(root, path) else None


def _stat(entry: os.DirEntry[str]) -> Stat | None:
    """What tells a file's content; None for a link to a folder, which is not followed."""
    try:
        found = entry.stat()
    except OSError:
        return 0, 0, 0
    if stat.S_ISDIR(found.st_mode):
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def has_at_least(folder: Path, minimum: int) -> bool:
    """Whether at least so many files below a folder may be recordings."""
    count = 0
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        count += sum(name.endswith(".json") for name in files)
        if count >= minimum:
            return True
    return False

"""Scan a folder of recordings on disk, and bring its index up to date.

A folder's time of change says whether files in it were added or removed, so the cheap scan reads
only that of each folder; the full scan reads each file's as well, which also finds those edited in
place. What changed so lately that a clock's tick may hide another change is scanned again.
"""

import marshal
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from itertools import batched
from pathlib import Path
from typing import Final, Protocol

from wiretape.core.errors import StoreError
from wiretape.core.text.regex import expect_many_texts
from wiretape.progress import Advance, steps

from . import parallel
from .folder_names import LINKED as LINKED
from .folder_names import is_host_folder as is_host_folder
from .index import Index
from .index_tables import FileRows, file_rows
from .many_files import facts_of_many
from .recording_file import (
    Examine,
    ExamineAll,
    Facts,
    Same,
    Stat,
    facts,
    is_settled,
)
from .replace_files import SUFFIX as VOID_SUFFIX

_BATCH: Final = 2_000
"""The files that are put into the index in one transaction: each writes what it changed whole."""
_MANY: Final = 1_000
"""The number of new files at which several processes are worth their start."""
_BLOCK: Final = 50


class AskIndex(Protocol):
    """Asks an index, for one thread at a time."""

    def __call__[T](self, ask: Callable[[Index], T]) -> T: ...


class Sweep:
    """Scans one folder. In a session's (`is_session`) every folder counts, not only hosts'.
    `report_fault` is called with files that turn out not to be recordings.
    """

    keeps_answers = True
    """Whether the index holds answers: not one that others are given."""

    def __init__(
        self,
        folder: Path,
        examine: Examine,
        report_fault: Callable[[FileRows], None],
        *,
        is_session: bool,
    ) -> None:
        self.folder: Final = folder
        self.void_lists: Final[set[Path]] = set()
        """The lists of replaced recordings it came across: see `replace_files.py`."""
        self.links: list[str] = []
        """The links to folders it came across, which are not followed."""
        self._examine = examine
        self._report_fault = report_fault
        self._is_session = is_session
        self.remembered: Callable[[], int] | None = None
        """Counts what `examine` has remembered of files for those after them. Where it is known
        that there is nothing, many files are read in several processes.
        """
        self.examine_all: ExamineAll | None = None
        """As `examine`, for many at once, if there is such a way."""

    def scan(self, index: Index, *, full: bool) -> bool:
        """Bring the index up to date; gives whether it changed. StoreError if the top folder exists
        and cannot be read.
        """
        known = index.folders()
        changed = False
        # Folders below these are added on the way.
        pending = sorted({"", *known}, reverse=True)
        seen: set[str] = set()
        while pending:
            path = pending.pop()
            if path in seen:
                continue
            seen.add(path)
            info = _stat_of_folder(self.folder, path)
            if info is None:
                if path in known:
                    index.forget_folder(path)
                    changed = True
                continue
            if full or known.get(path) != (info.st_ino, info.st_mtime_ns):
                altered, below = self._scan_files(index, path, info)
                changed = changed or altered
                pending += [name for name in below if name not in known and name not in seen]
        return changed

    def scan_folder(self, index: Index, path: str) -> None:
        """Bring the index up to date for one existing folder, checking each file in it."""
        self._scan_files(index, path, os.stat(self.folder / path))

    def _scan_files(self, index: Index, path: str, info: os.stat_result) -> tuple[bool, list[str]]:
        """Check the files right in a folder; gives whether one changed, and the folders in it."""
        absolute = self.folder / path
        scanned_ns = time.time_ns()
        files: dict[str, Stat] = {}
        side_files: set[str] = set()
        below: list[str] = []
        links: list[str] = []
        try:
            with os.scandir(absolute) as entries:
                for entry in entries:
                    name = entry.name
                    if name.startswith("."):
                        if name.endswith(VOID_SUFFIX):
                            self.void_lists.add(absolute / name)
                    elif entry.is_dir(follow_symlinks=False) or (
                        entry.is_symlink() and os.path.isdir(entry.path)
                    ):
                        if not (path or self._is_session or is_host_folder(name)):
                            continue
                        if entry.is_symlink():
                            links.append(f"{path}/{name}" if path else name)
                        else:
                            below.append(f"{path}/{name}" if path else name)
                    elif name.endswith(".json"):
                        if (stat := _stat(entry)) is not None:
                            files[name] = stat
                    elif name.endswith(".bin"):
                        side_files.add(name)
        except OSError as error:
            if not path:
                raise StoreError(f"{absolute}: cannot be read: {error.strerror}") from error
            # Its mode may change without its time: it is scanned each time.
            index.put_folder(path, info.st_ino, 0, f"cannot be read: {error.strerror}")
            return False, []
        changed = self._compare(index, path, files, side_files)
        self.links = [*(link for link in self.links if link.rpartition("/")[0] != path), *links]
        changed_ns = info.st_mtime_ns if is_settled(info.st_mtime_ns, scanned_ns) else 0
        index.put_folder(path, info.st_ino, changed_ns)
        return changed, below

    def _compare(
        self, index: Index, path: str, files: dict[str, Stat], side_files: set[str]
    ) -> bool:
        known = index.files(path)
        removed = known.keys() - files.keys()
        if removed:
            index.forget(path, removed)
        broken = index.without_side(path, side_files)
        doubtful = [
            name
            for name, stat in files.items()
            if (row := known.get(name)) is None
            or row[1] != stat
            or not row[2]
            or row[3]
            or name in broken
        ]
        anew = broken | (files.keys() - known.keys())
        del known
        prefix = f"{path}/" if path else ""
        with steps("indexing", len(doubtful)) as advance:
            changed = self.read(
                index,
                [prefix + name for name in sorted(doubtful)],
                {prefix + name for name in anew},
                advance,
            )
        return changed or bool(removed)

    def read(
        self,
        index: Index,
        names: Sequence[str],
        force: AbstractSet[str] = frozenset(),
        advance: Advance = lambda number: None,
    ) -> bool:
        """Read files again; gives whether the content of one changed. Those in `force` are parsed
        even if their content is unchanged.
        """
        changed = False
        batch: list[FileRows] = []
        same: list[tuple[str, Same]] = []
        for name, result in self._rows(index, names, force):
            advance(1)
            if result is None:
                folder, _, last = name.rpartition("/")
                index.forget(folder, [last])
                changed = True
            elif isinstance(result, FileRows):
                changed = True
                batch.append(result)
            else:
                same.append((name, result))
            if len(batch) + len(same) >= _BATCH:
                self._put(index, batch, same)
        self._put(index, batch, same)
        return changed

    def has(self, query: AskIndex, name: str) -> bool:
        """Whether a recording is in the folder, so that it need not be fetched."""
        return True

    def is_fetched(self, name: str) -> bool:
        """Whether a recording was fetched by this run, and is as others made it."""
        return False

    def fetch(self, query: AskIndex, name: str) -> None:
        """Put a recording into the folder, if it is kept elsewhere; FormatError and StoreError as
        `recording_file.load`. `query` asks the index.
        """

    def _rows(
        self, index: Index, names: Sequence[str], force: AbstractSet[str]
    ) -> Iterator[tuple[str, FileRows | Same | None]]:
        """The rows of each file: of its facts, as `recording_file.facts`."""
        done = 0
        is_many = len(names) >= _MANY and all(name in force for name in names)
        if is_many and self.remembered is not None:
            for name, rows in self._rows_of_many(names, self.remembered):
                yield name, rows
                done += 1
        for name in names[done:]:
            content = None if name in force else index.content(name)
            result = self._facts_of(name, content)
            yield name, file_rows(result) if isinstance(result, Facts) else result

    def _facts_of(self, name: str, content: bytes | None = None) -> Facts | Same | None:
        return facts(self.folder, name, self._examine, content, keeps_answer=self.keeps_answers)

    def _facts_of_block(self, names: Sequence[str]) -> list[Facts | Same | None]:
        if self.examine_all is None:
            return [self._facts_of(name) for name in names]
        return facts_of_many(
            self.folder, names, self._examine, self.examine_all, keeps_answers=self.keeps_answers
        )

    def _rows_of_many(
        self, names: Sequence[str], remembered: Callable[[], int]
    ) -> Iterator[tuple[str, FileRows | None]]:
        """The rows of the first of some files, worked out in several processes: up to a file that
        changes what is known of those after it.
        """

        def work(block: Sequence[str]) -> bytes | None:
            # In a process of its own, which ends with the folder.
            expect_many_texts()
            before = remembered()
            results = self._facts_of_block(block)
            if remembered() != before:
                return None
            # Which costs a quarter of pickling their facts.
            return marshal.dumps(
                [tuple(file_rows(each)) if isinstance(each, Facts) else None for each in results]
            )

        number = parallel.processors()
        if number < 2:
            return
        blocks = list(batched(names, _BLOCK))
        with closing(parallel.in_processes(work, blocks, number)) as all_results:
            for block, data in zip(blocks, all_results, strict=False):
                if data is None:
                    return
                for name, rows in zip(block, marshal.loads(data), strict=True):
                    yield name, None if rows is None else FileRows(*rows)

    def _put(self, index: Index, batch: list[FileRows], same: list[tuple[str, Same]]) -> None:
        for fault in index.put_rows(batch) if batch else ():
            self._report_fault(fault)
        if same:
            index.touch(same)
        batch.clear()
        same.clear()


def is_linked(root: Path, path: str) -> bool:
    """Whether a folder below `root`, or one on the way to it, is a link."""
    parts = path.split("/") if path else []
    return any((root / "/".join(parts[:depth])).is_symlink() for depth in range(1, len(parts) + 1))


def _stat_of_folder(root: Path, path: str) -> os.stat_result | None:
    """The stat of a folder; None if it does not exist or is a link, except for the top one."""
    try:
        info = os.stat(root / path)
    except OSError:
        return None
    return info if stat.S_ISDIR(info.st_mode) and not is_linked(root, path) else None


def _stat(entry: os.DirEntry[str]) -> Stat | None:
    """A file's stat; None for a link to a folder, which is not followed."""
    try:
        info = entry.stat()
    except OSError:
        return 0, 0, 0
    if stat.S_ISDIR(info.st_mode):
        return None
    return info.st_ino, info.st_mtime_ns, info.st_size


def has_at_least(folder: Path, minimum: int) -> bool:
    """Whether at least so many files below a folder may be recordings."""
    count = 0
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        count += sum(name.endswith(".json") for name in files)
        if count >= minimum:
            return True
    return False

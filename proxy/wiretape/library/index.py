"""Index a folder's recordings: which files answer a key, without reading them again.

The database of a small folder is in memory; that of a large one is a file (see `index_cache.py`)
which the next run begins with. Each row says what was in a file when it had the stat in the row;
`scan_folder.py` and `library.py` check whether it still has. Only the stat of a row ever changes: a
file with other content gets another row, with a higher number. `since` is the number of the first
row of a name, so that a run can tell what was there when it began.
"""

import json
import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import batched
from pathlib import Path
from typing import Any, Final

from .index_queries import IndexQueries
from .index_rows import Rooted
from .index_tables import (
    INSERT,
    TABLES,
    VERSION,
    FileRows,
    NewRows,
    Numbers,
    file_rows,
    key_row,
)
from .recording_file import Facts, Same

_WAIT_SECONDS: Final = 10.0
_CACHE_KIB: Final = 16 * 1024
"""Of pages in memory: keys and digests come in no order, and so go into any page."""
_VARIABLES: Final = 500
"""How many names one statement asks for."""

type _FolderAndName = tuple[int, str]
"""A folder's number and a file's name in it."""


class Index(IndexQueries):
    """A database of facts. After sqlite3.Error from any method, build it again."""

    def __init__(self, path: Path | None = None) -> None:
        database, timeout = path or ":memory:", _WAIT_SECONDS
        super().__init__(
            sqlite3.connect(
                database, timeout=timeout, isolation_level=None, check_same_thread=False
            )
        )
        try:
            if path is not None:
                self._db.execute("PRAGMA journal_mode = WAL").fetchone()
                self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            # It may be lost at any time, but never be inconsistent.
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._create_tables()
        except BaseException:
            self._db.close()
            raise
        self.is_copy = False
        self.is_in_memory: Final = path is None
        """Whether nobody else ever reads it."""
        weakref.finalize(self, self._db.close)

    def _create_tables(self) -> None:
        if self._version() == VERSION:
            return
        with self.transaction():
            version = self._version()
            if version == 0:
                for statement in TABLES.split(";\n"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise sqlite3.DatabaseError(f"an index of version {version}")

    def _version(self) -> int:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        return int(version)

    def copy(self) -> "Index":
        """A copy in memory, which nobody else sees."""
        index = Index()
        self._db.backup(index._db)
        index.is_copy = True
        return index

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write everything in the block together, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # -------------------------------------------------------------- what it holds

    def put_folder(self, path: str, ino: int, changed: int, fault: str | None = None) -> None:
        """Note that a folder was scanned; with `changed` 0 it is scanned again."""
        self._db.execute(
            "INSERT INTO folders (path, ino, changed, fault) VALUES (?, ?, ?, ?) ON CONFLICT (path)"
            " DO UPDATE SET ino = excluded.ino, changed = excluded.changed, fault = excluded.fault",
            (path, ino, changed, fault),
        )

    def forget_folder(self, path: str) -> None:
        """Remove a folder and the files in it."""
        with self.transaction():
            ids = self._db.execute(
                "SELECT files.id FROM files JOIN folders ON folders.id = folder WHERE path = ?",
                (path,),
            ).fetchall()
            self._forget(number for (number,) in ids)
            self._db.execute("DELETE FROM folders WHERE path = ?", (path,))

    def put(self, all_facts: Iterable[Facts], *, anew: bool = False) -> list[FileRows]:
        """Replace the facts of files; gives those with a new fault. `anew`: this run wrote them."""
        return self.put_rows([file_rows(facts) for facts in all_facts], anew=anew)

    def put_rows(self, files: Sequence[FileRows], *, anew: bool = False) -> list[FileRows]:
        """Replace the rows of files, as `put`."""
        faults = []
        with self.transaction():
            numbers = Numbers(self._db)
            rows = NewRows(self._db)
            places = [_split(file.name, numbers) for file in files]
            known = self._known_rows(places)
            seen: set[_FolderAndName] = set()
            for file, folder_and_name in zip(files, places, strict=True):
                if folder_and_name in seen:
                    rows.insert()
                    known |= self._known_rows([folder_and_name])
                seen.add(folder_and_name)
                if self._put(
                    file, folder_and_name, known.get(folder_and_name), rows, numbers, anew=anew
                ):
                    faults.append(file)
            rows.insert()
        return faults

    def _known_rows(
        self, places: Sequence[_FolderAndName]
    ) -> dict[_FolderAndName, tuple[Any, ...]]:
        """The rows that files have now: number, `since`, content and fault."""
        names: dict[int, list[str]] = {}
        for folder_id, name in places:
            names.setdefault(folder_id, []).append(name)
        known = {}
        for folder_id, in_folder in names.items():
            for batch in batched(in_folder, _VARIABLES):
                rows = self._db.execute(
                    "SELECT name, id, since, content, fault FROM files WHERE folder = ?"
                    f" AND name IN ({', '.join('?' * len(batch))})",
                    (folder_id, *batch),
                )
                known.update({(folder_id, name): row for name, *row in rows})
        return known

    def _put(
        self,
        file: FileRows,
        folder_and_name: _FolderAndName,
        row: Sequence[Any] | None,
        rows: NewRows,
        numbers: Numbers,
        *,
        anew: bool,
    ) -> bool:
        """Add the rows of a file in place of `row`; gives whether it has a new fault."""
        if row and not anew and row[2] == file.content and row[3] == file.fault:
            # Another process wrote the same row first.
            self._db.execute(
                "UPDATE files SET ino = ?, changed = ?, size = ?, settled = ? WHERE id = ?",
                (*file.stat, file.settled, row[0]),
            )
            return False
        if row:
            self._forget([row[0]])
        number = numbers.next_file
        numbers.next_file += 1
        since = row[1] if row and not anew else number
        rows.add(file, number, since, folder_and_name, numbers)
        return file.fault is not None and (not row or row[3] != file.fault)

    def touch(self, files: Iterable[tuple[str, Same]]) -> None:
        """Note that files have another stat and the same content."""
        with self.transaction():
            for name, same in files:
                folder, _, last = name.rpartition("/")
                self._db.execute(
                    "UPDATE files SET ino = ?, changed = ?, size = ?, settled = ? WHERE name = ?"
                    " AND folder = (SELECT id FROM folders WHERE path = ?)",
                    (*same.stat, same.settled, last, folder),
                )

    def forget(self, folder: str, names: Iterable[str]) -> None:
        """Remove files right in a folder."""
        with self.transaction():
            for name in names:
                rows = self._db.execute(
                    "SELECT files.id FROM files JOIN folders ON folders.id = folder"
                    " WHERE path = ? AND name = ?",
                    (folder, name),
                ).fetchall()
                self._forget(number for (number,) in rows)

    def _forget(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._db.execute("DELETE FROM files WHERE id = ?", (number,))
            self._db.execute("DELETE FROM keys WHERE file = ?", (number,))
            self._db.execute("DELETE FROM sketches WHERE file = ?", (number,))
            self._db.execute("DELETE FROM sides WHERE file = ?", (number,))
            self._db.execute("DELETE FROM creators WHERE file = ?", (number,))
            self._db.execute("DELETE FROM traces WHERE file = ?", (number,))
            self._db.execute("DELETE FROM answers WHERE file = ?", (number,))

    def put_roots(self, rooted: Iterable[Rooted]) -> None:
        """Store the answers that created the ids of recordings."""
        with self.transaction():
            numbers = Numbers(self._db)
            for recording in rooted:
                self._db.execute(
                    "UPDATE files SET links = ?, hops = ?, is_rooted = 1 WHERE id = ?",
                    (
                        json.dumps(recording.links) if recording.links else "",
                        recording.hops,
                        recording.id,
                    ),
                )
                if recording.keys:
                    self._db.execute("DELETE FROM keys WHERE file = ?", (recording.id,))
                    rows = [
                        (key, recording.id, kind, numbers.endpoint(endpoint))
                        for key, kind, endpoint in map(key_row, recording.keys)
                    ]
                    self._db.executemany(INSERT["keys"], rows)


def _split(name: str, numbers: Numbers) -> _FolderAndName:
    folder, _, last = name.rpartition("/")
    return numbers.folder(folder), last


def is_index(path: Path) -> bool:
    """Whether a file is a database of this version with the tables of an index and nothing else."""
    empty = Index()
    with closing(empty), closing(sqlite3.connect(path)) as database:
        return _schema(database) == _schema(empty._db)


def _schema(database: sqlite3.Connection) -> list[tuple[Any, ...]]:
    tables = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name")
    return [database.execute("PRAGMA user_version").fetchone(), *tables]

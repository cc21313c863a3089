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
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from .index_queries import IndexQueries
from .index_rows import Rooted
from .index_tables import INSERT, TABLES, VERSION, NewRows, Numbers, key_rows
from .recording_file import Facts, Same

_WAIT_SECONDS: Final = 10.0


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
            # It may be lost at any time, but never be inconsistent.
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._create_tables()
        except BaseException:
            self._db.close()
            raise
        self.is_copy = False
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

    def put(self, all_facts: Iterable[Facts], *, anew: bool = False) -> list[Facts]:
        """Replace the facts of files; gives those with a new fault. `anew`: this run wrote them."""
        faults = []
        with self.transaction():
            numbers = Numbers(self._db)
            rows = NewRows(self._db)
            for facts in all_facts:
                if self._put(facts, numbers, rows, anew) and facts.fault is not None:
                    faults.append(facts)
            rows.insert()
        return faults

    def _put(self, facts: Facts, numbers: Numbers, rows: NewRows, anew: bool) -> bool:
        folder, _, name = facts.name.rpartition("/")
        folder_id = numbers.folder(folder)
        if (folder_id, name) in rows.files:
            rows.insert()
        row = self._db.execute(
            "SELECT id, since, content, fault FROM files WHERE folder = ? AND name = ?",
            (folder_id, name),
        ).fetchone()
        if row and not anew and row[2] == facts.content and row[3] == facts.fault:
            # Another process wrote the same row first.
            self._db.execute(
                "UPDATE files SET ino = ?, changed = ?, size = ?, settled = ? WHERE id = ?",
                (*facts.stat, facts.settled, row[0]),
            )
            return False
        if row:
            self._forget([row[0]])
        number = numbers.next_file
        numbers.next_file += 1
        since = row[1] if row and not anew else number
        rows.add(facts, number, since, (folder_id, name), numbers)
        return not row or row[3] != facts.fault

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
                    rows = key_rows(recording.id, recording.keys, numbers)
                    self._db.executemany(INSERT["keys"], rows)


def is_index(path: Path) -> bool:
    """Whether a file is a database of this version with the tables of an index and nothing else."""
    empty = Index()
    with closing(empty), closing(sqlite3.connect(path)) as database:
        return _schema(database) == _schema(empty._db)


def _schema(database: sqlite3.Connection) -> list[tuple[Any, ...]]:
    tables = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name")
    return [database.execute("PRAGMA user_version").fetchone(), *tables]

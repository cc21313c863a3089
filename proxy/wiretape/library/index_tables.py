"""The tables of an index, and how rows come into them, many at a time."""

import json
import sqlite3
from functools import lru_cache
from typing import Any, Final, NamedTuple

from .index_rows import blob, known_text, usage_text
from .recording_file import AnsweredKey, Endpoint, Facts, Stat

VERSION: Final = 9
"""The version of the tables, and of what the facts in them mean."""

TABLES: Final = """
CREATE TABLE folders (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, ino INTEGER NOT NULL,
    changed INTEGER NOT NULL, fault TEXT
);
CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT, since INTEGER NOT NULL,
    folder INTEGER NOT NULL, name TEXT NOT NULL,
    ino INTEGER NOT NULL, changed INTEGER NOT NULL, size INTEGER NOT NULL,
    settled INTEGER NOT NULL, content BLOB NOT NULL, fault TEXT,
    take INTEGER NOT NULL, token TEXT NOT NULL, ids TEXT NOT NULL,
    awaits INTEGER NOT NULL, recorded INTEGER NOT NULL, links TEXT NOT NULL,
    hops INTEGER NOT NULL, is_rooted INTEGER NOT NULL, digest BLOB, known_key BLOB, known TEXT,
    UNIQUE (folder, name)
);
CREATE INDEX digests ON files (digest) WHERE digest IS NOT NULL;
CREATE INDEX recorded_order ON files (recorded, id) WHERE digest IS NOT NULL;
CREATE INDEX unrooted ON files (id) WHERE NOT is_rooted;
CREATE INDEX tokens ON files (token) WHERE ids != '';
CREATE TABLE creators (id TEXT NOT NULL, file INTEGER NOT NULL, PRIMARY KEY (id, file))
    WITHOUT ROWID;
CREATE INDEX creators_of_file ON creators (file);
CREATE INDEX faults ON files (id) WHERE fault IS NOT NULL;
CREATE TABLE endpoints (id INTEGER PRIMARY KEY, parts TEXT NOT NULL UNIQUE);
CREATE TABLE keys (
    key BLOB NOT NULL, file INTEGER NOT NULL, match_kind INTEGER NOT NULL,
    endpoint INTEGER NOT NULL, PRIMARY KEY (key, file)
) WITHOUT ROWID;
CREATE INDEX keys_of_file ON keys (file);
CREATE INDEX keys_of_endpoint ON keys (endpoint, file);
CREATE TABLE sketches (file INTEGER PRIMARY KEY, sketch BLOB NOT NULL);
CREATE TABLE sides (file INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (file, name))
    WITHOUT ROWID;
CREATE TABLE answers (
    file INTEGER PRIMARY KEY, head BLOB NOT NULL, body BLOB NOT NULL,
    status INTEGER NOT NULL, chunks INTEGER, usage TEXT NOT NULL
);
CREATE TABLE traces (file INTEGER NOT NULL, trace TEXT NOT NULL, PRIMARY KEY (file, trace))
    WITHOUT ROWID;
"""

_INSERTED: Final = {
    "files": (
        *("id", "since", "folder", "name", "ino", "changed", "size", "settled", "content", "fault"),
        *("take", "token", "ids", "awaits", "recorded", "links", "hops", "is_rooted"),
        *("digest", "known_key", "known"),
    ),
    "keys": ("key", "file", "match_kind", "endpoint"),
    "creators": ("id", "file"),
    "answers": ("file", "head", "body", "status", "chunks", "usage"),
    "sketches": ("file", "sketch"),
    "sides": ("file", "name"),
    "traces": ("file", "trace"),
}
INSERT: Final = {
    table: f"INSERT OR {'IGNORE' if table in ('creators', 'sides') else 'ABORT'} INTO {table}"
    f" ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    for table, columns in _INSERTED.items()
}


type KeyRow = tuple[bytes, int, str]
"""A key, how a file answers it, and its endpoint."""


class FileRows(NamedTuple):
    """What is inserted for a file, in plain values that another process can hand over (`marshal`).
    `more` are the columns of `files` from `take` on, `created` the ids that its answer creates.
    """

    name: str
    fault: str | None
    content: bytes
    stat: Stat
    settled: bool
    more: tuple[Any, ...]
    keys: tuple[KeyRow, ...]
    sketch: bytes
    created: tuple[str, ...]
    sides: tuple[str, ...]
    traces: tuple[str, ...]
    answer: tuple[Any, ...] | None


def file_rows(facts: Facts) -> FileRows:
    """The rows of a file; ValueError for a key that is none."""
    ids = [(answer_id.text, answer_id.claim) for answer_id in facts.ids]
    known, answer, links = facts.known, facts.answer, facts.links
    return FileRows(
        facts.name,
        facts.fault,
        facts.content,
        facts.stat,
        facts.settled,
        (
            *(facts.take, facts.token, json.dumps(ids) if ids else ""),
            *(facts.awaits_side_file, facts.recorded, json.dumps(links) if links else ""),
            *(int(bool(links)), not links, facts.digest),
            *(known and blob(known.key), known and known_text(known)),
        ),
        tuple([key_row(key) for key in facts.keys]),
        facts.sketch,
        tuple([text for text, claim in ids if claim == "created"]),
        facts.sides,
        tuple(facts.traces),
        answer and (*answer[:4], usage_text(answer.usage)),
    )


def key_row(key: AnsweredKey) -> KeyRow:
    """The row of a key; ValueError if it is none."""
    return blob(key.key), int(key.match_kind), _endpoint_text(key.endpoint)


@lru_cache(maxsize=256)
def _endpoint_text(endpoint: Endpoint) -> str:
    return json.dumps(endpoint)


class NewRows:
    """Rows to be inserted together, by table."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _INSERTED}

    def add(
        self,
        file: FileRows,
        number: int,
        since: int,
        folder_and_name: tuple[int, str],
        numbers: "Numbers",
    ) -> None:
        """Add the rows of a file, by its folder's number and its name in there."""
        rows = self._rows
        rows["files"].append(
            (
                *(number, since, *folder_and_name),
                *(*file.stat, file.settled, file.content, file.fault, *file.more),
            )
        )
        for key, kind, endpoint in file.keys:
            rows["keys"].append((key, number, kind, numbers.endpoint(endpoint)))
        if file.keys:
            # Apart from the others: a miss reads those of all recordings of an endpoint.
            rows["sketches"].append((number, file.sketch))
        rows["creators"] += [(text, number) for text in file.created]
        rows["sides"] += [(number, side) for side in file.sides]
        rows["traces"] += [(number, trace) for trace in file.traces]
        if file.answer is not None:
            rows["answers"].append((number, *file.answer))

    def insert(self) -> None:
        """Insert them."""
        for table, rows in self._rows.items():
            if rows:
                self._db.executemany(INSERT[table], rows)
                rows.clear()


class Numbers:
    """The numbers of folders, endpoints and the next file, within one transaction that writes."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'files'").fetchone()
        self.next_file = 1 + (int(row[0]) if row else 0)
        self._folders: dict[str, int] = {}
        self._endpoints: dict[str, int] = {}

    def folder(self, path: str) -> int:
        """The number of a folder, which is added if it is new."""
        if path not in self._folders:
            self._db.execute(
                "INSERT OR IGNORE INTO folders (path, ino, changed) VALUES (?, 0, 0)", (path,)
            )
            row = self._db.execute("SELECT id FROM folders WHERE path = ?", (path,)).fetchone()
            self._folders[path] = row[0]
        return self._folders[path]

    def endpoint(self, parts: str) -> int:
        """The number of an endpoint, which is added if it is new."""
        if parts not in self._endpoints:
            self._db.execute("INSERT OR IGNORE INTO endpoints (parts) VALUES (?)", (parts,))
            row = self._db.execute("SELECT id FROM endpoints WHERE parts = ?", (parts,)).fetchone()
            self._endpoints[parts] = row[0]
        return self._endpoints[parts]

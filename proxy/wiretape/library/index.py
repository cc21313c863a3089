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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from wiretape.core.cost.usage import Usage
from wiretape.core.matching.sketch import Sketches
from wiretape.core.playback.known_request import KnownRequest
from wiretape.core.recording.given_ids import AnswerId

from .direct_answer import DirectAnswer
from .recording_file import AnsweredKey, Endpoint, Facts, MatchKind, Same, Stat
from .sequence import Linked, in_recorded_order

VERSION: Final = 7
"""The version of the tables, and of what the facts in them mean."""

_WAIT_SECONDS: Final = 10.0

_TABLES: Final = """
CREATE TABLE folders (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, ino INTEGER NOT NULL,
    changed INTEGER NOT NULL, fault TEXT
);
CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT, since INTEGER NOT NULL,
    folder INTEGER NOT NULL, name TEXT NOT NULL,
    ino INTEGER NOT NULL, changed INTEGER NOT NULL, size INTEGER NOT NULL,
    settled INTEGER NOT NULL, content BLOB NOT NULL, fault TEXT,
    take INTEGER NOT NULL, token TEXT NOT NULL, sketch BLOB NOT NULL, ids TEXT NOT NULL,
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
CREATE TABLE sides (file INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (file, name))
    WITHOUT ROWID;
CREATE TABLE answers (
    file INTEGER PRIMARY KEY, head BLOB NOT NULL, body BLOB NOT NULL,
    status INTEGER NOT NULL, chunks INTEGER, usage TEXT NOT NULL
);
CREATE TABLE traces (file INTEGER NOT NULL, trace TEXT NOT NULL, PRIMARY KEY (file, trace))
    WITHOUT ROWID;
"""

_NAME: Final = (
    "CASE folders.path WHEN '' THEN files.name ELSE folders.path || '/' || files.name END"
)


_COLUMNS: Final = (
    f"files.id, since, {_NAME}, files.ino, files.changed, size, settled, content,"
    " take, token, match_kind, parts, recorded, hops, links, digest, ids"
)
_FROM: Final = (
    " FROM keys JOIN files ON files.id = keys.file"
    " JOIN folders ON folders.id = files.folder"
    " JOIN endpoints ON endpoints.id = keys.endpoint"
)
_TAKES: Final = f"SELECT {_COLUMNS}{_FROM} WHERE key = ?"
_KNOWN: Final = (
    "SELECT known_key, known, key,"
    " (SELECT COUNT(*) FROM keys AS others WHERE others.key = keys.key),"
    f" {_COLUMNS}{_FROM} WHERE digest = ? LIMIT 2"
)
_DIRECT: Final = (
    f"SELECT recorded, files.id, digest, {_NAME}, files.ino, files.changed, size, token, ids,"
    " known_key, known, head, body, status, chunks, usage"
    " FROM files JOIN folders ON folders.id = folder JOIN answers ON answers.file = files.id"
    " WHERE settled AND (SELECT COUNT(*) FROM keys WHERE key = known_key) = 1 AND"
)


@dataclass(slots=True, kw_only=True)
class IndexRow:
    """A file that answers a key; `id` numbers its content, `since` its name.

    `recorded` is when it was made, in microseconds of the epoch; `links` are the ids its request
    sends back with the tokens of where they came from, `hops` how many requests those went through.
    `ids` are those of its answer.
    """

    id: int
    since: int
    name: str
    stat: Stat
    settled: bool
    content: bytes
    take: int
    token: str
    match_kind: MatchKind
    endpoint: Endpoint
    recorded: int = 0
    hops: int = 0
    links: Mapping[str, str] = field(default_factory=dict)
    digest: bytes | None = None
    ids: tuple[AnswerId, ...] = ()

    @property
    def is_foreign(self) -> bool:
        return self.match_kind is MatchKind.LLAMA_STACK


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A recording's file as it was indexed: its digest and stat, the keys that it answers, the ids
    its request sends back with their tokens, and its side files.
    """

    content: bytes
    stat: Stat
    settled: bool
    keys: frozenset[str]
    links: Mapping[str, str]
    sides: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rooted:
    """A row whose ids are now named by the answers that created them; `keys` are the keys that it
    answers then, empty if they are unchanged.
    """

    id: int
    links: Mapping[str, str]
    hops: int
    keys: tuple[AnsweredKey, ...] = ()


class DirectRow(NamedTuple):
    """A file that alone answers the requests with a digest, and its answer. `position` is where it
    stands in the order of recording.
    """

    position: tuple[int, int]
    digest: bytes
    name: str
    stat: Stat
    token: str
    ids: tuple[AnswerId, ...]
    known: KnownRequest
    answer: DirectAnswer


type KnownFile = tuple[int, Stat, bool, bool]
"""A file's row number, stat, whether that is settled, and whether it awaits a side file. A plain
tuple, since a hundred thousand are in memory at once.
"""


class Index:
    """A database of facts. After sqlite3.Error from any method, build it again."""

    def __init__(self, path: Path | None = None) -> None:
        self._db: Final = sqlite3.connect(
            path or ":memory:", timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
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
        self._sketches: dict[Endpoint, Sketches[int]] = {}
        self._sketches_version = (-1, -1)
        weakref.finalize(self, self._db.close)

    def _create_tables(self) -> None:
        if self._version() == VERSION:
            return
        with self.transaction():
            version = self._version()
            if version == 0:
                for statement in _TABLES.split(";\n"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise sqlite3.DatabaseError(f"an index of version {version}")

    def _version(self) -> int:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        return int(version)

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

    # -------------------------------------------------------------- folders

    def folders(self) -> dict[str, tuple[int, int]]:
        """The known folders: path below the top ("" is the top) to inode and time of change."""
        rows = self._db.execute("SELECT path, ino, changed FROM folders")
        return {path: (ino, changed) for path, ino, changed in rows}

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

    # -------------------------------------------------------------- files

    def files(self, folder: str) -> dict[str, KnownFile]:
        """The files right in a folder, by the last part of their names."""
        rows = self._db.execute(
            "SELECT name, files.id, files.ino, files.changed, size, settled, awaits FROM files"
            " JOIN folders ON folders.id = folder WHERE path = ?",
            (folder,),
        )
        return {
            name: (number, (ino, changed, size), bool(settled), bool(awaits))
            for name, number, ino, changed, size, settled, awaits in rows
        }

    def content(self, name: str) -> bytes | None:
        """The digest of a file's content; None if it is unknown or was not a recording."""
        folder, _, last = name.rpartition("/")
        row = self._db.execute(
            "SELECT content, files.fault FROM files JOIN folders ON folders.id = folder"
            " WHERE path = ? AND name = ?",
            (folder, last),
        ).fetchone()
        return row[0] if row and row[1] is None else None

    def contents(self, folder: str) -> dict[str, tuple[bytes, bool]]:
        """The digests of the files right in a folder, each with whether it awaits a side file."""
        rows = self._db.execute(
            "SELECT name, content, awaits FROM files JOIN folders ON folders.id = folder"
            " WHERE path = ?",
            (folder,),
        )
        return {name: (content, bool(awaits)) for name, content, awaits in rows}

    def stored(self, name: str) -> StoredFile | None:
        """What a file was when it was indexed; None if it was not there, or not a recording."""
        folder, _, last = name.rpartition("/")
        row = self._db.execute(
            "SELECT files.id, content, files.ino, files.changed, size, settled, links FROM files"
            " JOIN folders ON folders.id = folder"
            " WHERE path = ? AND name = ? AND files.fault IS NULL",
            (folder, last),
        ).fetchone()
        if row is None:
            return None
        number, content, *stat, settled, links = row
        keys = self._db.execute("SELECT key FROM keys WHERE file = ?", (number,)).fetchall()
        sides = self._db.execute("SELECT name FROM sides WHERE file = ?", (number,)).fetchall()
        return StoredFile(
            content=content,
            stat=(stat[0], stat[1], stat[2]),
            settled=bool(settled),
            keys=frozenset(key.hex() for (key,) in keys),
            links=json.loads(links) if links else {},
            sides=tuple(side for (side,) in sides),
        )

    def put(self, all_facts: Iterable[Facts], *, anew: bool = False) -> list[Facts]:
        """Replace the facts of files; gives those with a new fault. `anew`: this run wrote them."""
        faults = []
        with self.transaction():
            numbers = _Numbers(self._db)
            rows = _Rows(self._db)
            for facts in all_facts:
                if self._put(facts, numbers, rows, anew) and facts.fault is not None:
                    faults.append(facts)
            rows.insert()
        return faults

    def _put(self, facts: Facts, numbers: "_Numbers", rows: "_Rows", anew: bool) -> bool:
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

    # -------------------------------------------------------------- queries

    def takes(self, key: str) -> list[IndexRow]:
        """The files that answer a key, by `MatchKind`, then in the order recorded."""
        rows = self._db.execute(_TAKES, (_blob(key),)).fetchall()
        index_rows = [_row(columns) for columns in rows]
        return sorted(in_recorded_order(index_rows), key=lambda row: row.match_kind)

    def known(self, digest: bytes) -> tuple[KnownRequest, IndexRow | None] | None:
        """What is known of the live requests with a digest; and the file that answers them, if it
        is one alone and has one key.
        """
        rows = self._db.execute(_KNOWN, (digest,)).fetchall()
        if not rows:
            return None
        (key, known, row_key, count, *columns), *more = rows
        is_alone = count == 1 and not more and row_key == key
        return _known(key, known), _row(columns) if is_alone else None

    def direct(self, digest: bytes) -> DirectRow | None:
        """The answer to the live requests with a digest, if it is kept ready: that of the only file
        that answers their key.
        """
        row = self._db.execute(f"{_DIRECT} digest = ?", (digest,)).fetchone()
        return row and _direct_row(row)

    def direct_after(self, position: tuple[int, int], most: int) -> list[DirectRow]:
        """What `direct` gives for the recordings made after one, the next first."""
        rows: list[Any] = []
        # One condition for both would not be looked up by the index.
        for condition, arguments in (
            ("recorded = ? AND files.id > ?", position),
            ("recorded > ?", position[:1]),
        ):
            rows += self._db.execute(
                f"{_DIRECT} digest IS NOT NULL AND {condition} ORDER BY recorded, files.id LIMIT ?",
                (*arguments, most - len(rows)),
            )
        return [_direct_row(row) for row in rows]

    def created(self, ids: Iterable[str]) -> dict[str, list[tuple[int, str]]]:
        """For each id the recordings that created it: when they were made, and their tokens."""
        by_id: dict[str, list[tuple[int, str]]] = {}
        for text in ids:
            rows = self._db.execute(
                "SELECT recorded, token FROM creators JOIN files ON files.id = file"
                " WHERE creators.id = ?",
                (text,),
            ).fetchall()
            if rows:
                by_id[text] = sorted(rows)
        return by_id

    # -------------------------------------------------------------- where ids came from

    def unrooted(self) -> list[tuple[int, str, dict[str, str]]]:
        """Recordings whose tokens may not name the answers that created their ids: row number, name
        and tokens by id.
        """
        rows = self._db.execute(
            f"SELECT files.id, {_NAME}, links FROM files JOIN folders ON folders.id = folder"
            " WHERE NOT is_rooted"
        ).fetchall()
        return [(number, name, json.loads(links)) for number, name, links in rows]

    def givers(self, token: str) -> list[Linked]:
        """The recordings that a token KEY12[.TAKE] names."""
        rows = self._db.execute(
            "SELECT links, ids, hops, is_rooted FROM files WHERE token = ? AND ids != ''", (token,)
        ).fetchall()
        return [
            Linked(json.loads(links) if links else {}, _ids(ids), hops, bool(is_rooted))
            for links, ids, hops, is_rooted in rows
        ]

    def put_roots(self, rooted: Iterable[Rooted]) -> None:
        """Store the answers that created the ids of recordings."""
        with self.transaction():
            numbers = _Numbers(self._db)
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
                    rows = _key_rows(recording.id, recording.keys, numbers)
                    self._db.executemany(_INSERT["keys"], rows)

    def links(self, name: str) -> dict[str, str]:
        """The ids that a recording's request sends back, with the tokens of their sources."""
        folder, _, last = name.rpartition("/")
        row = self._db.execute(
            "SELECT links FROM files JOIN folders ON folders.id = folder WHERE path = ?"
            " AND name = ?",
            (folder, last),
        ).fetchone()
        return dict(json.loads(row[0])) if row and row[0] else {}

    def last(self) -> int:
        """The highest row number so far."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'files'").fetchone()
        return int(row[0]) if row else 0

    def traces(self, since: int) -> frozenset[str]:
        """What the rows after number `since` hold in redacted form (`redaction/traces.py`)."""
        rows = self._db.execute("SELECT DISTINCT trace FROM traces WHERE file > ?", (since,))
        return frozenset(trace for (trace,) in rows)

    def ids(self, name: str) -> tuple[AnswerId, ...]:
        """The ids in a recording's answer."""
        folder, _, last = name.rpartition("/")
        row = self._db.execute(
            "SELECT ids FROM files JOIN folders ON folders.id = folder WHERE path = ? AND name = ?",
            (folder, last),
        ).fetchone()
        return _ids(row[0]) if row else ()

    def count(self) -> int:
        """How many recordings there are."""
        (every,) = self._db.execute("SELECT COUNT(*) FROM files").fetchone()
        (bad,) = self._db.execute("SELECT COUNT(*) FROM files WHERE fault IS NOT NULL").fetchone()
        return int(every) - int(bad)

    def host_keys(self) -> set[str]:
        """The hosts of the recordings, as `Providers.host_key` names them."""
        rows = self._db.execute(
            "SELECT DISTINCT parts FROM endpoints JOIN keys ON keys.endpoint = endpoints.id"
        )
        return {_parts(parts)[0] for (parts,) in rows}

    def endpoints(self) -> list[tuple[str, Stat, Endpoint]]:
        """The recordings by name, in order: each with its stat and an endpoint that it answers."""
        rows = self._db.execute(
            f"SELECT DISTINCT {_NAME}, files.ino, files.changed, size, parts FROM files"
            " JOIN folders ON folders.id = folder JOIN keys ON keys.file = files.id"
            " JOIN endpoints ON endpoints.id = keys.endpoint WHERE files.fault IS NULL"
        )
        return sorted(
            (name, (ino, changed, size), _parts(parts)) for name, ino, changed, size, parts in rows
        )

    def sketches(self, endpoint: Endpoint) -> Sketches[int]:
        """The sketches of an endpoint's recordings by row number, in order; kept in memory until a
        row changes, here or in another process.
        """
        (others,) = self._db.execute("PRAGMA data_version").fetchone()
        version = (self._db.total_changes, others)
        if version != self._sketches_version:
            self._sketches_version = version
            self._sketches.clear()
        if endpoint not in self._sketches:
            rows = self._db.execute(
                "SELECT id, sketch FROM files WHERE id IN (SELECT file FROM keys WHERE endpoint ="
                " (SELECT id FROM endpoints WHERE parts = ?))",
                (json.dumps(endpoint),),
            )
            self._sketches[endpoint] = Sketches(rows)
        return self._sketches[endpoint]

    def names_of(self, numbers: Sequence[int]) -> list[str]:
        """The recording names of row numbers, in their order."""
        rows = [
            self._db.execute(
                f"SELECT {_NAME} FROM files JOIN folders ON folders.id = folder WHERE files.id = ?",
                (number,),
            ).fetchone()
            for number in numbers
        ]
        return [row[0] for row in rows if row]

    def names(self) -> list[str]:
        """The names of all recordings, in order."""
        rows = self._db.execute(
            f"SELECT {_NAME} FROM files JOIN folders ON folders.id = folder"
            " WHERE files.fault IS NULL"
        )
        return sorted(name for (name,) in rows)

    def faults(self) -> list[tuple[str, str]]:
        """Files that are not recordings and folders that cannot be read, each with the reason."""
        rows = self._db.execute(
            f"SELECT {_NAME}, files.fault FROM files JOIN folders ON folders.id = folder"
            " WHERE files.fault IS NOT NULL"
            " UNION ALL SELECT path, fault FROM folders WHERE fault IS NOT NULL"
        )
        return sorted(rows)

    def without_side(self, folder: str, sides: set[str]) -> set[str]:
        """Recordings right in a folder that need a side file not in `sides`."""
        rows = self._db.execute(
            "SELECT files.name, sides.name FROM sides JOIN files ON files.id = sides.file"
            " JOIN folders ON folders.id = folder WHERE path = ? AND files.fault IS NULL",
            (folder,),
        )
        return {name for name, side in rows if side not in sides}

    def sides_of(self, name: str) -> set[str]:
        """The side files of a recording."""
        folder, _, last = name.rpartition("/")
        rows = self._db.execute(
            "SELECT sides.name FROM sides JOIN files ON files.id = sides.file"
            " JOIN folders ON folders.id = folder WHERE path = ? AND files.name = ?",
            (folder, last),
        )
        return {side for (side,) in rows}

    def sides_in(self, folder: str) -> set[str]:
        """The side files that some file right in a folder needs."""
        rows = self._db.execute(
            "SELECT DISTINCT sides.name FROM sides JOIN files ON files.id = sides.file"
            " JOIN folders ON folders.id = folder WHERE path = ?",
            (folder,),
        )
        return {side for (side,) in rows}


def is_index(path: Path) -> bool:
    """Whether a file is a database of this version with the tables of an index and nothing else."""
    empty = Index()
    with closing(empty), closing(sqlite3.connect(path)) as database:
        return _schema(database) == _schema(empty._db)


def _schema(database: sqlite3.Connection) -> list[tuple[Any, ...]]:
    tables = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name")
    return [database.execute("PRAGMA user_version").fetchone(), *tables]


_INSERTED: Final = {
    "files": (
        *("id", "since", "folder", "name", "ino", "changed", "size", "settled", "content", "fault"),
        *("take", "token", "sketch", "ids", "awaits", "recorded", "links", "hops", "is_rooted"),
        *("digest", "known_key", "known"),
    ),
    "keys": ("key", "file", "match_kind", "endpoint"),
    "creators": ("id", "file"),
    "answers": ("file", "head", "body", "status", "chunks", "usage"),
    "sides": ("file", "name"),
    "traces": ("file", "trace"),
}
_INSERT: Final = {
    table: f"INSERT OR {'IGNORE' if table in ('creators', 'sides') else 'ABORT'} INTO {table}"
    f" ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    for table, columns in _INSERTED.items()
}


class _Rows:
    """Rows to be inserted together, by table."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _INSERTED}
        self.files: set[tuple[int, str]] = set()
        """The files whose rows are not inserted yet."""

    def add(
        self, facts: Facts, number: int, since: int, file: tuple[int, str], numbers: "_Numbers"
    ) -> None:
        """Add the rows of a file; `file` is its folder's number and its name in there."""
        rows = self._rows
        self.files.add(file)
        ids = [(answer_id.text, answer_id.claim) for answer_id in facts.ids]
        rows["files"].append(
            (
                *(number, since, *file, *facts.stat, facts.settled, facts.content, facts.fault),
                *(facts.take, facts.token, facts.sketch, json.dumps(ids) if ids else ""),
                *(facts.awaits_side_file, facts.recorded),
                *(json.dumps(facts.links) if facts.links else "", int(bool(facts.links))),
                *(not facts.links, facts.digest),
                *(facts.known and _blob(facts.known.key), facts.known and _known_text(facts.known)),
            )
        )
        rows["keys"] += _key_rows(number, facts.keys, numbers)
        rows["creators"] += [(text, number) for text, claim in ids if claim == "created"]
        rows["sides"] += [(number, side) for side in facts.sides]
        rows["traces"] += [(number, trace) for trace in facts.traces]
        if facts.answer is not None:
            *answer, usage = facts.answer
            rows["answers"].append((number, *answer, _usage_text(usage)))

    def insert(self) -> None:
        """Insert them."""
        for table, rows in self._rows.items():
            if rows:
                self._db.executemany(_INSERT[table], rows)
                rows.clear()
        self.files.clear()


def _key_rows(
    number: int, keys: Iterable[AnsweredKey], numbers: "_Numbers"
) -> list[tuple[bytes, int, int, int]]:
    return [
        (_blob(key.key), number, key.match_kind, numbers.endpoint(key.endpoint)) for key in keys
    ]


class _Numbers:
    """The numbers of folders, endpoints and the next file, within one transaction that writes."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'files'").fetchone()
        self.next_file = 1 + (int(row[0]) if row else 0)
        self._folders: dict[str, int] = {}
        self._endpoints: dict[Endpoint, int] = {}

    def folder(self, path: str) -> int:
        """The number of a folder, which is added if it is new."""
        if path not in self._folders:
            self._db.execute(
                "INSERT OR IGNORE INTO folders (path, ino, changed) VALUES (?, 0, 0)", (path,)
            )
            row = self._db.execute("SELECT id FROM folders WHERE path = ?", (path,)).fetchone()
            self._folders[path] = row[0]
        return self._folders[path]

    def endpoint(self, endpoint: Endpoint) -> int:
        """The number of an endpoint, which is added if it is new."""
        if endpoint not in self._endpoints:
            parts = json.dumps(endpoint)
            self._db.execute("INSERT OR IGNORE INTO endpoints (parts) VALUES (?)", (parts,))
            row = self._db.execute("SELECT id FROM endpoints WHERE parts = ?", (parts,)).fetchone()
            self._endpoints[endpoint] = row[0]
        return self._endpoints[endpoint]


# What is written here has no space around it, which `json.loads` would look for.
_decode: Final = json.JSONDecoder().raw_decode
_MATCH_KINDS: Final = {kind.value: kind for kind in MatchKind}


def _ids(text: str) -> tuple[AnswerId, ...]:
    return tuple([AnswerId(*pair) for pair in _decode(text)[0]]) if text else ()


@lru_cache(maxsize=1024)
def _known_parts(text: str) -> tuple[tuple[str, ...], str | None, tuple[str, ...]]:
    request_ids, model, rules = json.loads(text)
    return tuple(request_ids), model, tuple(rules)


def _known_text(known: KnownRequest) -> str:
    return json.dumps(known[1:])


def _known(key: bytes, text: str) -> KnownRequest:
    return KnownRequest(key.hex(), *_known_parts(text))


def _usage_text(usage: Usage | None) -> str:
    return "" if usage is None else json.dumps(usage.as_json())


@lru_cache(maxsize=1024)
def _usage(text: str) -> Usage | None:
    return Usage(**json.loads(text)) if text else None


def _blob(key: str) -> bytes:
    return bytes.fromhex(key)


def _row(columns: Sequence[Any]) -> IndexRow:
    number, since, name, ino, changed, size, settled, *more = columns
    content, take, token, match_kind, endpoint, recorded, hops, links, digest, ids = more
    return IndexRow(
        id=number,
        since=since,
        name=name,
        stat=(ino, changed, size),
        settled=bool(settled),
        content=content,
        take=take,
        token=token,
        match_kind=_MATCH_KINDS[match_kind],
        endpoint=_parts(endpoint),
        recorded=recorded,
        hops=hops,
        links=json.loads(links) if links else {},
        digest=digest,
        ids=_ids(ids),
    )


def _direct_row(columns: Sequence[Any]) -> DirectRow:
    recorded, number, digest, name, ino, changed, size, token, ids, *more = columns
    key, known, head, body, status, chunks, usage = more
    return DirectRow(
        (recorded, number),
        digest,
        name,
        (ino, changed, size),
        token,
        _ids(ids),
        _known(key, known),
        DirectAnswer(head, body, status, chunks, _usage(usage)),
    )


@lru_cache(maxsize=256)
def _parts(text: str) -> Endpoint:
    host, method, path = json.loads(text)
    return host, method, path

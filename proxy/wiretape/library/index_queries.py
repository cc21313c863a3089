"""What an index is asked: which files answer, what is known of them, where ids came from."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from wiretape.core.matching.sketch import Sketches
from wiretape.core.playback.known_request import KnownRequest
from wiretape.core.recording.given_ids import AnswerId

from .index_rows import (
    DirectRow,
    IndexRow,
    KnownFile,
    StoredFile,
    blob,
    direct_row,
    endpoint_of,
    ids_of,
    index_row,
    known_of,
)
from .recording_file import Endpoint, Stat
from .sequence import Linked, in_recorded_order

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


class IndexQueries:
    """Reads the database of an index."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db: Final = db
        self._sketches: dict[Endpoint, Sketches[int]] = {}
        self._sketches_version = (-1, -1)

    # -------------------------------------------------------------- folders and files

    def folders(self) -> dict[str, tuple[int, int]]:
        """The known folders: path below the top ("" is the top) to inode and time of change."""
        rows = self._db.execute("SELECT path, ino, changed FROM folders")
        return {path: (ino, changed) for path, ino, changed in rows}

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

    # -------------------------------------------------------------- who answers

    def takes(self, key: str) -> list[IndexRow]:
        """The files that answer a key, by `MatchKind`, then in the order recorded."""
        rows = self._db.execute(_TAKES, (blob(key),)).fetchall()
        index_rows = [index_row(columns) for columns in rows]
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
        return known_of(key, known), index_row(columns) if is_alone else None

    def direct(self, digest: bytes) -> DirectRow | None:
        """The answer to the live requests with a digest, if it is kept ready: that of the only file
        that answers their key.
        """
        row = self._db.execute(f"{_DIRECT} digest = ?", (digest,)).fetchone()
        return row and direct_row(row)

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
        return [direct_row(row) for row in rows]

    def direct_beside(self, number: int, most: int) -> list[DirectRow]:
        """What `direct` gives for the rows around row `number`: those of its block of `most`."""
        first = number - number % most
        rows = self._db.execute(
            f"{_DIRECT} files.id BETWEEN ? AND ? AND digest IS NOT NULL", (first, first + most - 1)
        )
        return [direct_row(row) for row in rows]

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
            Linked(json.loads(links) if links else {}, ids_of(ids), hops, bool(is_rooted))
            for links, ids, hops, is_rooted in rows
        ]

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
        return ids_of(row[0]) if row else ()

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
        return {endpoint_of(parts)[0] for (parts,) in rows}

    def endpoints(self) -> list[tuple[str, Stat, Endpoint]]:
        """The recordings by name, in order: each with its stat and an endpoint that it answers."""
        rows = self._db.execute(
            f"SELECT DISTINCT {_NAME}, files.ino, files.changed, size, parts FROM files"
            " JOIN folders ON folders.id = folder JOIN keys ON keys.file = files.id"
            " JOIN endpoints ON endpoints.id = keys.endpoint WHERE files.fault IS NULL"
        )
        return sorted(
            (name, (ino, changed, size), endpoint_of(parts))
            for name, ino, changed, size, parts in rows
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
                "SELECT file, sketch FROM sketches WHERE file IN (SELECT file FROM keys WHERE"
                " endpoint = (SELECT id FROM endpoints WHERE parts = ?))",
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

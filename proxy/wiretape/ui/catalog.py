"""The library's rows in a database, so that ten thousand recordings are filtered as one types.

A file is read again when its time or size has changed. The database may lie in a file, which the
next page begins with; what is in it comes from the recordings and may be lost at any time.
"""

import json
import os
import re
import sqlite3
import weakref
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any, Final

from wiretape.core.conversation.conversation import conversation
from wiretape.core.conversation.redactions import rule_of
from wiretape.core.errors import FormatError, StoreError
from wiretape.core.providers.registry import Providers
from wiretape.core.recording.document import Document
from wiretape.core.recording.file_names import by_take
from wiretape.core.redaction.placeholder import PLACEHOLDER
from wiretape.library.read_file import read_bytes
from wiretape.maintenance.inventory import SessionFiles, sessions
from wiretape.maintenance.read_row import RowReader

PAGE: Final = 100
SEARCHED: Final = 20_000
"""The first characters of a recording's texts, which the filter looks at."""

_COLUMNS: Final = {
    "name": "TEXT PRIMARY KEY",
    "stat": "TEXT NOT NULL",
    "fault": "TEXT",
    "request": "TEXT",  # of the same request, in the same session: takes
    **dict.fromkeys(("session", "provider", "model", "endpoint", "prompt", "text", "gaps"), "TEXT"),
    **dict.fromkeys(("status", "chunks", "tokens_in", "tokens_out", "size"), "INTEGER"),
    **dict.fromkeys(("first", "total", "recorded"), "REAL"),
    "end": "TEXT",
    "redacted": "TEXT",
    "usage": "TEXT",
}
_TABLE: Final = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
_VERSION: Final = 2
FACETS: Final = ("provider", "model", "endpoint", "status", "session")
SORTS: Final = {
    **{name: name for name in ("name", "provider", "model", "prompt", "first", "total", "chunks")},
    "tokens": "COALESCE(tokens_in, 0) + COALESCE(tokens_out, 0)",
    "when": "-recorded",
    "size": "size",
    "status": "status",
}
STATES: Final = {
    "redacted": "redacted != ''",
    "stale": "recorded < :stale",
    "broken": "fault IS NOT NULL",
    "unused": "name IN (SELECT value FROM json_each(:unused))",
}
_SPARKS: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query of the library: a text, facets by name, a state, an order, and a page from 0."""

    text: str = ""
    facets: Mapping[str, str] = field(default_factory=dict)
    state: str = ""
    since: datetime | None = None
    sort: str = "name"
    reverse: bool = False
    page: int = 0


@dataclass(frozen=True, slots=True)
class Results:
    """A page of rows, how many there are in all, and the values of each facet with their counts."""

    rows: list[sqlite3.Row]
    total: int
    facets: dict[str, list[tuple[str, int]]]


class Catalog:
    """The rows of a folder; `refresh` brings them up to date, on any thread."""

    def __init__(self, folder: Path, providers: Providers, database: Path | None = None) -> None:
        self.folder: Final = folder
        self.stale_before = 0.0
        self.unused: list[str] = []
        self.unread = 0
        """How many files have still to be read."""
        self._reader: Final = RowReader(providers)
        self._lock: Final = Lock()
        if database is not None:
            os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(database or ":memory:", check_same_thread=False)
        weakref.finalize(self, self._db.close)
        self._db.row_factory = sqlite3.Row
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version != _VERSION:
            self._db.execute("DROP TABLE IF EXISTS rows")
            self._db.execute(f"CREATE TABLE rows ({_TABLE})")
            self._db.execute(f"PRAGMA user_version = {_VERSION}")

    def refresh(self) -> None:
        """Read what has changed since; WiretapeError if the folder is not there."""
        with self._lock:
            known: dict[str, str] = dict(map(tuple, self._all("SELECT name, stat FROM rows")))
            # Texts, not paths: of ten thousand those take a tenth of a second to make.
            there = {
                f"{files.session}/{name}" if files.session else name: (files, name)
                for files in sessions(self.folder)
                for name in files.recordings
            }
            gone = [(name,) for name in known if name not in there]
            with self._db:
                self._db.executemany("DELETE FROM rows WHERE name = ?", gone)
            changed = [
                (name, files, stat)
                for name, (files, below) in there.items()
                if known.get(name) != (stat := _stat(f"{files.folder}/{below}"))
            ]
            for start in range(0, len(changed), PAGE):
                self.unread = len(changed) - start
                rows = [
                    self._row(name, files, stat)
                    for name, files, stat in changed[start : start + PAGE]
                ]
                with self._db:
                    marks = ", ".join(f":{name}" for name in _COLUMNS)
                    self._db.executemany(f"INSERT OR REPLACE INTO rows VALUES ({marks})", rows)
            self.unread = 0

    def _row(self, name: str, files: SessionFiles, stat: str) -> dict[str, Any]:
        row: dict[str, Any] = dict.fromkeys(_COLUMNS)
        row |= {"name": name, "session": files.session or "", "stat": stat, "text": ""}
        try:
            data, (_, _, size) = read_bytes(self.folder / name)
            stored = self._reader.stored(data)
            whole = conversation(stored.document)
            entry = self._reader(stored, name, files.session, size, whole)
        except (FormatError, StoreError) as error:
            return row | {"fault": str(error)}
        times = _times(stored.document)
        rules = {rule_of(text) for text in PLACEHOLDER.findall(data.decode("utf-8", "ignore"))}
        return row | {
            "prompt": entry.prompt,
            "request": re.sub(r"(\.\d+)?\.json$", "", name),
            "provider": entry.provider,
            "model": entry.model or "",
            "endpoint": entry.path,
            "text": f"{name}\n{whole.text}"[:SEARCHED],
            "gaps": json.dumps(_sparks(times)),
            "status": entry.status,
            "chunks": entry.chunks,
            "tokens_in": entry.tokens_in,
            "tokens_out": entry.tokens_out,
            "usage": json.dumps(entry.usage),
            "size": entry.size,
            "first": times[0] if times else None,
            "total": stored.document["response"].get("end_at"),
            "recorded": entry.recorded_at.timestamp() if entry.recorded_at else None,
            "end": entry.end,
            "redacted": ", ".join(sorted(rules)),
        }

    def find(self, query: Query) -> Results:
        """Give a page of the rows that fit, and the values of each facet that could narrow them."""
        where, values = self._where(query)
        by = SORTS[query.sort]
        order = f"{by} IS NULL, {by} {'DESC' if query.reverse else ''}"
        (total,) = self._all(f"SELECT COUNT(*) FROM rows WHERE {where}", values)[0]
        rows = self._all(
            f"SELECT * FROM rows WHERE {where} ORDER BY {order}, name LIMIT {PAGE}"
            f" OFFSET {query.page * PAGE}",
            values,
        )
        facets = {}
        for name in FACETS:
            # A facet counts what the others leave.
            where, values = self._where(query, without=name)
            counted = self._all(
                f"SELECT {name}, COUNT(*) FROM rows WHERE {where} AND {name} IS NOT NULL"
                f" AND {name} != '' GROUP BY {name} ORDER BY 2 DESC, 1 LIMIT {PAGE}",
                values,
            )
            facets[name] = [(str(value), number) for value, number in counted]
        return Results(rows, total, facets)

    def _where(self, query: Query, without: str = "") -> tuple[str, dict[str, Any]]:
        terms = ["1"]
        values: dict[str, Any] = {"stale": self.stale_before, "unused": json.dumps(self.unused)}
        for name, value in query.facets.items():
            if value and name != without:
                terms.append(f"CAST({name} AS TEXT) = :{name}")
                values[name] = value
        if query.text:
            terms.append("(text LIKE :like ESCAPE '\\' OR model LIKE :like ESCAPE '\\')")
            values["like"] = f"%{re.sub(r'([%_\\])', r'\\\1', query.text)}%"
        if query.state:
            terms.append(STATES[query.state])
        if query.since is not None:
            terms.append("recorded >= :since")
            values["since"] = query.since.timestamp()
        return " AND ".join(terms), values

    def takes(self, name: str) -> list[str]:
        """List the recordings of the same request as `name`, which is among them, by their takes;
        empty if no recording has this name.
        """
        rows = self._all(
            "SELECT name FROM rows WHERE name = :name OR request ="
            " (SELECT request FROM rows WHERE name = :name)",
            {"name": name},
        )
        return sorted((row["name"] for row in rows), key=by_take)

    def named(self) -> list[tuple[str, str]]:
        """List the session and name of every recording that can be read."""
        rows = self._all("SELECT session, name FROM rows WHERE fault IS NULL")
        return [(row["session"], row["name"]) for row in rows]

    def _all(self, statement: str, values: Mapping[str, Any] | None = None) -> list[sqlite3.Row]:
        with closing(self._db.execute(statement, values or {})) as cursor:
            return cursor.fetchall()


def _stat(path: str) -> str:
    try:
        info = os.stat(path)
    except OSError:
        return ""
    return f"{info.st_ino} {info.st_mtime_ns} {info.st_size}"


def _times(document: Document) -> list[float]:
    body = document["response"].get("body")
    items = body if isinstance(body, list) else []
    times = (item.get("at") for item in items if isinstance(item, dict))
    return [float(at) for at in times if isinstance(at, int | float)]


def _sparks(times: list[float]) -> list[float]:
    """The largest gaps of a stream's stretches, as shares of the largest of all."""
    gaps = [max(0.0, b - a) for a, b in pairwise(times)]
    step = max(1, -(-len(gaps) // _SPARKS))
    peaks = [max(gaps[i : i + step]) for i in range(0, len(gaps), step)]
    top = max(peaks, default=0.0)
    return [round(peak / top, 2) if top else 0.0 for peak in peaks]

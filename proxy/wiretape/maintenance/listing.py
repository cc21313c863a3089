"""List recordings for `wiretape ls`, filtered and sorted.

Each file is read once, by `read_row.py`, which is imported when the first has to be read: rows of
files that stay what they were are known from an earlier listing (`known_rows.py`).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.recording.file_names import by_take
from wiretape.library.read_file import read_bytes
from wiretape.progress import track

from .inventory import SessionFiles, sessions
from .known_rows import KnownRows, state_of
from .listed_recording import ListedRecording, from_values
from .names import named_recordings

if TYPE_CHECKING:
    from .read_row import RowReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which recordings are listed; None lets all pass."""

    session: str | None = None
    all_sessions: bool = False
    provider: str | None = None
    model: str | None = None
    path: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    grep: str | None = None
    streamed: bool | None = None

    def fits(self, row: ListedRecording) -> bool:
        """Whether a recording is listed, but for `grep`, which asks for its words."""
        return (
            (self.provider is None or self.provider.lower() in (row.provider, row.host))
            and (self.model is None or _has(row.model or "", self.model))
            and (self.path is None or _is_path(row.path, self.path))
            and (self.status is None or _is_status(row.status, self.status))
            and (self.since is None or (row.recorded_at or _LONG_AGO) >= self.since)
            and (
                self.until is None or (row.recorded_at is not None and row.recorded_at < self.until)
            )
            and (self.streamed is None or row.streamed == self.streamed)
        )


_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


def _has(text: str, wanted: str) -> bool:
    text, wanted = text.lower(), wanted.lower()
    return fnmatchcase(text, wanted) if "*" in wanted or "?" in wanted else wanted in text


def _is_path(path: str, wanted: str) -> bool:
    return fnmatchcase(path, wanted) if "*" in wanted or "?" in wanted else path == wanted


def _is_status(status: int | None, wanted: str) -> bool:
    return fnmatchcase(str(status), wanted.lower().replace("x", "?"))


@dataclass(frozen=True, slots=True)
class Listing:
    """The listed rows, the files that are not recordings with the reason, and the message for an
    empty list.
    """

    folder: Path
    rows: list[ListedRecording]
    faults: list[tuple[str, str]]
    nothing: str


def read(
    folder: Path,
    chosen: Filter,
    reader: Callable[[], "RowReader"],
    known: KnownRows | None = None,
) -> Listing:
    """The recordings of a folder that pass a filter. ConfigError if the folder does not exist.

    `reader` gives what reads a recording, if one has to be read: those whose rows are `known` are
    not, as long as their files stay what they were.
    """
    all_files = sessions(folder, chosen.session)
    other_sessions = [
        files for files in all_files if files.session is not None and files.recordings
    ]
    known = known or KnownRows(folder, "")
    if chosen.session is None:
        known.keep_only(each.name for files in all_files for each in named_recordings(files))
        if not chosen.all_sessions:
            all_files = all_files[:1]
    faults: list[tuple[str, str]] = []
    rows = [row for files in all_files for row in _rows(files, chosen, reader, known, faults)]
    known.save()
    for files in all_files:
        faults += [(str(path), f"cannot be read: {reason}") for path, reason in files.unreadable]
    nothing = f"{folder}: no recording" + (
        " that fits" if any(f.recordings for f in all_files) else ""
    )
    if chosen.session is None and not chosen.all_sessions and other_sessions:
        names = ", ".join(str(files.session) for files in other_sessions[:5])
        nothing += f"; there are sessions ({names}): see --session and --all-sessions"
    return Listing(folder, rows, faults, nothing)


def _rows(
    files: SessionFiles,
    chosen: Filter,
    reader: Callable[[], "RowReader"],
    known: KnownRows,
    faults: list[tuple[str, str]],
) -> Iterator[ListedRecording]:
    wanted = None if chosen.grep is None else chosen.grep.lower()
    read_row: RowReader | None = None
    for recording in track(list(named_recordings(files)), "reading"):
        path, name = recording.path, recording.name
        values = known.get(name, path) if wanted is None else None
        if isinstance(values, str):
            faults.append((name, values))
            continue
        if values is not None:
            row = from_values(name, files.session, values)
            if chosen.fits(row):
                yield row
            continue
        read_row, state = read_row or reader(), state_of(path)
        try:
            data, stat = read_bytes(path)
            stored = read_row.stored(data)
            row = read_row(stored, name, files.session, stat[2])
        except (FormatError, StoreError) as error:
            faults.append((name, str(error)))
            if isinstance(error, FormatError):  # it is in the file
                known.add(name, state, str(error))
            continue
        known.add(name, state, row.values())
        if chosen.fits(row) and (wanted is None or wanted in read_row.words(stored).lower()):
            yield row


def _amount(row: ListedRecording) -> Any:
    from decimal import Decimal  # late: who sorts by something else has no use for it

    return Decimal(row.cost["amount"]) if row.cost else -1


_KEYS: Final[dict[str, Callable[[ListedRecording], Any]]] = {
    "name": lambda row: by_take(row.name),
    "provider": lambda row: row.provider,
    "model": lambda row: (row.model or "").lower(),
    "tokens": lambda row: (row.tokens_in or 0) + (row.tokens_out or 0),
    "cost": _amount,
    "chunks": lambda row: row.chunks,
    # The oldest is the largest; of unknown age is the oldest of all.
    "age": lambda row: (
        -(row.recorded_at or _LONG_AGO).timestamp() if row.recorded_at else float("inf")
    ),
    "size": lambda row: row.size,
    "status": lambda row: row.status or 0,
}


def ordered(
    rows: Iterable[ListedRecording], by: str, *, reverse: bool = False
) -> list[ListedRecording]:
    """The rows by a column, those that are equal there by name and take."""
    named_first = sorted(rows, key=lambda row: by_take(row.name))
    return sorted(named_first, key=_KEYS[by], reverse=reverse)

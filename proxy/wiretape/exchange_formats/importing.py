"""Exchanges of other tools become recordings: redaction, gate, library, as if they had just passed.

Nothing that stands is written over: how it is treated says the library's record mode.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final

from wiretape.core.errors import FormatError
from wiretape.core.model import Request
from wiretape.core.playback.player import Player
from wiretape.intake.exchange_writer import ALREADY_RECORDED, EndedExchange, ExchangeWriter
from wiretape.library.library import Library
from wiretape.progress import read_through
from wiretape.report.report import Row
from wiretape.sessions.sessions import Session

from .foreign import ForeignExchange, ForeignItems, LeftOut
from .formats import READERS, format_of, unpacked

_LONGEST_NAME: Final = 80
_ENDING: Final = re.compile(r"(?:\.(?:ya?ml|json|har|gz|flows?|txt|sse))+$", re.IGNORECASE)


@dataclass(slots=True, kw_only=True)
class ImportedFile:
    """What became of one file's exchanges; `error` says why reading it ended early."""

    path: Path
    format: str | None = None
    imported: int = 0
    present: int = 0
    """How many requests had recordings already, which stay as they are."""
    left_out: list[LeftOut] = field(default_factory=list)
    refused: list[LeftOut] = field(default_factory=list)
    """Exchanges that would have held a secret, or could not be written."""
    error: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all that the file holds is recorded now."""
        return not (self.left_out or self.refused or self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is known of the files: their format (None: detected from how they begin), and the
    request of answers that stand alone.
    """

    format: str | None = None
    hint: Request | None = None


class Importer:
    """Puts files into the recordings that `opened` gives for a session's name."""

    def __init__(self, writer: ExchangeWriter, opened: Callable[[str | None], Library]) -> None:
        self._writer: Final = writer
        self._opened: Final = opened
        self._sessions: Final[dict[str | None, Session]] = {}
        self._latest: datetime | None = None

    def close(self) -> None:
        """The import is over."""
        for session in self._sessions.values():
            session.library.leave()
            session.library.close()

    def add(self, path: Path, session: str | None, source: Source) -> ImportedFile:
        """Record a file's exchanges; what it holds that cannot be read is in the result."""
        result = ImportedFile(path=path)
        self._latest = None
        try:
            with path.open("rb") as file:
                for item in self._items(file, result, source):
                    self._record(item, self._session(session), result)
        except FormatError as error:
            result.error = str(error)
        except OSError as error:
            result.error = f"cannot be read: {error.strerror}"
        return result

    def _items(self, file: BinaryIO, result: ImportedFile, source: Source) -> ForeignItems:
        with unpacked(file) as plain:
            result.format = source.format or format_of(plain)
        file.seek(0)
        with read_through(file, result.path.name) as shown, unpacked(shown) as plain:
            yield from READERS[result.format](plain, source.hint)

    def _session(self, name: str | None) -> Session:
        if name not in self._sessions:
            library = self._opened(name)
            self._sessions[name] = Session(name=name, library=library, player=Player("last"))
        return self._sessions[name]

    def _record(
        self, item: ForeignExchange | LeftOut, session: Session, result: ImportedFile
    ) -> None:
        if isinstance(item, LeftOut):
            result.left_out.append(item)
            return
        ended = EndedExchange(
            item.recorder(),
            item.outcome,
            item.end_at or 0.0,
            session,
            self._recorded_at(item.recorded_at),
        )
        for row in self._writer.keep(ended):
            _count(row, item.where, result)

    def _recorded_at(self, at: datetime | None) -> str:
        """When it was made, as far as it is known; later than the one before it in its file."""
        at = at or self._latest or datetime.now(UTC)
        if self._latest is not None:
            at = max(at, self._latest + timedelta(microseconds=1))
        self._latest = at
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _count(row: Row, where: str, result: ImportedFile) -> None:
    note = row.note or "it is not recorded"
    if row.outcome == "recorded":
        result.imported += 1
    elif row.outcome == "refused":
        result.refused.append(LeftOut(where, note))
    elif row.note == ALREADY_RECORDED:
        result.present += 1
    else:
        result.left_out.append(LeftOut(where, note))


def session_names(files: Iterable[tuple[Path, Path]]) -> Iterator[str]:
    """Name a session after each file: its path below the folder it was named by, less its ending.

    >>> list(session_names([(Path("cassettes/test_a/test_b.yaml"), Path("cassettes"))]))
    ['test_a-test_b']
    """
    taken: set[str] = set()
    for path, base in files:
        name = path.name if path == base else path.relative_to(base).as_posix()
        stem = _ENDING.sub("", name)
        session = re.sub(r"[^A-Za-z0-9_]+", "-", stem).strip("-_") or "session"
        if session != stem.replace("/", "-") or len(session) > _LONGEST_NAME or session in taken:
            # Other letters, or a cut, may have given two files one name.
            digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
            session = f"{session[:_LONGEST_NAME]}-{digest}"
        taken.add(session)
        yield session

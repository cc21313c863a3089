"""List recordings for `wiretape ls`, filtered and sorted.

Each file is read once; its chunks are not checked, which `verify` does.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from wiretape.core.conversation.conversation import Conversation, Summary, conversation, summary
from wiretape.core.cost.prices import Money, PriceTable
from wiretape.core.errors import FormatError, StoreError
from wiretape.core.model import Request
from wiretape.core.providers.registry import Providers
from wiretape.core.recording import llamastack
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, to_request, to_response
from wiretape.core.recording.file_names import by_take
from wiretape.core.text.printable import printable, size
from wiretape.library.read_file import read_bytes
from wiretape.progress import track

from .inventory import SessionFiles, recorded_at, sessions
from .names import named_recordings

COLUMNS: Final = (
    "provider",
    "model",
    "prompt",
    "tokens",
    "cost",
    "chunks",
    "age",
    "size",
    "status",
    "name",
)
NUMBERS: Final = frozenset(("tokens", "cost", "chunks", "age", "size", "status"))
_PROMPT: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRecording:
    """One recording at a glance; `cost` is what it cost to record by today's prices, None where no
    price is known; `size` is its file's, in bytes.
    """

    name: str
    session: str | None
    provider: str
    request: Request
    summary: Summary
    cost: Money | None
    recorded_at: datetime | None
    size: int
    foreign: bool
    edited: bool = False

    def cells(self, now: datetime, *, brief: bool = False) -> tuple[str, ...]:
        """The texts of the columns, each on one line; with `brief` the names of model and recording
        only after their last "/".
        """
        usage, summary = self.summary.usage, self.summary
        both = [usage.tokens_in, usage.tokens_out]
        tokens = "/".join("?" if n is None else str(n) for n in both) if usage.is_known else "-"
        chunks = str(summary.chunks) if summary.streamed else "-"
        status = f"{summary.status}" + ("" if summary.end == "complete" else f" {summary.end}")
        status += " edited" if self.edited else ""
        return (
            self.provider,
            _short(summary.model or "-", brief=brief),
            _prompt(summary.prompt) or "-",
            f"~{tokens}" if usage.estimated else tokens,
            "-" if self.cost is None else str(self.cost),
            chunks,
            "-" if self.recorded_at is None else age(now, self.recorded_at),
            size(self.size),
            status,
            _short(self.name, brief=brief).removesuffix(".json" if brief else ""),
        )

    def as_json(self) -> dict[str, Any]:
        """The row for `--json`."""
        usage, summary = self.summary.usage, self.summary
        return {
            "name": self.name,
            "session": self.session,
            "provider": self.provider,
            "host": self.request.authority,
            "method": self.request.method,
            "path": self.request.path,
            "model": summary.model,
            "prompt": _prompt(summary.prompt),
            "tokens_in": usage.tokens_in,
            "tokens_out": usage.tokens_out,
            "usage": usage.as_json(),
            "cost": None if self.cost is None else self.cost.as_json(),
            "streamed": summary.streamed,
            "chunks": summary.chunks,
            "status": summary.status,
            "end": summary.end,
            "recorded_at": None if self.recorded_at is None else self.recorded_at.isoformat(),
            "size": self.size,
            "foreign": self.foreign,
            "edited": self.edited,
        }


def _short(name: str, *, brief: bool) -> str:
    """A name for one cell; in brief only what comes after its last slash."""
    return printable(name.rstrip("/").rpartition("/")[2] if brief else name, one_line=True)


def _prompt(text: str) -> str:
    # Only the start of a prompt, which may be megabytes.
    start = " ".join(text[: 4 * _PROMPT].split())
    return printable(start if len(start) <= _PROMPT else start[: _PROMPT - 1] + "…", one_line=True)


def age(now: datetime, then: datetime) -> str:
    """How long ago that was, in its largest unit: "3d", "12h", "5m"."""
    seconds = max(0, int((now - then).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


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
        summary, request = row.summary, row.request
        return (
            (self.provider is None or self.provider.lower() in (row.provider, request.authority))
            and (self.model is None or _has(summary.model or "", self.model))
            and (self.path is None or _is_path(request.path, self.path))
            and (self.status is None or _is_status(summary.status, self.status))
            and (self.since is None or (row.recorded_at or _LONG_AGO) >= self.since)
            and (
                self.until is None or (row.recorded_at is not None and row.recorded_at < self.until)
            )
            and (self.streamed is None or summary.streamed == self.streamed)
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
    folder: Path, providers: Providers, chosen: Filter, prices: PriceTable | None = None
) -> Listing:
    """The recordings of a folder that pass a filter. ConfigError if the folder does not exist."""
    all_files = sessions(folder, chosen.session)
    other_sessions = [
        files for files in all_files if files.session is not None and files.recordings
    ]
    if chosen.session is None and not chosen.all_sessions:
        all_files = all_files[:1]
    faults: list[tuple[str, str]] = []
    known = Known(providers, prices)
    rows = [row for files in all_files for row in _rows(files, known, chosen, faults)]
    for files in all_files:
        faults += [(str(path), f"cannot be read: {reason}") for path, reason in files.unreadable]
    nothing = f"{folder}: no recording" + (
        " that fits" if any(f.recordings for f in all_files) else ""
    )
    if chosen.session is None and not chosen.all_sessions and other_sessions:
        names = ", ".join(str(files.session) for files in other_sessions[:5])
        nothing += f"; there are sessions ({names}): see --session and --all-sessions"
    return Listing(folder, rows, faults, nothing)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the world outside the folder."""

    providers: Providers
    prices: PriceTable | None = None


def _rows(
    files: SessionFiles,
    known: Known,
    chosen: Filter,
    faults: list[tuple[str, str]],
) -> Iterator[ListedRecording]:
    wanted = None if chosen.grep is None else chosen.grep.lower()
    for recording in track(list(named_recordings(files)), "reading"):
        try:
            data, stat = read_bytes(recording.path)
            stored = read_stored(data)
            row = listed(stored, recording.name, files.session, known, stat[2])
        except (FormatError, StoreError) as error:
            faults.append((recording.name, str(error)))
            continue
        if chosen.fits(row) and (
            wanted is None or wanted in conversation(stored.document).text.lower()
        ):
            yield row


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A recording's document, and its request without the body; `foreign`: it is llama-stack's."""

    document: Document
    request: Request
    foreign: bool


def read_stored(data: bytes) -> StoredDocument:
    """Read a file's content; FormatError if it is not a recording."""
    document = recording_format.loads(data)
    foreign = llamastack.is_llamastack(document)
    if foreign:
        document = llamastack.convert(document).document
    request = to_request(_without_body(document["request"]))
    # The members but the chunks, which take longest to check.
    response = document["response"]
    to_response({**response, "body": [] if response.get("is_streaming") else None}, request.path)
    return StoredDocument(document, request, foreign)


def listed(
    stored: StoredDocument,
    name: str,
    session: str | None,
    known: Known,
    size: int,
    whole: Conversation | None = None,
) -> ListedRecording:
    """The row of a recording; `whole` is its conversation, if that was read already."""
    document, request = stored.document, stored.request
    provider, seen = _provider(request, known.providers), summary(document, whole)
    return ListedRecording(
        name=name,
        session=session,
        provider=provider,
        request=request,
        summary=seen,
        cost=known.prices.cost(provider, seen.model, seen.usage) if known.prices else None,
        recorded_at=recorded_at(document),
        size=size,
        foreign=stored.foreign,
        edited="edited" in document,
    )


def _provider(request: Request, providers: Providers) -> str:
    provider = providers.find(request.host, request.port)
    return provider.name if provider else providers.host_key(request.host, request.port)


def _without_body(request: Document) -> Document:
    return {name: value for name, value in request.items() if not name.startswith("body")}


_KEYS: Final[dict[str, Callable[[ListedRecording], Any]]] = {
    "name": lambda row: by_take(row.name),
    "provider": lambda row: row.provider,
    "model": lambda row: (row.summary.model or "").lower(),
    "tokens": lambda row: row.summary.usage.tokens,
    "cost": lambda row: row.cost.amount if row.cost else -1,
    "chunks": lambda row: row.summary.chunks,
    # The oldest is the largest; of unknown age is the oldest of all.
    "age": lambda row: (
        -(row.recorded_at or _LONG_AGO).timestamp() if row.recorded_at else float("inf")
    ),
    "size": lambda row: row.size,
    "status": lambda row: row.summary.status or 0,
}


def ordered(
    rows: Iterable[ListedRecording], by: str, *, reverse: bool = False
) -> list[ListedRecording]:
    """The rows by a column, those that are equal there by name and take."""
    named_first = sorted(rows, key=lambda row: by_take(row.name))
    return sorted(named_first, key=_KEYS[by], reverse=reverse)

"""What a list shows of a recording.

It imports nothing that reads one: an earlier listing may know all that is shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from wiretape.core.text.printable import printable, size

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRecording:
    """One recording at a glance.

    `prompt` is its start, on one line. `usage` and `cost` are as in JSON; `cost` is what it cost to
    record by today's prices, None where no price is known, and `cost_text` the same for people.
    `size` is the file's, in bytes; `foreign` says that it is llama-stack's.
    """

    name: str
    session: str | None
    provider: str
    host: str
    method: str
    path: str
    model: str | None
    prompt: str
    usage: Mapping[str, Any]
    cost: Mapping[str, str] | None
    cost_text: str
    streamed: bool
    chunks: int
    status: int | None
    end: str
    recorded_at: datetime | None
    size: int
    foreign: bool
    edited: bool

    @property
    def tokens_in(self) -> int | None:
        """The tokens of the request."""
        return self.usage.get("tokens_in")

    @property
    def tokens_out(self) -> int | None:
        """The tokens of the answer."""
        return self.usage.get("tokens_out")

    def cells(self, now: datetime, *, brief: bool = False) -> tuple[str, ...]:
        """The texts of the columns, each on one line; with `brief` the names of model and recording
        only after their last "/".
        """
        both = [self.tokens_in, self.tokens_out]
        tokens = (
            "-" if both == [None, None] else "/".join("?" if n is None else str(n) for n in both)
        )
        status = f"{self.status}" + ("" if self.end == "complete" else f" {self.end}")
        status += " edited" if self.edited else ""
        return (
            self.provider,
            _short(self.model or "-", brief=brief),
            self.prompt or "-",
            f"~{tokens}" if self.usage.get("estimated") else tokens,
            self.cost_text,
            str(self.chunks) if self.streamed else "-",
            "-" if self.recorded_at is None else age(now, self.recorded_at),
            size(self.size),
            status,
            _short(self.name, brief=brief).removesuffix(".json" if brief else ""),
        )

    def values(self) -> list[Any]:
        """All but what its file's name says, as JSON can hold it; see `from_values`."""
        values = [getattr(self, name) for name in _VALUES]
        values[_TIME] = self.recorded_at and self.recorded_at.isoformat()
        return values

    def as_json(self) -> dict[str, Any]:
        """The row for `--json`."""
        return {
            "name": self.name,
            "session": self.session,
            "provider": self.provider,
            "host": self.host,
            "method": self.method,
            "path": self.path,
            "model": self.model,
            "prompt": self.prompt,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "usage": self.usage,
            "cost": self.cost,
            "streamed": self.streamed,
            "chunks": self.chunks,
            "status": self.status,
            "end": self.end,
            "recorded_at": None if self.recorded_at is None else self.recorded_at.isoformat(),
            "size": self.size,
            "foreign": self.foreign,
            "edited": self.edited,
        }


_VALUES: Final = tuple(field.name for field in fields(ListedRecording))[2:]
_TIME: Final = _VALUES.index("recorded_at")


def from_values(name: str, session: str | None, values: list[Any]) -> ListedRecording:
    """The row of a recording, from the `values` of an equal one."""
    members = dict(zip(_VALUES, values, strict=True))
    if members["recorded_at"] is not None:
        members["recorded_at"] = datetime.fromisoformat(members["recorded_at"])
    return ListedRecording(name=name, session=session, **members)


def _short(name: str, *, brief: bool) -> str:
    """A name for one cell; in brief only what comes after its last slash."""
    return printable(name.rstrip("/").rpartition("/")[2] if brief else name, one_line=True)


def age(now: datetime, then: datetime) -> str:
    """How long ago that was, in its largest unit: "3d", "12h", "5m"."""
    seconds = max(0, int((now - then).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"

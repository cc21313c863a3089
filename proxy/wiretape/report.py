"""What happened in a run: a row an exchange, the counts, and the exit status they ask for."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from .miss import Miss

type Outcome = Literal["recorded", "replayed", "missed", "skipped", "refused", "failed", "passed"]
"""recorded, replayed; missed: no recording; skipped: not to be recorded (an error answer, an
upgrade); refused: would have held a secret or could not be written; failed: the provider was not
reached; passed: forwarded without a recording.
"""

EXIT_MISS: Final = 3
EXIT_REFUSED: Final = 4


@dataclass(frozen=True, slots=True)
class Row:
    """One exchange as terminal and report show it; times in seconds, redacted throughout."""

    outcome: Outcome
    provider: str
    method: str
    path: str
    model: str | None = None
    status: int | None = None
    chunks: int | None = None
    first_chunk: float | None = None
    duration: float | None = None
    recording: str | None = None
    note: str | None = None
    miss: Miss | None = None

    def as_json(self) -> dict[str, Any]:
        """The row for `--report`: members that say nothing are left out."""
        names = [name for name in self.__slots__ if name != "miss"]
        members = {name: getattr(self, name) for name in names}
        if self.miss is not None:
            members["miss"] = self.miss.as_json()
        for name in ("first_chunk", "duration"):
            if members[name] is not None:
                members[name] = round(members[name], 3)
        return {name: value for name, value in members.items() if value is not None}


@dataclass(slots=True)
class Underway:
    """An exchange that has begun: what it is, and how many reads or chunks have passed by now."""

    provider: str
    method: str
    path: str
    model: str | None
    started: float
    count: Callable[[], int]


@dataclass(slots=True)
class Report:
    """The rows of a run and what else is worth telling.

    `listen` is called with each row as it comes and `notify` with each notice; `watched` says that
    somebody looks at `underway`, the exchanges that have begun.
    """

    mode: str
    rows: list[Row] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    connections: int = 0
    redactions: Counter[str] = field(default_factory=Counter)
    beyond: int = 0
    other_hosts: Counter[str] = field(default_factory=Counter)
    listen: Callable[[Row], None] | None = None
    notify: Callable[[str], None] | None = None
    watched: bool = False
    underway: dict[object, Underway] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """An exchange is over."""
        self.rows.append(row)
        if self.listen is not None:
            self.listen(row)

    def begin(self, token: object, row: Row, started: float, count: Callable[[], int]) -> None:
        """An exchange has begun; `started` is `time.perf_counter`'s, `end` takes it away again."""
        self.underway[token] = Underway(
            row.provider, row.method, row.path, row.model, started, count
        )

    def end(self, token: object) -> None:
        """An exchange that had begun is over, or is told of by its row from now on."""
        self.underway.pop(token, None)

    def notice(self, text: str) -> None:
        """Something the user should know, said once."""
        if text not in self.notices:
            self.notices.append(text)
            if self.notify is not None:
                self.notify(text)

    @property
    def counts(self) -> Counter[Outcome]:
        return Counter(row.outcome for row in self.rows)

    @property
    def exit_status(self) -> int:
        """0, or what a run that was otherwise well exits with: 4 for a loss, 3 for a miss."""
        counts = self.counts
        if counts["refused"]:
            return EXIT_REFUSED
        # In replay there is no provider that could have failed.
        missed = counts["missed"] or (self.mode == "replay" and counts["failed"])
        return EXIT_MISS if missed else 0

    def as_json(self) -> dict[str, Any]:
        """The document `--report` writes."""
        return {
            "wiretape_report": 1,
            "mode": self.mode,
            "counts": dict(sorted(self.counts.items())),
            "beyond_last_take": self.beyond,
            "redactions": dict(sorted(self.redactions.items())),
            "notices": self.notices,
            "exchanges": [row.as_json() for row in self.rows],
        }

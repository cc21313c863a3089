"""Read from reports which recordings runs still need."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wiretape.core.errors import FormatError
from wiretape.core.text import exact_json

REPORT_VERSION: Final = 1

_MAX_DEPTH: Final = 2 * exact_json.MAX_DEPTH
_UNSURE: Final[dict[str, str]] = {
    "missed": "no recording answered",
    "failed": "failed",
    "refused": "could not be recorded",
}


@dataclass(frozen=True, slots=True)
class Used:
    """What runs answered from or recorded: the names of recordings by session, and why more of them
    might be needed than that (a run with misses may have ended before it was through).
    """

    names: Mapping[str | None, frozenset[str]] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    def __or__(self, other: "Used") -> "Used":
        sessions = dict.fromkeys((*self.names, *other.names))
        return Used(
            {
                session: self.names.get(session, frozenset())
                | other.names.get(session, frozenset())
                for session in sessions
            },
            (*self.doubts, *other.doubts),
        )


def read_report(data: bytes, source: str) -> Used:
    """What a file says that `--report FILE` wrote; FormatError names `source` and what is wrong."""
    return used_in(parse_report(data, source), source)


def parse_report(data: bytes, source: str) -> dict[str, Any]:
    """The document of a file that `--report FILE` wrote; errors as `read_report`."""
    try:
        report = exact_json.parse(data, max_depth=_MAX_DEPTH)
    except (UnicodeDecodeError, ValueError):
        report = None
    if not isinstance(report, dict) or "wiretape_report" not in report:
        raise FormatError(
            f"{source}: not a report; expected the JSON that `wiretape replay --report FILE.json"
            " -- CMD` writes"
        )
    version = report["wiretape_report"]
    if version != REPORT_VERSION or isinstance(version, bool):
        raise FormatError(
            f"{source}: a report of version {version!r:.20}; this wiretape reads version"
            f" {REPORT_VERSION}: run CMD again with --report, with this wiretape"
        )
    rows = report.get("exchanges")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FormatError(f"{source}: exchanges: expected a list of objects; run CMD again")
    return report


def used_in(report: Mapping[str, Any], source: str) -> Used:
    """What a report says; errors as `read_report`."""
    rows = report["exchanges"]
    names: dict[str | None, set[str]] = {}
    for at, row in enumerate(rows):
        if row.get("recording") is not None and row.get("outcome") in ("replayed", "recorded"):
            session = _text(row, "session", source, at) if row.get("session") is not None else None
            names.setdefault(session, set()).add(_text(row, "recording", source, at))
    used = {session: frozenset(recordings) for session, recordings in names.items()}
    return Used(used, tuple(_doubts(report, rows, source)))


def _text(row: Mapping[str, Any], name: str, source: str, at: int) -> str:
    value = row[name]
    if not isinstance(value, str):
        raise FormatError(f"{source}: exchanges[{at}].{name}: expected text; run CMD again")
    return value


def _doubts(report: Mapping[str, Any], rows: list[Any], source: str) -> Iterable[str]:
    for outcome, what in _UNSURE.items():
        number = sum(row.get("outcome") == outcome for row in rows)
        if number:
            yield f"{source}: {what} {number} of {len(rows)} requests"
    # Of CMD itself: tests that failed may not have asked all they ask.
    if report.get("command_status"):
        yield f"{source}: CMD ended with status {report['command_status']!r:.10}"
    if not rows:
        yield f"{source}: the run made no request"

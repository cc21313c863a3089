"""What the page shows of a run: from the file of `--report`, or of a run that is under way."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wiretape.core.errors import FormatError
from wiretape.core.matching.canonical import ABSENT, Difference
from wiretape.core.matching.diff_text import sides, word_diff
from wiretape.core.text.word_diff import Run

_ROWS: Final = 2_000
_MISSES: Final = 50
_SLOWEST: Final = 5
_SIDES: Final = ("got", "recorded")
_BAD: Final = ("missed", "refused", "failed")


@dataclass(frozen=True, slots=True)
class MissView:
    """A miss, how often it came, and its differences: a path with runs of words, or two sides."""

    miss: Mapping[str, Any]
    times: int
    differences: list[tuple[str, list[Run] | None, tuple[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run as its template shows it; `rows` are the latest of its exchanges, in order."""

    mode: str
    is_live: bool
    counts: dict[str, int]
    rows: list[dict[str, Any]]
    more: int
    misses: list[MissView]
    lost: list[dict[str, Any]]
    slowest: list[dict[str, Any]]
    notices: list[str]
    usage: dict[str, dict[str, Any]]
    other_hosts: list[dict[str, Any]]
    stale: list[dict[str, Any]]


def run_view(report: Mapping[str, Any], *, is_live: bool = False) -> RunView:
    """Lay out a report's document for the template; raises FormatError if it is not one."""
    try:
        return _view(report, is_live)
    except (TypeError, KeyError, AttributeError, ValueError):
        raise FormatError("not a whole report; run CMD again with --report") from None


def _view(report: Mapping[str, Any], is_live: bool) -> RunView:
    rows: list[dict[str, Any]] = report["exchanges"]
    missed = Counter(row["miss"]["message"] for row in rows if row.get("miss"))
    misses = {row["miss"]["message"]: row["miss"] for row in rows if row.get("miss")}
    timed = [row for row in rows if isinstance(row.get("first_chunk"), int | float)]
    return RunView(
        mode=str(report["mode"]),
        is_live=is_live,
        counts={str(name): int(number) for name, number in report["counts"].items() if number},
        rows=rows[-_ROWS:],
        more=max(0, len(rows) - _ROWS),
        misses=[_miss(misses[text], number) for text, number in missed.most_common(_MISSES)],
        lost=[row for row in rows if row["outcome"] in _BAD and not row.get("miss")][:_MISSES],
        slowest=sorted(timed, key=lambda row: -row["first_chunk"])[:_SLOWEST],
        notices=list(map(str, report.get("notices", ()))),
        usage=dict(report.get("usage", {})),
        other_hosts=list(report.get("other_hosts", ())),
        stale=list(report.get("stale", ())),
    )


def _miss(miss: Mapping[str, Any], times: int) -> MissView:
    # A report has null where a side has nothing.
    differences = [
        Difference(d["path"], *(ABSENT if d[side] is None else d[side] for side in _SIDES))
        for d in miss["differences"]
    ]
    return MissView(
        miss,
        times,
        [(d.path, word_diff(d), sides(d)) for d in differences],
    )

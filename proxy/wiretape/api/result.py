"""What a run or a session came to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wiretape.core.errors import WiretapeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run, or one session of it, came to by now.

    `counts` says how often each thing happened ("replayed", "recorded", "missed", …), `problems`
    has the text of each miss and of what could not be recorded, once each; `used` and `unused` name
    recordings below their folder (of a run `unused` is empty: `wiretape unused` finds those).
    `exchanges` are a run's rows as `--report` writes them. `status` is what the command would exit
    with: 0; 3 for a miss or where nothing reached the proxy; 4 for what could not be recorded.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    exchanges: tuple[Mapping[str, Any], ...] = ()
    status: int = 0
    summary: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.problems or self.status)

    def __str__(self) -> str:
        return "\n".join([self.summary, *self.problems, *self.notices])


class RunFailed(WiretapeError):
    """Requests missed, or could not be recorded, in a block that was otherwise well: `result` says
    which. Code in the block may have swallowed what its client said of it.
    """

    def __init__(self, result: Result) -> None:
        super().__init__(str(result))
        self.result = result


def of_run(answer: Mapping[str, Any]) -> Result:
    """A run's, from what its process answered."""
    report = answer["report"]
    rows = report["exchanges"]
    return Result(
        counts=report["counts"],
        problems=tuple(answer["problems"]),
        notices=tuple(report["notices"]),
        used=_names(row["recording"] for row in rows if "recording" in row),
        exchanges=tuple(rows),
        status=answer["status"],
        summary=answer["summary"],
    )


def of_session(name: str, document: Mapping[str, Any]) -> Result:
    """A session's, from what the control endpoint answered."""
    counts = document["counts"]
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    return Result(
        counts=counts,
        problems=tuple(document.get("problems", ())),
        used=_names(document["used"]),
        unused=_names(document.get("unused", ())),
        summary=f"wiretape session {name}: {outcomes or 'no exchanges'}",
    )


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))

"""One thing that the doctor looked at: how it is, and what to do."""

from dataclasses import asdict, dataclass
from typing import Literal

type State = Literal["ok", "note", "fault", "skipped"]
"""In order; worth knowing; to be mended (exit status 1); not there to be looked at."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was looked at, its state, what was seen, and what to do about it, if anything."""

    name: str
    state: State
    seen: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """The finding for `--json`; without empty advice."""
        return {key: value for key, value in asdict(self).items() if value}

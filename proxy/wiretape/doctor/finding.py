"""One thing that the doctor looked at: how it is, and what to do."""

from dataclasses import asdict, dataclass
from typing import Literal

type State = Literal["ok", "note", "fault", "skipped"]
"""`note` is worth knowing, `fault` must be mended (exit status 1), `skipped` was not checked."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was checked, its state, what was seen, and what to do about it, if anything."""

    name: str
    state: State
    seen: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """The finding for `--json`; without empty advice."""
        return {key: value for key, value in asdict(self).items() if value}

"""What a run may do: how it writes recordings, and what becomes of a request that none answers."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal

from .selection import Selection

type RecordMode = Literal["replace", "append", "missing-only"]
"""A key that is recorded again: its takes are replaced, added to, or left as they are."""


MISS_STATUS: Final = 400
"""Asked once and shown by all clients that were measured (docs/replay.md). A 404 Claude Code takes
for a model that does not exist, and coding agents ask five times again.
"""


@dataclass(frozen=True, slots=True)
class OnMiss:
    """What becomes of a miss: it fails, is recorded, or passes through to these hosts alone (a
    host, host:port, or a pattern such as *.example.com).
    """

    action: Literal["fail", "record", "passthrough"]
    hosts: tuple[str, ...] = ()

    def passes(self, host: str, port: int | None = None) -> bool:
        """Whether a miss of this host (any case) goes to the provider unrecorded."""
        host = host.lower().rstrip(".")
        return self.action == "passthrough" and any(
            fnmatchcase(name, pattern)
            for pattern in self.hosts
            for name in (host, f"{host}:{port}")
        )


_RECORD: Final = OnMiss("record")


@dataclass(frozen=True, slots=True)
class Policy:
    """What a run that may contact the provider asks it for: what `fresh` selects, misses, and with
    `fill` the takes that are missing in the middle of a sequence.
    """

    on_miss: OnMiss = _RECORD
    fresh: Selection | None = None
    fill: bool = False

"""When a replayed answer's parts leave: at once, as when recorded, or N times as fast."""

import re
from dataclasses import dataclass
from itertools import accumulate
from math import isfinite
from typing import Final, Self

from .model import Response

NOMINAL_DELAY: Final = 0.02
"""Seconds before a chunk whose time was not recorded: 50 chunks a second, a usual model's speed."""

SLOWEST: Final = 0.01
FASTEST: Final = 1000.0

_FACTOR: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})x", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the parts of an answer are due, in seconds after the request; never decreasing.

    `chunks` has one time for each chunk, `end` is when the answer ends or breaks off.
    """

    headers: float
    chunks: tuple[float, ...]
    end: float


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast answers are replayed: `factor` times as fast as recorded, or, if None, at once."""

    factor: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "instant", "recorded" (the same as "1x") or a factor from "0.01x" to "1000x".

        "2x" is twice as fast as recorded. Raises ValueError, which says what is allowed.
        """
        if text == "instant":
            return cls()
        if text == "recorded":
            return cls(1.0)
        found = _FACTOR.fullmatch(text)
        if not found:
            shown = text if len(text) <= 40 else text[:39] + "…"
            raise ValueError(f"expected instant, recorded or a factor such as 2x, got {shown!r}")
        factor = float(found[1])
        if not SLOWEST <= factor <= FASTEST:
            raise ValueError(
                f"expected a factor from {SLOWEST:g}x to {FASTEST:g}x, got {factor:g}x"
            )
        return cls(factor)

    def __str__(self) -> str:
        if self.factor is None:
            return "instant"
        return "recorded" if self.factor == 1 else f"{self.factor:.12g}x"

    @property
    def is_instant(self) -> bool:
        return self.factor is None

    def schedule(self, response: Response) -> Schedule:
        """When each part of an answer is due.

        A chunk without a time comes `NOMINAL_DELAY` after what is before it; headers without one
        leave with the first chunk. Times that run backwards are held at the latest one so far.
        """
        if self.factor is None:
            return Schedule(0.0, (0.0,) * len(response.chunks), 0.0)
        headers = _measured(response.headers_at)
        chunks = tuple(
            accumulate((chunk.at for chunk in response.chunks), _after, initial=headers or 0.0)
        )[1:]
        if headers is None:
            headers = chunks[0] if chunks else 0.0
        last = chunks[-1] if chunks else headers
        end = max(last, _measured(response.end_at) or 0.0)
        return Schedule(
            headers / self.factor,
            tuple(at / self.factor for at in chunks),
            end / self.factor,
        )


def _measured(at: float | None) -> float | None:
    """A time of a file that anybody may have edited: None where it is no time at all."""
    return max(at, 0.0) if at is not None and isfinite(at) else None


def _after(before: float, at: float | None) -> float:
    measured = _measured(at)
    return before + NOMINAL_DELAY if measured is None else max(before, measured)

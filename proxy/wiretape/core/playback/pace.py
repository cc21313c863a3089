"""When to send the parts of a replayed answer: at once, as recorded, N times as fast, or at a
model's speed.
"""

import re
from dataclasses import dataclass
from itertools import accumulate
from math import isfinite
from typing import Final, Self
from zlib import crc32

from wiretape.core.model import Response

from .seeded_random import draw

NOMINAL_DELAY: Final = 0.02
"""Seconds before a chunk whose time was not recorded: 50 chunks a second, as usual models."""

SLOWEST: Final = 0.01
FASTEST: Final = 1000.0

_FACTOR: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})x", re.IGNORECASE)
_NUMBER: Final = r"([0-9]{1,9}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})"
_SPEED: Final = {
    "ttft": re.compile(_NUMBER + "(s|ms)?"),
    "tps": re.compile(_NUMBER),
    "jitter": re.compile(_NUMBER),
    "seed": re.compile(r"([0-9]{1,18})"),
}
_NOTHING: Final = re.compile(r"(?!)")


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
    """How fast answers are replayed: `factor` times as fast as recorded, or, if None, at once.

    `ttft` (seconds to the first chunk) and `tps` (chunks a second after it) replace the recorded
    times; `jitter` is the most that a gap may deviate, as a fraction of it, drawn by `seed`.
    """

    factor: float | None = None
    ttft: float | None = None
    tps: float | None = None
    jitter: float = 0.0
    seed: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "instant", "recorded" (the same as "1x"), a factor from "0.01x" to "1000x", or a
        model's speed such as "ttft=0.4,tps=60,jitter=0.2,seed=7" (with one of the first two).

        Raises ValueError, which says what is allowed.

        >>> Pace.parse("2x").schedule(Response(200, headers_at=1.0, end_at=3.0))  # twice as fast
        Schedule(headers=0.5, chunks=(), end=1.5)
        """
        if "=" in text:
            speed = _speed(text)
            return cls(
                None,
                speed.get("ttft"),
                speed.get("tps"),
                speed.get("jitter", 0.0),
                int(speed.get("seed", 0)),
            )
        if text == "instant":
            return cls()
        if text == "recorded":
            return cls(1.0)
        match = _FACTOR.fullmatch(text)
        if match is None:
            shown = text if len(text) <= 40 else text[:39] + "…"
            raise ValueError(
                "expected instant, recorded, a factor such as 2x or a speed such as"
                f" ttft=0.4,tps=60, got {shown!r}"
            )
        factor = float(match[1])
        if not SLOWEST <= factor <= FASTEST:
            raise ValueError(
                f"expected a factor from {SLOWEST:g}x to {FASTEST:g}x, got {factor:g}x"
            )
        return cls(factor)

    def __str__(self) -> str:
        if self._is_speed:
            parts = [
                f"{name}={value:.12g}"
                for name in ("ttft", "tps")
                if (value := getattr(self, name)) is not None
            ]
            if self.jitter:
                parts += [f"jitter={self.jitter:.12g}", f"seed={self.seed}"]
            return ",".join(parts)
        if self.factor is None:
            return "instant"
        return "recorded" if self.factor == 1 else f"{self.factor:.12g}x"

    @property
    def is_instant(self) -> bool:
        return self.factor is None and not self._is_speed

    @property
    def _is_speed(self) -> bool:
        return self.ttft is not None or self.tps is not None

    def schedule(self, response: Response) -> Schedule:
        """When each part of an answer is due.

        A chunk without a time comes `NOMINAL_DELAY` after what precedes it; headers without one
        leave with the first chunk. A time that runs backwards becomes the latest time so far.
        """
        if self.is_instant:
            return Schedule(0.0, (0.0,) * len(response.chunks), 0.0)
        if self._is_speed:
            return self._at_speed(response)
        return _recorded(response, self.factor or 1.0)

    def _at_speed(self, response: Response) -> Schedule:
        count = len(response.chunks)
        recorded = _recorded(response, 1.0)
        first = self.ttft
        if first is None:
            first = recorded.chunks[0] if count else recorded.end
        if self.tps is None:
            # Only the wait before the first chunk changes.
            moved = first - (recorded.chunks[0] if count else recorded.end)
            chunks = tuple(at + moved for at in recorded.chunks)
            return Schedule(
                min(max(recorded.headers + moved, 0.0), first), chunks, recorded.end + moved
            )
        # The same answer has the same times in every replay.
        sequence = f"{self.seed}:{count}:{crc32(response.chunks[0].data) if count else 0}"
        gaps = (
            (1 + self.jitter * (2 * draw(sequence, number) - 1)) / self.tps
            for number in range(max(count - 1, 0))
        )
        chunks = tuple(accumulate(gaps, initial=first)) if count else ()
        return Schedule(first, chunks, chunks[-1] if chunks else first)


def _recorded(response: Response, factor: float) -> Schedule:
    headers = _measured(response.headers_at)
    chunks = tuple(
        accumulate((chunk.at for chunk in response.chunks), _after, initial=headers or 0.0)
    )[1:]
    if headers is None:
        headers = chunks[0] if chunks else 0.0
    last = chunks[-1] if chunks else headers
    end = max(last, _measured(response.end_at) or 0.0)
    return Schedule(headers / factor, tuple(at / factor for at in chunks), end / factor)


def _speed(text: str) -> dict[str, float]:
    """Parse a speed: "ttft=400ms,tps=60" is {"ttft": 0.4, "tps": 60.0}."""
    speed: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        number = _SPEED.get(name, _NOTHING).fullmatch(value.strip())
        if number is None or name in speed:
            shown = part.strip()[:40]
            raise ValueError(
                "expected ttft=SECONDS (or 400ms), tps=CHUNKS A SECOND, jitter=0 to 1 and seed=N,"
                f" each once and parted by commas, got {shown!r}"
            )
        speed[name] = int(number[1]) if name == "seed" else float(number[1])
        if name == "ttft" and number[2] == "ms":
            speed[name] = float(number[1]) / 1000
    if "ttft" not in speed and "tps" not in speed:
        raise ValueError("expected ttft=SECONDS or tps=CHUNKS A SECOND beside jitter and seed")
    for name, least, most in (("ttft", 0, 3600), ("tps", 0.01, 100_000), ("jitter", 0, 1)):
        if not least <= speed.get(name, least) <= most:
            raise ValueError(f"expected {name} from {least:g} to {most:g}")
    return speed


def _measured(at: float | None) -> float | None:
    """A time from a file that anybody may have edited; None if it is not finite."""
    return max(at, 0.0) if at is not None and isfinite(at) else None


def _after(before: float, at: float | None) -> float:
    measured = _measured(at)
    return before + NOMINAL_DELAY if measured is None else max(before, measured)

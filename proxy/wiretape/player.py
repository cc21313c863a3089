"""Which take answers next: equal requests are answered in the order they were recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

type Repeat = Literal["last", "cycle", "miss"]
"""What answers a request after the last take: that take again, the first again, or nothing."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Which take to give (from 0), and whether it was given before."""

    take: int
    beyond: bool


class Player:
    """A cursor for each key of a session."""

    def __init__(self, repeat: Repeat = "last") -> None:
        self._repeat = repeat
        self._given: dict[str, int] = {}

    def next(self, key: str, takes: Sequence[object]) -> Turn | None:
        """The turn of the next request with this key; None where the takes are used up."""
        given = self._given.get(key, 0)
        beyond = given >= len(takes)
        if not takes or (beyond and self._repeat == "miss"):
            return None
        self._given[key] = given + 1
        take = (
            given
            if not beyond
            else len(takes) - 1
            if self._repeat == "last"
            else given % len(takes)
        )
        return Turn(take, beyond)

    def reset(self) -> None:
        """Start every key over."""
        self._given.clear()

"""Which take answers next: equal requests are answered in the order they were recorded."""

from collections.abc import Callable, Sequence
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

    def next(
        self,
        key: str,
        takes: Sequence[object],
        lasting: Callable[[int], bool] = lambda take: True,
    ) -> Turn | None:
        """The turn of the next request with this key; None where the takes are used up.

        `lasting` tells whether a take may be given for ever: an outage is given as often as it was
        recorded, and then the last take that is none.
        """
        given = self._given.get(key, 0)
        beyond = given >= len(takes)
        if not takes or (beyond and self._repeat == "miss"):
            return None
        take = given
        if beyond and self._repeat == "cycle":
            take = given % len(takes)
        elif beyond:
            take = len(takes) - 1
            while take >= 0 and not lasting(take):
                take -= 1
            if take < 0:
                return None
        self._given[key] = given + 1
        return Turn(take, beyond)

    def given(self) -> dict[str, int]:
        """How often each key was asked for."""
        return dict(self._given)

    def reset(self) -> None:
        """Start every key over."""
        self._given.clear()

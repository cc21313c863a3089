"""Choose the take that answers next: equal requests are answered in the order of recording."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol

type Repeat = Literal["last", "cycle", "miss"]
"""What answers a request after the last take: that take, the first again, or nothing."""


class Take(Protocol):
    """A recording of a request; its name is unique in a session."""

    @property
    def name(self) -> str: ...


class Pick(NamedTuple):
    """The index of the take to give, and whether the takes are used up."""

    take: int
    beyond: bool


@dataclass(slots=True)
class _Cursor:
    """How many takes of a request were given (`next`), and whether they repeat."""

    takes: Sequence[Take]
    next: int = 0
    is_repeating: bool = False


class Player:
    """Remembers which recordings a session was given.

    A recording may be a take of several keys: of a request's key with its ids replaced by their
    sources and of its key with the ids as they are. It is given once all the same, and nothing
    recorded before it is given after it.

    >>> from types import SimpleNamespace
    >>> takes = [SimpleNamespace(name="a.json"), SimpleNamespace(name="b.json")]
    >>> player = Player()
    >>> [player.next("key", takes) for _ in range(3)]
    [Pick(take=0, beyond=False), Pick(take=1, beyond=False), Pick(take=1, beyond=True)]
    """

    def __init__(self, repeat: Repeat = "last") -> None:
        self.repeat: Final = repeat
        # For each recording that was given how often, the latest last.
        self._given: dict[str, int] = {}
        self._cursors: dict[Hashable, _Cursor] = {}
        # For each recording the keys that it is a take of, with its index among the takes.
        self._indexes: dict[str, dict[Hashable, int]] = {}

    def next(
        self,
        key: Hashable,
        takes: Sequence[Take],
        may_last: Callable[[int], bool] = lambda take: True,
    ) -> Pick | None:
        """Give the take for the next request with this key; None if they are used up. `takes` and
        `may_last` as `choose` has them.
        """
        pick = self.choose(key, takes, may_last)
        if pick is not None:
            self.give(takes[pick.take].name)
        return pick

    def choose(
        self,
        key: Hashable,
        takes: Sequence[Take],
        may_last: Callable[[int], bool] = lambda take: True,
    ) -> Pick | None:
        """The take for the next request with this key, which `give` then counts as given; None if
        they are used up. `takes` are in the order they were recorded.

        `may_last` says whether a take may be repeated: an outage is given as often as it was
        recorded, and then the last take that is not an outage.
        """
        if not takes:
            return None
        cursor = self._cursor(key, takes)
        take = cursor.next
        if take == len(takes):
            if self.repeat == "miss":
                return None
            cursor.is_repeating = True
            take = 0 if self.repeat == "cycle" else self._last(takes, may_last)
            if take < 0:
                return None
        return Pick(take, cursor.is_repeating)

    @staticmethod
    def _last(takes: Sequence[Take], may_last: Callable[[int], bool]) -> int:
        take = len(takes) - 1
        while take >= 0 and not may_last(take):
            take -= 1
        return take

    def upcoming(self, key: Hashable, takes: Sequence[Take]) -> int:
        """The index of the next take, or how many takes were given."""
        return self._cursor(key, takes).next if takes else 0

    def is_repeated(self, name: str) -> bool | None:
        """Whether the only take of a key, which is no outage, is given again when it is next; None
        if it is used up.
        """
        was_given = name in self._given
        return None if was_given and self.repeat == "miss" else was_given

    def was_given(self, name: str) -> bool:
        """Whether a take was given, or passed over."""
        return name in self._given

    def _cursor(self, key: Hashable, takes: Sequence[Take]) -> _Cursor:
        cursor = self._cursors.get(key)
        if cursor is not None and cursor.takes is takes:
            return cursor
        if cursor is not None:
            for take in cursor.takes:
                self._indexes[take.name].pop(key, None)
        cursor = self._cursors[key] = _Cursor(takes)
        numbers = {}
        for number, take in enumerate(takes):
            self._indexes.setdefault(take.name, {})[key] = numbers[take.name] = number
            if take.name in self._given:
                cursor.next = number + 1
        if self.repeat == "cycle" and cursor.next:
            given = [name for name in reversed(self._given) if name in numbers]
            cursor.next = numbers[given[0]] + 1
            cursor.is_repeating = any(self._given[name] > 1 for name in given)
        return cursor

    def give(self, name: str) -> None:
        """Count a take as given, here or by another process, or a missing one as passed over."""
        self._given[name] = self._given.pop(name, 0) + 1
        for key, number in self._indexes.get(name, {}).items():
            cursor = self._cursors[key]
            if self.repeat == "cycle":
                cursor.is_repeating |= number < cursor.next
                cursor.next = number + 1
            else:
                cursor.next = max(cursor.next, number + 1)

    def reset(self) -> None:
        """Start over for every request."""
        self._given.clear()
        self._cursors.clear()
        self._indexes.clear()


class TakeOrder:
    """Orders the takes of a WebSocket's opening request, so that each gets its turn."""

    def __init__(self) -> None:
        self._uses: dict[str, int] = {}

    def order(self, names: Sequence[str], first: int = 0) -> list[str]:
        """Sort the names by how often they have answered, then from index `first` on."""
        rotated = [*names[first:], *names[:first]]
        return sorted(rotated, key=lambda name: self._uses.get(name, 0))

    def used(self, name: str) -> None:
        """Count an answer of a recording."""
        self._uses[name] = self._uses.get(name, 0) + 1

    def reset(self) -> None:
        """Start over."""
        self._uses.clear()

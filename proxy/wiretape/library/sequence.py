"""The sequence that recordings of one request make: which belong to it, and in what order.

A request with an id in it is found under two keys: with the id told by its origin, and as it is
spelled. Both lead to one sequence. What a recording says of an id holds from the answer that
created it until it is created again: that is one *life* of the id.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from wiretape.core.recording.given_ids import AnswerId

_LATER: Final = 1_000_000
_KEY: Final = re.compile(r"[0-9a-f]{12}")
_TAKE: Final = re.compile(r"\.(\d{1,6})$")

type Life = str | None
"""The token of the recording that created an id; "" before any did; None: it cannot be told."""

type Creators = Mapping[str, Sequence[tuple[int, str]]]
"""The recordings that created an id, in order: when, in microseconds of the epoch, and their token
(KEY12[.TAKE]).
"""


class Recorded(Protocol):
    """What the place of a recording in a sequence depends on."""

    @property
    def name(self) -> str: ...
    @property
    def take(self) -> int: ...
    @property
    def recorded(self) -> int: ...
    @property
    def hops(self) -> int: ...


class Sending(Recorded, Protocol):
    """A recording whose request may send ids back."""

    @property
    def links(self) -> Mapping[str, str]: ...


def in_recorded_order[R: Recorded](recordings: Iterable[R]) -> list[R]:
    """Recordings in the order they were made. Takes of one name keep the order of their numbers,
    whatever a hand wrote into them. Earlier versions told times to the second alone; of what they
    recorded, `hops` tells which poll came after which.
    """
    by_stem: dict[str, list[R]] = {}
    for recording in sorted(recordings, key=lambda recording: (recording.take, recording.name)):
        by_stem.setdefault(stem_of(recording.name), []).append(recording)
    ranked: list[tuple[tuple[tuple[int, int], int, str], R]] = []
    for takes in by_stem.values():
        latest = (0, 0)
        for take in takes:
            latest = max(latest, (take.recorded, take.hops))
            ranked.append(((latest, take.take, take.name), take))
    return [recording for _, recording in sorted(ranked, key=lambda pair: pair[0])]


def take_of(name: str) -> int:
    """The number of a take, by the file's name: "3f2a00112233.2.json" is the second."""
    found = _TAKE.search(name.rpartition("/")[2].removesuffix(".json"))
    return int(found[1]) if found else 1


def by_take(name: str) -> tuple[str, int]:
    """What sorts names so that the tenth take comes after the second."""
    return stem_of(name), take_of(name)


def name_of_take(stem: str, number: int) -> str:
    """The name of a take."""
    return f"{stem}.json" if number == 1 else f"{stem}.{number}.json"


def missing_before(names: Sequence[str], at: int) -> Iterator[str]:
    """The takes that should stand before one in a sequence and do not, by name.

    >>> list(missing_before(["h/e/3f2a00112233.json", "h/e/3f2a00112233.4.json"], 1))
    ['h/e/3f2a00112233.2.json', 'h/e/3f2a00112233.3.json']
    """
    stem, take = by_take(names[at])
    # What is named otherwise was named by a hand, which may count as it likes.
    if not _KEY.fullmatch(stem.rpartition("/")[2]):
        return
    earlier = (by_take(name) for name in reversed(names[:at]))
    before = next((number for other, number in earlier if other == stem), 0)
    for number in range(before + 1, take):
        yield name_of_take(stem, number)


def stem_of(name: str) -> str:
    """A recording's name without the number of its take."""
    return _TAKE.sub("", name.removesuffix(".json"))


# ------------------------------------------------------------------ where ids came from


@dataclass(frozen=True, slots=True)
class Linked:
    """The ids that a recording's request sends back, with their tokens, and those in its answer.

    Once `is_rooted` the tokens name where the ids came from in the end, `hops` answers before.
    """

    links: Mapping[str, str]
    ids: tuple[AnswerId, ...] = ()
    hops: int = 0
    is_rooted: bool = False

    def id(self, number: str) -> AnswerId | None:
        """An id of the answer by its number in a token."""
        if not number.isdecimal() or len(number) > 6 or int(number) >= len(self.ids):
            return None
        return self.ids[int(number)]


@dataclass(frozen=True, slots=True)
class Root:
    """Where an id came from in the end (None: from no answer), and over how many answers.

    `is_sure` is False where a recording on the way is missing.
    """

    token: str | None
    hops: int
    is_sure: bool = True


class Roots:
    """Follows tokens to the answers that ids came from.

    Earlier versions gave an id to each answer that repeated it, so that each poll named the one
    before it. An id that the first of them already sent came from no answer: it has no token.
    `givers` are the recordings of a name, KEY12[.TAKE].
    """

    def __init__(self, givers: Callable[[str], Sequence[Linked]]) -> None:
        self._givers = givers
        self._known: dict[tuple[str, str], Root] = {}

    def of(self, text: str, token: str) -> Root:
        """The root of an id that has a token."""
        way: dict[str, None] = {}
        root: Root | None = None
        link: str | None = token
        while root is None:
            if link is None or link in way:
                root = Root(link, 0)
            elif (text, link) in self._known:
                root = self._known[text, link]
            else:
                way[link] = None
                root, link = self._step(text, link)
        for at, passed in enumerate(reversed(way), 1):
            self._known[text, passed] = Root(root.token, root.hops + at, root.is_sure)
        return self._known.get((text, token), root)

    def _step(self, text: str, token: str) -> tuple[Root | None, str | None]:
        """The root if `token` names it, else the token before it."""
        name, _, number = token.rpartition("#")
        found = [(giver, giver.id(number)) for giver in self._givers(name)]
        if all(answer_id is None for _, answer_id in found):
            return Root(token, 0, is_sure=False), None
        for giver, answer_id in found:
            if answer_id == AnswerId(text, "repeated"):
                before = giver.links.get(text)
                return (Root(before, giver.hops) if giver.is_rooted else None), before
        # Who polled on after a list had named the id did so after all that named its creator. The
        # creator may be recorded anew since, and give another id.
        is_named = any(answer_id == AnswerId(text, "named") for _, answer_id in found)
        return Root(token, _LATER * take_of(name) if is_named else 0), None


# ------------------------------------------------------------------ which belong together


def sequence[S: Sending](
    exact: Sequence[S], spelled: Sequence[S], wanted: Mapping[str, str], creators: Creators
) -> list[S]:
    """The recordings that answer a request, in the order they were made.

    `exact` have its key, `spelled` the key of its spelling. `wanted` are the recordings that
    created ids of it in this session. Without one, what comes first counts.
    """
    lives = [(_lives(recording, creators), recording) for recording in in_recorded_order(spelled)]
    chosen = _of_lives(lives, wanted, unsure=False)
    if not chosen and not exact:
        chosen = _of_lives(lives, wanted, unsure=True)
    more = [recording for life, recording in chosen if life == chosen[0][0]]
    known = {recording.name for recording in exact}
    return in_recorded_order([*exact, *(one for one in more if one.name not in known)])


def _of_lives[S: Sending](
    lives: Sequence[tuple[dict[str, Life], S]], wanted: Mapping[str, str], *, unsure: bool
) -> list[tuple[dict[str, Life], S]]:
    return [
        (life, recording)
        for life, recording in lives
        if all(
            life.get(text) == token or (unsure and life.get(text) is None)
            for text, token in wanted.items()
        )
    ]


def _lives(recording: Sending, creators: Creators) -> dict[str, Life]:
    return {
        text: _life(recording.links.get(text), recording.recorded, made)
        for text, made in creators.items()
    }


def _life(link: str | None, recorded: int, made: Sequence[tuple[int, str]]) -> Life:
    """In which life of an id a recording was made: its token says, or else the time."""
    token = link.rpartition("#")[0] if link is not None else None
    if any(token == creator for _, creator in made):
        return token
    # One that sends an id back that it was given came after the answer of the same second.
    before = [creator for time, creator in made if time < recorded or (token and time == recorded)]
    if before:
        return before[-1]
    return None if any(time == recorded for time, _ in made) else ""

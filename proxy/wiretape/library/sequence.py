"""Order the recordings of one request into the sequence that answers it.

A request with an id in it has two keys: one with the id named by the answer that gave it, and one
with the id spelled out. Both lead to one sequence. What a recording says of an id holds from the
answer that created it until it is created again: that is one *life* of the id.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from wiretape.core.recording.file_names import by_take, name_of_take, stem_of, take_of
from wiretape.core.recording.given_ids import AnswerId

_LATER: Final = 1_000_000
_KEY: Final = re.compile(r"[0-9a-f]{12}")

type Life = str | None
"""The token of the recording that created an id; "" before any did; None if unknown."""

type Creators = Mapping[str, Sequence[tuple[int, str]]]
"""For each id the recordings that created it, in order: when (microseconds of the epoch), and their
token (KEY12[.TAKE]).
"""


class Recorded(Protocol):
    """What a recording's position in a sequence depends on."""

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
    """Sort recordings by when they were made.

    Takes of one name keep the order of their numbers, whatever times were edited into them. Earlier
    versions recorded whole seconds only; among those, `hops` says which poll came after which.
    """
    recordings = list(recordings)
    if len(recordings) < 2:
        return recordings
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


def missing_before(names: Sequence[str], position: int) -> Iterator[str]:
    """The names of the takes missing right before `names[position]` in a sequence.

    >>> list(missing_before(["h/e/3f2a00112233.json", "h/e/3f2a00112233.4.json"], 1))
    ['h/e/3f2a00112233.2.json', 'h/e/3f2a00112233.3.json']
    """
    stem, take = by_take(names[position])
    # A file with another name was named by hand and need not be numbered.
    if not _KEY.fullmatch(stem.rpartition("/")[2]):
        return
    earlier = (by_take(name) for name in reversed(names[:position]))
    previous = next((number for earlier_stem, number in earlier if earlier_stem == stem), 0)
    for number in range(previous + 1, take):
        yield name_of_take(stem, number)


# ------------------------------------------------------------------ where ids came from


@dataclass(frozen=True, slots=True)
class Linked:
    """The ids that a recording's request sends back, with their tokens, and those in its answer.

    Once `is_rooted` the tokens name the answers that created the ids, `hops` answers before.
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
    """The answer that created an id (None: the client did), and how many answers before.

    `is_sure` is False if a recording on the path is missing.
    """

    token: str | None
    hops: int
    is_sure: bool = True


class Roots:
    """Follows tokens to the answers that created ids.

    Earlier versions took each answer that repeats an id for its source, so that each poll named the
    one before. An id that the first poll already sent has no source and no token. `givers` gives
    the recordings of a token KEY12[.TAKE].
    """

    def __init__(self, givers: Callable[[str], Sequence[Linked]]) -> None:
        self._givers = givers
        self._known: dict[tuple[str, str], Root] = {}

    def of(self, text: str, token: str) -> Root:
        """The root of an id that has a token."""
        path: dict[str, None] = {}
        root: Root | None = None
        link: str | None = token
        while root is None:
            if link is None or link in path:
                root = Root(link, 0)
            elif (text, link) in self._known:
                root = self._known[text, link]
            else:
                path[link] = None
                root, link = self._step(text, link)
        for hops, link_on_path in enumerate(reversed(path), 1):
            self._known[text, link_on_path] = Root(root.token, root.hops + hops, root.is_sure)
        return self._known.get((text, token), root)

    def _step(self, text: str, token: str) -> tuple[Root | None, str | None]:
        """The root if `token` names it, else the token before it."""
        name, _, number = token.rpartition("#")
        answers = [(giver, giver.id(number)) for giver in self._givers(name)]
        if all(answer_id is None for _, answer_id in answers):
            return Root(token, 0, is_sure=False), None
        for giver, answer_id in answers:
            if answer_id == AnswerId(text, "repeated"):
                previous = giver.links.get(text)
                return (Root(previous, giver.hops) if giver.is_rooted else None), previous
        # Polls that follow a list naming the id come after all polls that name its creator. The
        # creator may be recorded again since, and give another id.
        is_named = any(answer_id == AnswerId(text, "named") for _, answer_id in answers)
        return Root(token, _LATER * take_of(name) if is_named else 0), None


# ------------------------------------------------------------------ which belong together


def sequence[S: Sending](
    exact: Sequence[S], with_ids: Sequence[S], created_by: Mapping[str, str], creators: Creators
) -> list[S]:
    """The recordings that answer a request, in the order they were made.

    `exact` have its key, `with_ids` its key with the ids spelled out. `created_by` has, by id, the
    recordings that created its ids in this session; without an entry, the first life counts.
    """
    if not creators and not exact:
        return in_recorded_order(with_ids)
    lives = [(_lives(recording, creators), recording) for recording in in_recorded_order(with_ids)]
    chosen = _of_lives(lives, created_by, unsure=False)
    if not chosen and not exact:
        chosen = _of_lives(lives, created_by, unsure=True)
    same_life = [recording for life, recording in chosen if life == chosen[0][0]]
    exact_names = {recording.name for recording in exact}
    return in_recorded_order(
        [*exact, *(recording for recording in same_life if recording.name not in exact_names)]
    )


def _of_lives[S: Sending](
    lives: Sequence[tuple[dict[str, Life], S]], created_by: Mapping[str, str], *, unsure: bool
) -> list[tuple[dict[str, Life], S]]:
    return [
        (life, recording)
        for life, recording in lives
        if all(
            life.get(text) == token or (unsure and life.get(text) is None)
            for text, token in created_by.items()
        )
    ]


def _lives(recording: Sending, creators: Creators) -> dict[str, Life]:
    return {
        text: _life(recording.links.get(text), recording.recorded, created)
        for text, created in creators.items()
    }


def _life(link: str | None, recorded: int, created: Sequence[tuple[int, str]]) -> Life:
    """The life of an id in which a recording was made, by its token or else by its time."""
    token = link.rpartition("#")[0] if link is not None else None
    if any(token == creator for _, creator in created):
        return token
    # A request that sends an id back came after the answer of the same second that gave it.
    earlier = [
        creator for time, creator in created if time < recorded or (token and time == recorded)
    ]
    if earlier:
        return earlier[-1]
    return None if any(time == recorded for time, _ in created) else ""

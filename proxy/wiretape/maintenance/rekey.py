"""New names for recordings whose keys changed: what moves where, and which tokens follow.

A file is named KEY12[.TAKE].json, and a request that sends an id back names the recording that gave
it in the same way ("3f2a00112233.2#0", in `request.ids`). So a new key of one recording may change
the key of those that come after it in a conversation: names are looked for until none changes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from wiretape.core.errors import FormatError

type KeyWith = Callable[[str, Mapping[str, str]], str]
"""The key of a recording, by its name, if its request had these `ids`."""

type Says = Callable[[str, str], bool]
"""Whether the answer of a recording, by its name, has an id in it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A recording of ours as it lies: its name below the session's folder, the take and the token
    that the name says, the key it has under the rules of today, when it was recorded, and the ids
    of its request with their tokens.
    """

    name: str
    key: str
    take: int
    token: str
    recorded_at: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """The part of the name before the file's, with its "/"."""
        return self.name[: self.name.rfind("/") + 1]

    @property
    def stem(self) -> str:
        """The file's name without `.json`."""
        return self.name[len(self.folder) :].removesuffix(".json")

    @property
    def named(self) -> str | None:
        """The start of a key that its name says; None where the name is of another kind."""
        # What is named otherwise goes by its key, which its name is not.
        return self.token[:12] if self.stem == self.token else None


@dataclass(frozen=True, slots=True)
class Move:
    """A recording's new name and its new tokens; `ids` is None where they stay as they are."""

    old: str
    new: str
    ids: Mapping[str, str] | None = None


def plan(
    recordings: Sequence[Standing],
    key_with: KeyWith,
    taken: Iterable[str] = (),
    says: Says = lambda name, spelled: False,
) -> tuple[Move, ...]:
    """What has to be renamed or rewritten so that every name is its recording's key and take.

    `taken` are the names of other files, which are not written over. Takes of one key keep their
    order; where two keys became one, all are numbered anew by the time they were recorded. `says`
    tells which of several recordings with one token gave an id. FormatError where recordings name
    one another in a circle, which no recorder writes.
    """
    others = frozenset(taken)
    by_token: dict[str, list[Standing]] = {}
    for one in recordings:
        by_token.setdefault(one.token, []).append(one)
    keys = {one.name: one.key for one in recordings}
    linked = [one for one in recordings if one.ids]
    ids = {one.name: dict(one.ids) for one in linked}
    # A conversation's next key is known when the one before it is: each round settles one more.
    for _ in range(len(linked) + 2):
        names = _names(recordings, keys, others)
        settled = True
        for one in linked:
            now = {
                spelled: _renamed(spelled, token, by_token, names, says)
                for spelled, token in one.ids.items()
            }
            if now != ids[one.name]:
                settled = False
                ids[one.name] = now
                keys[one.name] = key_with(one.name, now)
        if settled:
            return tuple(_moves(recordings, names, ids))
    raise FormatError(
        "request.ids of some recordings name one another in a circle, so no key can be told: record"
        " them anew"
    )


def _moves(
    recordings: Iterable[Standing], names: Mapping[str, str], ids: Mapping[str, Mapping[str, str]]
) -> Iterator[Move]:
    for one in recordings:
        now = ids.get(one.name, one.ids)
        if names[one.name] != one.name or now != one.ids:
            yield Move(one.name, names[one.name], None if now == one.ids else now)


def _renamed(
    spelled: str,
    token: str,
    by_token: Mapping[str, Sequence[Standing]],
    names: Mapping[str, str],
    says: Says,
) -> str:
    giver, mark, number = token.rpartition("#")
    found = by_token.get(giver, ())
    if not found:
        return token
    one = next((one for one in found if len(found) > 1 and says(one.name, spelled)), found[0])
    new = names[one.name]
    return new[new.rfind("/") + 1 :].removesuffix(".json") + mark + number


def _names(
    recordings: Iterable[Standing], keys: Mapping[str, str], others: frozenset[str]
) -> dict[str, str]:
    """The new name of each recording by its old one."""
    groups: dict[str, list[Standing]] = {}
    for one in recordings:
        groups.setdefault(keys[one.name][:12], []).append(one)
    names: dict[str, str] = {}
    for start, group in groups.items():
        kept = {one.name: _name(one, start, one.take) for one in group}
        takes = {one.take for one in group}
        of_one_key = len({one.named for one in group}) == 1 or len(group) == 1
        if of_one_key and len(takes) == len(group) and not others & set(kept.values()):
            names |= kept
            continue
        take = 0
        for one in _in_order(group):
            take += 1
            while _name(one, start, take) in others:
                take += 1
            names[one.name] = _name(one, start, take)
    return names


def _name(one: Standing, start: str, take: int) -> str:
    return f"{one.folder}{start}.json" if take == 1 else f"{one.folder}{start}.{take}.json"


def _in_order(group: Iterable[Standing]) -> list[Standing]:
    """By the time of recording; but takes of one old key keep the order they had, whatever a hand
    wrote into them.
    """
    lists: dict[tuple[str, str], list[Standing]] = {}
    for one in sorted(group, key=lambda one: (one.take, one.name)):
        lists.setdefault((one.named or one.name, one.folder), []).append(one)
    ranked = []
    for takes in lists.values():
        latest = ""
        for one in takes:
            latest = max(latest, one.recorded_at)
            ranked.append(((latest, one.named or one.stem, one.folder, one.take), one))
    return [one for _, one in sorted(ranked, key=lambda pair: pair[0])]

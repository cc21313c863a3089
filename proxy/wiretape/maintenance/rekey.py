"""New names for recordings whose keys changed: what moves where, and which tokens follow.

A file is named KEY12[.TAKE].json, and a request that sends an id back names the recording that gave
it in the same way ("3f2a00112233.2#0", in `request.ids`). So a new key of one recording may change
the key of those that come after it in a conversation: names are looked for until none changes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from wiretape.core.errors import FormatError
from wiretape.core.recording.given_ids import AnswerId
from wiretape.library.sequence import Linked, Roots, in_recorded_order

type KeyWith = Callable[[str, Mapping[str, str]], str]
"""The key of a recording, by its name, if its request had these `ids`."""

type Says = Callable[[str, str], bool]
"""Whether the answer of a recording, by its name, has an id in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A recording of ours as it lies: its name below the session's folder, the take and the token
    that the name says, the key it has under the rules of today, when it was recorded (microseconds
    of the epoch), the ids of its request with their tokens, and those of its answer.

    `hops` is the number of answers that its ids went through.
    """

    name: str
    key: str
    take: int
    token: str
    recorded: int = 0
    ids: Mapping[str, str] = field(default_factory=dict)
    answer_ids: tuple[AnswerId, ...] = ()
    hops: int = 0

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
    old_ids = {one.name: one.ids for one in recordings}
    roots = Roots(
        lambda token: [Linked(one.ids, one.answer_ids) for one in by_token.get(token, ())]
    )
    recordings = [_rooted(one, roots) for one in recordings]
    linked = [one for one in recordings if old_ids[one.name]]
    ids = {one.name: dict(old_ids[one.name]) for one in linked}
    keys = {one.name: one.key for one in recordings}
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
            return tuple(_moves(recordings, names, ids, old_ids))
    raise FormatError(
        "request.ids of some recordings name one another in a circle, so no key can be told: record"
        " them anew"
    )


def _moves(
    recordings: Iterable[Standing],
    names: Mapping[str, str],
    ids: Mapping[str, Mapping[str, str]],
    old_ids: Mapping[str, Mapping[str, str]],
) -> Iterator[Move]:
    for one in recordings:
        old = old_ids[one.name]
        now = ids.get(one.name, old)
        if names[one.name] != one.name or now != old:
            yield Move(one.name, names[one.name], None if now == old else now)


def _rooted(one: Standing, roots: Roots) -> Standing:
    """A recording whose ids are told by where they came from in the end."""
    found = {spelled: roots.of(spelled, token) for spelled, token in one.ids.items()}
    if not all(root.is_sure for root in found.values()):
        return one
    ids = {spelled: root.token for spelled, root in found.items() if root.token is not None}
    return replace(one, ids=ids, hops=max((root.hops for root in found.values()), default=0))


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
        for one in in_recorded_order(group):
            take += 1
            while _name(one, start, take) in others:
                take += 1
            names[one.name] = _name(one, start, take)
    return names


def _name(one: Standing, start: str, take: int) -> str:
    return f"{one.folder}{start}.json" if take == 1 else f"{one.folder}{start}.{take}.json"

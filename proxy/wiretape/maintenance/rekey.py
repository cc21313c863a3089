"""Plan new names for recordings whose keys changed, and the tokens that follow them.

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

type HasId = Callable[[str, str], bool]
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
    has_id: HasId = lambda name, text: False,
) -> tuple[Move, ...]:
    """Plan the renames and rewrites after which every name is its recording's key and take.

    `taken` are the names of other files, which are not written over. Takes of one key keep their
    order; if two keys became one, all are numbered again by the time they were recorded. `has_id`
    tells which of several recordings with one token gave an id. FormatError where recordings name
    one another in a circle, which no recorder writes.
    """
    other_names = frozenset(taken)
    by_token: dict[str, list[Standing]] = {}
    for recording in recordings:
        by_token.setdefault(recording.token, []).append(recording)
    old_ids = {recording.name: recording.ids for recording in recordings}
    roots = Roots(
        lambda token: [
            Linked(recording.ids, recording.answer_ids) for recording in by_token.get(token, ())
        ]
    )
    recordings = [_rooted(recording, roots) for recording in recordings]
    linked = [recording for recording in recordings if old_ids[recording.name]]
    ids = {recording.name: dict(old_ids[recording.name]) for recording in linked}
    keys = {recording.name: recording.key for recording in recordings}
    # A conversation's next key is known when the one before it is: each round settles one more.
    for _ in range(len(linked) + 2):
        names = _names(recordings, keys, other_names)
        settled = True
        for recording in linked:
            new_ids = {
                text: _renamed(text, token, by_token, names, has_id)
                for text, token in recording.ids.items()
            }
            if new_ids != ids[recording.name]:
                settled = False
                ids[recording.name] = new_ids
                keys[recording.name] = key_with(recording.name, new_ids)
        if settled:
            return tuple(_moves(recordings, names, ids, old_ids))
    raise FormatError(
        "request.ids of some recordings name one another in a circle, so no key can be computed:"
        " record them anew"
    )


def _moves(
    recordings: Iterable[Standing],
    names: Mapping[str, str],
    ids: Mapping[str, Mapping[str, str]],
    old_ids: Mapping[str, Mapping[str, str]],
) -> Iterator[Move]:
    for recording in recordings:
        old = old_ids[recording.name]
        new_ids = ids.get(recording.name, old)
        if names[recording.name] != recording.name or new_ids != old:
            yield Move(recording.name, names[recording.name], None if new_ids == old else new_ids)


def _rooted(recording: Standing, roots: Roots) -> Standing:
    """A recording with its ids named by the answers that created them."""
    root_by_id = {text: roots.of(text, token) for text, token in recording.ids.items()}
    if not all(root.is_sure for root in root_by_id.values()):
        return recording
    ids = {text: root.token for text, root in root_by_id.items() if root.token is not None}
    return replace(
        recording, ids=ids, hops=max((root.hops for root in root_by_id.values()), default=0)
    )


def _renamed(
    text: str,
    token: str,
    by_token: Mapping[str, Sequence[Standing]],
    names: Mapping[str, str],
    has_id: HasId,
) -> str:
    giver, mark, number = token.rpartition("#")
    givers = by_token.get(giver, ())
    if not givers:
        return token
    source = next(
        (source for source in givers if len(givers) > 1 and has_id(source.name, text)), givers[0]
    )
    new = names[source.name]
    return new[new.rfind("/") + 1 :].removesuffix(".json") + mark + number


def _names(
    recordings: Iterable[Standing], keys: Mapping[str, str], other_names: frozenset[str]
) -> dict[str, str]:
    """The new name of each recording by its old one."""
    groups: dict[str, list[Standing]] = {}
    for recording in recordings:
        groups.setdefault(keys[recording.name][:12], []).append(recording)
    names: dict[str, str] = {}
    for start, group in groups.items():
        current_names = {
            recording.name: _name(recording, start, recording.take) for recording in group
        }
        takes = {recording.take for recording in group}
        of_one_key = len({recording.named for recording in group}) == 1 or len(group) == 1
        if (
            of_one_key
            and len(takes) == len(group)
            and not other_names & set(current_names.values())
        ):
            names |= current_names
            continue
        take = 0
        for recording in in_recorded_order(group):
            take += 1
            while _name(recording, start, take) in other_names:
                take += 1
            names[recording.name] = _name(recording, start, take)
    return names


def _name(recording: Standing, start: str, take: int) -> str:
    return (
        f"{recording.folder}{start}.json" if take == 1 else f"{recording.folder}{start}.{take}.json"
    )

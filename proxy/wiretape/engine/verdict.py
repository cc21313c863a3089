"""Decide what to do with a request in a run that may contact the provider."""

from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.playback.policy import Policy
from wiretape.library.library import Entry, Library
from wiretape.library.sequence import missing_before

from .next_take import TakeChooser
from .request import ReplayRequest

type Clock = Callable[[], datetime]
type Verdict = Literal["replay", "record", "pass", "miss"]


class Decider:
    """Decides by a run's policy and by what its sessions have been given."""

    def __init__(self, policy: Policy, takes: TakeChooser, clock: Clock) -> None:
        self._policy = policy
        self._takes = takes
        self._clock = clock

    def decide(self, request: ReplayRequest) -> Verdict:
        """Decide what to do with a request."""
        policy, library, branch = self._policy, request.session.library, request.session.branch
        if branch is not None and not request.canonical.never_recorded and branch.next_is_live():
            return "record"
        takes, sequence_key = self._takes.of(request)
        if library.known_at_start(takes):
            is_fresh = policy.fresh is not None and policy.fresh(
                request.canonical,
                age_of(library, takes, self._clock()) if policy.fresh.by_age else None,
            )
            return (
                "record" if is_fresh or self._fills_gap(request, takes, sequence_key) else "replay"
            )
        if policy.on_miss.passes(request.live.host, request.live.port):
            return "pass"
        return "record" if policy.on_miss.action == "record" else "miss"

    def _fills_gap(
        self, request: ReplayRequest, takes: Sequence[Entry], sequence_key: Hashable
    ) -> bool:
        """Whether to record a request as a missing take, which then counts as given."""
        player = request.session.player
        position = player.upcoming(sequence_key, takes)
        if not self._policy.fill or position == len(takes):
            return False
        missing = missing_before([take.name for take in takes], position)
        name = next((name for name in missing if not player.was_given(name)), None)
        # The recording is named by its key, so the gap has to be of that key.
        if name is None or not name.rpartition("/")[2].startswith(request.canonical.key[:12]):
            return False
        player.give(name)
        return True


def age_of(library: Library, takes: Sequence[Entry], now: datetime) -> timedelta | None:
    """The age of the oldest take; None if no take says when it was recorded."""
    times = []
    for entry in takes:
        try:
            stored = library.read(entry.name).recorded_at
            times += [datetime.fromisoformat(stored)] if stored else []
        except (FormatError, StoreError, ValueError):
            continue
    times = [time if time.tzinfo else time.replace(tzinfo=UTC) for time in times]
    return now - min(times) if times else None

"""Choose the take that answers a request next."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from wiretape import descriptors
from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.playback.player import Pick
from wiretape.core.recording.document import GUESSABLE
from wiretape.core.recording.outage import is_outage
from wiretape.library.file_cache import CachedRecording
from wiretape.library.library import Entry
from wiretape.report.report import Report
from wiretape.sessions.sessions import LogEntry
from wiretape.sessions.shared import given

from .request import ReplayRequest
from .selecting import Choice, TakeSelector

_FEW: Final = 100


class NextTake(NamedTuple):
    """The take that is next: not given yet."""

    takes: Sequence[Entry]
    pick: Pick
    entry: Entry
    recording: CachedRecording


class TakeChooser:
    """Chooses a session's takes, and reports those that cannot be used."""

    def __init__(self, matcher: Matcher, report: Report) -> None:
        self.selector: Final = TakeSelector(matcher)
        self._report = report

    def next(self, request: ReplayRequest) -> NextTake | None:
        """The take that is next; None if there is none."""
        takes, sequence_key = self.of(request)
        if not takes:
            return None
        library = request.session.library
        recordings: dict[int, CachedRecording] = {}

        def may_last(take: int) -> bool:
            recording = recordings[take] = library.stored(takes[take].name)
            return not is_outage(recording.response.status)

        try:
            pick = request.session.player.choose(sequence_key, takes, may_last)
            if pick is None:
                return None
            entry = takes[pick.take]
            recording = recordings.get(pick.take) or library.stored(entry.name)
        except (FormatError, StoreError) as error:
            self._report_unusable(error)
            return None
        return NextTake(takes=takes, pick=pick, entry=entry, recording=recording)

    def of(self, request: ReplayRequest) -> Choice:
        """The takes whose headers agree; empty, with a notice, if one of them cannot be read."""
        try:
            choice = self.selector.of(request)
            return choice if self.indistinct(request, choice[0]) is None else ((), ())
        except (FormatError, StoreError) as error:
            self._report_unusable(error)
            return (), ()

    def indistinct(self, request: ReplayRequest, takes: Sequence[Entry]) -> str | None:
        """The recording that would answer a request, if it may be another's: of two requests that
        differ only in a value that could be guessed.

        Earlier versions recorded all of these as takes of one request.
        """
        if not request.exact_key or not takes:
            return None
        library, key = request.session.library, request.keys[-1]
        first = request.session.exact_keys.get(key, request.exact_key)
        if first == request.exact_key or not all(
            library.request(take.name).get(GUESSABLE) is True for take in takes
        ):
            return None
        return takes[0].name

    def _report_unusable(self, error: FormatError | StoreError) -> None:
        if descriptors.is_exhaustion(error):
            raise error
        self._report.notice(f"a recording cannot be used: {error}")


def entry_of(request: ReplayRequest, choice: NextTake) -> LogEntry:
    """What other processes are told of a take that is given."""
    entry = choice.entry
    exact = (request.keys[-1], request.exact_key) if request.exact_key else ()
    return given("take", entry.name, entry.token, entry.ids, *exact)


def is_apart(request: ReplayRequest, choice: NextTake, others: Sequence[str]) -> bool:
    """Whether a choice is right though other processes gave these takes since it was made."""
    if request.request_ids or request.exact_key or len(choice.takes) > _FEW:
        return False
    return {take.name for take in (*request.takes, *choice.takes)}.isdisjoint(others)

"""Answer a request from recordings, or explain the miss.

Requests come from `handler.py` (pure replay) and `wiretape_mitm/replay_flow.py` (within mitmproxy).
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final

from wiretape.core.conversation.estimate import usage_of
from wiretape.core.cost.usage import Usage
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Request
from wiretape.core.playback.faults import Fault, Faults
from wiretape.core.playback.policy import MISS_STATUS, Policy
from wiretape.core.providers.registry import Providers
from wiretape.core.recording.file_names import name_of_take, stem_of
from wiretape.core.recording.given_ids import AnswerId
from wiretape.core.redaction.redactor import Redactor
from wiretape.library.file_cache import CachedRecording
from wiretape.library.index_rows import DirectRow
from wiretape.library.library import Entry
from wiretape.library.on_demand import deferring
from wiretape.library.sequence import missing_before
from wiretape.report.report import Report
from wiretape.sessions.sessions import LogEntry, Session, Sessions
from wiretape.sessions.shared import SessionsChanged, SharedSessions, given, ids_in

from .answer import ReplayAnswer
from .misses import Misses
from .next_take import NextTake, TakeChooser, entry_of, is_apart
from .recorded_response import response_to, stays_open
from .request import ReplayRequest
from .request_reader import RequestReader
from .socket_answers import SocketAnswers
from .stale import StaleRules
from .verdict import Clock, Decider, Verdict, age_of

_MOST_MISSING_LISTED: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """How a run replays: what may go to the provider, which faults it has, and a miss's status."""

    policy: Policy = field(default_factory=Policy)
    faults: Faults = field(default_factory=Faults)
    miss_status: int = MISS_STATUS
    clock: Clock = lambda: datetime.now(UTC)
    shared: SharedSessions | None = None
    """Where other processes answer for the same run."""
    max_age: timedelta | None = None
    """The age beyond which a recording that answers is reported."""


class Replayer:
    """Answers requests from the recordings of their sessions, and reports it.

    request = replayer.with_current_ids(replayer.prepare(live, session))
    answer = replayer.answer(request)
    if answer is None:
        status, headers, body = replayer.misses.answer(request)
    else:
        answer.response, answer.entry.name
    """

    def __init__(
        self,
        sessions: Sessions,
        matcher: Matcher,
        redactor: Redactor,
        providers: Providers,
        report: Report,
        options: ReplayOptions | None = None,
    ) -> None:
        options = options or ReplayOptions()
        self.sessions: Final = sessions
        self.report: Final = report
        self.providers: Final = providers
        self.policy: Final = options.policy
        self.miss_status: Final = options.miss_status
        self.redactor: Final = redactor
        self._faults = options.faults
        self._clock = options.clock
        self._shared = options.shared
        self._max_age = options.max_age
        self.reader: Final = RequestReader(redactor, providers, report)
        self._takes = TakeChooser(matcher, report)
        self._stale_rules = StaleRules(matcher, report)
        self._decider = Decider(options.policy, self._takes, options.clock)
        is_shared = options.shared is not None
        self.misses: Final = Misses(
            matcher, self._takes, report, options.miss_status, is_shared=is_shared
        )
        self.sockets: Final = SocketAnswers(
            matcher, redactor, self.misses, report, is_shared=is_shared
        )
        self._gaps: set[str] = set()
        self._usages: dict[tuple[int, str, int], Usage | None] = {}

    def prepare(self, live: Request, session: Session | None = None) -> ReplayRequest:
        """Find the keys of a live request in its session, by itself the run's own."""
        return self.reader.prepare(live, session or self.sessions.own)

    def with_current_ids(
        self, request: ReplayRequest, session: Session | None = None
    ) -> ReplayRequest:
        """The same request with the ids that its session has been given by now."""
        return self.reader.with_current_ids(request, session)

    def decide(self, request: ReplayRequest) -> Verdict:
        """Decide what to do with a request in a run that may contact the provider."""
        return self._decider.decide(request)

    def redact(self, text: str) -> str:
        """Redact a text to be shown."""
        return self.redactor.text(text)

    def answer(self, request: ReplayRequest) -> ReplayAnswer | None:
        """The next take that answers a request; None if there is none."""
        choice = self._takes.next(request)
        return self._give(request, choice) if choice else None

    async def hand_out(self, request: ReplayRequest) -> tuple[ReplayRequest, ReplayAnswer | None]:
        """Answer as `answer` does, for no two processes of a run the same; with the request as its
        session knows it then.

        SessionsChanged, SequencesLost as `SharedSessions.append` has them.
        """
        if self._shared is None:
            return request, self.answer(request)
        session = request.session
        choice: NextTake | None = None
        if self._shared.is_settled(session):
            choice = self._takes.next(request)
            if choice is not None and self._changes_nothing(
                session, is_repeated=choice.pick.beyond
            ):
                return request, self._give(request, choice)
        async with session.turn:
            while True:
                if choice is None:
                    request = self.with_current_ids(request)
                    choice = self._takes.next(request)
                entry = entry_of(request, choice) if choice else ()
                is_repeated = choice is not None and choice.pick.beyond
                is_needed = not self._changes_nothing(session, is_repeated=is_repeated)
                others = await self._shared.append(session, *entry, is_needed=is_needed)
                if others is None:
                    return request, self._give(request, choice) if choice else None
                if choice and not is_apart(request, choice, others):
                    choice = None

    @staticmethod
    def _changes_nothing(session: Session, *, is_repeated: bool) -> bool:
        """Whether other processes need not know of a take: one that is repeated, but where all are
        repeated in turn.
        """
        return is_repeated and session.player.repeat != "cycle"

    def share_direct(self, session: Session, row: DirectRow, *, is_repeated: bool) -> bool:
        """Tell other processes of a direct answer, without waiting; False where it is to be chosen
        anew, because of what they have told.
        """
        shared = self._shared
        if shared is None:
            return True
        is_needed = not self._changes_nothing(session, is_repeated=is_repeated)
        if not is_needed and shared.is_settled(session):
            return True
        if session.unshared:
            return False

        def is_apart(others: Sequence[LogEntry]) -> bool:
            ids = row.known.request_ids
            return not any(
                (other[1] == row.name and not is_repeated)
                or (ids and not set(ids).isdisjoint(ids_in(other)))
                for other in others
            )

        entry = given("take", row.name, row.token, row.ids)
        with suppress(SessionsChanged):
            return shared.append_now(session, *entry, is_needed=is_needed, is_apart=is_apart)
        return False

    async def share(self, session: Session) -> None:
        """Tell other processes of a session's misses and the WebSockets that ended."""
        if self._shared is not None and session.unshared:
            await self._shared.catch_up(session.key)

    def _give(self, request: ReplayRequest, choice: NextTake) -> ReplayAnswer:
        with deferring(active=False):  # nobody begins again once a take is given
            return self._given(request, choice)

    def _given(self, request: ReplayRequest, choice: NextTake) -> ReplayAnswer:
        session, entry, pick = request.session, choice.entry, choice.pick
        if request.exact_key:
            session.exact_keys.setdefault(request.keys[-1], request.exact_key)
        if session.branch is not None:
            session.branch.replayed(session.library, entry.name)
        self._report_missing_takes(request, entry)
        self.note_given(session, entry.name, entry.ids, entry.token, beyond=pick.beyond)
        if self._max_age is not None:
            self._report_age(session, entry, self._max_age)
        response = response_to(request, choice.recording, self.redactor.paths)
        held = stays_open(request.live, response, partial(self._is_recorded, session))
        return ReplayAnswer(
            entry=entry,
            response=replace(response, end="timeout") if held else response,
            held=held,
            takes=choice.takes,
            take=pick.take + 1,
            beyond=pick.beyond,
            stale=self._stale_rules.changes(request, entry),
            usage=self._usage(request, entry, choice.recording),
        )

    def note_given(
        self, session: Session, name: str, ids: Sequence[AnswerId], token: str, *, beyond: bool
    ) -> None:
        """Count a recording as given in a session, which then knows the ids in its answer."""
        session.player.give(name)
        session.known_ids.learn(ids, token)
        session.used.add(name)
        session.counts["replayed"] += 1
        self.report.beyond += beyond

    def _is_recorded(self, session: Session, live: Request) -> bool:
        return bool(self.with_current_ids(self.prepare(live, session)).takes)

    def _usage(
        self, request: ReplayRequest, entry: Entry, recording: CachedRecording
    ) -> Usage | None:
        """The tokens of a recording, read once."""
        if self.report.prices is None:
            return None
        name = (id(request.session.library), entry.name, entry.since)
        if name not in self._usages:
            self._usages[name] = usage_of(request.live, recording.response)
        return self._usages[name]

    def _report_age(self, session: Session, entry: Entry, limit: timedelta) -> None:
        """Report a recording that is older than the run allows."""
        age = age_of(session.library, [entry], self._clock())
        if age is not None and age > limit:
            self.report.old[entry.name] = age.days

    @property
    def is_faulty(self) -> bool:
        """Whether the configuration has faults on demand."""
        return bool(self._faults)

    @property
    def may_be_direct(self) -> bool:
        """Whether answers depend on nothing but their requests and sessions."""
        is_immediate = self._shared is None or self._shared.is_immediate
        return is_immediate and not self.is_faulty and self._max_age is None

    def fault(self, request: ReplayRequest, requested: Fault | None = None) -> Fault | None:
        """The fault of an answer: `requested` by the request itself, else the configuration's."""
        if requested is not None:
            return requested if self._faults.strikes(requested) else None
        if not self._faults:
            return None
        names = {request.provider, self.providers.host_key(request.live.host, request.live.port)}
        return self._faults.choose(names, request.live, request.canonical)

    def _report_missing_takes(self, request: ReplayRequest, entry: Entry) -> None:
        """Report missing takes that should have been given before `entry`."""
        was_given = request.session.player.was_given
        if entry.take == 1 or was_given(name_of_take(stem_of(entry.name), entry.take - 1)):
            return
        names = [take.name for take in request.takes]
        missing = missing_before(names, names.index(entry.name)) if entry.name in names else ()
        missing_names = [
            name for name in islice(missing, _MOST_MISSING_LISTED) if not was_given(name)
        ]
        if missing_names and missing_names[0] not in self._gaps:
            self._gaps.add(missing_names[0])
            listed = ", ".join(missing_names[:3]) + (" and more" if len(missing_names) > 3 else "")
            self.report.notice(
                f"takes are missing before {entry.name}: {listed}; it was given in their place"
                " (`wiretape auto --fill` records what is missing)"
            )

"""The replay engine: a request in, a recorded answer or a miss out. The doors are `handler.py` and
`wiretape_mitm/replay_flow.py`.
"""

import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from secrets import token_hex
from typing import Final, Literal

from wiretape import descriptors
from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.canonical import Canonical, Change, changed
from wiretape.core.matching.matcher import Matcher, without_selecting
from wiretape.core.matching.miss import FolderState, Miss, RuleNames, miss_for
from wiretape.core.matching.placeholders import ANY
from wiretape.core.model import Exchange, Headers, Request, Response
from wiretape.core.playback.faults import Fault, Faults
from wiretape.core.playback.policy import MISS_STATUS, Policy
from wiretape.core.playback.websocket import LockStep, MessageMatcher, ReplayedConnection
from wiretape.core.providers.registry import Providers, error_body, error_shape
from wiretape.core.recording.document import Document, from_request
from wiretape.core.recording.given_ids import sent_ids
from wiretape.core.recording.outage import is_outage
from wiretape.core.redaction.placeholder import may_be_in
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.wire.content_coding import plain_request
from wiretape.library.library import Entry
from wiretape.library.sequence import missing_before, name_of_take, stem_of
from wiretape.report.report import Report, Row
from wiretape.sessions.sessions import Session, Sessions

from .request import ReplayRequest
from .rule_trials import RuleTrials
from .selecting import Choice, Selecting

log = logging.getLogger(__name__)

_COMPARED: Final = 1024
_MOST_MISSING: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayAnswer:
    """A recording's answer to a request: all takes there are, which of them it is (from 1),
    whether it goes beyond what was recorded, what rules ignore but has changed since, and the fault
    that it has by demand.
    """

    entry: Entry
    response: Response
    takes: Sequence[Entry] = ()
    take: int = 1
    beyond: bool = False
    stale: tuple[Change, ...] = ()
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """How a run replays: what may go to the provider, what goes wrong on demand, and the status of
    a miss.
    """

    policy: Policy = field(default_factory=Policy)
    faults: Faults = field(default_factory=Faults)
    miss_status: int = MISS_STATUS
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


type Verdict = Literal["replay", "record", "pass", "miss"]


class Replayer:
    """Answers requests from the recordings of their sessions; tells the report what it did."""

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
        self._redactor = redactor
        self._faults = options.faults
        self._clock = options.clock
        self._messages = MessageMatcher(matcher, redactor)
        self._gaps: set[str] = set()
        self._has_own_rules = any(rule.own for rule in matcher.rules)
        self._rule_trials = RuleTrials(matcher)
        self._rule_names = RuleNames(rule.name for rule in matcher.rules)
        self._selection = Selecting(matcher)
        self._compared: OrderedDict[tuple[int, str], Canonical] = OrderedDict()
        self._missed: OrderedDict[tuple[object, ...], Miss] = OrderedDict()

    def ask(self, request: Request, session: Session | None = None) -> ReplayRequest:
        """What a live request says, redacted as its recording was."""
        session = session or self.sessions.own
        live = from_request(plain_request(request))
        document = shown = self._redactor.request(live, self._redactor.secrets(request))
        provider = self.providers.find(request.host, request.port)
        canonical = session.library.matched(document)
        if not session.library.takes(canonical.key):
            for other in self._otherwise(live, request, document, session):
                form = session.library.matched(other)
                if session.library.takes(form.key):
                    document, canonical = other, form
                    break
        self.report.applied.update(canonical.rules)
        return ReplayRequest(
            request=request,
            session=session,
            document=document,
            canonicals=(canonical,),
            sent=sent_ids(document),
            url=shown["url"],
            path=shown["endpoint"],
            model=shown.get("model"),
            provider=provider.name if provider else request.host,
            shape=error_shape(provider, shown["endpoint"]),
        )

    def _otherwise(
        self, live: Document, request: Request, document: Document, session: Session
    ) -> Iterator[Document]:
        """The same request as other recordings may have it, where none has it as it is: with a
        value that was a credential when it was recorded, with one that an answer gave then and a
        placeholder gives now, and as earlier versions left what was named elsewhere.
        """
        if may_be_in(json.dumps(document)):
            yield {**document, "carried": [ANY]}
        if self._redactor.recognise(live, session.library.digests()):
            again = self._redactor.request(live, self._redactor.secrets(request))
            yield again
            yield {**again, "carried": [ANY]}
        if self._redactor.remembers:
            yield self._redactor.request(live, self._redactor.secrets(request), remembered=False)

    def now(self, asked: ReplayRequest, session: Session | None = None) -> ReplayRequest:
        """The same request asked at this moment: with the ids that its session has been given."""
        session = session or asked.session
        spelled = asked.canonicals[-1]
        known = session.known_ids
        origins = known.origins(asked.sent) if asked.sent and len(known) else {}
        if not origins:
            if session is asked.session and not asked.origins:
                return asked
            return replace(asked, session=session, canonicals=(spelled,), origins={})
        tokens = {text: origin.token for text, origin in origins.items()}
        own = session.library.matched({**asked.document, "ids": tokens})
        canonicals = (spelled,) if own.key == spelled.key else (own, spelled)
        return replace(asked, session=session, canonicals=canonicals, origins=origins)

    def lock_step(self, asked: ReplayRequest, played: ReplayAnswer) -> LockStep:
        """The conversation of a WebSocket whose opening was answered."""
        library = asked.session.library
        names = [take.name for take in played.takes]
        names = asked.session.take_order.order(names, played.take - 1)
        secrets = self._redactor.secrets(asked.request)
        return LockStep(
            names,
            lambda name: self._redactor.paths.response(library.read(name)),
            self._messages.of(asked.url, asked.path, secrets),
        )

    def conversed(
        self, asked: ReplayRequest, played: ReplayAnswer, ended: ReplayedConnection
    ) -> Row:
        """The row of a WebSocket that has been replayed, or of its miss."""
        asked.session.take_order.used(ended.recording)
        asked.session.used.add(ended.recording)
        self.report.applied.update(ended.rules)
        row = replace(
            played_row(asked, played, ended.first, ended.duration, ended.note),
            chunks=ended.sent,
            recording=ended.recording,
            stale=(*played.stale, *ended.stale),
        )
        mismatch = ended.mismatch
        if mismatch is None:
            return row
        library = asked.session.library
        message = self._messages.request(
            asked.url, asked.path, mismatch.message, self._redactor.secrets(asked.request)
        )
        folder = FolderState(
            total=len(library),
            of_endpoint=max(len(mismatch.candidates), 1),
            session=asked.session.name,
            try_rule=self._rule_trials.of(library, message),
            rule_names=self._rule_names,
        )
        miss = miss_for(mismatch.got, asked.url, mismatch.candidates, folder)
        return replace(row, outcome="missed", note=mismatch.reason, miss=miss)

    def told(self, text: str) -> str:
        """A text fit to be shown."""
        return self._redactor.text(text)

    def play(self, asked: ReplayRequest) -> ReplayAnswer | None:
        """The next take of the recording that answers, or None."""
        takes, place = self._chosen(asked)
        return self._next(asked, takes, place) if takes else None

    def _chosen(self, asked: ReplayRequest) -> Choice:
        """The takes whose headers agree; none where one of them cannot be read, which is told."""
        try:
            return self._selection.of(asked)
        except (FormatError, StoreError) as error:
            self._unusable(error)
            return (), ()

    def _unusable(self, error: FormatError | StoreError) -> None:
        if descriptors.is_exhaustion(error):
            raise error
        self.report.notice(f"a recording cannot be used: {error}")

    def _next(
        self, asked: ReplayRequest, takes: Sequence[Entry], place: Hashable
    ) -> ReplayAnswer | None:
        session = asked.session
        library = session.library
        read: dict[int, Exchange] = {}

        def may_last(take: int) -> bool:
            exchange = read[take] = library.read(takes[take].name)
            return not is_outage(exchange.response.status)

        try:
            pick = session.player.next(place, takes, may_last)
            if pick is None:
                return None
            entry = takes[pick.take]
            exchange = read.get(pick.take) or library.read(entry.name)
        except (FormatError, StoreError) as error:
            self._unusable(error)
            return None
        self._tell_of_missing(asked, entry)
        session.known_ids.learn(library.ids(entry.name), entry.token)
        session.used.add(entry.name)
        session.counts["replayed"] += 1
        self.report.beyond += pick.beyond
        return ReplayAnswer(
            entry=entry,
            response=self._redactor.paths.response(exchange),
            takes=takes,
            take=pick.take + 1,
            beyond=pick.beyond,
            stale=self._stale(session, asked, entry),
        )

    def _stale(self, session: Session, asked: ReplayRequest, entry: Entry) -> tuple[Change, ...]:
        """What a rule leaves out, of the request or of the recording, and is not as recorded."""
        if not self._has_own_rules:
            return ()
        for got in asked.canonicals:
            if (recorded := self._recorded(session, got, entry)) is not None:
                self.report.applied.update(recorded.rules)
                return changed(got, recorded)
        # A recording of an earlier version answers without the headers that decide an answer.
        bare = session.library.matched(without_selecting(asked.document))
        recorded = self._recorded(session, bare, entry)
        return changed(bare, recorded) if recorded is not None else ()

    def _recorded(self, session: Session, got: Canonical, entry: Entry) -> Canonical | None:
        """What a recording says that answers a request; None where it is of another key."""
        library = session.library
        name = (id(library), entry.name)
        recorded = self._compared.get(name)
        if recorded is None or recorded.key != got.key:
            try:
                forms = library.recorded(entry.name)
                if entry.foreign:  # llama-stack's answer further requests
                    parts = library.requests(entry.name)
                    forms += tuple(library.matched(part) for _, part in parts)
            except (FormatError, StoreError):
                return None
            recorded = next((form for form in forms if form.key == got.key), None)
            if recorded is None:
                return None
            self._compared[name] = recorded
            if len(self._compared) > _COMPARED:
                self._compared.popitem(last=False)
        return recorded

    @property
    def is_faulty(self) -> bool:
        """Whether the configuration has faults on demand."""
        return bool(self._faults)

    def fault(self, asked: ReplayRequest, wanted: Fault | None = None) -> Fault | None:
        """What is to go wrong with an answer: what the request itself asks for, else what the
        configuration has.
        """
        if wanted is not None:
            return wanted if self._faults.strikes(wanted) else None
        if not self._faults:
            return None
        names = {asked.provider, self.providers.host_key(asked.request.host, asked.request.port)}
        return self._faults.choose(names, asked.request, asked.canonical)

    def decide(self, asked: ReplayRequest) -> Verdict:
        """What becomes of a request where the provider may be gone to."""
        policy, library = self.policy, asked.session.library
        takes, place = self._chosen(asked)
        if library.known_at_start(takes):
            fresh = policy.fresh is not None and policy.fresh(
                asked.canonical, self._age(asked.session, takes) if policy.fresh.by_age else None
            )
            return "record" if fresh or self._fills(asked, takes, place) else "replay"
        if policy.on_miss.passes(asked.request.host, asked.request.port):
            return "pass"
        return "record" if policy.on_miss.action == "record" else "miss"

    def _fills(self, asked: ReplayRequest, takes: Sequence[Entry], place: Hashable) -> bool:
        """Whether a request is to be recorded as a take that is missing; it is counted as given."""
        player = asked.session.player
        at = player.upcoming(place, takes)
        if not self.policy.fill or at == len(takes):
            return False
        missing = missing_before([take.name for take in takes], at)
        name = next((name for name in missing if not player.was_given(name)), None)
        # The recording is going to be named by its key: the gap has to be that key's.
        if name is None or not name.rpartition("/")[2].startswith(asked.canonical.key[:12]):
            return False
        player.pass_over(name)
        return True

    def _tell_of_missing(self, asked: ReplayRequest, entry: Entry) -> None:
        """Report takes that should have been given before one; not those of other headers."""
        was_given = asked.session.player.was_given
        if entry.take == 1 or was_given(name_of_take(stem_of(entry.name), entry.take - 1)):
            return
        there = [take.name for take in asked.takes]
        missing = missing_before(there, there.index(entry.name)) if entry.name in there else ()
        names = [name for name in islice(missing, _MOST_MISSING) if not was_given(name)]
        if names and names[0] not in self._gaps:
            self._gaps.add(names[0])
            told = ", ".join(names[:3]) + (" and more" if len(names) > 3 else "")
            self.report.notice(
                f"takes are missing before {entry.name}: {told}; it was given in their place"
                " (`wiretape auto --fill` records what is missing)"
            )

    def _age(self, session: Session, takes: Sequence[Entry]) -> timedelta | None:
        """How old the oldest of some takes is; None where none says when it was recorded."""
        times = []
        for entry in takes:
            try:
                stored = session.library.read(entry.name).recorded_at
                times += [datetime.fromisoformat(stored)] if stored else []
            except (FormatError, StoreError, ValueError):
                continue
        times = [time if time.tzinfo else time.replace(tzinfo=UTC) for time in times]
        return self._clock() - min(times) if times else None

    def miss(self, asked: ReplayRequest) -> tuple[int, Headers, bytes]:
        """Answer a request that `play` has nothing for: status, headers and body; the report has
        its row.
        """
        if never := asked.canonical.never_recorded:
            row = missed_row(asked, None, 204)
            note = f"never recorded, by {never}"
            self.report.add(replace(row, outcome="passed", note=note))
            return 204, (), b""
        miss = self.explain(asked)
        self.report.add(missed_row(asked, miss, self.miss_status))
        text = f"wiretape: {miss.message}"
        return (
            self.miss_status,
            MISS_HEADERS,
            error_body(asked.shape, self.miss_status, text, "wiretape_miss"),
        )

    def explain(self, asked: ReplayRequest) -> Miss:
        """Why `play` gave nothing."""
        asked.session.counts["missed"] += 1
        canonical, library = asked.canonical, asked.session.library
        takes, _ = self._chosen(asked)
        used = takes[-1].name if takes else None
        headers = None
        with suppress(FormatError, StoreError):
            headers = None if takes else self._selection.other_headers(asked, canonical)
        # A client that loops asks the same in vain again and again.
        told = repr(headers[0].value["headers"]) if headers else ""
        place = (id(library), canonical.key, len(library), len(library.faults), used, told)
        miss = self._missed.get(place)
        if miss is None:
            request, nearest = headers or (canonical, () if used else library.nearest(canonical))
            tokens = {text: origin.token for text, origin in asked.origins.items()}
            document = {**asked.document, "ids": tokens} if tokens else asked.document
            folder = FolderState(
                total=len(library),
                of_endpoint=library.count(canonical.endpoint),
                takes_used=used,
                faults=library.faults,
                session=asked.session.name,
                try_rule=self._rule_trials.of(library, document),
                rule_names=self._rule_names,
            )
            miss = self._missed[place] = miss_for(request, asked.url, nearest, folder)
            if len(self._missed) > _COMPARED:
                self._missed.popitem(last=False)
        return miss


MISS_HEADERS: Final = (
    ("content-type", "application/json"),
    ("x-should-retry", "false"),
    ("x-wiretape", "miss"),
)


class Tickets:
    """Hands a played answer from mitmproxy to the engine; a ticket is good once."""

    def __init__(self) -> None:
        self._issued: dict[str, tuple[ReplayAnswer, ReplayRequest]] = {}

    def issue(self, played: ReplayAnswer, asked: ReplayRequest) -> str:
        """A ticket that no other user of this machine can guess."""
        ticket = token_hex(16)
        self._issued[ticket] = (played, asked)
        return ticket

    def take(self, ticket: str) -> tuple[ReplayAnswer, ReplayRequest] | None:
        """What a ticket was issued for."""
        return self._issued.pop(ticket, None)


def played_row(
    asked: ReplayRequest,
    played: ReplayAnswer,
    first_chunk: float | None = None,
    duration: float | None = None,
    note: str | None = None,
) -> Row:
    """The row of an answer that is played; it has times when it has been."""
    response = played.response
    return Row(
        "replayed",
        asked.provider,
        asked.request.method,
        asked.path,
        asked.model,
        status=response.status,
        chunks=len(response.chunks) if response.streaming else None,
        first_chunk=first_chunk,
        duration=duration,
        recording=played.entry.name,
        note=note,
        session=asked.session.name,
        take=played.take,
        beyond=played.beyond,
        stale=played.stale,
        fault=played.fault,
    )


def missed_row(asked: ReplayRequest, miss: Miss | None, status: int) -> Row:
    """The row of a request that no recording answers."""
    return Row(
        "missed",
        asked.provider,
        asked.request.method,
        asked.path,
        asked.model,
        status=status,
        miss=miss,
        session=asked.session.name,
    )

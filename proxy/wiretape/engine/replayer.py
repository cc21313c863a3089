"""Answer a request from recordings, or explain the miss.

Requests come from `handler.py` (pure replay) and `wiretape_mitm/replay_flow.py` (within mitmproxy).
"""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from secrets import token_hex
from threading import Lock
from typing import Final, Literal

from wiretape import descriptors
from wiretape.core.conversation.estimate import usage_of
from wiretape.core.cost.usage import Usage
from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.canonical import Canonical, Change, changed
from wiretape.core.matching.matcher import Matcher, without_selecting
from wiretape.core.matching.miss import FolderState, Miss, RuleNames, miss_for
from wiretape.core.matching.placeholders import ANY
from wiretape.core.model import Chunk, Exchange, Headers, Request, Response, WebSocket, header
from wiretape.core.playback.faults import Fault, Faults
from wiretape.core.playback.known_request import digest_of, is_free_of, kept_headers
from wiretape.core.playback.player import Pick
from wiretape.core.playback.policy import MISS_STATUS, Policy
from wiretape.core.playback.websocket import LockStep, MessageMatcher, ReplayedConnection
from wiretape.core.providers.registry import Providers, error_body
from wiretape.core.recording.document import GUESSABLE, Document, from_request
from wiretape.core.recording.given_ids import sent_ids
from wiretape.core.recording.outage import is_outage
from wiretape.core.redaction.placeholder import may_be_in
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.wire import jsonrpc, sse
from wiretape.core.wire.content_coding import plain_request
from wiretape.library.library import Entry
from wiretape.library.sequence import missing_before, name_of_take, stem_of
from wiretape.report.report import Report, Row
from wiretape.sessions.sessions import Session, Sessions
from wiretape.sessions.shared import SharedSessions

from .request import LateForms, ReplayRequest, RequestForms
from .rule_trials import RuleTrials
from .selecting import Choice, TakeSelector

log = logging.getLogger(__name__)

_COMPARED: Final = 1024
_RENAMINGS: Final = 10_000
_FEW: Final = 100
_MOST_MISSING_LISTED: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayAnswer:
    """A recording's answer to a request.

    `takes` are all takes of the request and `take` is the number of this one, from 1; `beyond` says
    that the request was made more often than recorded. `stale` are changes that rules ignore,
    `fault` is the name of a fault on demand, `usage` the tokens that the answer once cost. An
    answer that is `held` stays open until its client leaves.
    """

    entry: Entry
    response: Response
    takes: Sequence[Entry] = ()
    take: int = 1
    beyond: bool = False
    stale: tuple[Change, ...] = ()
    fault: str | None = None
    held: bool = False
    usage: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """How a run replays: what may go to the provider, which faults it has, and a miss's status."""

    policy: Policy = field(default_factory=Policy)
    faults: Faults = field(default_factory=Faults)
    miss_status: int = MISS_STATUS
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    shared: SharedSessions | None = None
    """Where other processes answer for the same run."""
    max_age: timedelta | None = None
    """The age beyond which a recording that answers is reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """The take that is next: not given yet."""

    takes: Sequence[Entry]
    pick: Pick
    entry: Entry
    exchange: Exchange


type Verdict = Literal["replay", "record", "pass", "miss"]


class Replayer:
    """Answers requests from the recordings of their sessions, and reports it.

    request = replayer.with_current_ids(replayer.prepare(live, session))
    answer = replayer.answer(request)
    if answer is None:
        status, headers, body = replayer.miss(request)
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
        self._redactor = redactor
        self._faults = options.faults
        self._clock = options.clock
        self._shared = options.shared
        self._max_age = options.max_age
        self._messages = MessageMatcher(matcher, redactor)
        self._gaps: set[str] = set()
        self._has_own_rules = any(rule.own for rule in matcher.rules)
        self._rule_trials = RuleTrials(matcher)
        self._rule_names = RuleNames(rule.name for rule in matcher.rules)
        self._selection = TakeSelector(matcher)
        self._compared: OrderedDict[tuple[int, str], Canonical] = OrderedDict()
        self._explaining = Lock()
        self._missed: OrderedDict[tuple[object, ...], Miss] = OrderedDict()
        self._usages: dict[tuple[int, str, int], Usage | None] = {}

    def prepare(self, live: Request, session: Session | None = None) -> ReplayRequest:
        """Redact a live request as its recording was, and give the key of its canonical form: the
        short way if it is a recorded one byte for byte, else the long way.
        """
        session = session or self.sessions.own
        return self._known(live, session) or self.examine(live, session)

    def _known(self, live: Request, session: Session) -> ReplayRequest | None:
        """The same as `examine` gives, without reading the request; None if that is in doubt."""
        headers = kept_headers(live, self._redactor.keeps)
        if headers is None:
            return None
        digest = digest_of(live, headers)
        known = session.library.known(digest)
        if known is None or not is_free_of(self._redactor.secrets(live), live, headers):
            return None
        # Without takes it may be another form that is recorded.
        if not session.library.answering((known.key,), known.request_ids):
            return None
        self.report.applied.update(known.rules)
        return ReplayRequest(
            live=live,
            session=session,
            keys=(known.key,),
            forms=LateForms(lambda: self.examine(live, session).forms()),
            request_ids=known.request_ids,
            url=live.url,
            path=live.path,
            model=known.model,
            known_provider=self.providers.find(live.host, live.port),
            digest=digest,
        )

    def examine(self, live: Request, session: Session) -> ReplayRequest:
        """Prepare a live request the long way: parse and redact it, and make its canonical form."""
        live_document = from_request(plain_request(live))
        secrets = self._redactor.secrets(live)
        document = redacted = self._redactor.request(live_document, secrets)
        canonical = session.library.matched(document)
        if not session.library.takes(canonical.key):
            for variant in self._variants(live_document, live, document, session):
                variant_form = session.library.matched(variant)
                if session.library.takes(variant_form.key):
                    document, canonical = variant, variant_form
                    break
        self.report.applied.update(canonical.rules)
        exact = self._redactor.exact(live_document, secrets)
        forms = RequestForms(document, (canonical,))
        return ReplayRequest(
            live=live,
            session=session,
            keys=(canonical.key,),
            forms=lambda: forms,
            request_ids=sent_ids(document),
            url=redacted["url"],
            path=redacted["endpoint"],
            model=redacted.get("model"),
            known_provider=self.providers.find(live.host, live.port),
            exact_key="" if exact is None else session.library.matched(exact).key,
        )

    def _variants(
        self, live_document: Document, live: Request, document: Document, session: Session
    ) -> Iterator[Document]:
        """Other forms in which the same request may be recorded: with a value that was a credential
        then, with a value that an answer gave then and a placeholder gives now, and without the
        redaction of values named elsewhere, which earlier versions did not have.
        """
        if may_be_in(json.dumps(document)):
            yield {**document, "carried": [ANY]}
        if self._redactor.recognise(live_document, session.library.redacted()):
            redacted = self._redactor.request(live_document, self._redactor.secrets(live))
            yield redacted
            yield {**redacted, "carried": [ANY]}
        if self._redactor.remembers:
            yield self._redactor.request(
                live_document, self._redactor.secrets(live), remembered=False
            )

    def with_current_ids(
        self, request: ReplayRequest, session: Session | None = None
    ) -> ReplayRequest:
        """The same request with the ids that its session has been given by now."""
        session = session or request.session
        known_ids = session.known_ids
        id_sources = (
            known_ids.origins(request.request_ids) if request.request_ids and len(known_ids) else {}
        )
        if not id_sources:
            if session is request.session and not request.id_sources:
                return request
            return replace(
                request,
                session=session,
                keys=request.keys[-1:],
                forms=_spelled(request),
                id_sources={},
            )
        tokens = {text: source.token for text, source in id_sources.items()}
        document, (*_, spelled) = request.forms()
        with_ids = session.library.matched({**document, "ids": tokens})
        canonicals = (spelled,) if with_ids.key == spelled.key else (with_ids, spelled)
        return replace(
            request,
            session=session,
            keys=tuple(canonical.key for canonical in canonicals),
            forms=lambda: RequestForms(document, canonicals),
            id_sources=id_sources,
        )

    def lock_step(self, request: ReplayRequest, answer: ReplayAnswer) -> LockStep:
        """The recorded conversation of a WebSocket whose opening request was answered."""
        library = request.session.library
        names = [take.name for take in answer.takes]
        names = request.session.take_order.order(names, answer.take - 1)
        secrets = self._redactor.secrets(request.live)
        return LockStep(
            names,
            lambda name: self._response(library.read(name), request),
            self._messages.of(request.url, request.path, secrets),
        )

    def websocket_row(
        self, request: ReplayRequest, answer: ReplayAnswer, connection: ReplayedConnection
    ) -> Row:
        """The report's row of a WebSocket that was replayed, or of its miss."""
        row, explain = self._socket_row(request, answer, connection)
        return row if explain is None else replace(row, miss=explain())

    def _socket_row(
        self, request: ReplayRequest, answer: ReplayAnswer, connection: ReplayedConnection
    ) -> tuple[Row, Callable[[], Miss] | None]:
        """The row of a WebSocket, and what explains its miss."""
        session, library = request.session, request.session.library
        session.take_order.used(connection.recording)
        session.used.add(connection.recording)
        names = (connection.recording, answer.entry.name)
        other = next((take for take in answer.takes if names[0] == take.name != names[1]), None)
        if other is not None:
            session.known_ids.learn(library.ids(other.name), other.token)
        self._tell_others(session, "socket", connection.recording, other.token if other else "")
        self.report.applied.update(connection.rules)
        row = replace(
            replayed_row(request, answer, connection.first, connection.duration, connection.note),
            chunks=connection.sent,
            recording=connection.recording,
            stale=(*answer.stale, *connection.stale),
        )
        mismatch = connection.mismatch
        if mismatch is None:
            return row, None
        message = self._messages.request(
            request.url, request.path, mismatch.message, self._redactor.secrets(request.live)
        )
        folder = FolderState(
            total=len(library),
            of_endpoint=max(len(mismatch.candidates), 1),
            session=request.session.name,
            try_rule=self._rule_trials.of(library, message),
            rule_names=self._rule_names,
        )

        def explain() -> Miss:
            with self._explaining:
                return miss_for(mismatch.got, request.url, mismatch.candidates, folder)

        return replace(row, outcome="missed", note=mismatch.reason), explain

    def redact(self, text: str) -> str:
        """Redact a text to be shown."""
        return self._redactor.text(text)

    def answer(self, request: ReplayRequest) -> ReplayAnswer | None:
        """The next take that answers a request; None if there is none."""
        choice = self._next_take(request)
        return self._give(request, choice) if choice else None

    async def hand_out(self, request: ReplayRequest) -> tuple[ReplayRequest, ReplayAnswer | None]:
        """Answer as `answer` does, for no two processes of a run the same; with the request as its
        session knows it then.

        SessionsChanged, SequencesLost as `SharedSessions.append` has them.
        """
        if self._shared is None:
            return request, self.answer(request)
        session = request.session
        async with session.turn:
            choice: _Choice | None = None
            while True:
                if choice is None:
                    request = self.with_current_ids(request)
                    choice = self._next_take(request)
                entry = _entry_of(request, choice) if choice else ()
                # A take that is repeated changes nothing, but where all are repeated in turn.
                is_needed = not (choice and choice.pick.beyond) or session.player.repeat == "cycle"
                others = await self._shared.append(session, *entry, is_needed=is_needed)
                if others is None:
                    return request, self._give(request, choice) if choice else None
                if choice and not _is_apart(request, choice, others):
                    choice = None

    async def share(self, session: Session) -> None:
        """Tell other processes of a session's misses and the WebSockets that ended."""
        if self._shared is not None and session.unshared:
            await self._shared.catch_up(session.key)

    def _choose_takes(self, request: ReplayRequest) -> Choice:
        """The takes whose headers agree; empty, with a notice, if one of them cannot be read."""
        try:
            choice = self._selection.of(request)
            return choice if self._indistinct(request, choice[0]) is None else ((), ())
        except (FormatError, StoreError) as error:
            self._report_unusable(error)
            return (), ()

    def _indistinct(self, request: ReplayRequest, takes: Sequence[Entry]) -> str | None:
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
        self.report.notice(f"a recording cannot be used: {error}")

    def _next_take(self, request: ReplayRequest) -> _Choice | None:
        takes, sequence_key = self._choose_takes(request)
        if not takes:
            return None
        library = request.session.library
        exchanges: dict[int, Exchange] = {}

        def may_last(take: int) -> bool:
            exchange = exchanges[take] = library.read(takes[take].name)
            return not is_outage(exchange.response.status)

        try:
            pick = request.session.player.choose(sequence_key, takes, may_last)
            if pick is None:
                return None
            entry = takes[pick.take]
            exchange = exchanges.get(pick.take) or library.read(entry.name)
        except (FormatError, StoreError) as error:
            self._report_unusable(error)
            return None
        return _Choice(takes=takes, pick=pick, entry=entry, exchange=exchange)

    def _give(self, request: ReplayRequest, choice: _Choice) -> ReplayAnswer:
        session, entry, pick = request.session, choice.entry, choice.pick
        session.player.give(entry.name)
        if request.exact_key:
            session.exact_keys.setdefault(request.keys[-1], request.exact_key)
        if session.branch is not None:
            session.branch.replayed(session.library, entry.name)
        self._report_missing_takes(request, entry)
        session.known_ids.learn(session.library.ids(entry.name), entry.token)
        session.used.add(entry.name)
        session.counts["replayed"] += 1
        self.report.beyond += pick.beyond
        if self._max_age is not None:
            self._report_age(session, entry, self._max_age)
        response = self._response(choice.exchange, request)
        held = self._stays_open(request, response)
        return ReplayAnswer(
            entry=entry,
            response=replace(response, end="timeout") if held else response,
            held=held,
            takes=choice.takes,
            take=pick.take + 1,
            beyond=pick.beyond,
            stale=self._stale(session, request, entry),
            usage=self._usage(session, request, entry, choice.exchange),
        )

    def _response(self, exchange: Exchange, request: ReplayRequest) -> Response:
        """A recorded answer, with this run's folders and the ids of JSON-RPC that its request
        has, or the request whose stream it goes on with.
        """
        response, recorded = self._redactor.paths.response(exchange), exchange.request
        renamings = request.session.renamings
        if recorded.body:
            renaming = jsonrpc.Renaming.between(recorded.body, request.live.body)
        else:
            renaming = renamings.get(header(request.live.headers, "last-event-id") or "")
        if renaming is None:
            return response
        if not response.streaming:
            body = renaming.whole(response.body)
            at = response.chunks[-1].at if response.chunks else None
            return replace(response, chunks=(Chunk(body, at),)) if body else response
        if isinstance(response, WebSocket):
            messages = (
                message
                if message.sender == "client"
                else replace(message, data=renaming.whole(message.data))
                for message in response.messages
            )
            return replace(response, chunks=tuple(messages))
        events = (sse.parse(chunk.data) for chunk in response.chunks)
        renamings |= {event.id: renaming for event in events if event is not None and event.id}
        while len(renamings) > _RENAMINGS:
            del renamings[next(iter(renamings))]
        chunks = (replace(chunk, data=renaming.event(chunk.data)) for chunk in response.chunks)
        return replace(response, chunks=tuple(chunks))

    def _stays_open(self, request: ReplayRequest, response: Response) -> bool:
        """Whether an answer is the stream in which an MCP server speaks of its own accord: it lives
        as long as its session, which goes faster now. A client opens one that ends again, and would
        be told everything twice. One that was resumed in the recording does end.
        """
        live = request.live
        if live.method != "GET" or not response.streaming or not jsonrpc.is_mcp(live.headers):
            return False
        events = (sse.parse(chunk.data) for chunk in reversed(response.chunks))
        last_id = next((event.id for event in events if event and event.id), None)
        if last_id is None:
            return True
        headers = [item for item in live.headers if item[0].lower() != "last-event-id"]
        resuming = replace(live, headers=(*headers, ("last-event-id", last_id)))
        prepared = self.prepare(resuming, request.session)
        return not self.with_current_ids(prepared).takes

    def _usage(
        self, session: Session, request: ReplayRequest, entry: Entry, exchange: Exchange
    ) -> Usage | None:
        """The tokens of a recording, read once."""
        if self.report.prices is None:
            return None
        name = (id(session.library), entry.name, entry.since)
        if name not in self._usages:
            self._usages[name] = usage_of(request.live, exchange.response)
        return self._usages[name]

    def _report_age(self, session: Session, entry: Entry, limit: timedelta) -> None:
        """Report a recording that is older than the run allows."""
        age = self._age(session, [entry])
        if age is not None and age > limit:
            self.report.old[entry.name] = age.days

    def _stale(self, session: Session, request: ReplayRequest, entry: Entry) -> tuple[Change, ...]:
        """What has changed since the recording, of what rules ignore in either of the two."""
        if not self._has_own_rules or (request.digest and request.digest == entry.digest):
            return ()
        for canonical in request.canonicals:
            if (recorded := self._recorded(session, canonical, entry)) is not None:
                self.report.applied.update(recorded.rules)
                return changed(canonical, recorded)
        # A recording of an earlier version answers without the headers that decide an answer.
        bare = session.library.matched(without_selecting(request.document))
        recorded = self._recorded(session, bare, entry)
        return changed(bare, recorded) if recorded is not None else ()

    def _recorded(self, session: Session, canonical: Canonical, entry: Entry) -> Canonical | None:
        """The canonical form of a recording under a request's key; None if it has another key."""
        library = session.library
        name = (id(library), entry.name)
        recorded = self._compared.get(name)
        if recorded is None or recorded.key != canonical.key:
            try:
                forms = library.recorded(entry.name)
                if entry.foreign:  # llama-stack's answer further requests
                    parts = library.requests(entry.name)
                    forms += tuple(library.matched(part) for _, part in parts)
            except (FormatError, StoreError):
                return None
            recorded = next((form for form in forms if form.key == canonical.key), None)
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

    def fault(self, request: ReplayRequest, requested: Fault | None = None) -> Fault | None:
        """The fault of an answer: `requested` by the request itself, else the configuration's."""
        if requested is not None:
            return requested if self._faults.strikes(requested) else None
        if not self._faults:
            return None
        names = {request.provider, self.providers.host_key(request.live.host, request.live.port)}
        return self._faults.choose(names, request.live, request.canonical)

    def decide(self, request: ReplayRequest) -> Verdict:
        """Decide what to do with a request in a run that may contact the provider."""
        policy, library, branch = self.policy, request.session.library, request.session.branch
        if branch is not None and not request.canonical.never_recorded and branch.next_is_live():
            return "record"
        takes, sequence_key = self._choose_takes(request)
        if library.known_at_start(takes):
            is_fresh = policy.fresh is not None and policy.fresh(
                request.canonical,
                self._age(request.session, takes) if policy.fresh.by_age else None,
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
        if not self.policy.fill or position == len(takes):
            return False
        missing = missing_before([take.name for take in takes], position)
        name = next((name for name in missing if not player.was_given(name)), None)
        # The recording is named by its key, so the gap has to be of that key.
        if name is None or not name.rpartition("/")[2].startswith(request.canonical.key[:12]):
            return False
        player.give(name)
        return True

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

    def _age(self, session: Session, takes: Sequence[Entry]) -> timedelta | None:
        """The age of the oldest take; None if no take says when it was recorded."""
        times = []
        for entry in takes:
            try:
                stored = session.library.read(entry.name).recorded_at
                times += [datetime.fromisoformat(stored)] if stored else []
            except (FormatError, StoreError, ValueError):
                continue
        times = [time if time.tzinfo else time.replace(tzinfo=UTC) for time in times]
        return self._clock() - min(times) if times else None

    def miss(self, request: ReplayRequest) -> tuple[int, Headers, bytes]:
        """Report a request that `answer` has nothing for; gives status, headers and body."""
        if never := request.canonical.never_recorded:
            row = missed_row(request, None, 204)
            note = f"never recorded, by {never}"
            self.report.add(replace(row, outcome="passed", note=note))
            return 204, (), b""
        return self._missed_answer(request, self.explain_miss(request))

    async def miss_in_thread(self, request: ReplayRequest) -> tuple[int, Headers, bytes]:
        """The same as `miss`; other requests are answered while a rule is tried on all recordings.

        If the client leaves meanwhile, the miss is reported without its reason.
        """
        if request.canonical.never_recorded:
            return self.miss(request)
        explain = self._explanation(request)
        try:
            miss = await asyncio.to_thread(explain)
        except asyncio.CancelledError:
            row = missed_row(request, None, self.miss_status)
            note = "no recording answers it; the client left before the reason was found"
            self.report.add(replace(row, note=note))
            request.session.add_problem(note)
            raise
        return self._missed_answer(request, self._explained(request, miss))

    def _missed_answer(self, request: ReplayRequest, miss: Miss) -> tuple[int, Headers, bytes]:
        self.report.add(missed_row(request, miss, self.miss_status))
        return self.miss_status, MISS_HEADERS, self.miss_body(request, miss)

    def miss_body(self, request: ReplayRequest, miss: Miss) -> bytes:
        """What a client is answered for a miss, in its provider's shape."""
        text = f"wiretape: {miss.message}"
        body = error_body(request.shape, self.miss_status, text, "wiretape_miss")
        return jsonrpc.addressed(body, request.live.body) if request.shape == "mcp" else body

    def explain_miss(self, request: ReplayRequest) -> Miss:
        """Explain why `answer` gave nothing."""
        return self._explained(request, self._explanation(request)())

    def _explained(self, request: ReplayRequest, miss: Miss) -> Miss:
        request.session.add_problem(miss.message)
        self._tell_others(request.session, "miss", miss.message)
        return miss

    def _explanation(self, request: ReplayRequest) -> Callable[[], Miss]:
        """What explains a miss, in any thread: it is slow where a rule is tried."""
        request.session.counts["missed"] += 1
        canonical, library = request.canonical, request.session.library
        takes, _ = self._choose_takes(request)
        last_take = takes[-1].name if takes else None
        indistinct = None
        with suppress(FormatError, StoreError):
            indistinct = self._indistinct(request, self._selection.of(request)[0])
        headers = None
        with suppress(FormatError, StoreError):
            headers = None if takes else self._selection.other_headers(request, canonical)
        # A client that retries in a loop misses again and again.
        header_text = repr(headers[0].value["headers"]) if headers else ""
        cache_key = (
            id(library),
            canonical.key,
            len(library),
            len(library.faults),
            last_take,
            header_text,
            indistinct,
        )
        tokens = {text: source.token for text, source in request.id_sources.items()}
        document = {**request.document, "ids": tokens} if tokens else request.document

        def explain() -> Miss:
            with self._explaining:
                miss = self._missed.get(cache_key)
                if miss is None:
                    miss = self._missed[cache_key] = explained()
                    if len(self._missed) > _COMPARED:
                        self._missed.popitem(last=False)
                return miss

        def explained() -> Miss:
            form, nearest = headers or (canonical, () if last_take else library.nearest(canonical))
            folder = FolderState(
                total=len(library),
                of_endpoint=library.count(canonical.endpoint),
                takes_used=last_take,
                indistinct=indistinct,
                faults=library.faults,
                session=request.session.name,
                try_rule=self._rule_trials.of(library, document),
                rule_names=self._rule_names,
            )
            return miss_for(form, request.url, nearest, folder)

        return explain

    def _tell_others(self, session: Session, *entry: str) -> None:
        if self._shared is not None:
            session.unshared.append(entry)


def _entry_of(request: ReplayRequest, choice: _Choice) -> tuple[str, ...]:
    """What other processes are told of a take that is given: see `sessions/shared.py`."""
    entry = choice.entry
    token = entry.token if request.session.library.ids(entry.name) else ""
    exact = (request.keys[-1], request.exact_key) if request.exact_key else ()
    return "take", entry.name, token, *exact


def _is_apart(request: ReplayRequest, choice: _Choice, others: Sequence[str]) -> bool:
    """Whether a choice is right though other processes gave these takes since it was made."""
    if request.request_ids or request.exact_key or len(choice.takes) > _FEW:
        return False
    return {take.name for take in (*request.takes, *choice.takes)}.isdisjoint(others)


MISS_HEADERS: Final = (
    ("content-type", "application/json"),
    ("x-should-retry", "false"),
    ("x-wiretape", "miss"),
)


def _spelled(request: ReplayRequest) -> Callable[[], RequestForms]:
    """The forms of a request without those that name its ids by their sources."""
    return lambda: RequestForms(request.document, request.canonicals[-1:])


class Tickets:
    """Hands an answer from mitmproxy to the engine; a ticket is good once."""

    def __init__(self) -> None:
        self._issued: dict[str, tuple[ReplayAnswer, ReplayRequest]] = {}

    def issue(self, answer: ReplayAnswer, request: ReplayRequest) -> str:
        """A ticket that no other user of this machine can guess."""
        ticket = token_hex(16)
        self._issued[ticket] = (answer, request)
        return ticket

    def take(self, ticket: str) -> tuple[ReplayAnswer, ReplayRequest] | None:
        """What a ticket was issued for."""
        return self._issued.pop(ticket, None)


def replayed_row(
    request: ReplayRequest,
    answer: ReplayAnswer,
    first_chunk: float | None = None,
    duration: float | None = None,
    note: str | None = None,
) -> Row:
    """The report's row of a replayed answer; the times are given once it was sent."""
    response = answer.response
    return Row(
        "replayed",
        request.provider,
        request.live.method,
        request.path,
        request.model,
        status=response.status,
        chunks=len(response.chunks) if response.streaming else None,
        first_chunk=first_chunk,
        duration=duration,
        recording=answer.entry.name,
        note=note,
        session=request.session.name,
        take=answer.take,
        beyond=answer.beyond,
        stale=answer.stale,
        fault=answer.fault,
        usage=answer.usage,
    )


def missed_row(request: ReplayRequest, miss: Miss | None, status: int) -> Row:
    """The report's row of a request that no recording answers."""
    return Row(
        "missed",
        request.provider,
        request.live.method,
        request.path,
        request.model,
        status=status,
        miss=miss,
        session=request.session.name,
    )

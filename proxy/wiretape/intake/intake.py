"""From a finished exchange to a file: document, redaction, gate, library, report.

The work is done in one thread of its own, in the order the exchanges ended, so that neither a
client nor its stream ever waits for it. Until it is done the journal holds what came.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from wiretape.core.capture.recorder import Recorder
from wiretape.core.errors import StoreError, WiretapeError
from wiretape.core.model import Exchange, Outcome, Request, Response, WebSocket
from wiretape.core.playback.websocket import message_requests
from wiretape.core.providers.registry import Providers
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, from_exchange, from_request, to_exchange
from wiretape.core.recording.given_ids import answer_ids, stamp
from wiretape.core.recording.outage import is_outage
from wiretape.core.redaction import gate
from wiretape.core.redaction.redactor import Finding, Redactor, Secrets
from wiretape.core.wire.content_coding import plain_request
from wiretape.report.report import Report, Row, RowOutcome
from wiretape.sessions.sessions import Session

from .journal import Journal, Track

log = logging.getLogger(__name__)

DEFER_SECONDS: Final = 0.05
"""A client's next request comes right after an answer: the file waits until it is sent."""

_MAX_HELD: Final = 200
_MOST_BEHIND: Final = 500
_MOST_BYTES_BEHIND: Final = 256 * 1024 * 1024


class Intake:
    """Takes finished exchanges in; `drain` waits until all are on disk and in the report."""

    def __init__(
        self,
        redactor: Redactor,
        providers: Providers,
        report: Report,
        *,
        record_errors: bool = False,
        journal: Journal | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._redactor = redactor
        self.providers: Final = providers
        self._report = report
        self._record_errors = record_errors
        self._journal = journal
        self._clock = clock
        self._latest = datetime.min.replace(tzinfo=UTC)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="wiretape-intake")
        self._pending: set[asyncio.Future[None]] = set()
        self._bytes_behind = 0
        self._room = asyncio.Event()
        self._room.set()
        self._waiting: list[EndedExchange] = []
        # Outages wait for the retry that ends well; none comes to disk without one.
        self._held: dict[tuple[int, str], list[_Made]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, recorder: Recorder, session: Session) -> None:
        """An exchange of a session begins; what its recorder is told is kept in the journal."""
        if self._journal is not None and recorder.unrecorded is None:
            recorder.listener = self._journal.begin(recorder.request, session.name, self._now())

    def forget(self, recorder: Recorder) -> None:
        """An exchange that has begun will not be put: there is nothing to keep of it."""
        if recorder.listener is not None:
            recorder.listener.drop()
            recorder.listener = None

    def put(self, recorder: Recorder, outcome: Outcome, at: float, session: Session) -> None:
        """An exchange of a session has ended; `at` is seconds after its request was sent."""
        ending = EndedExchange(recorder, outcome, at, session, self._now())
        if isinstance(recorder.listener, Track):
            recorder.listener.ended(recorder, outcome, at, ending.recorded_at)
        self._waiting.append(ending)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(DEFER_SECONDS, self._begin, loop)

    def _now(self) -> str:
        """The time, later than any told before: it tells the order of recordings."""
        self._latest = max(self._clock(), self._latest + timedelta(microseconds=1))
        return self._latest.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for ending in self._waiting:
            work = loop.run_in_executor(self._worker, self._keep, ending, loop)
            size = ending.recorder.size
            self._pending.add(work)
            self._bytes_behind += size
            work.add_done_callback(partial(self._kept, size))
        self._waiting.clear()
        if self._is_behind:
            self._room.clear()

    def _kept(self, size: int, work: asyncio.Future[None]) -> None:
        self._pending.discard(work)
        self._bytes_behind -= size
        if not self._is_behind:
            self._room.set()

    @property
    def _is_behind(self) -> bool:
        return len(self._pending) > _MOST_BEHIND or self._bytes_behind > _MOST_BYTES_BEHIND

    async def room(self) -> None:
        """Wait while so much is to be written still that it would fill the memory: a client that
        asks faster than the disk takes it is slowed.
        """
        await self._room.wait()

    def tell(
        self, request: Request, outcome: RowOutcome, note: str, session: Session | None = None
    ) -> None:
        """Report an exchange of which there is nothing to keep."""
        secrets = self._redactor.secrets(request)
        document = self._redactor.request(from_request(plain_request(request)), secrets)
        row = Row.of(request, self.providers, document, outcome=outcome)
        row = replace(row, note=self._redactor.text(note, secrets))
        if session is not None:
            self._report.applied.update(session.library.matched(document).rules)
            row = replace(row, session=session.name)
            _count(row, session)
        self._report.add(row)

    def row(self, request: Request, outcome: RowOutcome) -> Row:
        """A row that says what is asked, and no secret."""
        document = self._redactor.request(from_request(request), self._redactor.secrets(request))
        return Row.of(request, self.providers, document, outcome=outcome)

    @property
    def is_busy(self) -> bool:
        """Whether something that was put is not written yet."""
        return self._timer is not None or bool(self._pending)

    async def drain(self) -> None:
        """Wait until everything put is kept or refused; an outage may wait for its retry still."""
        if self._timer is not None:
            self._timer.cancel()
            self._begin(asyncio.get_running_loop())
        while self._pending:
            await asyncio.gather(*self._pending)

    async def finish(self) -> None:
        """Wait until everything put is kept or refused, and end the thread; no retry will come."""
        await self.drain()
        self._worker.shutdown(wait=True)
        for row in self._given_up(0):
            self._report.add(row)
        if self._journal is not None:
            self._journal.close()

    def _given_up(self, most: int) -> list[Row]:
        """The rows of held outages that are let go so that at most so many remain."""
        rows = []
        while sum(map(len, self._held.values())) > most:
            place = next(iter(self._held))
            for made in self._held.pop(place):
                rows.append(replace(made.row, session=made.session.name))
                self.forget(made.recorder)
        return rows

    def _keep(self, ending: "EndedExchange", loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon_threadsafe(self._tell, self.keep(ending), ending.session)

    def keep(self, ending: "EndedExchange", *, recovered: bool = False) -> list[Row]:
        """Keep or refuse an exchange now, in this thread, and give the rows that say so.

        StoreError where one that is `recovered` cannot be written: it may be tried again.
        """
        try:
            return self._rows(ending, recovered=recovered)
        except Exception as error:
            if recovered and isinstance(error, StoreError):
                raise
            # A fault of ours: the run fails and says so; the fault's own words may hold anything.
            log.debug("an exchange could not be kept", exc_info=True)
            self.forget(ending.recorder)
            host = ending.recorder.request.host
            provider = self.providers.find(host, ending.recorder.request.port)
            note = f"not written: wiretape failed inside ({type(error).__name__}); -v shows where"
            return [
                Row("refused", provider.name if provider else host, "an", "exchange", note=note)
            ]

    def _tell(self, rows: list[Row], session: Session) -> None:
        for row in rows:
            _count(row, session)
            self._report.add(replace(row, session=session.name))

    def _rows(self, ending: "EndedExchange", *, recovered: bool) -> list[Row]:
        """Keep an exchange, and the outages before it that it makes a retry sequence of."""
        made = self._made(ending)
        if made.never:
            self.forget(made.recorder)
            return [replace(made.row, outcome="passed", note=f"never recorded, by {made.never}")]
        if made.recorder.unrecorded is not None:
            self.forget(made.recorder)
            note = f"not recorded: {made.recorder.unrecorded}"
            return [replace(made.row, outcome="refused", note=note)]
        if is_outage(made.status) and not self._record_errors:
            self._held.setdefault(made.place, []).append(made)
            # A long outage is not to fill the memory: the oldest has waited in vain.
            return self._given_up(_MAX_HELD)
        before = self._held.pop(made.place, [])
        return [self._write(one, recovered=recovered) for one in (*before, made)]

    def _made(self, ending: "EndedExchange") -> "_Made":
        recorder, at, session = ending.recorder, ending.at, ending.session
        exchange = recorder.finish(ending.outcome, at, ending.recorded_at)
        # Not the recorder's: the body of a large upload came to it only later.
        request = exchange.request
        secrets = self._redactor.secrets(request)
        exchange = Exchange(plain_request(request), exchange.response, ending.recorded_at)
        response = exchange.response
        document, findings = self._redactor.document(from_exchange(exchange), secrets)
        row = Row.of(
            request,
            self.providers,
            document["request"],
            outcome="skipped",
            status=response.status,
            chunks=len(response.chunks) if response.streaming else None,
            first_chunk=recorder.first_chunk_at,
            duration=at,
            note=_ended(response, recorder.client_closed_at),
        )
        if is_outage(response.status) and not self._record_errors:
            note = f"a {response.status} is not recorded (record.errors: true would)"
            row = replace(row, note=note)
        canonical = session.library.matched(document["request"])
        self._report.applied.update(canonical.rules)
        if isinstance(response, WebSocket):
            part = document["request"]
            for said in message_requests(part["url"], part["endpoint"], response.messages):
                form = session.library.matched(self._redactor.request(said, secrets))
                self._report.applied.update(form.rules)
        place = (id(session), canonical.key)
        return _Made(
            session=session,
            place=place,
            recorder=recorder,
            request=request,
            response=response,
            document=document,
            findings=findings,
            secrets=secrets,
            row=row,
            never=canonical.never_recorded,
        )

    def _write(self, made: "_Made", *, recovered: bool) -> Row:
        row = self._written(made, recovered=recovered)
        self.forget(made.recorder)
        return row

    def _written(self, made: "_Made", *, recovered: bool) -> Row:
        session, secrets, row = made.session, made.secrets, replace(made.row, note=made.ended)
        asked = stamp(made.document["request"], session.known_ids)
        smaller, files = recording_format.externalise({**made.document, "request": asked})
        text = recording_format.dumps(smaller)
        leak = self._leak(made.request, made.response, text, files, secrets)
        if leak and self._redactor.rules.gate == "refuse":
            return replace(row, outcome="refused", note=f"not written: {leak}")
        if recovered and _stands(made):
            return replace(row, outcome="passed", note="it was recorded before the run was killed")
        try:
            entry = session.library.write(smaller, text, files)
        except WiretapeError as error:
            if recovered:
                raise
            note = self._redactor.text(f"not written: {error}", secrets)
            return replace(row, outcome="refused", note=note)
        if entry is None:
            note = "it is recorded already (record.mode: missing-only)"
            return replace(row, outcome="passed", note=note)
        session.known_ids.learn(answer_ids(smaller), entry.token)
        session.used.add(entry.name)
        self._report.redactions.update(finding.rule for finding in made.findings)
        row = replace(row, outcome="recorded", recording=entry.name)
        return replace(row, note=f"written although {leak}") if leak else row

    def _leak(
        self,
        request: Request,
        response: Response,
        text: str,
        files: Mapping[str, bytes],
        secrets: Secrets,
    ) -> str | None:
        """The first thing that must not be written, as a note on a row: never the value."""
        leaks = (
            gate.unsearchable(request, response, self._redactor)
            or gate.inspect(text, self._redactor, secrets)
            or tuple(
                leak
                for data in files.values()
                for leak in gate.inspect_bytes(data, self._redactor, secrets)
            )
        )
        if not leaks:
            return None
        first, more = leaks[0], len(leaks) - 1
        what = first.masked if first.rule == "unsearched" else f"{first.rule} still stands"
        place = f" in {first.where or 'a side file'}"
        rest = f" (and {more} more)" if more else ""
        return f"{what}{place}{rest}; in config.yaml: {first.remedy}"


def _count(row: Row, session: Session) -> None:
    session.counts[row.outcome] += 1
    if row.outcome in ("refused", "failed"):
        session.add_problem(f"{row.outcome}: {row.method} {row.path}: {row.note or ''}")


def _stands(made: "_Made") -> bool:
    """Whether an exchange was written already: the kill came before the journal was told."""
    library, exchange = made.session.library, to_exchange(made.document)
    for entry in library.takes(library.keys(made.document["request"])[0].key):
        with suppress(WiretapeError):
            stored = library.read(entry.name)
            same = stored.recorded_at == exchange.recorded_at
            if same and stored.response == exchange.response:
                return True
    return False


@dataclass(frozen=True, slots=True)
class EndedExchange:
    """An exchange of a session that has ended: how, when in seconds after its request was sent, and
    when by the clock.
    """

    recorder: Recorder
    outcome: Outcome
    at: float
    session: Session
    recorded_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """An exchange that is ready to be written; `row` is what to tell if it never is, `never` the
    rule by which it is not.
    """

    session: Session
    place: tuple[int, str]
    recorder: Recorder
    request: Request
    response: Response
    document: Document
    findings: tuple[Finding, ...]
    secrets: Secrets
    row: Row
    never: str

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def ended(self) -> str | None:
        return _ended(self.response, self.recorder.client_closed_at)


def _ended(response: Response, left_at: float | None) -> str | None:
    notes = []
    if left_at is not None:
        count = sum((chunk.at or 0.0) <= left_at for chunk in response.chunks)
        notes.append(f"the client left after {count} {'chunk' if count == 1 else 'chunks'}")
    if response.end != "complete":
        notes.append(f"ended early: {response.end}")
    return "; ".join(notes) or None

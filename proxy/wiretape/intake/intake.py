"""Take over finished exchanges, to be written and reported.

One thread does the work, in the order the exchanges ended, so that neither a client nor its stream
ever waits for it: those that ended within `DEFER_SECONDS` are written together. Until they are on
disk the journal holds what came.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from wiretape.core.capture.recorder import Recorder
from wiretape.core.model import Outcome, Request
from wiretape.core.providers.registry import Providers
from wiretape.core.recording.document import from_request
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.wire.content_coding import plain_request
from wiretape.report.report import Report, Row, RowOutcome
from wiretape.sessions.sessions import Session

from .exchange_writer import EndedExchange, ExchangeWriter
from .journal import ExchangeFile, Journal

DEFER_SECONDS: Final = 0.05
"""A client's next request comes right after an answer: the file waits until it is sent."""

_MOST_TOGETHER: Final = 64
_MOST_BYTES_TOGETHER: Final = 1024 * 1024
"""So long the folder's lock is not held that another run would have to wait for it."""
_MOST_BEHIND: Final = 500
_MOST_BYTES_BEHIND: Final = 256 * 1024 * 1024


class Intake:
    """Records finished exchanges; `drain` waits until all are on disk and in the report.

    intake.begin(recorder, session)
    ...  # the recorder is fed from the wire
    intake.put(recorder, "ended", 1.25, session)
    await intake.finish()
    """

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
        self.redactor: Final = redactor
        self.providers: Final = providers
        self._report = report
        self.writer: Final = ExchangeWriter(
            redactor, providers, report, record_errors=record_errors
        )
        self._journal = journal
        self._clock = clock
        self._latest = datetime.min.replace(tzinfo=UTC)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="wiretape-intake")
        self._pending: set[asyncio.Future[None]] = set()
        self._behind = 0
        self._bytes_behind = 0
        self._room = asyncio.Event()
        self._room.set()
        self._waiting: list[EndedExchange] = []
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, recorder: Recorder, session: Session) -> None:
        """Begin an exchange: what its recorder gets is kept in the journal."""
        if self._journal is not None and recorder.unrecorded is None:
            recorder.listener = self._journal.begin(
                recorder.request, session.writable.session, self._now()
            )

    def put(self, recorder: Recorder, outcome: Outcome, ended_at: float, session: Session) -> None:
        """Record an exchange that ended `ended_at` seconds after its request was sent."""
        ending = EndedExchange(recorder, outcome, ended_at, session, self._now())
        if isinstance(recorder.listener, ExchangeFile):
            recorder.listener.ended(recorder, outcome, ended_at, ending.recorded_at)
        self._waiting.append(ending)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(DEFER_SECONDS, self._start_waiting, loop)

    def _now(self) -> str:
        """The time, later at each call, so that it orders recordings."""
        self._latest = max(self._clock(), self._latest + timedelta(microseconds=1))
        return f"{self._latest.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"

    def _start_waiting(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for batch in _batches(self._waiting):
            task = loop.run_in_executor(self._worker, self._keep_and_report, batch, loop)
            size = sum(ending.recorder.size for ending in batch)
            self._pending.add(task)
            self._behind += len(batch)
            self._bytes_behind += size
            task.add_done_callback(partial(self._task_done, len(batch), size))
        self._waiting.clear()
        if self._is_behind:
            self._room.clear()

    def _task_done(self, count: int, size: int, task: asyncio.Future[None]) -> None:
        self._pending.discard(task)
        self._behind -= count
        self._bytes_behind -= size
        if not self._is_behind:
            self._room.set()

    @property
    def _is_behind(self) -> bool:
        return self._behind > _MOST_BEHIND or self._bytes_behind > _MOST_BYTES_BEHIND

    @property
    def has_room(self) -> bool:
        """Whether `wait_for_room` would not wait."""
        return self._room.is_set()

    async def wait_for_room(self) -> None:
        """Wait while too much in memory is still to be written, which slows a client that asks
        faster than the disk writes.
        """
        await self._room.wait()

    def report_unrecorded(
        self, request: Request, outcome: RowOutcome, note: str, session: Session | None = None
    ) -> None:
        """Report an exchange that is not recorded."""
        secrets = self.redactor.secrets(request)
        document = self.redactor.request(from_request(plain_request(request)), secrets)
        row = Row.of(request, self.providers, document, outcome=outcome)
        row = replace(row, note=self.redactor.text(note, secrets))
        if session is not None:
            self._report.applied.update(session.library.matched(document).rules)
            row = replace(row, session=session.name)
            _count(row, session)
        self._report.add(row)

    def row(self, request: Request, outcome: RowOutcome) -> Row:
        """The report's row of a request, without secrets."""
        document = self.redactor.request(from_request(request), self.redactor.secrets(request))
        return Row.of(request, self.providers, document, outcome=outcome)

    @property
    def backlog(self) -> int:
        """How many exchanges that were put are not written yet."""
        return len(self._waiting) + self._behind

    @property
    def is_busy(self) -> bool:
        """Whether something that was put is not written yet."""
        return self._timer is not None or bool(self._pending)

    async def drain(self) -> None:
        """Wait until everything put is written or refused; outages still wait for their retries."""
        if self._timer is not None:
            self._timer.cancel()
            self._start_waiting(asyncio.get_running_loop())
        while self._pending:
            # Not gather: it does not yield where all are done, and what takes them out of the
            # pending ones is called by the event loop.
            done, _ = await asyncio.wait(self._pending)
            for work in done:
                work.result()

    async def finish(self) -> None:
        """Wait until everything put is written or refused, drop outages, and end the thread."""
        await self.drain()
        self._worker.shutdown(wait=True)
        for row in self.writer.drop_outages():
            self._report.add(row)
        if self._journal is not None:
            self._journal.close()

    def _keep_and_report(self, batch: list[EndedExchange], loop: asyncio.AbstractEventLoop) -> None:
        rows = self.writer.keep_together(batch)
        loop.call_soon_threadsafe(self._report_rows, batch, rows)

    def _report_rows(self, batch: list[EndedExchange], rows: list[list[Row]]) -> None:
        for ending, rows_of_one in zip(batch, rows, strict=True):
            for row in rows_of_one:
                _count(row, ending.session)
                name = ending.session.name
                self._report.add(row if row.session == name else replace(row, session=name))


def _batches(endings: Iterable[EndedExchange]) -> Iterator[list[EndedExchange]]:
    """Exchanges in their order, a few at a time; a large one by itself."""
    batch: list[EndedExchange] = []
    size = 0
    for ending in endings:
        size += ending.recorder.size
        if batch and (len(batch) >= _MOST_TOGETHER or size > _MOST_BYTES_TOGETHER):
            yield batch
            batch, size = [], ending.recorder.size
        batch.append(ending)
    if batch:
        yield batch


def _count(row: Row, session: Session) -> None:
    session.counts[row.outcome] += 1
    if row.outcome in ("refused", "failed"):
        session.add_problem(f"{row.outcome}: {row.method} {row.path}: {row.note or ''}")

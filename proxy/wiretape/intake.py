"""From a finished exchange to a file: document, redaction, gate, library, report.

The work is done in one thread of its own, in the order the exchanges ended, so that neither a
client nor its stream ever waits for it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from . import format as recording_format
from . import gate
from .document import from_exchange, from_request
from .errors import WiretapeError
from .library import Library
from .model import Exchange, Request, Response
from .providers import Providers
from .recorder import Outcome, Recorder
from .redact import Redactor, Secrets
from .replay import plain_request, row_of
from .report import Outcome as RowOutcome
from .report import Report, Row

log = logging.getLogger(__name__)

DEFER_SECONDS: Final = 0.05
"""A client's next request comes right after an answer: the file waits until it is sent."""

NOT_RECORDED: Final = frozenset((401, 403, 407, 408, 425, 429))
"""Answers that say nothing about the request but of the key or the moment; 5xx are the same."""


class Intake:
    """Takes finished exchanges in; `drain` waits until all are on disk and in the report."""

    def __init__(
        self,
        library: Library,
        redactor: Redactor,
        providers: Providers,
        report: Report,
        *,
        record_errors: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.library: Final = library
        self._redactor = redactor
        self._providers = providers
        self._report = report
        self._record_errors = record_errors
        self._clock = clock
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="wiretape-intake")
        self._pending: set[asyncio.Future[None]] = set()
        self._waiting: list[tuple[Recorder, Outcome, float]] = []
        self._timer: asyncio.TimerHandle | None = None

    def put(self, recorder: Recorder, outcome: Outcome, at: float) -> None:
        """An exchange has ended; `at` is seconds after its request was sent."""
        self._waiting.append((recorder, outcome, at))
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(DEFER_SECONDS, self._begin, loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for item in self._waiting:
            work = loop.run_in_executor(self._worker, self._keep, *item, loop)
            self._pending.add(work)
            work.add_done_callback(self._pending.discard)
        self._waiting.clear()

    def tell(self, request: Request, outcome: RowOutcome, note: str) -> None:
        """Report an exchange of which there is nothing to keep."""
        text = self._redactor.text(note, self._redactor.secrets(request))
        self._report.add(replace(self.row(request, outcome), note=text))

    def row(self, request: Request, outcome: RowOutcome) -> Row:
        """A row that says what is asked, and no secret."""
        document = self._redactor.request(from_request(request), self._redactor.secrets(request))
        return row_of(request, self._providers, document, outcome=outcome)

    async def drain(self) -> None:
        """Wait until everything put is kept or refused."""
        if self._timer is not None:
            self._timer.cancel()
            self._begin(asyncio.get_running_loop())
        while self._pending:
            await asyncio.gather(*self._pending)

    def close(self) -> None:
        """End the thread; what was put is finished first."""
        self._worker.shutdown(wait=True)

    def _keep(
        self, recorder: Recorder, outcome: Outcome, at: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        try:
            row = self._row(recorder, outcome, at)
        except Exception as error:
            # A fault of ours: the run fails and says so; the fault's own words may hold anything.
            log.debug("an exchange could not be kept", exc_info=True)
            host = recorder.request.host
            provider = self._providers.find(host, recorder.request.port)
            note = f"not written: wiretape failed inside ({type(error).__name__}); -v shows where"
            row = Row("refused", provider.name if provider else host, "an", "exchange", note=note)
        loop.call_soon_threadsafe(self._report.add, row)

    def _row(self, recorder: Recorder, outcome: Outcome, at: float) -> Row:
        request = recorder.request
        secrets = self._redactor.secrets(request)
        recorded_at = self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
        exchange = recorder.finish(outcome, at, recorded_at)
        exchange = Exchange(plain_request(request), exchange.response, recorded_at)
        response = exchange.response
        document, findings = self._redactor.document(from_exchange(exchange), secrets)
        row = row_of(
            request,
            self._providers,
            document["request"],
            outcome="skipped",
            status=response.status,
            chunks=len(response.chunks) if response.streaming else None,
            first_chunk=recorder.first_chunk_at,
            duration=at,
            note=None if response.end == "complete" else f"ended early: {response.end}",
        )
        if not self._record_errors and (response.status in NOT_RECORDED or response.status >= 500):
            note = f"a {response.status} is not recorded (record.errors: true would)"
            return replace(row, note=note)
        smaller, files = recording_format.externalise(document)
        text = recording_format.dumps(smaller)
        leak = self._leak(request, response, text, files, secrets)
        if leak and self._redactor.rules.gate == "refuse":
            return replace(row, outcome="refused", note=f"not written: {leak}")
        try:
            entry = self.library.write(smaller, text, files)
        except WiretapeError as error:
            note = self._redactor.text(f"not written: {error}", secrets)
            return replace(row, outcome="refused", note=note)
        self._report.redactions.update(finding.rule for finding in findings)
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

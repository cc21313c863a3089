"""Write a finished exchange: document, redaction, gate, library. Outages wait for their retry."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from wiretape.core.capture.recorder import Recorder
from wiretape.core.conversation.estimate import usage_of
from wiretape.core.cost.usage import Usage
from wiretape.core.errors import FormatError, StoreError, WiretapeError
from wiretape.core.model import Exchange, Outcome, Request, Response, WebSocket
from wiretape.core.playback.websocket import message_requests
from wiretape.core.providers.registry import Providers
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import GUESSABLE, Document, from_exchange, to_exchange
from wiretape.core.recording.given_ids import stamp
from wiretape.core.recording.outage import is_outage
from wiretape.core.redaction import gate
from wiretape.core.redaction.clean_parts import CleanParts
from wiretape.core.redaction.known_values import Secrets
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import Finding
from wiretape.core.redaction.traces import KnownTraces
from wiretape.core.text import exact_json
from wiretape.core.text.printable import count
from wiretape.core.wire.content_coding import plain_request
from wiretape.library.recording_file import side_files
from wiretape.library.staged_take import StagedTake
from wiretape.report.report import Report, Row
from wiretape.sessions.sessions import Session

log = logging.getLogger(__name__)

ALREADY_RECORDED: Final = "it is recorded already (record.mode: missing-only)"
"""The note on a row of an exchange that was left as it stands in the library."""

_INDISTINCT: Final = (
    "an earlier request differs from it only in a value that is redacted and could be guessed, so"
    " replay could not tell whose answer is whose: use values that cannot be guessed, or let it not"
    " count (match.rules: ignore)"
)
_MAX_WAITING_OUTAGES: Final = 200


@dataclass(frozen=True, slots=True)
class EndedExchange:
    """An exchange that has ended, `at` seconds after its request was sent."""

    recorder: Recorder
    outcome: Outcome
    at: float
    session: Session
    recorded_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _PreparedExchange:
    """An exchange that is ready to be written; `row` is reported if it never is, `never_recorded`
    names the rule that forbids it.
    """

    session: Session
    recorder: Recorder
    request: Request
    response: Response
    document: Document
    findings: tuple[Finding, ...]
    secrets: Secrets
    clean: CleanParts
    row: Row
    never_recorded: str
    key: str
    exact_key: str
    """The key that it had if values were told apart that have no digest; "" without any."""

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def retry_key(self) -> tuple[int, str]:
        return (id(self.session), self.key)

    @property
    def end_note(self) -> str | None:
        return _end_note(self.response, self.recorder.client_closed_at)


@dataclass(frozen=True, slots=True)
class _StagedExchange:
    """An exchange whose recording is staged, the note of its row once that is written, and how many
    values were `known` when it was searched for them.
    """

    prepared: _PreparedExchange
    take: StagedTake
    note: str | None
    known: int


def forget(recorder: Recorder) -> None:
    """Drop an exchange from the journal: it is written, or will not be."""
    if recorder.listener is not None:
        recorder.listener.drop()
        recorder.listener = None


class ExchangeWriter:
    """Writes exchanges in the order they ended."""

    def __init__(
        self, redactor: Redactor, providers: Providers, report: Report, *, record_errors: bool
    ) -> None:
        self.redactor: Final = redactor
        self.providers: Final = providers
        self._report = report
        self._record_errors = record_errors
        # Outages wait for a retry that succeeds, and are dropped without one.
        self._outages: dict[tuple[int, str], list[_PreparedExchange]] = {}
        # What was written, and how many values were known then.
        self._written: dict[Path, int] = {}

    @property
    def written(self) -> tuple[Path, ...]:
        """The recordings that this run wrote."""
        return tuple(self._written)

    def holding_late_values(self) -> list[Path]:
        """The recordings in which something stands that became known as a secret only after they
        were written: a later answer named it, a later request carried it.
        """
        known = self.redactor.remembered_ever
        return [
            path
            for path, known_then in self._written.items()
            if known_then < known and self._holds_secret(path)
        ]

    def _holds_secret(self, path: Path) -> bool:
        with suppress(OSError, FormatError):
            data = path.read_bytes()
            sides = [path.with_name(name) for name in side_files(recording_format.loads(data))]
            return bool(
                gate.inspect(data.decode("utf-8", "surrogatepass"), self.redactor)
                or any(gate.inspect_bytes(side.read_bytes(), self.redactor) for side in sides)
            )
        return False

    def keep(self, ending: EndedExchange, *, recovered: bool = False) -> list[Row]:
        """Write or refuse an exchange now, in this thread, and give its rows.

        StoreError if one that is `recovered` cannot be written: it may be tried again.
        """
        return self.keep_together([ending], recovered=recovered)[0]

    def keep_together(
        self, endings: Sequence[EndedExchange], *, recovered: bool = False
    ) -> list[list[Row]]:
        """Write or refuse exchanges now, those of one session together; gives the rows of each.

        What is wrong with one does not touch the others. None is dropped from the journal before
        its file is on disk.
        """
        rows: dict[int, list[Row]] = {}
        by_session: dict[int, list[int]] = {}
        for number, ending in enumerate(endings):
            by_session.setdefault(id(ending.session), []).append(number)
        for numbers in by_session.values():
            session = endings[numbers[0]].session
            library, traces = session.writable, cache(session.library.redacted)
            staged: dict[int, list[Row | _StagedExchange]] = {}
            try:
                for number in numbers:
                    stage = partial(self._staged, endings[number], traces, recovered=recovered)
                    staged[number] = self._attempt(endings[number], stage, recovered=recovered)
            finally:
                fault = _fault_of(library.commit)
            for number in numbers:
                rows_of = partial(self._rows_of, staged[number], fault, recovered=recovered)
                rows[number] = self._attempt(endings[number], rows_of, recovered=recovered)
        return [rows[number] for number in range(len(endings))]

    def _attempt[T: (Row, Row | _StagedExchange)](
        self, ending: EndedExchange, work: Callable[[], list[T]], *, recovered: bool
    ) -> list[T]:
        try:
            return work()
        except Exception as error:
            if recovered and isinstance(error, StoreError):
                raise
            # A bug: the run fails and says so, without the error's text, which may hold secrets.
            log.debug("an exchange could not be kept", exc_info=True)
            forget(ending.recorder)
            host = ending.recorder.request.host
            provider = self.providers.find(host, ending.recorder.request.port)
            note = f"not written: wiretape failed inside ({type(error).__name__}); -v shows where"
            return [
                Row("refused", provider.name if provider else host, "an", "exchange", note=note)
            ]

    def drop_outages(self, remaining: int = 0) -> list[Row]:
        """Drop waiting outages, the oldest first, until at most `remaining` are left."""
        rows = []
        while sum(map(len, self._outages.values())) > remaining:
            retry_key = next(iter(self._outages))
            for prepared in self._outages.pop(retry_key):
                rows.append(replace(prepared.row, session=prepared.session.name))
                forget(prepared.recorder)
        return rows

    def _staged(
        self, ending: EndedExchange, traces: Callable[[], KnownTraces], *, recovered: bool
    ) -> list[Row | _StagedExchange]:
        """Stage an exchange, and before it the outages that it is the retry of; rows of what is not
        to be written.
        """
        prepared = self._prepare(ending, traces())
        if prepared.never_recorded:
            forget(prepared.recorder)
            return [
                replace(
                    prepared.row,
                    outcome="passed",
                    note=f"never recorded, by {prepared.never_recorded}",
                )
            ]
        if prepared.recorder.unrecorded is not None:
            forget(prepared.recorder)
            note = f"not recorded: {prepared.recorder.unrecorded}"
            return [replace(prepared.row, outcome="refused", note=note)]
        if is_outage(prepared.status) and not self._record_errors:
            self._outages.setdefault(prepared.retry_key, []).append(prepared)
            # A long outage must not fill the memory: the oldest are dropped.
            return [*self.drop_outages(_MAX_WAITING_OUTAGES)]
        outages = self._outages.pop(prepared.retry_key, [])
        return [self._stage(exchange, recovered=recovered) for exchange in (*outages, prepared)]

    def _prepare(self, ending: EndedExchange, recorded: KnownTraces) -> _PreparedExchange:
        recorder, ended_at, session = ending.recorder, ending.at, ending.session
        exchange = recorder.finish(ending.outcome, ended_at, ending.recorded_at)
        # Not the recorder's request, which lacks the body of a large upload.
        request, response = exchange.request, exchange.response
        secrets = self.redactor.secrets(request)
        exchange = Exchange(plain_request(request), response, ending.recorded_at)
        unredacted = from_exchange(exchange)
        # What an earlier run found is secret in this one, too.
        for part in ("request", "response"):
            self.redactor.recognise(unredacted[part], recorded)
        exact = self.redactor.exact(unredacted["request"], secrets)
        clean = CleanParts()
        document, findings = self.redactor.document(unredacted, secrets, clean)
        if exact is not None:
            document = {**document, "request": {**document["request"], GUESSABLE: True}}
        row = Row.of(
            request,
            self.providers,
            document["request"],
            outcome="skipped",
            status=response.status,
            chunks=len(response.chunks) if response.streaming else None,
            first_chunk=recorder.first_chunk_at,
            duration=ended_at,
            note=_end_note(response, recorder.client_closed_at),
            session=session.name,
            usage=self._usage(exchange, unredacted),
        )
        if is_outage(response.status) and not self._record_errors:
            note = f"a {response.status} is not recorded (record.errors: true would)"
            row = replace(row, note=note)
        canonical = session.library.matched(document["request"])
        self._report.applied.update(canonical.rules)
        if isinstance(response, WebSocket):
            self._count_message_rules(session, document["request"], response, secrets)
        return _PreparedExchange(
            session=session,
            recorder=recorder,
            request=request,
            response=response,
            document=document,
            findings=findings,
            secrets=secrets,
            clean=clean,
            row=row,
            never_recorded=canonical.never_recorded,
            key=canonical.key,
            exact_key="" if exact is None else session.library.matched(exact).key,
        )

    def _usage(self, exchange: Exchange, document: Document) -> Usage | None:
        if self._report.prices is None:
            return None
        values = _event_values(document["response"].get("body"))
        return usage_of(exchange.request, exchange.response, values)

    def _count_message_rules(
        self, session: Session, part: Document, socket: WebSocket, secrets: Secrets
    ) -> None:
        for request in message_requests(part["url"], part["endpoint"], socket.messages):
            form = session.library.matched(self.redactor.request(request, secrets))
            self._report.applied.update(form.rules)

    def _rows_of(
        self,
        staged: Sequence[Row | _StagedExchange],
        fault: Exception | None,
        *,
        recovered: bool,
    ) -> list[Row]:
        if fault is not None and any(isinstance(item, _StagedExchange) for item in staged):
            raise fault
        return [
            item if isinstance(item, Row) else self._row_of(item, recovered=recovered)
            for item in staged
        ]

    def _stage(self, prepared: _PreparedExchange, *, recovered: bool) -> Row | _StagedExchange:
        """Stage an exchange in its library; the row of one that is not to be written."""
        staged = self._stage_recording(prepared, recovered=recovered)
        if isinstance(staged, Row):
            forget(prepared.recorder)
        return staged

    def _stage_recording(
        self, prepared: _PreparedExchange, *, recovered: bool
    ) -> Row | _StagedExchange:
        session = prepared.session
        row = prepared.row
        stamped = stamp(prepared.document["request"], session.known_ids)
        document, files = recording_format.externalise({**prepared.document, "request": stamped})
        text = recording_format.dumps(document, prepared.clean.texts)
        known = self.redactor.remembered_ever
        leak = self._leak(prepared, text, files)
        if leak and self.redactor.rules.gate == "refuse":
            return replace(row, outcome="refused", note=f"not written: {leak}")
        if exact_key := prepared.exact_key:
            first = session.exact_keys.setdefault(prepared.key, exact_key)
            if first != exact_key:
                return replace(row, outcome="refused", note=f"not written: {_INDISTINCT}")
        if recovered and _is_recorded_already(prepared):
            return replace(row, outcome="passed", note="it was recorded before the run was killed")
        try:
            take = session.writable.stage(document, text, files)
        except WiretapeError as error:
            if recovered:
                raise
            return self._unwritten(prepared, error)
        if take is None:
            return replace(row, outcome="passed", note=ALREADY_RECORDED)
        # A request of the same batch may send them back.
        session.known_ids.learn(take.entry.ids, take.entry.token)
        note = f"written although {leak}" if leak else prepared.end_note
        return _StagedExchange(prepared, take, note, known)

    def _row_of(self, staged: _StagedExchange, *, recovered: bool) -> Row:
        """The row of an exchange whose library has been asked to write it."""
        prepared, take = staged.prepared, staged.take
        if take.error is not None and recovered:
            raise take.error
        forget(prepared.recorder)
        if take.error is not None:
            return self._unwritten(prepared, take.error)
        session = prepared.session
        session.used.add(take.entry.name)
        self._written[session.writable.folder / take.entry.name] = staged.known
        self._report.redactions.update(finding.rule for finding in prepared.findings)
        name = take.entry.name
        return replace(prepared.row, outcome="recorded", note=staged.note, recording=name)

    def _unwritten(self, prepared: _PreparedExchange, error: WiretapeError) -> Row:
        note = self.redactor.text(f"not written: {error}", prepared.secrets)
        return replace(prepared.row, outcome="refused", note=note)

    def _leak(
        self, prepared: _PreparedExchange, text: str, files: Mapping[str, bytes]
    ) -> str | None:
        """The first secret found, as a note for the row, which never shows the value."""
        secrets = prepared.secrets
        leaks = (
            gate.unsearchable(prepared.request, prepared.response, self.redactor)
            or gate.inspect(text, self.redactor, secrets, prepared.clean)
            or tuple(
                leak
                for data in files.values()
                for leak in gate.inspect_bytes(data, self.redactor, secrets)
            )
        )
        if not leaks:
            return None
        first, more = leaks[0], len(leaks) - 1
        problem = first.masked if first.rule == "unsearched" else f"{first.rule} still stands"
        location = f" in {first.where or 'a side file'}"
        more_leaks = f" (and {more} more)" if more else ""
        return f"{problem}{location}{more_leaks}; in config.yaml: {first.remedy}"


def _event_values(body: Any) -> list[exact_json.Json] | None:
    """The JSON values of an answer's events or lines; None for another answer."""
    items = body if isinstance(body, list) else []
    if any("headers" in item or "from" in item for item in items):
        return None  # frames, or a WebSocket's messages
    return [item["__data__"] for item in items if "__data__" in item] or None


def _fault_of(work: Callable[[], None]) -> Exception | None:
    try:
        work()
    except Exception as error:
        return error
    return None


def _is_recorded_already(prepared: _PreparedExchange) -> bool:
    """Whether an exchange was written before the run was killed, and only its journal stayed."""
    library, exchange = prepared.session.library, to_exchange(prepared.document)
    for entry in library.takes(library.keys(prepared.document["request"])[0].key):
        with suppress(WiretapeError):
            stored = library.read(entry.name)
            same = stored.recorded_at == exchange.recorded_at
            if same and stored.response == exchange.response:
                return True
    return False


def _end_note(response: Response, client_closed_at: float | None) -> str | None:
    notes = []
    if client_closed_at is not None:
        passed = sum((chunk.at or 0.0) <= client_closed_at for chunk in response.chunks)
        notes.append(f"the client left after {count(passed, 'chunk')}")
    if response.end != "complete":
        notes.append(f"ended early: {response.end}")
    return "; ".join(notes) or None

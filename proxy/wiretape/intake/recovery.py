"""Record what killed runs left in their journals, when the next run begins.

It goes through redaction, gate and library as every exchange does. A finished exchange replaces the
takes that it would have replaced; an unfinished one is marked as cut and replaces none. Takes that
are younger than the killed run always stay.
"""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Final

from wiretape.core.errors import StoreError
from wiretape.core.playback.player import Player
from wiretape.core.providers.registry import Providers
from wiretape.core.redaction.redactor import Redactor
from wiretape.library.library import Library
from wiretape.library.processes import is_alive
from wiretape.report.report import Report, Row
from wiretape.sessions.sessions import Session

from .exchange_writer import EndedExchange, ExchangeWriter
from .journal_key import remove_orphans
from .journal_reader import KEEP_SECONDS, KilledRun, UnfinishedExchange, killed_runs

_TEMPORARY: Final = re.compile(r"\.(?:([0-9]+)-[0-9a-f]{12}|[0-9a-f]{16}|wiretape-[0-9]+)\.tmp")
_OLD_SECONDS: Final = 3600.0

type OpenLibrary = Callable[[str | None, bool, int], Library]
"""Opens a session's library for recording: its name, whether new takes replace older ones, and the
time (nanoseconds of the epoch) since when takes are not older.
"""


def recover(
    home: Path,
    recordings: Path,
    redactor: Redactor,
    providers: Providers,
    report: Report,
    open_library: OpenLibrary,
    *,
    record_errors: bool = False,
) -> None:
    """Record the exchanges that killed runs into the folder `recordings` had not, and report it.

    What cannot be recorded now waits for a later run: a secret is unknown, or the disk is full.
    """
    for killed_run in killed_runs(home):
        if not killed_run.is_of(recordings):
            if killed_run.age > KEEP_SECONDS:
                killed_run.remove()
            continue
        _remove_temporaries(recordings)
        if killed_run.key is None:
            if killed_run.size and killed_run.age <= KEEP_SECONDS:
                report.notice(
                    f"{_exchanges(killed_run.size)} of a run that was killed"
                    f" ({killed_run.began}) could not be recovered:"
                    " its key went with the machine's memory"
                )
            killed_run.remove()
            continue
        exchanges, unanswered = killed_run.exchanges()
        unknown = killed_run.unknown(redactor.rules.values) if exchanges else []
        if unknown and killed_run.age <= KEEP_SECONDS:
            report.notice(
                f"{_exchanges(len(exchanges))} of a run that was killed"
                f" ({killed_run.began}) cannot be recovered: {', '.join(unknown)}"
                " had another value then, or is not set now, and"
                f" could not be redacted. Set it as it was, or remove {killed_run.folder}"
            )
            continue
        writer = ExchangeWriter(redactor, providers, Report("record"), record_errors=record_errors)
        rows: list[Row] = []
        try:
            if not unknown:
                _recover(killed_run, exchanges, writer, open_library, rows)
            killed_run.remove()
        except StoreError as error:
            report.notice(f"exchanges of a run that was killed wait for the next run: {error}")
        _report(killed_run, rows, unanswered, report)
    remove_orphans(KEEP_SECONDS)


def _recover(
    killed_run: KilledRun,
    exchanges: list[UnfinishedExchange],
    writer: ExchangeWriter,
    open_library: OpenLibrary,
    rows: list[Row],
) -> None:
    """Record exchanges and add their rows; after StoreError the remaining ones can be retried."""
    sessions: dict[tuple[str | None, bool], Session] = {}
    try:
        for exchange in exchanges:
            library_key = exchange.session, _has_ended(exchange)
            if library_key not in sessions:
                library = open_library(*library_key, killed_run.began_ns)
                sessions[library_key] = Session(
                    name=exchange.session, library=library, player=Player("last")
                )
            ending = EndedExchange(
                exchange.recorder,
                exchange.outcome,
                exchange.at,
                sessions[library_key],
                exchange.recorded_at,
            )
            rows += writer.keep(ending, recovered=True)
            with suppress(OSError):
                exchange.path.unlink()
    finally:
        for session in sessions.values():
            session.library.leave()
            session.library.close()


def _has_ended(exchange: UnfinishedExchange) -> bool:
    """Whether an exchange came to an end of any kind."""
    if exchange.ended:
        return True
    try:
        return exchange.recorder.finish(exchange.outcome, exchange.at).response.end == "complete"
    except Exception:  # a bug must not keep a run from starting; the intake reports it
        return False


def _report(killed_run: KilledRun, rows: list[Row], unanswered: int, report: Report) -> None:
    recorded = [row for row in rows if row.outcome == "recorded"]
    for row in rows:
        if row.outcome == "refused":
            report.add(row)
    if not recorded:
        return
    cut = sum((row.note or "").startswith("ended early") for row in recorded)
    incomplete_note = f", {cut} of them incomplete" if cut else ""
    names = ", ".join(str(row.recording) for row in recorded[:3])
    more_note = f" and {len(recorded) - 3} more" if len(recorded) > 3 else ""
    unanswered_note = f"; to {unanswered} more no answer had come" if unanswered else ""
    report.notice(
        f"recovered {_exchanges(len(recorded))} of a run that was killed"
        f" ({killed_run.began}){incomplete_note}: {names}{more_note}{unanswered_note}"
    )


def _exchanges(number: int) -> str:
    return f"{number} exchange{'' if number == 1 else 's'}"


def _remove_temporaries(folder: Path) -> None:
    """Remove the temporary files of dead processes."""
    for path in folder.rglob(".*.tmp"):
        match = _TEMPORARY.fullmatch(path.name)
        if match is None:
            continue
        with suppress(OSError):
            is_own = match[1] is not None and int(match[1]) == os.getpid()
            is_dead = match[1] is not None and not is_alive(int(match[1]))
            if is_own or is_dead or time() - path.stat().st_mtime > _OLD_SECONDS:
                path.unlink()

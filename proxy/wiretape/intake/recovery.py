"""What runs that were killed left in their journals becomes recordings, when the next run begins.

It goes the way of every exchange: redaction, gate, library. What had come to its end takes the
place it would have taken; what had not is marked as cut and replaces nothing. Takes that are
younger than the run that was killed always stay.
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

from .intake import EndedExchange, Intake
from .journal_key import remove_orphans
from .journal_reader import KEEP_SECONDS, Left, UnfinishedExchange, left_behind

_TEMPORARY: Final = re.compile(r"\.(?:([0-9]+)-[0-9a-f]{12}|[0-9a-f]{16}|wiretape-[0-9]+)\.tmp")
_OLD_SECONDS: Final = 3600.0

type Opened = Callable[[str | None, bool, int], Library]
"""Opens a session's library for recording; whether what it writes replaces older takes, and since
when, in nanoseconds of the epoch, takes are none of these.
"""


def recover(
    home: Path,
    recordings: Path,
    redactor: Redactor,
    providers: Providers,
    report: Report,
    opened: Opened,
    *,
    record_errors: bool = False,
) -> None:
    """Record what runs into the folder `recordings` that were killed had not; the report is told.

    What cannot be recorded now, for want of a secret to redact or of space, waits for a later run.
    """
    for left in left_behind(home):
        if not left.is_of(recordings):
            if left.age > KEEP_SECONDS:
                left.remove()
            continue
        _remove_temporaries(recordings)
        if left.key is None:
            if left.size and left.age <= KEEP_SECONDS:
                report.notice(
                    f"{_exchanges(left.size)} of a run that was killed ({left.began}) could not be"
                    " recovered: its key went with the machine's memory"
                )
            left.remove()
            continue
        found, unanswered = left.exchanges()
        unknown = left.unknown(redactor.rules.values) if found else []
        if unknown and left.age <= KEEP_SECONDS:
            report.notice(
                f"{_exchanges(len(found))} of a run that was killed ({left.began}) cannot be"
                f" recovered: {', '.join(unknown)} had another value then, or is not set now, and"
                f" could not be redacted. Set it as it was, or remove {left.folder}"
            )
            continue
        intake = Intake(redactor, providers, Report("record"), record_errors=record_errors)
        rows: list[Row] = []
        try:
            if not unknown:
                _recover(left, found, intake, opened, rows)
            left.remove()
        except StoreError as error:
            report.notice(f"exchanges of a run that was killed wait for the next run: {error}")
        _tell(left, rows, unanswered, report)
    remove_orphans(KEEP_SECONDS)


def _recover(
    left: Left, found: list[UnfinishedExchange], intake: Intake, opened: Opened, rows: list[Row]
) -> None:
    """Add the rows of the exchanges; StoreError where the rest are to be tried again."""
    sessions: dict[tuple[str | None, bool], Session] = {}
    try:
        for one in found:
            place = one.session, _is_whole(one)
            if place not in sessions:
                library = opened(*place, left.began_ns)
                sessions[place] = Session(name=one.session, library=library, player=Player("last"))
            ending = EndedExchange(
                one.recorder, one.outcome, one.at, sessions[place], one.recorded_at
            )
            rows += intake.keep(ending, recovered=True)
            with suppress(OSError):
                one.path.unlink()
    finally:
        for session in sessions.values():
            session.library.leave()
            session.library.close()


def _is_whole(one: UnfinishedExchange) -> bool:
    """Whether an exchange came to its end, whatever that was."""
    if one.ended:
        return True
    try:
        return one.recorder.finish(one.outcome, one.at).response.end == "complete"
    except Exception:  # a fault of ours keeps no run from starting; the intake tells of it
        return False


def _tell(left: Left, rows: list[Row], unanswered: int, report: Report) -> None:
    kept = [row for row in rows if row.outcome == "recorded"]
    for row in rows:
        if row.outcome == "refused":
            report.add(row)
    if not kept:
        return
    cut = sum((row.note or "").startswith("ended early") for row in kept)
    some = f", {cut} of them incomplete" if cut else ""
    names = ", ".join(str(row.recording) for row in kept[:3])
    more = f" and {len(kept) - 3} more" if len(kept) > 3 else ""
    lost = f"; to {unanswered} more no answer had come" if unanswered else ""
    report.notice(
        f"recovered {_exchanges(len(kept))} of a run that was killed ({left.began}){some}:"
        f" {names}{more}{lost}"
    )


def _exchanges(number: int) -> str:
    return f"{number} exchange{'' if number == 1 else 's'}"


def _remove_temporaries(folder: Path) -> None:
    """Remove the temporary files of processes that are gone."""
    for path in folder.rglob(".*.tmp"):
        found = _TEMPORARY.fullmatch(path.name)
        if found is None:
            continue
        with suppress(OSError):
            mine = found[1] is not None and int(found[1]) == os.getpid()
            gone = found[1] is not None and not is_alive(int(found[1]))
            if mine or gone or time() - path.stat().st_mtime > _OLD_SECONDS:
                path.unlink()

"""What turned out to be a secret after a recording of the run was written: taken out at its end.

A value may be named only by a later answer, or carried by a later request. The redactor of the run
knows it as long as the run lasts, and the files are nobody else's yet.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wiretape.core.errors import WiretapeError
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.text.printable import count
from wiretape.files import name_of
from wiretape.report.report import Report, Row

from .settings import Settings

if TYPE_CHECKING:
    from wiretape.intake.intake import Intake
    from wiretape.maintenance.redact import Plan


def redact_late_values(settings: Settings, intake: "Intake", report: Report) -> Mapping[str, str]:
    """Redact the recordings of a run in which something stands that became known later.

    They are rewritten as `wiretape redact` does it, all or none, after the run's recordings were
    replayed. Where that cannot be, the run fails and says which hold it. Gives the new names of
    those that have one now, below the folder.
    """
    late = intake.holding_late_values()
    if not late:
        return {}
    from wiretape.maintenance.redact import NotRedacted, carry_out, plan

    redactor = intake.redactor
    root = settings.recordings
    names = [redactor.text(name_of(path)) for path in late]
    try:
        # All of the run's: another may hold the value as token ids alone.
        planned = plan(root, intake.written, settings.config, redactor, within=intake.written)
        carry_out(planned)
    except NotRedacted as error:
        reasons = (f"{name_of(Path(path))}: {text}" for path, text in error.faults)
        _fail(report, names, redactor.text("; ".join(reasons)))
    except WiretapeError as error:
        _fail(report, names, redactor.text(str(error)))
    else:
        report.rows = deque(
            (_later(row, planned, redactor) for row in report.rows), report.rows.maxlen
        )
        report.notice(
            f"{count(len(planned.changes), 'recording')} of this run held what became known as a"
            f" secret only later; it was taken out: {', '.join(names[:3])}"
            + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        )
        return planned.moved
    return {}


def _later(row: Row, planned: "Plan", redactor: Redactor) -> Row:
    """A row as it would be, had all been known when it came."""
    prefix = "" if row.session is None else f"{row.session}/"
    recording = row.recording
    if recording is not None:
        recording = planned.moved.get(prefix + recording, prefix + recording).removeprefix(prefix)
    return replace(row, path=redactor.text(row.path), recording=recording)


def _fail(report: Report, names: list[str], reason: str) -> None:
    for name in names:
        note = (
            "holds what became known as a secret only later, and could not be redacted"
            f" ({reason}): name it in config.yaml (`redact`) and record anew, or delete it"
        )
        report.add(Row("refused", "wiretape", "a", "recording", recording=name, note=note))

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
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import to_request
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.text.printable import count
from wiretape.files import name_of
from wiretape.report.report import Report, Row

from .settings import Settings

if TYPE_CHECKING:
    from wiretape.intake.exchange_writer import ExchangeWriter
    from wiretape.maintenance.redact import Plan


def redact_late_values(
    settings: Settings, writer: "ExchangeWriter", report: Report
) -> Mapping[str, str]:
    """Redact the recordings of a run in which something stands that became known later.

    They are rewritten as `wiretape redact` does it, all or none, after the run's recordings were
    replayed. Where that cannot be, the run fails and says which hold it. Gives the new names of
    those that have one now, below the folder.
    """
    late = writer.holding_late_values()
    if not late:
        return {}
    from wiretape.maintenance.redact import NotRedacted, carry_out, plan

    redactor = writer.redactor
    root = settings.recordings
    names = [redactor.text(name_of(path)) for path in late]
    rows = [
        _refused_row(path, name, settings, redactor) for path, name in zip(late, names, strict=True)
    ]
    try:
        # All of the run's: another may hold the value as token ids alone.
        planned = plan(root, writer.written, settings.config, redactor, within=writer.written)
        carry_out(planned)
    except NotRedacted as error:
        reasons = (f"{name_of(Path(path))}: {text}" for path, text in error.faults)
        _fail(report, rows, redactor.text("; ".join(reasons)))
    except WiretapeError as error:
        _fail(report, rows, redactor.text(str(error)))
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


def _refused_row(path: Path, name: str, settings: Settings, redactor: Redactor) -> Row:
    """The row of a recording that could not be redacted: that of its exchange."""
    part = recording_format.loads(path.read_bytes())["request"]
    request = to_request({"method": part["method"], "url": part["url"], "headers": {}})
    redacted = redactor.request(part)
    providers = settings.config.providers
    return Row.of(request, providers, redacted, outcome="refused", recording=name)


def _fail(report: Report, rows: list[Row], reason: str) -> None:
    for row in rows:
        note = (
            "holds what became known as a secret only later, and could not be redacted"
            f" ({reason}): name it in config.yaml (`redact`) and record anew, or delete it"
        )
        report.add(replace(row, note=note))

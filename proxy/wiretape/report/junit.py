"""Write a run's report as JUnit XML, which CI systems show: a test case for each exchange."""

from typing import Final
from xml.sax.saxutils import escape, quoteattr

from .report import Report, Row, RowOutcome, other_host_lines

_PROBLEMS: Final[dict[RowOutcome, str]] = {
    "missed": "failure",
    "refused": "error",
    "failed": "error",
    "skipped": "skipped",
}


def dumps(report: Report) -> str:
    """Format the report as an XML document of one test suite; times in seconds.

    A miss is a failure with its report, and so is a change that a rule ignores if the run is strict
    about these. A refused or failed exchange is an error. The result is always valid XML 1.0.
    """
    cases = [_case(report, row) for row in report.rows]
    kinds = [_problem(report, row) for row in report.rows]
    if report.is_silent:
        cases.append(_SILENCE)
        kinds.append("failure")
    counts = " ".join(
        f'{name}="{kinds.count(kind)}"'
        for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    )
    time = sum(row.duration or 0.0 for row in report.rows)
    suite = f'name="wiretape {plain(report.mode)}" tests="{len(cases)}" {counts} time="{time:.3f}"'
    notices = "\n".join([*report.notices, *other_host_lines(report)])
    out = [f"<system-err>{escape(plain(notices))}</system-err>"] if notices else []
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>", f"<testsuite {suite}>"]
    return "\n".join([*lines, *cases, *out, "</testsuite>", "</testsuites>", ""])


_SILENCE: Final = (
    '<testcase classname="wiretape" name="a request reaches the proxy">'
    '<failure message="nothing reached the proxy" type="silence"/></testcase>'
)


def _problem(report: Report, row: Row) -> str | None:
    problem = _PROBLEMS.get(row.outcome)
    return "failure" if problem is None and report.strict_ignored and row.stale else problem


def _case(report: Report, row: Row) -> str:
    name = f"{row.method} {row.path}" + (f" {row.model}" if row.model else "")
    class_name = ".".join(["wiretape", row.provider, *([row.session] if row.session else [])])
    head = f"<testcase classname={quoted(class_name)} name={quoted(name)}"
    if row.duration is not None:
        head += f' time="{row.duration:.3f}"'
    problem = _problem(report, row)
    system_out = f"<system-out>{escape(plain(row.recording))}</system-out>" if row.recording else ""
    if problem is None:
        return f"{head}>{system_out}</testcase>" if system_out else f"{head}/>"
    text = _text(row)
    first = text.partition("\n")[0]
    inner = f"<{problem} message={quoted(first)}"
    if problem != "skipped":
        kind = row.miss.reason if row.miss else "stale" if row.stale else row.outcome
        inner += f" type={quoted(kind)}"
    return f"{head}>{inner}>{escape(plain(text))}</{problem}>{system_out}</testcase>"


def _text(row: Row) -> str:
    if row.miss is not None:
        return row.miss.message
    if row.note or not row.stale:
        return row.note or row.outcome
    return "\n".join(
        f"since the recording changed, though ignored by rule {change.rule}: {change.path}"
        for change in row.stale
    )


def plain(text: str) -> str:
    """Replace what XML 1.0 cannot express: control characters and lone surrogates."""
    return "".join(c if _is_character(ord(c)) else "\N{REPLACEMENT CHARACTER}" for c in text)


def _is_character(code: int) -> bool:
    # XML 1.0, section 2.2; without the C1 controls, which it discourages, and carriage return,
    # which a reader would turn into a line end.
    return (
        code in (0x9, 0xA)
        or 0x20 <= code <= 0x7E
        or 0xA0 <= code <= 0xD7FF
        or 0xE000 <= code <= 0xFFFD
        or 0x10000 <= code <= 0x10FFFF
    )


def quoted(text: str) -> str:
    """Quote a text as the value of an attribute."""
    return quoteattr(plain(text))

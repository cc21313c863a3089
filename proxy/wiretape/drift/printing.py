"""Write what was measured: lines for a terminal, JSON, JUnit, Markdown for a pull request."""

from collections.abc import Iterable, Iterator
from html import escape
from typing import Any, Final

from wiretape.core.drift.rules import JudgedChange
from wiretape.core.text.printable import printable
from wiretape.report.junit import plain, quoted

from .measure import DriftReport, Measurement

_ORDER: Final = ("regression", "new", "benign", "failed", "skipped", "same")
_MOST_NAMES: Final = 3
_MARKS: Final = {"regression": "❌", "new": "🆕", "benign": "✅", "failed": "⚠️", "skipped": "⏭️"}


def _ordered(report: DriftReport) -> list[Measurement]:
    return sorted(report.measurements, key=lambda each: _ORDER.index(each.outcome))


def _request(measurement: Measurement) -> str:
    target = measurement.target
    model = f" {target.model}" if isinstance(target.model, str) else ""
    return f"{target.provider_name} {target.request.method} {target.request.path}{model}"


def _reason(measurement: Measurement) -> str:
    return measurement.skipped or measurement.failed or ""


def lines(report: DriftReport, *, everything: bool = False) -> Iterator[tuple[str, str]]:
    """What a terminal shows, each line with its outcome; else without benign and same ones."""
    shown = [
        each for each in _ordered(report) if everything or each.outcome not in ("benign", "same")
    ]
    width = max((len(_request(each)) for each in shown), default=0)
    for each in shown:
        name = each.target.names[0]
        yield each.outcome, f"{each.outcome:<10}  {_request(each):<{width}}  {name}"
        if _reason(each):
            yield "", f"            {_reason(each)}"
        for change in each.changes:
            if everything or change.verdict != "benign":
                yield "", f"  {change.verdict:<10}  {change.change.tier:<9}  {change}"


def as_json(report: DriftReport) -> dict[str, Any]:
    """The members of the document for `--json`."""
    outcomes = {name: n for name in _ORDER if (n := report.count(name))}
    return {
        "outcomes": outcomes,
        "measurements": [
            {
                "recordings": list(each.target.names),
                "provider": each.target.provider_name,
                "method": each.target.request.method,
                "path": each.target.request.path,
                "model": each.target.model,
                "outcome": each.outcome,
                **({"reason": _reason(each)} if _reason(each) else {}),
                "changes": [change.as_json() for change in each.changes],
            }
            for each in report.measurements
        ],
        "unreadable": list(report.unreadable),
        "written": report.written,
        "refused": report.refused,
        **({"budget": report.budget.as_json()} if report.budget else {}),
    }


# ------------------------------------------------------------------ Markdown


def markdown(report: DriftReport, title: str) -> str:
    """A section for a pull request: what has drifted in a table, the rest folded away."""
    head = [f"## {title}", "", f"{report.summary}.", ""]
    groups = _grouped(report)
    grave = [row for row in groups if row[0] != "benign"]
    if grave:
        head += ["| | what changed | in |", "|---|---|---|"]
        head += [
            f"| {_MARKS[verdict]} {verdict} | **{tier}** {_code(text)} | {_names(names)} |"
            for verdict, tier, text, names in grave
        ]
        head.append("")
    others = [
        f"- {_MARKS[verdict]} {tier}: {_code(text)}: {_names(names)}"
        for verdict, tier, text, names in groups
        if verdict == "benign"
    ]
    for outcome, words in (("failed", "not measured"), ("skipped", "skipped")):
        for reason, names in _reasons(report, outcome).items():
            others.append(f"- {_MARKS[outcome]} {words}: {_code(reason)}: {_names(names)}")
    others += [f"- {_MARKS['failed']} unreadable: {_code(fault)}" for fault in report.unreadable]
    if others:
        head += ["<details><summary>Benign, skipped and not measured</summary>", "", *others]
        head += ["", "</details>", ""]
    return "\n".join(head)


def _grouped(report: DriftReport) -> list[tuple[str, str, str, list[str]]]:
    """Each change once, the gravest first: verdict, tier, words, and the recordings it is in."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for each in report.measurements:
        for change in each.changes:
            key = (change.verdict, change.change.tier, str(change))
            groups.setdefault(key, []).append(each.target.names[0])
    ordered = sorted(groups.items(), key=lambda item: _ORDER.index(item[0][0]))
    return [(*key, names) for key, names in ordered]


def _reasons(report: DriftReport, outcome: str) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for each in report.measurements:
        if each.outcome == outcome:
            reasons.setdefault(_reason(each), []).append(each.target.names[0])
    return reasons


def _names(names: list[str]) -> str:
    shown = "<br>".join(map(_code, names[:_MOST_NAMES]))
    more = len(names) - _MOST_NAMES
    return shown + (f"<br>and {more} more" if more > 0 else "")


def _code(text: str) -> str:
    """Text as code, in which nothing is a link, a mention, HTML or the end of a cell."""
    text = printable(text, one_line=True).replace("`", "'").replace("|", "\N{BROKEN BAR}")
    return f"`{text}`"


# ------------------------------------------------------------------ JUnit


def junit(report: DriftReport, title: str) -> str:
    """A test suite with a case for each request: a regression is a failure, what was not measured
    an error.
    """
    cases = [_case(each) for each in report.measurements]
    failures, errors = report.count("regression"), report.count("failed")
    counts = f'tests="{len(cases)}" failures="{failures}" errors="{errors}"'
    suite = f'name={quoted(title)} {counts} skipped="{report.count("skipped")}"'
    head = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>", f"<testsuite {suite}>"]
    return "\n".join([*head, *cases, "</testsuite>", "</testsuites>", ""])


def _case(measurement: Measurement) -> str:
    name = f"{_request(measurement)} {measurement.target.names[0]}"
    case = f'<testcase classname="wiretape.drift" name={quoted(name)}'
    text = _reason(measurement) or _joined(measurement.changes)
    kind = {"regression": "failure", "failed": "error", "skipped": "skipped"}.get(
        measurement.outcome
    )
    body = escape(plain(text), quote=False)
    if kind is None:
        return f"{case}><system-out>{body}</system-out></testcase>" if text else f"{case}/>"
    message = quoted(text.partition("\n")[0])
    return f"{case}><{kind} message={message}>{body}</{kind}></testcase>"


def _joined(changes: Iterable[JudgedChange]) -> str:
    return "\n".join(f"{each.verdict}: {each.change.tier}: {each}" for each in changes)

"""Reports of several replicas add up to the report of one run."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.commands import Wiretape

from wiretape.core.matching.canonical import Change
from wiretape.report.merge import exit_status, merged
from wiretape.report.report import Report, Row


def replica(*outcomes: Any, notice: str = "n") -> Report:
    report = Report("replay")
    for outcome in outcomes:
        stale = (Change("$.a", "rule", 1, 2),)
        report.add(Row(outcome, "openai", "POST", "/v1", session="s", stale=stale))
    report.notice(notice)
    report.bypassed("example.com", 443, "refused")
    return report


def test_two_reports_say_what_one_would() -> None:
    together = replica("replayed", "replayed", "missed")
    together.bypassed("example.com", 443, "refused")
    parts = [replica("replayed").as_json(), replica("replayed", "missed").as_json()]
    assert merged(parts) == together.as_json()
    assert exit_status(merged(parts)) == together.exit_status == 3
    assert merged(parts[:1]) == parts[0]


def test_who_was_not_served_fails_the_whole() -> None:
    report = replica("replayed")
    report.not_served("Redis is gone")
    document = merged([replica("replayed").as_json(), report.as_json()])
    assert (document["unserved"], exit_status(document)) == (1, 4)
    assert document["notices"] == ["n", "Redis is gone"]


def test_money_is_added_exactly() -> None:
    usage = {"replayed": {"answers": 1, "cost": [{"amount": "0.1", "currency": "USD"}]}}
    document = {"wiretape_report": 1, "mode": "replay", "usage": usage}
    assert merged([document] * 3)["usage"]["replayed"] == {
        "answers": 3,
        "cost": [{"amount": "0.3", "currency": "USD"}],
    }


@pytest.mark.parametrize("document", [{}, [], {"wiretape_report": 2}])
def test_what_is_no_report_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="not what"):
        merged([document])


def test_the_command_writes_it_and_exits_as_the_run(wiretape: Wiretape, tmp_path: Path) -> None:
    for name, outcome in (("a", "replayed"), ("b", "missed")):
        (tmp_path / f"{name}.json").write_text(json.dumps(replica(outcome).as_json()))
    ran = wiretape("report", "merge", "a.json", "b.json", "-o", "all.json")
    assert ran.returncode == 3, ran.stderr
    counts = json.loads((tmp_path / "all.json").read_text())["counts"]
    assert counts == {"missed": 1, "replayed": 1}
    (tmp_path / "b.json").write_text("{")
    assert wiretape("report", "merge", "a.json", "b.json").returncode == 2

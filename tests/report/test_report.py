"""A run's rows, counts and exit status."""

from decimal import Decimal

import pytest

from wiretape.core.cost.prices import Price, PriceTable
from wiretape.core.cost.usage import Usage
from wiretape.core.matching.canonical import ABSENT, Change
from wiretape.core.matching.miss import Miss
from wiretape.report.report import Report, Row, RowOutcome


def row(outcome: RowOutcome, **facts: object) -> Row:
    return Row(outcome, "together", "GET", "/v1/models", **facts)  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([], 0),
        (["recorded", "replayed", "skipped", "passed", "failed"], 0),
        (["replayed", "missed"], 3),
        (["recorded", "refused"], 4),
        (["missed", "refused"], 4),
    ],
)
def test_a_miss_exits_with_3_and_a_loss_with_4(outcomes: list[RowOutcome], status: int) -> None:
    report = Report("auto")
    for outcome in outcomes:
        report.add(row(outcome))
    assert report.exit_status == status


def test_the_report_file_says_what_happened() -> None:
    report = Report("replay")
    report.add(row("replayed", status=200, duration=0.12345, recording="a.json"))
    report.add(row("missed", status=404, miss=Miss("GET", "https://h/", "no-recordings")))
    report.notice("careful")
    report.notice("careful")
    report.redactions["authorization"] += 2
    assert report.as_json() == {
        "wiretape_report": 1,
        "mode": "replay",
        "counts": {"missed": 1, "replayed": 1},
        "sessions": {},
        "beyond_last_take": 0,
        "stale": [],
        "redactions": {"authorization": 2},
        "notices": ["careful"],
        "exchanges": [
            {
                "outcome": "replayed",
                "provider": "together",
                "method": "GET",
                "path": "/v1/models",
                "status": 200,
                "duration": 0.123,
                "recording": "a.json",
            },
            {
                "outcome": "missed",
                "provider": "together",
                "method": "GET",
                "path": "/v1/models",
                "status": 404,
                "miss": {
                    "message": "no recording answers GET https://h/: there are no recordings."
                    " Record it: wiretape record -- CMD",
                    "reason": "no-recordings",
                    "method": "GET",
                    "url": "https://h/",
                    "nearest": None,
                    "differences": [],
                    "rule": None,
                },
            },
        ],
    }


def test_the_report_file_says_what_was_used_and_what_it_cost() -> None:
    table = PriceTable([Price(model="m", input=Decimal(2), output=Decimal(4))])
    report = Report("replay", prices=lambda: table)
    usage = Usage(1000, 500, cached=10)
    report.add(Row("replayed", "openai", "POST", "/v1", "m", usage=usage))
    report.add(Row("replayed", "openai", "POST", "/v1", "other", usage=usage))
    document = report.as_json()
    cost = {"amount": "0.004", "currency": "USD"}
    assert document["usage"] == {
        "replayed": {
            "answers": 2,
            "tokens_in": 2000,
            "tokens_out": 1000,
            "estimated_answers": 0,
            "cost": [cost],
            "unpriced": [{"provider": "openai", "model": "other", "answers": 1}],
        }
    }
    first, second = document["exchanges"]
    assert first["usage"] == {"tokens_in": 1000, "tokens_out": 500, "cached": 10}
    assert first["cost"] == cost
    assert "cost" not in second


def test_what_several_processes_used_is_added_up() -> None:
    table = PriceTable([Price(model="m", input=Decimal(2), output=Decimal(4))])
    whole, worker = Report("replay", prices=lambda: table), Report("replay")
    rows: list[Row] = []
    whole.observers.append(rows.append)
    for _ in range(2):
        worker.add(Row("replayed", "openai", "POST", "/v1", "m", usage=Usage(1000, 0)))
        whole.absorb(worker.take_news())
    assert whole.spending["replayed"].costs == {"USD": Decimal("0.004")}
    assert worker.spending == {}
    assert len(rows) == 2


def test_listeners_hear_of_each_row_and_of_a_notice_once() -> None:
    heard: list[object] = []
    report = Report("record", listen=heard.append, notify=heard.append)
    report.add(row("recorded"))
    report.notice("a")
    report.notice("a")
    assert heard == [row("recorded"), "a"]


def test_sessions_are_counted_each() -> None:
    report = Report("replay")
    report.add(row("replayed", session="b"))
    report.add(row("replayed", session="a"))
    report.add(row("missed", session="a"))
    report.add(row("missed"))
    assert report.as_json()["sessions"] == {"a": {"missed": 1, "replayed": 1}, "b": {"replayed": 1}}


def test_a_row_tells_its_take_its_fault_and_what_changed_though_ignored() -> None:
    change = Change("body.run", "mine", "a", ABSENT)
    told = row("replayed", take=2, beyond=True, fault="reset", session="s", stale=(change,))
    assert told.as_json() == {
        "outcome": "replayed",
        "provider": "together",
        "method": "GET",
        "path": "/v1/models",
        "session": "s",
        "take": 2,
        "beyond": True,
        "stale": [{"path": "body.run", "rule": "mine", "got": "a", "recorded": None}],
        "fault": "reset",
    }


@pytest.mark.parametrize(("strict", "status"), [(False, 0), (True, 3)])
def test_a_change_that_a_rule_ignores_fails_a_strict_run(strict: bool, status: int) -> None:
    report = Report("replay", strict_ignored=strict)
    report.add(row("replayed", stale=(Change("body.run", "mine", 1, 2),)))
    report.add(row("replayed", stale=(Change("body.run", "mine", 1, 3),)))
    assert report.exit_status == status
    assert report.as_json()["stale"] == [{"path": "body.run", "rule": "mine", "exchanges": 2}]


def test_what_is_not_written_to_a_file_is_kept_in_numbers_alone() -> None:
    changes = (Change("body.n", "mine", 1, 2), Change("body.n", "mine", 3, 4))
    kept, counted = Report("replay"), Report("replay", keep_rows=False)
    for report in (kept, counted):
        for number in range(3_000):
            report.add(row("replayed", session="a" if number % 2 else None, stale=changes))
    assert (len(kept.rows), len(counted.rows)) == (3_000, 1_000)
    for report in (kept, counted):
        assert report.exchanges == 3_000
        assert report.sessions == {"a": {"replayed": 1_500}}
        assert report.stale == {("body.n", "mine"): 3_000}


def test_a_client_that_could_not_be_served_has_reached_the_proxy() -> None:
    report = Report("replay", expects_requests=True)
    assert report.is_silent
    report.not_served("the store is gone")
    assert (report.is_silent, report.exit_status) == (False, 4)

"""The report as JUnit XML."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.matching.canonical import Change
from wiretape.core.matching.miss import Miss
from wiretape.report.junit import dumps
from wiretape.report.report import Report, Row, RowOutcome


def row(outcome: RowOutcome, **facts: object) -> Row:
    return Row(outcome, "together", "POST", "/v1/chat", **facts)  # type: ignore[arg-type]  # by name


def test_each_exchange_is_a_test_case() -> None:
    report = Report("replay")
    report.add(row("replayed", model="m", duration=0.25, recording="a.json", session="s"))
    report.add(row("missed", miss=Miss("POST", "https://h/", "no-recordings")))
    report.add(row("failed", note="no route"))
    report.add(row("skipped", note="an error answer"))
    report.notice("a < b")
    assert dumps(report) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
        '<testsuite name="wiretape replay" tests="4" failures="1" errors="1" skipped="1"'
        ' time="0.250">\n'
        '<testcase classname="wiretape.together.s" name="POST /v1/chat m" time="0.250">'
        "<system-out>a.json</system-out></testcase>\n"
        '<testcase classname="wiretape.together" name="POST /v1/chat">'
        '<failure message="no recording answers POST https://h/: there are no recordings.'
        ' Record it: wiretape record -- CMD" type="no-recordings">'
        "no recording answers POST https://h/: there are no recordings."
        " Record it: wiretape record -- CMD</failure></testcase>\n"
        '<testcase classname="wiretape.together" name="POST /v1/chat">'
        '<error message="no route" type="failed">no route</error></testcase>\n'
        '<testcase classname="wiretape.together" name="POST /v1/chat">'
        '<skipped message="an error answer">an error answer</skipped></testcase>\n'
        "<system-err>a &lt; b</system-err>\n</testsuite>\n</testsuites>\n"
    )


@pytest.mark.parametrize(("strict", "failures"), [(False, "0"), (True, "1")])
def test_a_change_that_a_rule_ignores_is_a_failure_in_a_strict_run(
    strict: bool, failures: str
) -> None:
    report = Report("replay", strict_ignored=strict)
    report.add(row("replayed", stale=(Change("body.run", "mine", 1, 2),)))
    root = ElementTree.fromstring(dumps(report))
    assert [suite.get("failures") for suite in root] == [failures]
    assert ("ignored by rule mine: body.run" in dumps(report)) is strict


def test_a_run_without_exchanges_is_an_empty_suite() -> None:
    root = ElementTree.fromstring(dumps(Report("record")))
    assert [suite.get("tests") for suite in root] == ["0"]


@given(st.text(st.characters(codec=None)))
def test_whatever_stands_in_it_it_is_xml(text: str) -> None:
    report = Report("replay")
    report.add(row("missed", model=text, miss=Miss("GET", text, "differs", nearest=text)))
    report.add(row("refused", note=text, recording=text))
    report.notice(text)
    ElementTree.fromstring(dumps(report).encode())


def test_control_characters_are_replaced() -> None:
    report = Report("replay")
    report.add(row("refused", note="a\x00b\x1b[2J\ud800\ufffe]]>"))
    (case,) = ElementTree.fromstring(dumps(report)).iter("error")
    assert case.text == "a\ufffdb\ufffd[2J\ufffd\ufffd]]>"

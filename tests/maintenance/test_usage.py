"""What reports say of the recordings that are needed."""

import json
from typing import Any

import pytest

from wiretape.core.errors import FormatError
from wiretape.maintenance.usage import Used, read_report
from wiretape.report.report import Report, Row


def report(*rows: Row, **more: Any) -> bytes:
    made = Report("replay")
    for one in rows:
        made.add(one)
    return json.dumps({**made.as_json(), **more}).encode()


def row(outcome: Any = "replayed", recording: str | None = None, session: str | None = None) -> Row:
    return Row(outcome, "together", "POST", "/v1", recording=recording, session=session)


def test_recordings_that_answered_or_were_made_are_used() -> None:
    data = report(row(recording="h/e/a.json"), row("recorded", "h/e/b.json"), row("passed", None))
    assert read_report(data, "r.json") == Used({None: frozenset(("h/e/a.json", "h/e/b.json"))})


def test_recordings_are_used_in_their_session() -> None:
    data = report(row(recording="a.json", session="one"), row(recording="a.json"))
    assert read_report(data, "r.json").names == {
        "one": frozenset(("a.json",)),
        None: frozenset(("a.json",)),
    }


def test_reports_of_shards_are_joined() -> None:
    one = Used({None: frozenset("a"), "s": frozenset("b")}, ("first",))
    two = Used({None: frozenset("c")}, ("second",))
    assert one | two == Used({None: frozenset("ac"), "s": frozenset("b")}, ("first", "second"))


def test_a_run_that_was_not_well_leaves_doubts() -> None:
    data = report(row("missed"), row("failed"), row("refused"), row("missed"), command_status=1)
    assert read_report(data, "r.json").doubts == (
        "r.json: no recording answered 2 of 4 requests",
        "r.json: failed 1 of 4 requests",
        "r.json: could not be recorded 1 of 4 requests",
        "r.json: CMD ended with status 1",
    )


def test_a_run_without_requests_leaves_doubts() -> None:
    assert read_report(report(), "r.json").doubts == ("r.json: the run made no request",)


def test_a_run_whose_command_was_well_leaves_none() -> None:
    assert read_report(report(row(recording="a.json"), command_status=0), "r.json").doubts == ()


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"<testsuite/>", b"\xff\xfe", b'{"a": 1'])
def test_a_file_that_is_no_report_is_told(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"^r\.json: not a report; expected the JSON that"):
        read_report(data, "r.json")


@pytest.mark.parametrize("version", [2, 0, "1", True, None])
def test_a_report_of_another_version_is_told(version: Any) -> None:
    with pytest.raises(FormatError, match=r"a report of version .*; this wiretape reads version 1"):
        read_report(json.dumps({"wiretape_report": version, "exchanges": []}).encode(), "r.json")


@pytest.mark.parametrize(
    ("exchanges", "place"),
    [
        (None, "exchanges: expected a list of objects"),
        ([1], "exchanges: expected a list of objects"),
        ([{"outcome": "replayed", "recording": 1}], r"exchanges\[0\].recording: expected text"),
        (
            [{"outcome": "replayed", "recording": "a", "session": []}],
            r"exchanges\[0\].session: expected text",
        ),
    ],
)
def test_a_report_with_wrong_members_is_told(exchanges: Any, place: str) -> None:
    data = json.dumps({"wiretape_report": 1, "exchanges": exchanges}).encode()
    with pytest.raises(FormatError, match=place):
        read_report(data, "r.json")

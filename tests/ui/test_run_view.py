"""What the page shows of a run."""

from typing import Any

import pytest
from tests.support.page_recordings import KEY

from wiretape.core.errors import FormatError
from wiretape.core.matching.canonical import Difference
from wiretape.core.matching.miss import Miss
from wiretape.report.report import Report, Row
from wiretape.ui.run_view import run_view


def report() -> dict[str, Any]:
    miss = Miss(
        "POST",
        "https://api.openai.com/v1/responses",
        "differs",
        nearest="a.json",
        differences=(
            Difference("body.temperature", 0.7, 0.2),
            Difference("body.prompt", "x" * 80 + f" new {KEY}", "x" * 80 + " old"),
        ),
    )
    run = Report("replay")
    for seconds in (0.1, 0.9, 0.5):
        run.add(Row("replayed", "openai", "POST", "/v1/responses", first_chunk=seconds))
    for _ in range(2):
        run.add(Row("missed", "openai", "POST", "/v1/responses", miss=miss))
    run.add(Row("refused", "openai", "POST", "/v1/x", note="holds a secret"))
    return run.as_json()


def test_misses_come_once_with_how_often_and_with_what_differs() -> None:
    view = run_view(report())
    (miss,) = view.misses
    assert miss.times == 2
    assert miss.differences[0][0] == "body.temperature"
    assert miss.differences[0][2] == ("got 0.7", "recorded 0.2")
    runs = miss.differences[1][1]
    assert runs is not None
    assert ("removed", "old") in [(run.kind, run.text) for run in runs]


def test_losses_and_slowest_first_chunks_are_told() -> None:
    view = run_view(report())
    assert [row["note"] for row in view.lost] == ["holds a secret"]
    assert [row["first_chunk"] for row in view.slowest] == [0.9, 0.5, 0.1]
    assert view.counts == {"missed": 2, "refused": 1, "replayed": 3}


def test_many_rows_are_bounded() -> None:
    document = report()
    document["exchanges"] *= 1_000
    view = run_view(document)
    assert (len(view.rows), view.more) == (2_000, 4_000)


@pytest.mark.parametrize(
    "change",
    [
        {"counts": 1},
        {"mode": None, "exchanges": [{"outcome": "missed", "miss": {"message": "x"}}]},
        {"exchanges": [{"outcome": "missed", "miss": 1}]},
        {"exchanges": [{}]},
    ],
)
def test_a_report_that_was_edited_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match="not a whole report"):
        run_view({**report(), **change})

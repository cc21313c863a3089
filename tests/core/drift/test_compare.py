"""Made-up changes of answers, each with the verdict that is right: recall and precision are 1."""

from collections.abc import Iterable

import pytest
from tests.support.drifted_answers import NEW, ORDINARY, REGRESSIONS, Row

from wiretape.core.drift.answer_facts import answer_facts, declared_tools
from wiretape.core.drift.compare import changes
from wiretape.core.drift.rules import CHANGES, judged, worst

ROWS = (*REGRESSIONS, *NEW, *ORDINARY)


def verdict(row: Row) -> str | None:
    recorded, live = row.documents()
    tools = declared_tools(recorded[0]["request"]["body"])
    found = changes([answer_facts(take) for take in recorded], answer_facts(live), tools)
    return worst(judged(found))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_change_has_the_verdict_that_is_right(row: Row) -> None:
    assert verdict(row) == row.verdict


def test_recall_and_precision_are_one_on_sixty_changes() -> None:
    def share(rows: Iterable[Row], of: Iterable[Row]) -> float:
        rows, of = set(rows), set(of)
        return len(rows & of) / len(of)

    real = [*REGRESSIONS, *NEW]
    reported = [row for row in ROWS if verdict(row) in ("new", "regression")]
    flagged = [row for row in ROWS if verdict(row) == "regression"]
    assert len(real) >= 60
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert (share(reported, real), share(real, reported)) == (1.0, 1.0)
    assert (share(flagged, REGRESSIONS), share(REGRESSIONS, flagged)) == (1.0, 1.0)


def test_every_change_is_worded_and_found_by_the_table() -> None:
    found = set()
    for row in ROWS:
        recorded, live = row.documents()
        tools = declared_tools(recorded[0]["request"]["body"])
        facts = [answer_facts(take) for take in recorded]
        found |= {(c.tier, c.change) for c in changes(facts, answer_facts(live), tools)}
    worded = {(tier, change) for tier, some in CHANGES.items() for change in some}
    assert found <= worded
    assert worded - found == set()

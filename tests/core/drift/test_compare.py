"""Made-up changes of answers, each with the verdict that is right: recall and precision are 1."""

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import drifted_answers as answers
from tests.support.cases import in_one_test
from tests.support.conversations import ODD, document
from tests.support.drifted_answers import NEW, ORDINARY, REGRESSIONS, Row
from tests.support.limits import examples

from wiretape.core.drift.answer_facts import AnswerFacts, answer_facts, declared_tools
from wiretape.core.drift.compare import changes
from wiretape.core.drift.rules import CHANGES, judged, worst

ROWS = (*REGRESSIONS, *NEW, *ORDINARY)


def verdict(row: Row) -> str | None:
    recorded, live = row.documents()
    tools = declared_tools(recorded[0]["request"]["body"])
    found = changes([answer_facts(take) for take in recorded], answer_facts(live), tools)
    return worst(judged(found))


@in_one_test("row", ROWS)
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


def test_an_error_in_place_of_an_answer_is_one_change() -> None:
    [row] = [row for row in REGRESSIONS if row.name == "a 200 became a 400"]
    recorded, _ = Row("", answers.call, row.change, None).documents()
    _, live = Row("", answers.call, row.change, None).documents()
    found = list(changes([answer_facts(recorded[0])], answer_facts(live)))
    assert [(each.change, each.was, each.now) for each in found] == [("status", "200", "400")]


@given(st.lists(ODD, max_size=3), st.lists(ODD, max_size=3), st.booleans(), st.booleans())
@settings(max_examples=examples(60))
def test_any_answer_is_compared_and_has_not_drifted_from_itself(
    first: list[Any], second: list[Any], streamed: bool, calls: bool
) -> None:
    def facts(values: list[Any]) -> AnswerFacts:
        if calls:
            made = [{"function": {"name": "f", "arguments": value}} for value in values]
            values = [{"choices": [{"index": 0, "message": {"tool_calls": made}}]}]
        items = [{"__data__": value} for value in values]
        answer = items if streamed else items[0] if items else None
        return answer_facts(document({"tools": first}, answer))

    one, other = facts(first), facts(second)
    list(changes([one], other, declared_tools({"tools": first})))
    assert list(changes([one], one)) == []
    assert list(changes([one, other], other)) == []


def test_an_answer_in_one_piece_is_one_however_it_was_sent() -> None:
    whole = answers.call()
    reads = answers.call()
    text = json.dumps(reads["response"]["body"]["__data__"])
    items = [{"text": text[:40], "at": 0.1}, {"text": text[40:], "at": 0.2}]
    reads["response"] |= {"body": items, "is_streaming": True, "framing": "reads"}
    found = [*changes([answer_facts(whole)], answer_facts(reads))]
    assert [each for each in found if each.tier != "timing"] == []
    reads["response"]["body"][1]["text"] = text[40:].replace("get_weather", "other")
    found = [*changes([answer_facts(whole)], answer_facts(reads))]
    assert ("call-went", "get_weather") in {(each.change, each.path) for each in found}

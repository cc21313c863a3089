"""Differences between two requests, list items lined up."""

from typing import Any

import pytest

from wiretape.core.matching.canonical import ABSENT
from wiretape.core.matching.structural_diff import differing, readable

ASK = {"role": "user", "content": "What is the capital of France?"}
SAY = {"role": "assistant", "content": "Paris."}
MORE = {"role": "user", "content": "And what about Spain?"}
SYSTEM = {"role": "system", "content": "Be brief."}


def told(got: Any, recorded: Any) -> list[tuple[str, Any, Any]]:
    return [(one.path, one.got, one.recorded) for one in differing(got, recorded)]


@pytest.mark.parametrize(
    ("got", "recorded", "expected"),
    [
        ([SYSTEM, ASK, SAY, MORE], [ASK, SAY, MORE], [("[0]", SYSTEM, ABSENT)]),
        ([ASK, SAY, MORE], [ASK, MORE], [("[1]", SAY, ABSENT)]),
        ([ASK, MORE], [ASK, SAY, MORE], [("[1]", ABSENT, SAY)]),
        ([ASK, SAY], [ASK], [("[1]", SAY, ABSENT)]),
        (
            [SYSTEM, {**ASK, "content": "What is the capital of Italy?"}, SAY],
            [ASK, SAY],
            [
                ("[0]", SYSTEM, ABSENT),
                ("[1].content", "What is the capital of Italy?", ASK["content"]),
            ],
        ),
        # Of two messages with as many words in common the one of the same role is the partner.
        (
            [{"role": "user", "content": "a b x y"}],
            [{"role": "tool", "content": "a b x y"}, {"role": "user", "content": "a b v w"}],
            [
                ("[0]", ABSENT, {"role": "tool", "content": "a b x y"}),
                ("[0].content", "a b x y", "a b v w"),
            ],
        ),
        ([{"a": "x"}], [{"a": "y"}], [("[0].a", "x", "y")]),
        ([1, 2, 3], [1, 5, 3], [("[1]", 2, 5)]),
        ([1, 2, 3], [2, 3], [("[0]", 1, ABSENT)]),
        ([], [1], [("[0]", ABSENT, 1)]),
        ([[ASK]], [[SYSTEM, ASK]], [("[0][0]", ABSENT, SYSTEM)]),
    ],
)
def test_items_are_lined_up(got: Any, recorded: Any, expected: Any) -> None:
    assert told(got, recorded) == expected


@pytest.mark.parametrize(
    ("got", "recorded"),
    [({"a": True}, {"a": 1}), ({"a": [1]}, {"a": [True]}), ({"a": 0}, {"a": ""})],
)
def test_what_python_takes_for_equal_is_not(got: Any, recorded: Any) -> None:
    assert len(differing(got, recorded)) == 1


def test_equal_values_do_not_differ() -> None:
    assert differing([ASK, {"a": [1, None]}], [ASK, {"a": [1, None]}]) == []


def test_no_more_places_are_told_than_the_limit() -> None:
    assert len(differing({str(n): 1 for n in range(99)}, {}, limit=7)) == 7


def test_tokens_of_ids_are_one_value() -> None:
    got, recorded = {"id": {"\0id": "aaaaaaaaaaaa#0"}}, {"id": {"\0id": "bbbbbbbbbbbb#0"}}
    assert told(got, recorded) == [("id", got["id"], recorded["id"])]


def test_a_path_reads_without_the_kind_of_body() -> None:
    assert readable(("body", "json", "messages", 1, "content")) == "body.messages[1].content"
    assert readable(("body", "text")) == "body"
    assert readable(("query", "trace", 0)) == "query.trace[0]"
    assert readable(("body", "json", "n", "\0number")) == "body.n"


def test_long_lists_do_not_take_the_square_of_their_length() -> None:
    talk = [{"role": "user", "content": f"{n} " + "word " * 300} for n in range(300)]
    other = [{"role": "user", "content": f"{n} " + "term " * 300} for n in range(280)]
    numbers = [float(n) for n in range(200_000)]
    assert len(differing(talk, other)) == 50
    assert len(differing([*numbers, 1.5], [0.5, *numbers])) == 50

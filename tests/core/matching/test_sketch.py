"""Sketches tell near requests from far ones, and are the same everywhere."""

import json
import random
from typing import Any

import pytest

from wiretape.core.matching.sketch import LENGTH, rank, sketch

SYSTEM = "You answer in one short sentence and never guess what you do not know. " * 40


def chat(*texts: str, **members: Any) -> dict[str, Any]:
    messages = [{"role": "user" if n % 2 else "system", "content": t} for n, t in enumerate(texts)]
    return {
        "method": "POST",
        "path": "/v1/chat/completions",
        "body": {"json": {"model": "m", "messages": messages, **members}},
    }


def ranked(wanted: dict[str, Any], **others: dict[str, Any]) -> list[str]:
    return rank(sketch(wanted), [(name, sketch(other)) for name, other in others.items()], 9)


def test_a_sketch_has_one_length_and_is_the_same_everywhere() -> None:
    assert len(sketch({})) == LENGTH == len(sketch(chat(SYSTEM * 200, "Hi")))
    assert sketch({"a": 1}) == bytes(29) + b"@" + bytes(98)


def test_the_order_of_members_does_not_count() -> None:
    assert sketch({"a": 1, "b": {"c": 2, "d": 3}}) == sketch({"b": {"d": 3, "c": 2}, "a": 1})


def test_types_and_places_count() -> None:
    values: list[dict[str, Any]] = [
        {"a": 1}, {"a": "1"}, {"a": True}, {"b": 1}, {"a": {"a": 1}}, {"a": None}, {"a": [1]},
        {"a": [1, 1]}, {},
    ]  # fmt: skip
    assert len({sketch(value) for value in values}) == len(values)


def test_one_changed_member_is_nearer_than_another_question() -> None:
    wanted = chat(SYSTEM, "What is the capital of France?", temperature=0.7)
    assert ranked(
        wanted,
        question=chat(SYSTEM, "Name three rivers of Spain, please.", temperature=0.7),
        nothing=chat("Be brief.", "Write a poem about the sea and the moon."),
        temperature=chat(SYSTEM, "What is the capital of France?", temperature=0.2),
    ) == ["temperature", "question", "nothing"]


def test_a_message_put_in_front_leaves_the_rest_near() -> None:
    talk = [f"Question {n}: what does word number {n} mean?" for n in range(8)]
    assert ranked(
        chat("Hello there, who are you today?", *talk),
        other=chat(*(text.replace("word", "verse") for text in talk), "And so on?"),
        same=chat(*talk),
    ) == ["same", "other"]


def test_a_long_prompt_in_common_does_not_hide_the_question() -> None:
    wanted = chat(SYSTEM * 20, "What is the capital of France?")
    assert ranked(
        wanted,
        far=chat(SYSTEM * 20, "Sort these numbers for me: five, two, nine."),
        near=chat(SYSTEM * 20, "What is the capital of Spain?"),
    ) == ["near", "far"]


def test_a_text_without_spaces_is_compared_too() -> None:
    assert ranked(
        chat("東京は日本の首都です。人口は多い。"),
        far=chat("料理の作り方を教えてください、卵。"),
        near=chat("東京は日本の首都です。人口は増えた。"),
    ) == ["near", "far"]


def test_what_is_as_near_stays_in_its_order_and_the_limit_holds() -> None:
    one = sketch({"a": 1})
    assert rank(one, [(name, one) for name in "cab"], 2) == ["c", "a"]
    assert rank(one, [], 5) == []


@pytest.mark.parametrize("limit", [1, 2, 7, 40, 100])
def test_the_nearest_are_those_of_the_fewest_bits_that_differ(limit: int) -> None:
    source = random.Random(limit)
    # Few bits, so that many are as near.
    others = [(n, bytes([source.randrange(8)]) + bytes(LENGTH - 1)) for n in range(40)]
    for first in range(8):
        wanted = bytes([first]) + bytes(LENGTH - 1)
        by_distance = sorted(others, key=lambda other: (first ^ other[1][0]).bit_count())
        assert rank(wanted, others, limit) == [name for name, _ in by_distance[:limit]]


def test_lone_surrogates_deep_nesting_and_a_million_leaves_are_taken() -> None:
    deep: Any = "end"
    for _ in range(900):
        deep = [deep]
    assert len(sketch({"\ud800": "\udfff text", "deep": deep})) == LENGTH
    assert len(sketch({"input": list(range(1_000_000)), "text": "word " * 4_000_000})) == LENGTH


def test_the_same_is_first_of_ten_thousand() -> None:
    source = random.Random(4)
    others = [(n, source.randbytes(LENGTH)) for n in range(10_000)]
    wanted = sketch(json.loads(json.dumps(chat(SYSTEM, "Hi"))))
    others[7_777] = (7_777, wanted)
    assert rank(wanted, others, 20)[0] == 7_777

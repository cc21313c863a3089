"""Two recordings side by side."""

from typing import Any

from tests.support.conversations import document

from wiretape.config.packs import built_in
from wiretape.core.conversation.compare import PairDifference, Side, compare, lines
from wiretape.core.conversation.conversation import conversation
from wiretape.core.matching.canonical import ABSENT
from wiretape.core.matching.matcher import Matcher


def side(body: Any = None, text: str = "Hello", status: int = 200, **message: Any) -> Side:
    answer = {"choices": [{"message": {"content": text, **message}, "finish_reason": "stop"}]}
    recording = document(body or {"model": "m"}, {"__data__": answer})
    canonical = Matcher(built_in()).canonical(recording["request"])
    return Side(canonical, conversation(recording), status, "complete", {"chunks": 1})


def call(city: str, name: str = "weather", id: str = "call_1") -> dict[str, Any]:
    return {"id": id, "function": {"name": name, "arguments": f'{{"city": "{city}"}}'}}


def test_the_same_is_equal_whatever_the_chunks_and_the_calls_ids() -> None:
    a = side(tool_calls=[call("Rome", id="call_1")])
    b = side(tool_calls=[call("Rome", id="call_2")])
    comparison = compare(a, Side(b.canonical, b.conversation, 200, "complete", {"chunks": 9}))
    assert comparison.equal
    assert comparison.facts == {"chunks": (1, 9)}


def test_requests_are_compared_by_path() -> None:
    comparison = compare(side({"model": "m", "temperature": 0.2}), side({"model": "m", "top_p": 1}))
    assert comparison.request == (
        PairDifference("body.temperature", 0.2, ABSENT),
        PairDifference("body.top_p", ABSENT, 1),
    )
    assert not comparison.answer


def test_answers_are_compared_by_text_and_by_call() -> None:
    a = side(text="Hello", tool_calls=[call("Rome")])
    b = side(text="Hullo", tool_calls=[call("Oslo"), call("Bonn")], status=201)
    assert compare(a, b).answer == (
        PairDifference("answer.status", 200, 201),
        PairDifference("answer.calls[0].arguments.city", "Rome", "Oslo"),
        PairDifference(
            "answer.calls[1]", ABSENT, {"name": "weather", "arguments": {"city": "Bonn"}}
        ),
        PairDifference("answer.text", "Hello", "Hullo"),
    )


def test_json_leaves_a_side_without_the_member_out() -> None:
    assert PairDifference("body.top_p", ABSENT, 1).as_json() == {"path": "body.top_p", "b": 1}


def test_a_long_line_is_told_by_its_words() -> None:
    difference = PairDifference(
        "answer.text", "the quick brown fox jumps", "the quick red fox jumps"
    )
    assert list(lines(difference)) == [
        ("=", "answer.text"),
        ("~", "the quick [-brown-]{+red+} fox jumps"),
    ]


def test_a_text_of_lines_is_told_by_its_lines() -> None:
    difference = PairDifference(
        "answer.text", "one\ntwo\nthree\nfour, the last", "one\ntwo\n3\nfour, the last"
    )
    assert list(lines(difference)) == [
        ("=", "answer.text"),
        (" ", "…"),
        (" ", "two"),
        ("-", "three"),
        ("+", "3"),
        (" ", "four, the last"),
    ]


def test_values_are_told_one_above_the_other() -> None:
    assert list(lines(PairDifference("body.n", 1, None))) == [
        ("=", "body.n"),
        ("-", "1"),
        ("+", "null"),
    ]


def test_huge_texts_are_compared_in_a_moment() -> None:
    a, b = ("word " * 400_000, "word " * 200_000 + "other " + "word " * 200_000)
    assert len("".join(text for _, text in lines(PairDifference("answer.text", a, b)))) < 2_000

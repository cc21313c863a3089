"""A suggested rule leaves alone known members of a question, and words at unknown places."""

from typing import Any

import pytest
from tests.support.cases import in_one_test

from wiretape.core.matching.canonical import ABSENT
from wiretape.core.matching.normalise import NormaliserKind
from wiretape.core.matching.question_guard import (
    deciding_header,
    deciding_parameter,
    depends_on,
    hides_question,
    in_question,
    may_ask,
    member_names,
)


def test_the_members_of_a_path_are_read() -> None:
    assert member_names("$.a[0]['b c'].d[*]") == ["a", "b c", "d"]
    assert member_names(None) == []


@pytest.mark.parametrize("kind", [None, "uuids", "dates", "regex", "round"])
@in_one_test("path", ["$.model", "$.stream", "$.generate", "$.tools[0].id", "$.a.stream"])
def test_who_answers_and_in_what_form_is_not_even_normalised(
    path: str, kind: NormaliserKind | None
) -> None:
    assert hides_question(member_names(path), kind, [1])


@in_one_test(
    "path, values, hides",
    [
        ("$.messages[0].content", ["a"], True),
        ("$.messages[*].id", ["any words at all"], False),
        ("$.messages[*].content[*].input.id", ["a1"], True),
        ("$.input[*].created_at", [1], False),
        ("$.item.content[0].text", ["1"], True),
        ("$.metadata.run", ["words of any kind"], False),
        ("$.client_metadata.turn", [True], False),
        ("$.metadata.prompt", ["1"], True),
        ("$.run", ["r1", "r2"], False),
        ("$.run", ["a", "b"], True),
        ("$.run", ["run 1 of these"], True),
        ("$.run", [1, 2.5, None, ABSENT], True),
        ("$.run", [1, 2.5, ABSENT], False),
        ("$.run", [True], True),
        ("$.run", [{"a": [1, "x9"]}], False),
        ("$.run", [{"a": [1, "two words"]}], True),
        ("$.seed", [1], False),
        ("$.voice", ["v1"], True),
    ],
)
def test_a_value_may_be_ignored_where_it_cannot_be_the_question(
    path: str, values: list[Any], hides: bool
) -> None:
    assert hides_question(member_names(path), None, values) is hides


def test_text_with_words_may_ask_wherever_it_is_not_known_to_be_metadata() -> None:
    assert in_question(["a", "content"])
    assert in_question(["tools"])
    assert not in_question(["a", "tools"])
    assert may_ask(["a"], "x", "two words")
    assert not may_ask(["a"], "x1", "x2")
    assert not may_ask(["labels", "a"], "two words")
    assert not may_ask(["a", "created_at"], "Sunday, November 29")


def test_an_answer_depends_on_options() -> None:
    assert depends_on(["temperature"])
    assert not depends_on(["a", "temperature"])
    assert not depends_on([])


@pytest.mark.parametrize(
    ("name", "values", "decides"),
    [
        ("alt", ["sse"], True),
        ("page", ["1"], True),
        ("trace", ["words"], False),
        ("t", [["17959655"], ["17959656"]], False),
        ("t", [["1"], ABSENT], False),
        ("sort", [["up"]], True),
    ],
)
def test_a_parameter_decides_unless_it_looks_like_a_run_s(
    name: str, values: list[Any], decides: bool
) -> None:
    assert deciding_parameter(name, *values) is decides


def test_a_header_decides_where_it_selects_the_answer() -> None:
    assert [deciding_header(name) for name in ("accept", "range", "x-goog-upload-offset")] == [
        True
    ] * 3
    assert not deciding_header("accept-language")
    assert not deciding_header("openai-beta")

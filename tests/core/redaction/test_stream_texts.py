"""Which strings of a stream are parts of one text."""

import json
from typing import Any

import pytest

from wiretape.core.redaction.stream_texts import (
    TextPath,
    in_text,
    is_json_text,
    is_text,
    leaves,
    merged,
)


def path_of(value: Any, text: str = "x") -> TextPath:
    """The path of the string that is "x"."""
    (path,) = {leaf.path for leaf in leaves(value)[0] if leaf.text == text}
    return path


def choice(index: int, at: int = 0) -> Any:
    choices: list[Any] = [{"index": 9, "delta": {}}] * at
    return {"choices": [*choices, {"index": index, "delta": {"content": "x"}}]}


def test_a_number_tells_texts_apart_and_a_place_does_not() -> None:
    assert path_of(choice(1)) == path_of(choice(1, at=2))
    assert path_of(choice(1)) != path_of(choice(2))


def test_without_a_number_a_place_does() -> None:
    assert path_of({"a": [{"b": "x"}]}) != path_of({"a": [{}, {"b": "x"}]})


@pytest.mark.parametrize("way", ["parts", "tokens"])
def test_lists_that_a_client_joins_are_one_text(way: str) -> None:
    parsed, _ = leaves({way: ["a", "b", {"text": "c"}, {"text": "d"}]})
    assert parsed[0].path == parsed[1].path
    assert parsed[2].path == parsed[3].path


def test_geminis_thoughts_are_no_part_of_its_answer() -> None:
    assert path_of({"parts": [{"text": "x", "thought": True}]}) != path_of(
        {"parts": [{"text": "x"}]}
    )


def test_an_event_of_another_type_has_other_texts_but_for_anthropics_blocks() -> None:
    delta = {"type": "response.output_text.delta", "delta": "x"}
    assert path_of(delta) != path_of({**delta, "type": "response.refusal.delta"})
    start = {"type": "content_block_start", "index": 2, "content_block": {"text": "x"}}
    more = {"type": "content_block_delta", "index": 2, "delta": {"text": "x"}}
    assert path_of(start) == path_of(more)


@pytest.mark.parametrize(
    ("value", "text", "json_text"),
    [
        ({"content": "x"}, True, False),
        ({"text": {"value": "x"}}, False, False),
        ({"id": "x"}, False, False),
        ({"tokens": ["x"]}, True, False),
        ({"function": {"arguments": "x"}}, True, True),
        ({"delta": {"partial_json": "x"}}, True, True),
        ({"type": "response.function_call_arguments.delta", "delta": "x"}, True, True),
        ({"type": "response.output_text.delta", "delta": "x"}, True, False),
        ("x", True, False),
    ],
)
def test_a_lane_is_text_or_json_by_its_name(value: Any, text: bool, json_text: bool) -> None:
    path = path_of(value)
    assert (is_text(path), is_json_text(path)) == (text, json_text)


def test_strings_are_numbered_as_they_stand_in_the_text() -> None:
    value = {"a": "x", "b": [1, {"c": None, "d": ["y", 2.5]}], "e": {}}
    parsed, count = leaves(value)
    assert [(leaf.json_path, leaf.text, leaf.number) for leaf in parsed] == [
        (("a",), "x", 1),
        (("b", 1, "d", 0), "y", 5),
    ]
    assert count == 7


def test_numbers_that_count_the_chunks_are_no_texts() -> None:
    texts = [path_of({"index": n, "text": "x"}) for n in range(3)]
    plain = ("", "text")
    assert merged((path, n) for n, path in enumerate(texts)) == dict.fromkeys(texts, plain)
    assert merged((path, 0) for path in texts) == {}
    assert merged((path, n) for n, path in enumerate(texts[:2])) == {}


@pytest.mark.parametrize(
    ("text", "strings"),
    [
        ('{"a": "x"}', ["x"]),
        ('[{"a": "x"}\n,\r\n{"b": "y"}]', ["x", "y"]),
        ('{"a": "x"}\n{"a": "y"}\n', ["x", "y"]),
        ('{"a": "x"}{"a": "y"', ["x"]),
        ('data: {"a": "x"}\n\ndata: {"a": "\\u0079"}\n\n', ["x", "\\u0079"]),
        ('0:"x"\ne:{"a":"y"}\n', ["x", "y"]),
        ('no JSON: {"a": "x"}\n{nor this}\n{"a": "y"}', ["y"]),
        ('{"a": "x", "a": "y"}', []),
        ("", []),
    ],
)
def test_json_is_found_in_a_text(text: str, strings: list[str]) -> None:
    strings_found = list(in_text(text, "text", events=False))
    assert [string.raw for string in strings_found] == strings
    for string in strings_found:
        assert text[string.start : string.start + len(string.raw)] == string.raw
        assert json.loads(f'"{string.raw}"') == string.leaf.text


def test_an_events_data_is_a_string_where_it_is_no_json() -> None:
    text = ': note\ndata: plain\ndata:{"a": "x"}\nid: 4\n\n'
    strings = [
        (string.leaf.text, string.start, string.leaf.number)
        for string in in_text(text, "text", events=True)
    ]
    assert strings == [("plain", 13, -1), ("x", 31, 1)]
    (string,) = in_text("[DONE]", "data", events=True)
    assert (string.leaf.text, string.leaf.number) == ("[DONE]", -1)


def test_deep_and_broken_json_takes_no_time() -> None:
    assert list(in_text('{"a":\n' * 20_000, "text", events=False)) == []
    assert list(in_text("[" * 200_000, "text", events=False)) == []
    deep = '{"a":' * 300 + '"x"' + "}" * 300
    assert list(in_text(deep, "text", events=False)) == []

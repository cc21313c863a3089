"""Messages and their parts, as the request bodies of all providers have them."""

from typing import Any

import pytest

from wiretape.core.conversation.turns import (
    HIDDEN,
    Part,
    Turn,
    call,
    decoded_size,
    first,
    media,
    message,
    parts,
    request_turns,
    spaced,
    text_of,
    tools,
)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, []),
        ("hi", [Part("text", "hi")]),
        ([{"type": "input_text", "text": "hi"}], [Part("text", "hi")]),
        ([{"text": "hm", "thought": True}], [Part("reasoning", "hm")]),
        ([{"type": "redacted_thinking", "data": "Zm9v"}], [Part("reasoning", HIDDEN)]),
        ([{"type": "refusal", "refusal": "no"}], [Part("refusal", "no")]),
        ([{"functionCall": {"name": "now", "args": {}}}], [Part("call", "", "now")]),
        (
            [{"type": "tool_result", "tool_use_id": "t1", "content": [{"text": "5"}]}],
            [Part("result", "5", "", "t1")],
        ),
        (
            [{"type": "image_url", "image_url": {"url": "https://h/a.png"}}],
            "[image https://h/a.png]",
        ),
        ([{"what": 1}], [Part("data", '{"what": 1}')]),
        ([7], [Part("data", "7")]),
    ],
)
def test_parts_of_every_spelling(content: Any, expected: list[Part] | str) -> None:
    read = parts(content)
    assert (read[0].text if isinstance(expected, str) else read) == expected


@pytest.mark.parametrize(
    "item",
    [
        {"id": "c1", "function": {"name": "f", "arguments": '{"a": 1}'}},
        {"call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
        {"toolUseId": "c1", "name": "f", "input": {"a": 1}},
    ],
)
def test_a_call_of_every_provider(item: dict[str, Any]) -> None:
    assert call(item) == Part("call", '{"a": 1}', "f", "c1")


def test_media_are_described_by_kind_name_and_size() -> None:
    part = media("file", {"filename": "a.png", "file_data": "data:image/png;base64,AAAAAA=="})
    assert part.text == "[image a.png 4 B]"
    assert part.base64 == "AAAAAA=="
    assert [decoded_size(text) for text in ("", "AA==", "AAA=", "AAAA")] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("item", "turn"),
    [
        ({"role": "user", "content": "hi"}, Turn("user", (Part("text", "hi"),))),
        (
            {"role": "tool", "tool_call_id": "c1", "content": "5"},
            Turn("tool", (Part("result", "5", "", "c1"),)),
        ),
        ({"type": "function_call_output", "call_id": "c1", "output": "5"}, "tool"),
        ({"type": "function_call", "name": "f", "arguments": "{}"}, "assistant"),
        (
            {"role": "assistant", "reasoning_content": "hm", "content": "5"},
            Turn("assistant", (Part("reasoning", "hm"), Part("text", "5"))),
        ),
    ],
)
def test_a_message_has_its_role_and_parts(item: dict[str, Any], turn: Turn | str) -> None:
    read = message(item)
    assert (read.role if isinstance(turn, str) else read) == turn


@pytest.mark.parametrize(
    ("body", "roles"),
    [
        ({"instructions": "Be brief.", "input": "hi"}, ["system", "user"]),
        ({"systemInstruction": {"parts": []}, "contents": [{"role": "model", "parts": []}]}, None),
        ({"prompt": [1, 2, 3]}, ["user"]),
        ({"model": "m", "stream": True}, []),
        ({"model": "m", "what": 1}, ["request"]),
        ("hi", ["user"]),
        (None, []),
    ],
)
def test_turns_of_a_request(body: Any, roles: list[str] | None) -> None:
    expected = ["system", "model"] if roles is None else roles
    assert [turn.role for turn in request_turns(body)] == expected


def test_the_names_of_tools() -> None:
    function = {"type": "function", "function": {"name": "a"}}
    declarations = {"functionDeclarations": [{"name": "c"}, {"name": "d"}]}
    body = {"tools": [function, {"name": "b"}, declarations, {"googleSearch": {}}]}
    assert tools(body) == ("a", "b", "c", "d", "googleSearch")
    assert tools({"toolConfig": {"tools": [{"toolSpec": {"name": "e"}}]}}) == ("e",)


def test_values_as_text() -> None:
    assert [text_of(value) for value in (None, "a", {"b": [1]})] == ["", "a", '{"b": [1]}']
    assert first({"a": [], "b": 0}, "a", "b") == 0
    assert [spaced('{"a":1}'), spaced("not JSON")] == ['{"a": 1}', "not JSON"]

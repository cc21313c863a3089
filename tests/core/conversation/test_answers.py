"""Answers put together again, of every provider's shape; the values are cut from the wire's."""

import base64
import json
from typing import Any

import pytest

from wiretape.core.conversation.answers import answer_turns
from wiretape.core.conversation.turns import Part, Turn


def assistant(*parts: Part, finish: str | None = None) -> tuple[Turn, ...]:
    return (Turn("assistant", parts, finish),)


def test_openais_deltas_are_one_text() -> None:
    values = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"index": 0, "delta": {"content": "Hel"}}]},
        {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 1}},
    ]
    assert answer_turns(values) == assistant(Part("text", "Hello"), finish="stop")


def test_each_choice_is_a_turn() -> None:
    values = [
        {"choices": [{"index": 1, "delta": {"content": "b"}}]},
        {"choices": [{"index": 0, "delta": {"content": "a"}}]},
    ]
    assert [turn.parts[0].text for turn in answer_turns(values)] == ["b", "a"]


def test_a_tool_calls_arguments_are_joined() -> None:
    def delta(**call: Any) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}

    values = [
        delta(index=0, id="call_1", function={"name": "weather", "arguments": ""}),
        delta(index=0, function={"arguments": '{"city":'}),
        delta(index=0, function={"arguments": '"Berlin"}'}),
        delta(index=1, id="call_2", function={"name": "time", "arguments": "{}"}),
    ]
    assert answer_turns(values) == assistant(
        Part("call", '{"city":"Berlin"}', "weather", "call_1"),
        Part("call", "{}", "time", "call_2"),
    )


def test_calls_that_all_have_the_number_0_are_told_apart_by_their_ids() -> None:
    def delta(number: str) -> dict[str, Any]:
        call = {"index": 0, "id": number, "function": {"name": "f", "arguments": "{}"}}
        return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}

    turns = answer_turns([delta("a"), delta("b")])
    assert [part.id for part in turns[0].parts] == ["a", "b"]


def test_reasoning_and_refusal_are_parts_of_their_own() -> None:
    message = {"reasoning_content": "hm", "content": None, "refusal": "no"}
    assert answer_turns(
        [{"choices": [{"message": message, "finish_reason": "stop"}]}]
    ) == assistant(Part("reasoning", "hm"), Part("refusal", "no"), finish="stop")


def test_anthropics_events_are_blocks() -> None:
    values: list[Any] = [
        {"type": "message_start", "message": {"content": [], "usage": {"input_tokens": 9}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}},
        {"type": "content_block_delta", "index": 0, "delta": {"thinking": "hm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"signature": "x"}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 1, "delta": {"text": "Hi"}},
        {
            "type": "content_block_start",
            "index": 2,
            "content_block": {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
        },
        {"type": "content_block_delta", "index": 2, "delta": {"partial_json": '{"a":'}},
        {"type": "content_block_delta", "index": 2, "delta": {"partial_json": "1}"}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ]
    assert answer_turns(values) == assistant(
        Part("reasoning", "hm"),
        Part("text", "Hi"),
        Part("call", '{"a":1}', "f", "toolu_1"),
        finish="tool_use",
    )


def test_openais_responses_are_told_once_though_events_repeat_them() -> None:
    item = {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
    call = {"type": "function_call", "name": "f", "call_id": "call_1", "arguments": ""}
    values: list[Any] = [
        {"type": "response.created", "response": {"status": "in_progress", "output": []}},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "H"},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "i"},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.output_item.added", "output_index": 1, "item": call},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": '{"a":1}'},
        {
            "type": "response.output_item.done",
            "output_index": 1,
            "item": call | {"arguments": '{"a":1}'},
        },
        {"type": "response.completed", "response": {"status": "completed", "output": [item]}},
    ]
    assert answer_turns(values) == assistant(
        Part("text", "Hi"), Part("call", '{"a":1}', "f", "call_1"), finish="completed"
    )


def test_a_whole_response_is_its_output() -> None:
    reasoning = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    item = {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
    value = {"object": "response", "status": "completed", "error": None}
    assert answer_turns([value | {"output": [reasoning, item]}]) == assistant(
        Part("reasoning", "hm"), Part("text", "Hi"), finish="completed"
    )


def test_geminis_parts_are_joined_and_thoughts_are_reasoning() -> None:
    def candidate(*parts: Any, **more: Any) -> dict[str, Any]:
        return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **more}]}

    values = [
        candidate({"text": "hm", "thought": True}),
        candidate({"text": "He"}),
        candidate({"text": "y"}),
        candidate({"functionCall": {"name": "f", "args": {"a": 1}}}, finishReason="STOP"),
    ]
    assert answer_turns(values) == assistant(
        Part("reasoning", "hm"), Part("text", "Hey"), Part("call", '{"a": 1}', "f"), finish="STOP"
    )


def test_geminis_interactions_are_read_from_their_events() -> None:
    values = [
        {"event_type": "step.start", "index": 0, "step": {"type": "thought"}},
        {"event_type": "step.delta", "index": 1, "delta": {"type": "text", "text": "Hel"}},
        {"event_type": "step.delta", "index": 1, "delta": {"type": "text", "text": "lo"}},
        {"event_type": "interaction.completed", "interaction": {"status": "completed"}},
    ]
    assert answer_turns(values) == assistant(Part("text", "Hello"), finish="completed")


@pytest.mark.parametrize(
    "lines",
    [
        [{"response": "He", "done": False}, {"response": "y", "done": True, "done_reason": "stop"}],
        [
            {"message": {"role": "assistant", "content": "He"}, "done": False},
            {"message": {"content": "y"}, "done": True, "done_reason": "stop"},
        ],
    ],
)
def test_ollamas_lines_are_one_text(lines: list[Any]) -> None:
    assert answer_turns(lines) == assistant(Part("text", "Hey"), finish="stop")


def test_coheres_events_have_plan_text_and_calls() -> None:
    def event(kind: str, **message: Any) -> dict[str, Any]:
        return {"type": kind, "index": 0, "delta": {"message": message}}

    values: list[Any] = [
        event("message-start", role="assistant", content=[], tool_calls=[], tool_plan=""),
        event("tool-plan-delta", tool_plan="I "),
        event("tool-plan-delta", tool_plan="will"),
        event("tool-call-start", tool_calls={"id": "c", "function": {"name": "f"}}),
        event("tool-call-delta", tool_calls={"function": {"arguments": '{"x"'}}),
        event("tool-call-delta", tool_calls={"function": {"arguments": ": 2}"}}),
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}},
    ]
    assert answer_turns(values) == assistant(
        Part("reasoning", "I will"), Part("call", '{"x": 2}', "f", "c"), finish="TOOL_CALL"
    )


@pytest.mark.parametrize("named", [True, False])
def test_bedrocks_blocks_are_joined(named: bool) -> None:
    def event(name: str, value: dict[str, Any]) -> dict[str, Any]:
        return {name: value} if named else value

    start = {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}
    values = [
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "He"}}),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "y"}}),
        event("contentBlockStart", start),
        event(
            "contentBlockDelta",
            {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"a":1}'}}},
        ),
        event("messageStop", {"stopReason": "tool_use"}),
    ]
    assert answer_turns(values) == assistant(
        Part("text", "Hey"), Part("call", '{"a":1}', "f", "t"), finish="tool_use"
    )


def test_a_whole_answer_of_bedrock_is_its_message() -> None:
    value = {"output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}}}
    assert answer_turns([value | {"stopReason": "end_turn"}]) == assistant(
        Part("text", "Hi"), finish="end_turn"
    )


def test_bedrocks_invoked_models_answer_in_base64() -> None:
    inner = {"type": "content_block_delta", "index": 0, "delta": {"text": "Hi"}}
    encoded = base64.b64encode(json.dumps(inner).encode()).decode()
    assert (
        answer_turns([{"bytes": encoded}])
        == answer_turns([{"bytes": inner}])
        == assistant(Part("text", "Hi"))
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"error": {"message": "no credit", "code": 402}}, "no credit"),
        ({"error": "model not turns"}, "model not turns"),
        ({"type": "error", "error": {"type": "overloaded", "message": "busy"}}, "busy"),
        ({"detail": "Not Found"}, "Not Found"),
    ],
)
def test_an_error_is_a_turn_of_its_own(value: Any, text: str) -> None:
    assert answer_turns([value]) == (Turn("error", (Part("text", text),)),)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"data": [{"embedding": [0.5] * 3}, {"embedding": [1.0] * 3}]}, "2 embeddings of 3"),
        ({"data": [{"embedding": base64.b64encode(bytes(12)).decode()}]}, "1 embedding of 3"),
        ({"embedding": {"values": [1.0, 2.0]}}, "1 embedding of 2"),
        ({"embeddings": {"float": [[1.0], [2.0]]}}, "2 embeddings of 1"),
    ],
)
def test_embeddings_are_counted(value: Any, text: str) -> None:
    assert answer_turns([value]) == assistant(Part("media", f"[{text} numbers]"))


def test_an_image_is_told_by_its_size() -> None:
    data = base64.b64encode(bytes(12_000)).decode()
    assert answer_turns([{"data": [{"b64_json": data}]}]) == assistant(
        Part("media", "[image 12 kB]")
    )


def test_what_is_not_known_is_shown_as_json() -> None:
    assert answer_turns([{"models": []}]) == (Turn("answer", (Part("data", '{"models": []}'),)),)

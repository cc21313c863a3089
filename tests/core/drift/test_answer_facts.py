"""What is compared of an answer: kinds of events, structure, calls, words, tokens, times."""

import json
from typing import Any

import pytest

from wiretape.core.drift.answer_facts import (
    DONE,
    AnswerFacts,
    Structure,
    ToolCall,
    answer_facts,
    declared_tools,
    type_name,
)
from wiretape.core.model import Chunk, Exchange, Headers, Request, Response
from wiretape.core.recording.document import from_exchange

JSON: Headers = (("content-type", "application/json; charset=utf-8"),)
SSE: Headers = (("content-type", "text/event-stream"),)


def facts(
    *chunks: tuple[Any, float], headers: Headers = SSE, path: str = "/v1/chat/completions"
) -> AnswerFacts:
    data = [
        (value.encode() if isinstance(value, str) else f"data: {json.dumps(value)}\n\n".encode())
        for value, _ in chunks
    ]
    request = Request("POST", "https", "api.openai.com", 443, path, headers=JSON, body=b"{}")
    pieces = tuple(Chunk(piece, at) for piece, (_, at) in zip(data, chunks, strict=True))
    response = Response(200, headers, pieces, streaming=headers is SSE, headers_at=0.1, end_at=9.0)
    return answer_facts(from_exchange(Exchange(request, response)))


def delta(finish: str | None = None, **members: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": members, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "choices": [choice]}


STREAM = (
    (delta(role="assistant"), 0.5),
    (delta(content="Hel"), 1.0),
    (delta(content="lo"), 1.5),
    (delta("stop"), 2.0),
    ({"object": "chat.completion.chunk", "choices": [],
      "usage": {"prompt_tokens": 3, "completion_tokens": 2}}, 2.5),
    ("data: [DONE]\n\n", 3.0),
)  # fmt: skip


def test_events_are_told_by_what_they_carry_each_run_once() -> None:
    chunk = "chat.completion.chunk"
    assert facts(*STREAM).kinds == (
        *(f"{chunk} start", f"{chunk} content", f"{chunk} finish", f"{chunk} usage", DONE),
    )


def test_words_tokens_and_how_it_ended() -> None:
    seen = facts(*STREAM)
    assert seen.texts == {("0", "text"): "Hello"}
    assert seen.finishes == ("stop",)
    assert seen.tokens == {"in": 3, "out": 2}
    assert (seen.status, seen.end, seen.streamed, seen.is_json) == (200, "complete", True, True)


def test_times_are_those_of_the_chunks() -> None:
    seen = facts(*STREAM)
    assert (seen.first_chunk, seen.whole) == (0.5, None)
    assert seen.rate == pytest.approx(5 / 2.5)
    assert facts(*STREAM[:4]).rate is None, "too few to tell"


def test_an_answer_in_one_piece_has_a_time_of_its_own() -> None:
    body = {"object": "chat.completion", "choices": []}
    seen = facts((json.dumps(body), 1.0), headers=JSON)
    assert (seen.streamed, seen.first_chunk, seen.kinds) == (False, None, ("chat.completion",))
    assert seen.whole == 9.0
    assert seen.headers == {"content-type": "application/json"}


def test_calls_have_their_arguments() -> None:
    call = {"index": 0, "id": "c", "type": "function",
            "function": {"name": "add", "arguments": '{"a": 1}'}}  # fmt: skip
    assert facts((delta(tool_calls=[call]), 1.0)).calls == (ToolCall("add", {"a": 1}),)
    call["function"] = {"name": "add", "arguments": '{"a": '}
    assert facts((delta(tool_calls=[call]), 1.0)).calls == (ToolCall("add", '{"a": '),)


def test_what_is_not_json_has_no_structure() -> None:
    seen = facts(("<html>", 1.0), headers=(("content-type", "text/html"),))
    assert (seen.is_json, seen.structure.types) == (False, {})


def test_a_structure_has_the_types_of_members_and_how_often_they_are_there() -> None:
    structure = Structure()
    structure.add("chunk", {"id": "a", "n": 1})
    structure.add("chunk", {"id": None})
    assert structure.types == {"chunk.id": {"string", "null"}, "chunk.n": {"number"}}
    assert (structure.is_always("chunk.id"), structure.is_always("chunk.n")) == (True, False)


def test_objects_of_several_types_are_told_apart() -> None:
    structure = Structure()
    structure.add("answer", {"output": [{"type": "text", "text": ""}, {"type": "call", "n": 1}]})
    assert structure.variants == {"answer.output[]": {"text", "call"}}
    assert "answer.output[](call).n" in structure.types


def test_the_models_own_json_is_not_the_providers() -> None:
    structure = Structure()
    structure.add("answer", {"arguments": {"city": "Rome"}, "metadata": {"run": 1}})
    assert set(structure.types) == {"answer.arguments", "answer.metadata"}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "boolean"),
        (1, "number"),
        (1.5, "number"),
        ("", "string"),
        ([], "array"),
        ({}, "object"),
    ],
)
def test_types_are_those_of_json(value: Any, name: str) -> None:
    assert type_name(value) == name


SCHEMA = {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [{"type": "function", "function": {"name": "now", "parameters": SCHEMA}}]},
        {"tools": [{"type": "function", "name": "now", "parameters": SCHEMA}]},
        {"functions": [{"name": "now", "parameters": SCHEMA}]},
        {"tools": [{"name": "now", "input_schema": SCHEMA}]},
        {"tools": [{"functionDeclarations": [{"name": "now", "parameters": SCHEMA}]}]},
        {"toolConfig": {"tools": [{"toolSpec": {"name": "now", "inputSchema": {"json": SCHEMA}}}]}},
    ],
)
def test_tools_are_declared_in_each_providers_way(body: Any) -> None:
    assert declared_tools(body) == {"now": SCHEMA}


@pytest.mark.parametrize("body", [None, [], {}, {"tools": "x"}, {"tools": [1, {"name": "now"}]}])
def test_what_declares_no_tool_has_none(body: Any) -> None:
    assert declared_tools(body) == {}

"""A recording shown as a conversation, whatever its document holds."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import paths
from tests.support.conversations import ODD, document, places
from tests.support.limits import examples

from wiretape.core.conversation.conversation import conversation, lines, summary
from wiretape.core.conversation.turns import Part, Turn
from wiretape.core.cost.usage import Usage
from wiretape.core.errors import WiretapeError
from wiretape.library import recording_file

SEEDS = sorted(paths.RECORDINGS.glob("*.json"))
DATA = sorted((paths.DATA / "llama-stack").glob("*.json"))


def request_turns(body: Any) -> tuple[Turn, ...]:
    return conversation(document(body)).request


def text(shown: Any) -> str:
    return "\n".join(line for _, line in lines(shown))


@pytest.mark.parametrize(
    ("body", "turns"),
    [
        (
            {"messages": [{"role": "user", "content": "Hi"}]},
            [Turn("user", (Part("text", "Hi"),))],
        ),
        (
            {"system": [{"type": "text", "text": "Be kind"}], "messages": []},
            [Turn("system", (Part("text", "Be kind"),))],
        ),
        ({"instructions": None, "input": "Hi"}, [Turn("user", (Part("text", "Hi"),))]),
        (
            {"input": [{"type": "function_call_output", "call_id": "c", "output": "12°"}]},
            [Turn("tool", (Part("result", "12°", "", "c"),))],
        ),
        (
            {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]},
            [Turn("assistant", (Part("call", "{}", "f", "c"),))],
        ),
        (
            {"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f"}}]}]},
            [Turn("model", (Part("call", "", "f"),))],
        ),
        (
            {
                "contents": {
                    "parts": [{"functionResponse": {"name": "f", "response": {"result": "12°"}}}]
                }
            },
            [Turn("user", (Part("result", '{"result": "12°"}', "f"),))],
        ),
        ({"prompt": "Say"}, [Turn("user", (Part("text", "Say"),))]),
        ({"prompt": [1, 2]}, [Turn("user", (Part("data", "[1, 2]"),))]),
        (
            {"messages": [{"role": "tool", "tool_call_id": "c", "content": "12°"}]},
            [Turn("tool", (Part("result", "12°", "", "c"),))],
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "tool_result", "tool_use_id": "t", "content": "12°"},
                            {
                                "type": "image",
                                "source": {"media_type": "image/png", "data": "AAAA"},
                            },
                        ],
                    }
                ]
            },
            [Turn("user", (Part("result", "12°", "", "t"), Part("media", "[image 3 B]")))],
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"text": "Hi"}, {"toolUse": {"name": "f"}}]}
                ]
            },
            [Turn("user", (Part("text", "Hi"), Part("call", "", "f")))],
        ),
        (
            {"chat_history": [{"role": "CHATBOT", "message": "Hi"}], "message": "Bye"},
            [Turn("CHATBOT", (Part("text", "Hi"),)), Turn("user", (Part("text", "Bye"),))],
        ),
    ],
)
def test_a_request_of_each_provider_is_turns(body: Any, turns: list[Turn]) -> None:
    assert request_turns(body) == tuple(turns)


def test_a_picture_by_url_is_named_and_one_in_data_is_weighed() -> None:
    content = [
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 16_000}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "A" * 4}},
    ]
    turns = request_turns({"messages": [{"role": "user", "content": content}]})
    assert [part.text for part in turns[0].parts] == [
        "[image https://example.com/cat.png]",
        "[image 12 kB]",
        "[file a.pdf 3 B]",
    ]


def test_the_prompt_is_what_the_user_said_last() -> None:
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "answer"},
        {"role": "user", "content": "second"},
        {"role": "tool", "content": "result"},
    ]
    assert conversation(document({"messages": messages})).prompt == "second"


def test_the_prompt_of_several_texts_is_the_first() -> None:
    assert conversation(document({"input": ["one", "two"]})).prompt == "one"


def test_anthropics_tokens_are_told_at_the_start_and_at_the_end() -> None:
    body = [
        {"__data__": {"type": "message_start", "message": {"usage": {"input_tokens": 9}}}},
        {"__data__": {"type": "message_delta", "usage": {"output_tokens": 4}}},
    ]
    assert conversation(document({}, body)).usage == Usage(9, 4)


@pytest.mark.parametrize(
    "value",
    [
        {"usage": {"prompt_tokens": 7, "completion_tokens": 3}},
        {"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3}},
        {"prompt_eval_count": 7, "eval_count": 3, "done": True},
        {"metadata": {"usage": {"inputTokens": 7, "outputTokens": 3}}},
        {
            "type": "response.completed",
            "response": {"usage": {"input_tokens": 7, "output_tokens": 3}},
        },
        {"delta": {"usage": {"tokens": {"input_tokens": 7, "output_tokens": 3}}}},
    ],
)
def test_each_providers_tokens_are_found(value: Any) -> None:
    assert summary(document({}, {"__data__": value})).usage == Usage(7, 3)


def test_tokens_that_are_no_numbers_are_unknown() -> None:
    value = {"usage": {"prompt_tokens": "7", "completion_tokens": True}}
    assert summary(document({}, {"__data__": value})).usage == Usage(None, None)


def test_the_model_stands_in_the_path_where_the_body_has_none() -> None:
    recording = document({"contents": []})
    host = "https://generativelanguage.googleapis.com"
    recording["request"]["url"] = f"{host}/v1beta/models/gemini-2.5-flash:generateContent"
    assert conversation(recording).model == "gemini-2.5-flash"


def test_events_that_are_kept_as_text_are_read_too() -> None:
    event = 'data: {"choices": [{"delta": {"content": "Hi"}}]}\r\n\r\n'
    recording = document({}, [{"text": ": ping\n\n"}, {"text": event}, {"data": "[DONE]"}])
    recording["response"]["headers"] = {"content-type": "text/event-stream"}
    assert conversation(recording).answer == (Turn("assistant", (Part("text", "Hi"),)),)


def test_geminis_list_is_read_though_it_was_cut() -> None:
    candidate = json.dumps({"candidates": [{"content": {"parts": [{"text": "Hi"}]}}]})
    recording = document({}, [{"text": f"[{candidate}\n,\n"}, {"text": candidate[:20]}])
    assert conversation(recording).answer == (Turn("assistant", (Part("text", "Hi"),)),)


def test_bytes_are_told_by_type_and_size() -> None:
    recording = document({}, {"base64": "A" * 16_000})
    recording["response"]["headers"] = {"content-type": "audio/mpeg"}
    assert conversation(recording).answer == (
        Turn("answer", (Part("media", "[audio/mpeg 12 kB]"),)),
    )


def test_a_websocket_is_told_in_the_order_of_its_messages() -> None:
    def delta(words: str) -> dict[str, Any]:
        return {"type": "response.output_text.delta", "output_index": 0, "delta": words}

    def item(words: str) -> dict[str, Any]:
        content = [{"type": "input_text", "text": words}]
        held = {"type": "message", "role": "user", "content": content}
        return {"type": "conversation.item.create", "item": held}

    messages = [
        ("client", item("one")),
        ("server", {"type": "response.created"}),
        ("server", delta("a")),
        ("server", delta("b")),
        ("client", {"type": "input_audio_buffer.append", "audio": "A" * 4000}),
        ("server", delta("c")),
    ]
    body = [{"from": sender, "__data__": value} for sender, value in messages]
    assert [
        (turn.role, turn.parts[0].text) for turn in conversation(document(None, body)).answer
    ] == [
        ("user", "one"),
        ("assistant", "ab"),
        ("user", "[audio 3 kB]"),
        ("assistant", "c"),
    ]


def test_messages_of_json_rpc_are_told_as_they_are() -> None:
    asks = {"jsonrpc": "2.0", "id": 1, "method": "roots/list"}
    replies = {"jsonrpc": "2.0", "id": 1, "result": {"roots": []}}
    body = [
        {"from": "server", "text": "Listening!"},
        {"from": "server", "__data__": asks},
        {"from": "client", "__data__": replies},
    ]
    turns = conversation(document(None, body)).answer
    assert [(turn.role, turn.parts[0].text) for turn in turns] == [
        ("assistant", "Listening!"),
        ("answer", json.dumps(asks)),
        ("request", json.dumps(replies)),
    ]


def test_the_text_names_who_speaks_and_shows_calls() -> None:
    call = {"id": "call_1", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
    answer = {"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    body = {
        "messages": [{"role": "user", "content": "Weather?\nIn Rome."}],
        "tools": [{"type": "function", "function": {"name": "weather"}}],
    }
    assert text(conversation(document(body, {"__data__": answer}))) == (
        "tools: weather\n\nuser\n  Weather?\n  In Rome.\n\nanswer\n"
        '  → weather({"city": "Rome"})  call_1\n  (tool_calls)'
    )


def test_a_seed_is_told_as_it_was() -> None:
    path = next(path for path in SEEDS if path.stem == "33b71fb85bfb")
    shown = conversation(recording_file.load(path).document)
    assert shown.prompt == "What's the weather in Tokyo?"
    assert shown.answer[0].parts[0].text == (
        '{"type": "function", "name": "get_weather", "parameters": {"city": "Tokyo"}}'
    )
    assert shown.usage == Usage(42, 24)


@pytest.mark.skipif(not DATA, reason="llama-stack's recordings are not beside the project")
def test_every_recording_of_llama_stack_has_an_answer() -> None:
    for path in DATA:
        try:
            recording = recording_file.load(path).document
        except WiretapeError:
            continue
        shown = conversation(recording)
        assert shown.answer, path.name
        assert summary(recording).prompt == shown.prompt
        assert summary(recording, shown) == summary(recording)
        # No shape but those of lists of models and of reranking is unknown.
        if shown.answer[0].role == "answer":
            assert "/chat/" not in recording["request"]["url"]


def small(path: Path) -> Any:
    """A seed with few chunks, as a document of ours."""
    recording = copy.deepcopy(recording_file.load(path).document)
    recording["response"]["body"] = recording["response"]["body"][:2]
    return recording


SHAPES: list[Any] = [
    *(small(path) for path in SEEDS[:1]),
    document(
        {
            "system": "s",
            "tools": [{"function": {"name": "f"}}, {"functionDeclarations": [{"name": "g"}]}],
            "messages": [
                {"role": "user", "content": [{"type": "image", "source": {"data": "AAAA"}}]},
                {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f"}}]},
            ],
            "contents": [{"parts": [{"functionCall": {"name": "f", "args": {}}}]}],
            "input": [{"type": "reasoning", "summary": [{"text": "hm"}]}],
        },
        [
            {
                "__data__": {
                    "type": "content_block_start",
                    "index": 0,
                    "content_block": {"text": ""},
                }
            },
            {"__data__": {"type": "content_block_delta", "index": 0, "delta": {"text": "Hi"}}},
            {"__data__": {"type": "response.output_item.done", "item": {"type": "message"}}},
            {"__data__": {"type": "response.completed", "response": {"output": [{}]}}},
            {"__data__": {"candidates": [{"content": {"parts": [{"text": "x"}]}, "index": 0}]}},
            {"__data__": {"message": {"content": "x"}, "done": True}},
            {"__data__": {"type": "tool-call-start", "delta": {"message": {"tool_calls": {}}}}},
            {"__data__": {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "x"}}}},
            {"__data__": {"output": {"message": {"content": []}}, "stopReason": "x"}},
            {"__data__": {"event_type": "step.delta", "index": 0, "delta": {"text": "x"}}},
            {"__data__": {"data": [{"embedding": [1.0]}]}},
            {"__data__": {"embeddings": {"float": [[1.0]]}}},
            {"__data__": {"data": [{"b64_json": "AAAA"}]}},
            {"__data__": {"error": {"message": "x"}}},
            {"data": "[DONE]"},
        ],
    ),
    document(
        None,
        [
            {"from": "client", "__data__": {"type": "x", "item": {"content": []}, "input": []}},
            {"from": "client", "__data__": {"realtimeInput": {"mediaChunks": [{"data": "AA"}]}}},
            {"from": "client", "__data__": {"toolResponse": {"functionResponses": [{}]}}},
            {"from": "server", "__data__": {"serverContent": {"modelTurn": {"parts": [{}]}}}},
            {"from": "server", "__data__": {"toolCall": {"functionCalls": [{"name": "f"}]}}},
            {"from": "server", "__data__": {"type": "response.audio.delta", "delta": "AAAA"}},
        ],
    ),
]


@given(st.data())
@settings(max_examples=examples(300), deadline=None)
def test_no_value_makes_a_traceback(data: st.DataObject) -> None:
    recording = copy.deepcopy(data.draw(st.sampled_from(SHAPES)))
    below = [
        path
        for path in places(recording)
        if path[:2] == ("request", "body") or (path[:2] == ("response", "body") and len(path) > 3)
    ]
    for _ in range(data.draw(st.integers(1, 3))):
        target = recording
        path = data.draw(st.sampled_from(below))
        try:
            for step in path[:-1]:
                target = target[step]
            target[path[-1]] = data.draw(ODD)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change has taken the place away
    shown = conversation(recording)
    assert isinstance(text(shown), str)
    json.dumps(shown.as_json(), allow_nan=False)
    assert summary(recording).usage == shown.usage
    assert summary(recording, shown) == summary(recording)

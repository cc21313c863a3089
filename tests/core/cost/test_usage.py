"""Tokens are read as each provider counts them."""

import base64
import json
from typing import Any

import pytest
from tests.support import realwire

from wiretape.core.capture.recorder import Recorder
from wiretape.core.conversation.conversation import summary
from wiretape.core.conversation.estimate import usage_of as usage_of_exchange
from wiretape.core.cost.usage import Usage, reported, total, usage_of
from wiretape.core.model import Chunk, Message, Response, WebSocket
from wiretape.core.recording.document import from_exchange
from wiretape.core.wire import aws_eventstream

SSE = (("content-type", "text/event-stream"),)
LINES = (("content-type", "application/x-ndjson"),)
FRAMES = (("content-type", "application/vnd.amazon.eventstream"),)
JSON = (("content-type", "application/json"),)


@pytest.mark.parametrize(
    ("value", "usage"),
    [
        pytest.param(
            {
                "usage": {
                    "prompt_tokens": 90,
                    "completion_tokens": 20,
                    "total_tokens": 110,
                    "prompt_tokens_details": {"cached_tokens": 64},
                    "completion_tokens_details": {"reasoning_tokens": 12},
                }
            },
            Usage(90, 20, cached=64),
            id="openai chat",
        ),
        pytest.param(
            {
                "object": "response",
                "usage": {
                    "input_tokens": 90,
                    "input_tokens_details": {"cached_tokens": 64},
                    "output_tokens": 20,
                    "output_tokens_details": {"reasoning_tokens": 12},
                    "total_tokens": 110,
                },
            },
            Usage(90, 20, cached=64),
            id="openai responses",
        ),
        pytest.param(
            {"data": [], "usage": {"prompt_tokens": 5, "total_tokens": 5}},
            Usage(5),
            id="openai embeddings",
        ),
        pytest.param(
            {
                "usage": {
                    "input_tokens": 10,
                    "cache_creation_input_tokens": 300,
                    "cache_read_input_tokens": 2000,
                    "cache_creation": {
                        "ephemeral_5m_input_tokens": 100,
                        "ephemeral_1h_input_tokens": 200,
                    },
                    "output_tokens": 7,
                }
            },
            Usage(2310, 7, cached=2000, cache_write=300, cache_write_1h=200),
            id="anthropic, whose cached tokens come on top",
        ),
        pytest.param(
            {
                "usageMetadata": {
                    "promptTokenCount": 50,
                    "cachedContentTokenCount": 40,
                    "candidatesTokenCount": 8,
                    "thoughtsTokenCount": 30,
                    "toolUsePromptTokenCount": 4,
                    "totalTokenCount": 92,
                }
            },
            Usage(54, 38, cached=40),
            id="gemini, whose thoughts come on top",
        ),
        pytest.param(
            {
                "usage": {
                    "prompt_tokens": 30,
                    "completion_tokens": 5,
                    "total_tokens": 75,
                    "completion_tokens_details": {"reasoning_tokens": 40},
                }
            },
            Usage(30, 45),
            id="xai, whose reasoning comes on top as the total says",
        ),
        pytest.param(
            {
                "usage": {
                    "inputTokens": 6,
                    "outputTokens": 9,
                    "totalTokens": 25,
                    "cacheReadInputTokens": 10,
                    "cacheWriteInputTokens": 0,
                }
            },
            Usage(16, 9, cached=10),
            id="bedrock converse",
        ),
        pytest.param(
            {
                "usage": {
                    "billed_units": {"input_tokens": 5, "output_tokens": 3},
                    "tokens": {"input_tokens": 71, "output_tokens": 5},
                }
            },
            Usage(5, 3),
            id="cohere bills less than it counts",
        ),
        pytest.param(
            {"done": True, "prompt_eval_count": 26, "eval_count": 298}, Usage(26, 298), id="ollama"
        ),
        pytest.param(
            {"usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 8}},
            Usage(9, 1, cached=8),
            id="deepseek",
        ),
        pytest.param(
            {"x_groq": {"usage": {"prompt_tokens": 9, "completion_tokens": 1}}},
            Usage(9, 1),
            id="groq",
        ),
        pytest.param(
            {
                "usage": {
                    "prompt_tokens": 100,
                    "completion_tokens": 1,
                    "cache_read_input_tokens": 80,
                    "prompt_tokens_details": {"cached_tokens": 80},
                }
            },
            Usage(100, 1, cached=80),
            id="litellm counts them twice",
        ),
        pytest.param({"choices": [], "usage": None}, Usage(), id="none"),
        pytest.param(
            {"usage": {"prompt_tokens": -1, "completion_tokens": True}}, Usage(), id="nonsense"
        ),
    ],
)
def test_a_body_tells_its_usage(value: dict[str, Any], usage: Usage) -> None:
    body = json.dumps(value).encode()
    assert usage_of([value]) == usage
    assert reported(Response(200, JSON, (Chunk(body),))) == usage


def events(*values: dict[str, Any]) -> tuple[Chunk, ...]:
    return tuple(Chunk(b"data: " + json.dumps(value).encode() + b"\n\n") for value in values)


def test_the_start_and_the_end_of_an_anthropic_stream_are_put_together() -> None:
    chunks = events(
        {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}},
        {"type": "content_block_delta", "delta": {"text": "many tokens"}},
        {"type": "message_delta", "usage": {"output_tokens": 40}},
        {"type": "message_stop"},
    )
    assert reported(Response(200, SSE, chunks, streaming=True)) == Usage(9, 40)


def test_the_last_chunk_of_a_stream_tells_it() -> None:
    chunks = events(
        {"choices": [{"delta": {"content": "hi"}}], "usage": None},
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
    )
    done = Chunk(b"data: [DONE]\n\n")
    assert reported(Response(200, SSE, (*chunks, done), streaming=True)) == Usage(3, 4)


def test_the_last_line_tells_it() -> None:
    lines = (b'{"done":false}\n', b'{"done":true,"prompt_eval_count":2,"eval_count":5}\n')
    response = Response(200, LINES, tuple(map(Chunk, lines)), streaming=True)
    assert reported(response) == Usage(2, 5)


def frame(value: object) -> Chunk:
    payload = json.dumps(value).encode()
    return Chunk(aws_eventstream.encode(aws_eventstream.Frame({":event-type": "x"}, payload)))


def inner(value: object) -> dict[str, str]:
    return {"bytes": base64.b64encode(json.dumps(value).encode()).decode()}


def test_frames_of_bedrock_tell_it() -> None:
    chunks = (
        frame({"contentBlockDelta": {}}),
        frame({"usage": {"inputTokens": 4, "outputTokens": 6}}),
    )
    assert reported(Response(200, FRAMES, chunks, streaming=True)) == Usage(4, 6)


def test_frames_of_a_model_at_bedrock_tell_it() -> None:
    metrics = {"inputTokenCount": 11, "outputTokenCount": 12, "cacheReadInputTokenCount": 5}
    chunks = (
        frame(inner({"type": "message_start", "message": {"usage": {"input_tokens": 11}}})),
        *[frame(inner({"type": "content_block_delta"}))] * 5,
        frame(inner({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics})),
    )
    assert reported(Response(200, FRAMES, chunks, streaming=True)) == Usage(16, 12, cached=5)


def test_headers_of_bedrock_tell_it() -> None:
    headers = (
        *JSON,
        ("X-Amzn-Bedrock-Input-Token-Count", "12"),
        ("X-Amzn-Bedrock-Output-Token-Count", "34"),
    )
    assert reported(Response(200, headers, (Chunk(b"{}"),))) == Usage(12, 34)


def test_each_response_of_a_websocket_counts() -> None:
    def done(tokens: int) -> Message:
        usage = {"input_tokens": tokens, "output_tokens": 1}
        return Message(
            json.dumps({"type": "response.done", "response": {"usage": usage}}).encode(), 0.1
        )

    said = Message(b'{"type": "response.done", "response": {"usage": {}}}', 0.1, sender="client")
    connection = WebSocket(status=101, chunks=(done(5), said, done(7)))
    assert reported(connection) == Usage(12, 2)


def test_a_body_that_is_no_json_tells_nothing() -> None:
    for body in (b"total tokens", b"[1, 2", b'{"usage": "tokens"}', b"\xff tokens"):
        assert not reported(Response(200, JSON, (Chunk(body),))).is_known
        assert not reported(Response(200, SSE, (Chunk(body),), streaming=True)).is_known


def test_a_list_of_values_is_read() -> None:
    body = json.dumps([{"usageMetadata": {"promptTokenCount": 1}}, {}]).encode()
    assert reported(Response(200, JSON, (Chunk(body),), streaming=True)) == Usage(1)


def test_usages_add_up() -> None:
    usages = [Usage(1, 2, cached=1), Usage(None, 4, estimated=True), Usage()]
    assert total(usages) == Usage(1, 6, cached=1, estimated=True)
    assert Usage(3, None).tokens == 3


@pytest.mark.skipif(not realwire.WIRE.is_dir(), reason="shared/data/wire is not there")
def test_real_answers_have_one_usage_on_the_wire_and_in_a_document() -> None:
    tellers = set()
    for real in realwire.exchanges():
        recorder = Recorder(real.request)
        recorder.start(real.status, real.headers, 0.1)
        recorder.read(real.body, 0.2)
        exchange = recorder.finish("ended", 0.3)
        usage = usage_of_exchange(exchange.request, exchange.response)
        if usage is not None:
            assert summary(from_exchange(exchange)).usage == usage, real.name
            tellers |= {real.request.host} if not usage.estimated else set()
    assert len(tellers) > 10

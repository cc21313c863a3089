import asyncio
import http.client
import json
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from tests.support import paths
from tests.support.limits import PATIENCE

from wiretape.demo.local_provider import LocalProvider

KEY = {"Authorization": "Bearer any"}
MODEL = "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free"
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hello, wörld!"}]
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "strict": {"type": "boolean"},
        },
    },
}
TOOLS = [{"type": "function", "function": WEATHER}]
SEED = paths.RECORDINGS / "6730dcde0b73.json"

type Post = tuple[int, str, bytes]


@pytest.fixture
async def provider() -> AsyncIterator[LocalProvider]:
    async with LocalProvider(token_delay=0) as running:
        yield running


async def post(
    provider: LocalProvider,
    path: str,
    body: dict[str, Any] | bytes,
    headers: dict[str, str] = KEY,
) -> Post:
    """Send JSON, or bytes as they are; gives status, content type and body."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.post(provider.url + path, data=BytesIO(data), headers=headers) as response,
    ):
        return response.status, response.headers["Content-Type"], await response.read()


async def chat(provider: LocalProvider, **body: Any) -> Any:
    """The parsed answer of a chat that is not streamed."""
    request = {"model": MODEL, "messages": HELLO, **body}
    status, _, data = await post(provider, "/v1/chat/completions", request)
    assert status == 200
    return json.loads(data)


async def streamed(
    provider: LocalProvider, path: str = "/v1/chat/completions", **body: Any
) -> list[Any]:
    """The parsed chunks of a streamed answer, which must end in `[DONE]`."""
    request = {"model": MODEL, "stream": True, **body}
    status, content_type, data = await post(provider, path, request)
    assert (status, content_type) == (200, "text/event-stream")
    *events, done, rest = data.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    assert all(event.startswith(b"data: {") for event in events)
    return [json.loads(event.removeprefix(b"data: ")) for event in events]


def refusal(answer: Post) -> tuple[int, Any]:
    """Status and error of an answer in OpenAI's error shape."""
    status, content_type, data = answer
    assert content_type == "application/json"
    body = json.loads(data)
    assert list(body) == ["error"]
    assert list(body["error"]) == ["message", "type", "param", "code"]
    assert body["error"]["type"] == "invalid_request_error"
    return status, body["error"]


def seed_chunks() -> list[Any]:
    """Chunks of the shipped recording, as Together sent them: without what llama-stack's SDK added,
    null where the wire has nothing.
    """
    added = {"function_call", "refusal", "tool_calls", "service_tier", "system_fingerprint"}
    added |= {"completion_tokens_details", "prompt_tokens_details"}

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: strip(item) for name, item in value.items() if name not in added}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return [strip(chunk["__data__"]) for chunk in json.loads(SEED.read_text())["response"]["body"]]


def shape(value: Any) -> Any:
    """A value with every leaf replaced by its type."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else type(value).__name__


async def test_streamed_words_join_to_the_answer_in_one_piece(provider: LocalProvider) -> None:
    whole = await chat(provider)
    chunks = await streamed(provider, messages=HELLO)
    text = "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks)
    assert text == whole["choices"][0]["message"]["content"]
    assert len(chunks) > 20


async def test_answer_names_what_the_user_said_last_and_the_model(provider: LocalProvider) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": [{"type": "text", "text": "sec"}, {"text": "ond"}, 7]},
        {"role": "assistant", "content": "no"},
    ]
    answer = await chat(provider, model="my/model", messages=messages)
    assert answer["choices"][0]["message"]["content"] == (
        'You said: "second" No model has read it: this is the answer of a provider on your own'
        " machine, which stands in for my/model and always says the same."
    )
    assert answer["model"] == "my/model"


async def test_long_prompt_is_quoted_by_its_beginning(provider: LocalProvider) -> None:
    answer = await chat(provider, messages=[{"role": "user", "content": "x" * 1000}])
    assert f'"{"x" * 200}…"' in answer["choices"][0]["message"]["content"]


async def test_streamed_chunks_have_the_shape_of_togethers(provider: LocalProvider) -> None:
    ours, theirs = await streamed(provider, messages=HELLO), seed_chunks()
    assert shape(ours[0]) == shape(theirs[0])
    assert shape(ours[-1]) == shape(theirs[-1])


async def test_seed_on_the_last_chunk_alone_is_above_2_to_63(provider: LocalProvider) -> None:
    seeds = [chunk["choices"][0]["seed"] for chunk in await streamed(provider, messages=HELLO)]
    assert set(seeds[:-1]) == {None}
    assert 2**63 < seeds[-1] < 2**64


async def test_equal_requests_get_equal_bytes(provider: LocalProvider) -> None:
    body = {"model": MODEL, "messages": HELLO, "stream": True}
    first = await post(provider, "/v1/chat/completions", body)
    assert await post(provider, "/v1/chat/completions", body) == first
    other = await post(provider, "/v1/chat/completions", {**body, "top_p": 1})
    assert json.loads(other[2].split(b"\n")[0][6:])["id"] not in first[2].decode()


async def test_usage_is_on_the_last_chunk(provider: LocalProvider) -> None:
    chunks = await streamed(provider, messages=HELLO)
    assert {json.dumps(chunk["usage"]) for chunk in chunks[:-1]} == {"null"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"] == {
        "prompt_tokens": 4,
        "completion_tokens": len(chunks),
        "total_tokens": len(chunks) + 4,
        "cached_tokens": 0,
    }


async def test_usage_that_is_asked_for_has_a_chunk_of_its_own(provider: LocalProvider) -> None:
    chunks = await streamed(provider, messages=HELLO, stream_options={"include_usage": True})
    assert {json.dumps(chunk["usage"]) for chunk in chunks[:-1]} == {"null"}
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == len(chunks) - 1


async def test_tool_the_user_names_is_called(provider: LocalProvider) -> None:
    messages = [{"role": "user", "content": "Use get_weather for Oslo"}]
    (choice,) = (await chat(provider, messages=messages, tools=TOOLS))["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    (call,) = choice["message"]["tool_calls"]
    assert (call["type"], call["function"]["name"]) == ("function", "get_weather")
    assert json.loads(call["function"]["arguments"]) == {
        "city": "Use get_weather for Oslo",
        "days": 1,
        "strict": True,
    }


async def test_streamed_tool_call_comes_in_fragments(provider: LocalProvider) -> None:
    messages = [{"role": "user", "content": "Use get_weather for Oslo"}]
    chunks = await streamed(provider, messages=messages, tools=TOOLS)
    first, named, *fragments, last = [chunk["choices"][0] for chunk in chunks]
    assert first["delta"] == {"role": "assistant", "content": None}
    (call,) = named["delta"]["tool_calls"]
    assert (call["index"], call["function"]) == (0, {"name": "get_weather", "arguments": ""})
    assert call["id"].startswith("call_")
    pieces = [fragment["delta"]["tool_calls"][0]["function"]["arguments"] for fragment in fragments]
    assert len(pieces) > 5
    assert json.loads("".join(pieces))["city"] == "Use get_weather for Oslo"
    assert last["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    "body",
    [
        {"tools": TOOLS},
        {"messages": [{"role": "user", "content": "get_weather"}]},
        {
            "messages": [{"role": "user", "content": "get_weather"}],
            "tools": TOOLS,
            "tool_choice": "none",
        },
        {
            "messages": [
                {"role": "user", "content": "get_weather"},
                {"role": "tool", "tool_call_id": "1", "content": "rain"},
            ],
            "tools": TOOLS,
        },
        {"tools": [None, {"function": {"name": ""}}, {"function": {"name": 1}}]},
    ],
    ids=["not named", "no tools", "forbidden", "result there", "no names"],
)
async def test_no_tool_is_called_where_none_is_to_be(
    provider: LocalProvider, body: dict[str, Any]
) -> None:
    (choice,) = (await chat(provider, **body))["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"].startswith("You said: ")


async def test_completion_answers_a_prompt_in_one_piece_and_streamed(
    provider: LocalProvider,
) -> None:
    body = {"model": MODEL, "prompt": "Roses are red"}
    _, _, data = await post(provider, "/v1/completions", body)
    whole = json.loads(data)
    assert whole["object"] == "text.completion"
    assert whole["choices"][0]["text"].startswith(' You said: "Roses are red" ')
    chunks = await streamed(provider, "/v1/completions", prompt="Roses are red")
    assert {chunk["object"] for chunk in chunks} == {"completion.chunk"}
    text = "".join(chunk["choices"][0]["text"] for chunk in chunks)
    assert text == whole["choices"][0]["text"]
    assert chunks[0]["choices"][0]["delta"]["content"] == chunks[0]["choices"][0]["text"]


async def test_models_are_listed_in_openais_shape(provider: LocalProvider) -> None:
    async with (
        aiohttp.ClientSession(headers=KEY) as session,
        session.get(f"{provider.url}/v1/models") as response,
    ):
        body = await response.json()
    assert body["object"] == "list"
    assert body["data"][0] == {
        "id": MODEL,
        "object": "model",
        "created": 1758039042,
        "owned_by": "wiretape",
    }


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer "}, {"Authorization": "sk-secret"}, {"x-api-key": "sk-secret"}],
    ids=["none", "empty", "no scheme", "other header"],
)
async def test_request_without_a_bearer_key_is_401(
    provider: LocalProvider, headers: dict[str, str]
) -> None:
    answer = await post(provider, "/v1/chat/completions", {}, headers)
    status, error = refusal(answer)
    assert (status, error["code"]) == (401, "invalid_api_key")
    assert b"sk-secret" not in answer[2]


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("chat/completions", b"{", ("invalid_json", None, "The body is not JSON: Expecting")),
        ("chat/completions", b"\xff", ("invalid_json", None, "The body is not JSON: 'utf-8'")),
        ("chat/completions", b"[" * 10**5, ("invalid_json", None, "The body is not JSON: JSON")),
        ("chat/completions", b"[]", ("invalid_json", None, "The body is not a JSON object.")),
        (
            "chat/completions",
            {"messages": HELLO},
            ("missing_required_parameter", "model", "Missing required parameter: 'model'."),
        ),
        (
            "chat/completions",
            {"model": MODEL, "messages": None},
            ("missing_required_parameter", "messages", "Missing required parameter: 'messages'."),
        ),
        (
            "chat/completions",
            {"model": MODEL, "messages": []},
            ("invalid_value", "messages", "Invalid value for 'messages': expected an array of"),
        ),
        (
            "chat/completions",
            {"model": MODEL, "messages": ["Hello"]},
            ("invalid_value", "messages", "Invalid value for 'messages': expected an array of"),
        ),
        (
            "chat/completions",
            {"model": 7, "messages": HELLO},
            ("invalid_value", "model", "Invalid value for 'model': expected a string."),
        ),
        (
            "chat/completions",
            {"model": MODEL, "messages": HELLO, "stream": "yes"},
            ("invalid_value", "stream", "Invalid value for 'stream': expected a boolean."),
        ),
        (
            "chat/completions",
            {"model": MODEL, "messages": HELLO, "tools": {}},
            ("invalid_value", "tools", "Invalid value for 'tools': expected an array."),
        ),
        (
            "completions",
            {"model": MODEL},
            ("missing_required_parameter", "prompt", "Missing required parameter: 'prompt'."),
        ),
    ],
)
async def test_bad_request_is_400_and_says_why(
    provider: LocalProvider,
    path: str,
    body: dict[str, Any] | bytes,
    expected: tuple[str, str | None, str],
) -> None:
    status, error = refusal(await post(provider, f"/v1/{path}", body))
    code, param, message = expected
    assert (status, error["code"], error["param"]) == (400, code, param)
    assert error["message"].startswith(message)


async def test_unknown_path_is_404_with_a_key_and_without(provider: LocalProvider) -> None:
    for headers in (KEY, {}):
        status, error = refusal(await post(provider, "/v1/nope?key=secret", {}, headers))
        assert (status, error["code"]) == (404, "unknown_url")
        assert error["message"] == "POST /v1/nope: Not Found"


async def test_other_method_is_405_and_names_the_allowed(provider: LocalProvider) -> None:
    async with (
        aiohttp.ClientSession(headers=KEY) as session,
        session.get(f"{provider.url}/v1/chat/completions") as response,
    ):
        data = await response.read()
        assert response.headers["Allow"] == "POST"
    status, error = refusal((response.status, response.content_type, data))
    assert (status, error["message"]) == (405, "GET /v1/chat/completions: Method Not Allowed")


async def test_lone_surrogates_and_emoji_come_back(provider: LocalProvider) -> None:
    answer = await chat(provider, messages=[{"role": "user", "content": "\ud83d 🙂"}])
    assert '"\ud83d 🙂"' in answer["choices"][0]["message"]["content"]


async def test_body_of_more_than_aiohttps_usual_megabyte_is_read(provider: LocalProvider) -> None:
    messages = [{"role": "system", "content": "x" * 3_000_000}, *HELLO]
    assert (await chat(provider, messages=messages))["choices"][0]["finish_reason"] == "stop"


async def test_body_of_more_than_64_mib_is_refused(provider: LocalProvider) -> None:
    body = b" " * (64 * 1024 * 1024 + 1)
    status, error = refusal(await post(provider, "/v1/chat/completions", body))
    assert status == 413
    assert error["message"] == "The body is longer than 67108864 bytes."


async def test_each_event_is_a_chunk_of_its_own_on_the_wire(provider: LocalProvider) -> None:
    body = {"model": MODEL, "messages": HELLO, "stream": True}
    async with (
        aiohttp.ClientSession(headers=KEY) as session,
        session.post(f"{provider.url}/v1/chat/completions", json=body) as response,
    ):
        assert response.headers["Transfer-Encoding"] == "chunked"
        events, piece = [], b""
        async for data, end_of_chunk in response.content.iter_chunks():
            piece += data
            if end_of_chunk:
                events.append(piece)
                piece = b""
    assert all(event.count(b"data: ") == 1 and event.endswith(b"\n\n") for event in events)
    assert events[-1] == b"data: [DONE]\n\n"
    assert len(events) > 20


async def test_token_arrives_before_the_next_one_is_due() -> None:
    body = {"model": MODEL, "messages": HELLO, "stream": True}
    async with (
        LocalProvider(token_delay=3600) as provider,
        aiohttp.ClientSession(headers=KEY) as session,
        session.post(f"{provider.url}/v1/chat/completions", json=body) as response,
    ):
        assert (await response.content.readline()).startswith(b"data: {")


async def test_requests_are_counted(provider: LocalProvider) -> None:
    assert provider.requests == 0
    await chat(provider)
    await post(provider, "/v1/nope", {})
    assert provider.requests == 2


async def test_client_that_leaves_in_the_middle_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = {"model": MODEL, "messages": HELLO, "stream": True}
    async with LocalProvider(token_delay=0.001) as provider:
        async with aiohttp.ClientSession(headers=KEY) as session:
            response = await session.post(f"{provider.url}/v1/chat/completions", json=body)
            await response.content.readline()
            response.close()
        await chat(provider)
    assert caplog.records == []


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for 127.0.0.1, and the authority to trust."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context, folder / "ca.pem"


def test_provider_in_a_thread_speaks_https_and_stops_with_clients_connected(
    tmp_path: Path,
) -> None:
    context, ca_file = certificate(tmp_path)
    body = json.dumps({"model": MODEL, "messages": HELLO, "stream": True}).encode()
    trust = ssl.create_default_context(cafile=ca_file)
    threads = threading.active_count()
    with LocalProvider.in_thread(context, token_delay=3600) as provider:
        assert provider.url == f"https://127.0.0.1:{provider.port}"
        idle, streaming = (
            http.client.HTTPSConnection("127.0.0.1", provider.port, timeout=PATIENCE, context=trust)
            for _ in range(2)
        )
        idle.request("GET", "/v1/models", headers=KEY)
        assert idle.getresponse().read().startswith(b'{"object":"list"')
        streaming.request("POST", "/v1/chat/completions", body, KEY)
        answer = streaming.getresponse()
        assert answer.readline().startswith(b"data: {")
    assert threading.active_count() == threads
    with pytest.raises((http.client.IncompleteRead, ConnectionError, ssl.SSLError)):
        answer.read()
    idle.close()
    streaming.close()
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection("127.0.0.1", provider.port, timeout=PATIENCE).connect()


async def test_provider_stops_while_a_request_is_under_way() -> None:
    body = {"model": MODEL, "messages": HELLO, "stream": True}
    async with aiohttp.ClientSession(headers=KEY) as session:
        async with LocalProvider(token_delay=3600) as provider:
            response = await session.post(f"{provider.url}/v1/chat/completions", json=body)
            await response.content.readline()
        with pytest.raises(aiohttp.ClientPayloadError):
            await asyncio.wait_for(response.read(), 10)


@pytest.fixture
def threaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalProvider]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with LocalProvider.in_thread(token_delay=0) as running:
        yield running


def test_openais_client_reads_every_kind_of_answer(threaded: LocalProvider) -> None:
    import openai

    with openai.OpenAI(base_url=f"{threaded.url}/v1", api_key="any", max_retries=0) as client:
        assert next(model.id for model in client.models.list()) == MODEL
        whole = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hello"}]
        )
        with client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hello"}], stream=True
        ) as stream:
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        assert text == whole.choices[0].message.content
        completion = client.completions.create(model=MODEL, prompt="Hello")
        assert completion.choices[0].text == f" {text}"
        with pytest.raises(openai.NotFoundError, match="GET /v1/nope: Not Found"):
            client.get("/nope", cast_to=object)


def test_togethers_client_reads_streams_and_tool_calls(threaded: LocalProvider) -> None:
    import together

    with together.Together(base_url=threaded.url, api_key="any", max_retries=0) as client:
        with client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hello"}], stream=True
        ) as stream:
            chunks = list(stream)
        assert chunks[0].choices[0].delta.content == "You"
        assert (chunks[-1].choices[0].seed or 0) > 2**63
        whole = client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "get_weather"}],
            tools=[{"type": "function", "function": {"name": "get_weather"}}],
        )
    message = whole.choices[0].message
    assert message is not None
    assert message.tool_calls is not None
    assert message.tool_calls[0].function.name == "get_weather"

"""llama-stack's recordings, read as the exchanges they were and shown to the clients they came
from.

`shared/data/llama-stack` holds 66 of them with their source; four are in `recordings/`.
"""

import contextlib
import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import paths
from tests.support.cases import in_one_test

from wiretape.config.packs import built_in
from wiretape.core.errors import FormatError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Exchange, Request, split_url
from wiretape.core.recording import llamastack
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, from_request, to_exchange, to_request

SEEDS = paths.RECORDINGS
DATA = paths.LLAMA_STACK
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="llama-stack's recordings (shared/data) are not beside the project"
)

NO_HTTP_FORM = {
    "29403c77d6e7142b991201c245a1f863128b74828d02f26e92c7355bd312a831.json": (
        "has no HTTP form: 'vertexai:' names a method of Google's SDK; llama-stack kept no HTTP"
        " exchange of it; record it anew with `wiretape record`"
    ),
    "661e959c98b894f6daf608d415bbf64f6a5a1af0eef8012354886062b9244f7b.json": (
        "has no HTTP form: 'tavily' 'web_search' is a Python call; llama-stack kept no HTTP"
        " exchange of it; record it anew with `wiretape record`"
    ),
}


def stored(path: Path) -> Document:
    return recording_format.loads(path.read_bytes())


WITH_HTTP_FORM = {
    path: stored(path) for path in sorted(DATA.glob("*.json")) if path.name not in NO_HTTP_FORM
}


def with_http_form(wanted: Callable[[Document], bool] = lambda _: True) -> list[Any]:
    """Parameters: each file of the data with an HTTP form that is `wanted`."""
    return [
        pytest.param(path, id=path.stem[:20])
        for path, document in WITH_HTTP_FORM.items()
        if wanted(document)
    ]


def is_openai(document: Document) -> bool:
    return not document["request"].get("endpoint", "/api/").startswith("/api/")


def is_together(document: Document) -> bool:
    """Whether the together client can make the call: it has no `encoding_format`."""
    request = document["request"]
    return "api.together.xyz" in request.get("url", "") and "encoding_format" not in request["body"]


def is_messages(document: Document) -> bool:
    return bool(document["request"]["url"].endswith("/v1/messages"))


def exchange_of(document: Document) -> Exchange:
    return to_exchange(llamastack.convert(document).document)


def key_of(request: Document) -> str:
    return Matcher(built_in()).canonical(request).key


def objects_on_the_wire(exchange: Exchange) -> list[Any]:
    """What the answer says, read from its bytes alone: this test's own reading of SSE and NDJSON.

    The stream's end mark "[DONE]" is itself one of them.
    """
    text = exchange.response.body.decode()
    media = dict(exchange.response.headers)["content-type"].partition(";")[0]
    if media == "application/x-ndjson":
        assert text.endswith("\n")
        return [json.loads(line) for line in text.splitlines()]
    if media != "text/event-stream":
        return [json.loads(text)]
    assert text.endswith("\n\n")
    objects: list[Any] = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        data = [line.removeprefix("data: ") for line in block.split("\n") if line[:6] == "data: "]
        objects.append("[DONE]" if data == ["[DONE]"] else json.loads("\n".join(data)))
    return objects


def recorded_objects(document: Document) -> list[Any]:
    """The stored `__data__`, without the null that stands for Together's embeddings' no usage."""
    body = document["response"]["body"]
    items = [item["__data__"] for item in (body if isinstance(body, list) else [body])]
    return [
        {key: value for key, value in item.items() if (key, value) != ("usage", None)}
        if "embeddings" in document["request"]["url"]
        else item
        for item in items
    ]


def expected_objects(document: Document) -> list[Any]:
    """What the answer has to say, by the stored file."""
    response = document["response"]
    body = response["body"]
    if response.get("is_exception"):
        return [response["exception_data"]["body"]]
    if "payload" in document["request"]:
        if not response["is_streaming"]:
            return [body]
        data = [line.removeprefix("data: ") for line in body if line.startswith("data: ")]
        return ["[DONE]" if text == "[DONE]" else json.loads(text) for text in data]
    items = recorded_objects(document)
    if isinstance(body, list) and not response["is_streaming"]:
        return [{"object": "list", "data": items}]
    return [*items, "[DONE]"] if response["is_streaming"] and is_openai(document) else items


# ------------------------------------------------------------------ every file


@needs_data
def test_there_are_66_files_of_which_64_have_an_http_form() -> None:
    assert len(list(DATA.glob("*.json"))) == 66
    assert len(with_http_form()) == 64


@needs_data
@pytest.mark.parametrize("name", NO_HTTP_FORM)
def test_a_file_without_an_http_form_says_why(name: str) -> None:
    with pytest.raises(FormatError) as error:
        llamastack.convert(stored(DATA / name))
    assert str(error.value) == NO_HTTP_FORM[name]


@needs_data
@in_one_test("path", with_http_form())
def test_the_wire_says_every_object_as_it_is_stored(path: Path) -> None:
    document = stored(path)
    exchange = exchange_of(document)
    objects = objects_on_the_wire(exchange)
    if document["response"].get("is_exception"):
        objects = [item["error"] for item in objects]
    # As text, so that spelling of numbers, order and integers above 2^63 count.
    assert json.dumps(objects) == json.dumps(expected_objects(document))
    if exchange.response.streaming:
        assert len(exchange.response.chunks) == len(objects)
    assert all(chunk.at is None for chunk in exchange.response.chunks)


@needs_data
@in_one_test("path", with_http_form())
def test_a_file_becomes_a_recording_of_ours_that_reads_back_the_same(path: Path) -> None:
    converted = llamastack.convert(stored(path)).document
    assert recording_format.loads(recording_format.dumps(converted)) == converted
    assert not llamastack.is_llamastack(converted)


# ------------------------------------------------------------------ the seeds


CHAT = "https://api.together.xyz/v1/chat/completions"
COMPLETIONS = "https://api.together.xyz/v1/completions"


@pytest.mark.parametrize(
    ("name", "url", "chunks", "last_seed"),
    [
        ("33b71fb85bfb.json", CHAT, 24, 4111464499205743000),
        ("511eb1b92e34.json", COMPLETIONS, 50, 12390303563326160000),
        ("6730dcde0b73.json", CHAT, 25, 16158686754257986000),
        ("f0bbea34c5cc.json", CHAT, 20, 10296991816860367000),
    ],
)
def test_a_seed_is_its_chunks_and_done(name: str, url: str, chunks: int, last_seed: int) -> None:
    exchange = exchange_of(stored(SEEDS / name))
    assert (exchange.request.method, exchange.request.url) == ("POST", url)
    assert len(exchange.response.chunks) == chunks + 1
    assert exchange.response.chunks[-1].data == b"data: [DONE]\n\n"
    assert b'"seed":%d' % last_seed in exchange.response.chunks[-2].data
    seeds = [item["choices"][0]["seed"] for item in objects_on_the_wire(exchange)[:-1]]
    assert seeds == [None] * (chunks - 1) + [last_seed]


# ------------------------------------------------------------------ stock clients


class Wire:
    """Stands for the network: answers any request with an exchange's answer, and keeps the
    requests.
    """

    def __init__(self, document: Document) -> None:
        self.converted = llamastack.convert(document)
        self.exchange = to_exchange(self.converted.document)
        self.requests: list[Document] = []

    def answer(self, request: Any, answer_type: Any) -> Any:
        scheme, host, port, target = split_url(str(request.url))
        headers = (("content-type", "application/json"),) if request.content else ()
        sent = Request(
            request.method, scheme, host, port, target, headers=headers, body=request.content
        )
        self.requests.append(from_request(sent))
        response = self.exchange.response
        return answer_type(response.status, headers=list(response.headers), content=response.body)

    def httpx(self) -> httpx.Client:
        return httpx.Client(
            transport=httpx.MockTransport(lambda request: self.answer(request, httpx.Response))
        )

    def httpx2(self) -> httpx2.Client:
        return httpx2.Client(
            transport=httpx2.MockTransport(lambda request: self.answer(request, httpx2.Response))
        )

    def assert_request_matches(self) -> None:
        """The one request that was sent is matched by the recording."""
        [request] = self.requests
        requests = [self.converted.document["request"], *self.converted.also]
        assert key_of(request) in [key_of(request) for request in requests]


def base_url(document: Document) -> str:
    request = document["request"]
    url: str = request["url"].removesuffix(request["endpoint"])
    return url.replace("__databricks__", "https://databricks.invalid")


def call(client: Any, document: Document) -> list[Any]:
    """Make the recorded call; give what the client made of the answer, as JSON."""
    arguments = document["request"]["body"]
    if document["request"]["endpoint"].endswith("/models"):
        result = client.models.list()
        return [model.model_dump(mode="json") for model in result]
    if "messages" in arguments:
        result = client.chat.completions.create(**arguments)
    elif "input" in arguments:
        result = client.embeddings.create(**arguments)
    else:
        result = client.completions.create(**arguments)
    items = list(result) if arguments.get("stream") else [result]
    # An embedding asked for as base64 is text, which the SDK's own model does not expect.
    return [item.model_dump(mode="json", warnings=False) for item in items]


def less_added_nulls(got: Any, stored: Any) -> Any:
    """`got` without the nulls in it that `stored` has no member for."""
    if isinstance(got, dict) and isinstance(stored, dict):
        return {
            key: less_added_nulls(value, stored.get(key))
            for key, value in got.items()
            if value is not None or key in stored
        }
    if isinstance(got, list) and isinstance(stored, list) and len(got) == len(stored):
        return [
            less_added_nulls(returned_item, stored_item)
            for returned_item, stored_item in zip(got, stored, strict=True)
        ]
    return got


def succeeded(document: Document) -> bool:
    return not document["response"].get("is_exception")


@needs_data
@pytest.mark.parametrize("path", with_http_form(lambda d: is_openai(d) and succeeded(d)))
def test_the_stock_openai_client_gets_the_recorded_objects(path: Path) -> None:
    import openai

    document = stored(path)
    wire = Wire(document)
    with wire.httpx2() as http:
        client = openai.OpenAI(
            api_key="none", base_url=base_url(document), http_client=http, max_retries=0
        )
        got = call(client, document)
    wire.assert_request_matches()
    expected = recorded_objects(document)
    assert less_added_nulls(got, expected) == expected


@needs_data
@pytest.mark.parametrize("path", with_http_form(lambda d: not succeeded(d)))
def test_the_stock_openai_client_raises_the_recorded_exception(path: Path) -> None:
    import openai

    document = stored(path)
    wire = Wire(document)
    with wire.httpx2() as http:
        client = openai.OpenAI(
            api_key="none", base_url=base_url(document), http_client=http, max_retries=0
        )
        with pytest.raises(openai.APIStatusError) as error:
            call(client, document)
    wire.assert_request_matches()
    recorded = document["response"]["exception_data"]
    got = error.value
    assert (type(got).__name__, got.status_code) == (recorded["type"], recorded["status_code"])
    assert got.body == recorded["body"]
    # Up to its version 2 the SDK quoted the whole answer.
    assert f"Error code: {got.status_code} - {got.response.json()}" == recorded["message"]


@needs_data
@pytest.mark.parametrize("path", with_http_form(is_together))
def test_the_stock_together_client_gets_the_recorded_objects(path: Path) -> None:
    import together

    document = stored(path)
    wire = Wire(document)
    with wire.httpx() as http:
        client = together.Together(api_key="none", http_client=http, max_retries=0)
        got = call(client, document)
    wire.assert_request_matches()
    expected = recorded_objects(document)
    assert less_added_nulls(got, expected) == expected


@needs_data
@pytest.mark.parametrize("path", with_http_form(is_messages))
def test_the_stock_anthropic_client_gets_the_recorded_answer(path: Path) -> None:
    import anthropic

    document = stored(path)
    wire = Wire(document)
    arguments = document["request"]["payload"]
    url = document["request"]["url"].removesuffix("/v1/messages")
    with wire.httpx2() as http:
        client: Any = anthropic.Anthropic(
            api_key="none", base_url=url, http_client=http, max_retries=0
        )
        if wire.exchange.response.status == 400:
            with pytest.raises(anthropic.BadRequestError) as error:
                client.messages.create(**arguments)
            got, expected = [error.value.body], [document["response"]["body"]]
        else:
            result = client.messages.create(**arguments)
            items = list(result) if arguments["stream"] else [result]
            got = [item.model_dump(mode="json") for item in items]
            expected = expected_objects(document)
    wire.assert_request_matches()
    assert less_added_nulls(got, expected) == expected


# ------------------------------------------------------------------ the request, rule by rule


def sdk_call(
    url: str, endpoint: str, arguments: dict[str, Any] | None = None, **response: Any
) -> Document:
    """A recording of one SDK call, as small as they get."""
    answer = {"body": {"__type__": "some.Type", "__data__": {}}, "is_streaming": False}
    return {
        "request": {
            "method": "POST",
            "url": url + endpoint,
            "headers": {},
            "body": arguments or {},
            "endpoint": endpoint,
            "model": "",
        },
        "response": answer | response,
    }


def requests_of(document: Document) -> list[tuple[str, str, bytes]]:
    """Method, URL and body of the request and of those that stand for it too."""
    converted = llamastack.convert(document)
    requests = [to_request(part) for part in (converted.document["request"], *converted.also)]
    return [(request.method, request.url, request.body) for request in requests]


@pytest.mark.parametrize(
    ("base", "endpoint", "arguments", "expected"),
    [
        ("https://a.ai/v1", "/v1/completions", {"prompt": "a"}, "https://a.ai/v1/completions"),
        ("https://a.ai/v1", "/chat/completions", {}, "https://a.ai/v1/chat/completions"),
        (
            "https://a.ai/v1",
            "/v1/completions",
            {"messages": []},
            "https://a.ai/v1/chat/completions",
        ),
        (
            "http://0.0.0.0:11434/v1",
            "/v1/chat/completions",
            {},
            "http://0.0.0.0:11434/v1/chat/completions",
        ),
        (
            "__databricks__/serving-endpoints",
            "/v1/chat/completions",
            {},
            "https://databricks.invalid/serving-endpoints/chat/completions",
        ),
        ("https://a.ai/v1", "/v1/responses", {"input": "a"}, "https://a.ai/v1/responses"),
    ],
)
def test_the_url_is_what_the_sdk_posts_to(
    base: str, endpoint: str, arguments: dict[str, Any], expected: str
) -> None:
    assert requests_of(sdk_call(base, endpoint, arguments)) == [
        ("POST", expected, json.dumps(arguments, separators=(",", ":")).encode())
    ]


@pytest.mark.parametrize(
    ("base", "endpoint", "expected"),
    [
        ("https://a.ai/v1", "/v1/models", "https://a.ai/v1/models"),
        ("http://localhost:11434", "/api/tags", "http://localhost:11434/api/tags"),
        ("http://localhost:11434", "/api/ps", "http://localhost:11434/api/ps"),
    ],
)
def test_a_list_is_a_get_without_a_body(base: str, endpoint: str, expected: str) -> None:
    document = sdk_call(base, endpoint)
    assert requests_of(document) == [("GET", expected, b"")]
    assert llamastack.convert(document).document["request"]["headers"] == {}


def test_extra_body_is_merged_over_the_arguments_and_what_is_the_sdk_s_own_is_not_sent() -> None:
    arguments = {
        "model": "m",
        "prompt": "a",
        "extra_body": {"prompt": "b", "guided_choice": ["x"]},
        "extra_headers": {"authorization": "Bearer secret"},
        "timeout": 5,
    }
    assert requests_of(sdk_call("https://a.ai/v1", "/v1/completions", arguments)) == [
        (
            "POST",
            "https://a.ai/v1/completions",
            b'{"model":"m","prompt":"b","guided_choice":["x"]}',
        )
    ]


@pytest.mark.parametrize("extra", [None, {}])
def test_an_empty_extra_body_adds_nothing(extra: object) -> None:
    document = sdk_call("https://a.ai/v1", "/v1/completions", {"prompt": "a", "extra_body": extra})
    assert [body for _, _, body in requests_of(document)] == [b'{"prompt":"a"}']


def test_extra_query_becomes_the_url_s_query_as_the_openai_client_spells_it() -> None:
    import openai

    query = {"version": "2023-05-29", "n": 1, "on": True, "off": None, "tags": ["a b", "c"]}
    arguments = {"model": "m", "prompt": "a", "extra_query": query}
    document = sdk_call("https://a.ai/v1", "/v1/completions", arguments)
    document["response"]["body"]["__data__"] = {"choices": []}
    wire = Wire(document)
    with wire.httpx2() as http:
        client = openai.OpenAI(api_key="none", base_url="https://a.ai/v1", http_client=http)
        call(client, document)
    wire.assert_request_matches()
    assert requests_of(document)[0][1] == (
        "https://a.ai/v1/completions?version=2023-05-29&n=1&on=true&tags%5B%5D=a+b&tags%5B%5D=c"
    )


def test_an_embedding_without_a_format_is_asked_for_as_base64_or_without_one() -> None:
    document = sdk_call("https://a.ai/v1", "/v1/embeddings", {"model": "m", "input": "a"})
    url = "https://a.ai/v1/embeddings"
    assert requests_of(document) == [
        ("POST", url, b'{"model":"m","input":"a","encoding_format":"base64"}'),
        ("POST", url, b'{"model":"m","input":"a"}'),
    ]


def test_an_embedding_with_a_format_is_asked_for_with_that_alone() -> None:
    arguments = {"model": "m", "input": "a", "encoding_format": "float"}
    document = sdk_call("https://a.ai/v1", "/v1/embeddings", arguments)
    assert [body for _, _, body in requests_of(document)] == [
        b'{"model":"m","input":"a","encoding_format":"float"}'
    ]


def test_ollama_s_embeddings_are_posted_to_embed() -> None:
    document = sdk_call("http://localhost:11434", "/api/embeddings", {"model": "m", "input": "a"})
    assert requests_of(document) == [
        ("POST", "http://localhost:11434/api/embed", b'{"model":"m","input":"a"}')
    ]


def test_an_ollama_chat_has_an_empty_list_of_tools_or_none() -> None:
    arguments = {"model": "m", "messages": [], "stream": False}
    document = sdk_call("http://localhost:11434", "/api/chat", arguments)
    assert [body for _, _, body in requests_of(document)] == [
        b'{"model":"m","messages":[],"stream":false,"tools":[]}',
        b'{"model":"m","messages":[],"stream":false}',
    ]


def test_an_ollama_pull_without_its_model_has_no_http_form() -> None:
    document = sdk_call("http://localhost:11434", "/api/pull")
    with pytest.raises(FormatError, match="the name of the pulled model is not in the file"):
        llamastack.convert(document)


def test_ids_are_those_of_the_file_whatever_the_mapping_says() -> None:
    arguments = {"prompt": "read file-5efa"}
    document = sdk_call("https://a.ai/v1", "/v1/completions", arguments)
    document["id_normalization_mapping"] = {"file-1": "file-5efa"}
    assert requests_of(document)[0][2] == b'{"prompt":"read file-5efa"}'


# ------------------------------------------------------------------ the answer, rule by rule


def test_a_list_of_models_is_one_object() -> None:
    models = [{"__type__": "openai.types.model.Model", "__data__": {"id": name}} for name in "ab"]
    response = exchange_of(sdk_call("https://a.ai/v1", "/v1/models", body=models)).response
    assert not response.streaming
    assert response.body == b'{"object":"list","data":[{"id":"a"},{"id":"b"}]}'


def test_an_ollama_stream_is_a_line_for_each_chunk() -> None:
    body = [{"__type__": "ollama._types.ChatResponse", "__data__": {"n": n}} for n in range(2)]
    document = sdk_call("http://localhost:11434", "/api/chat", body=body, is_streaming=True)
    response = exchange_of(document).response
    assert response.headers == (("content-type", "application/x-ndjson"),)
    assert [chunk.data for chunk in response.chunks] == [b'{"n":0}\n', b'{"n":1}\n']


def received(body: Any, **response: Any) -> Document:
    """A recording made below the SDKs."""
    call = {"test_id": None, "url": "http://a.ai/x", "method": "POST", "payload": {"a": 1}}
    return {"request": call, "response": {"body": body, "is_streaming": False} | response}


def test_recorded_lines_are_the_stream_cut_at_its_events() -> None:
    lines = ["event: a", "data: {}", "", ": still there", "", "data: 1", "data: 2", "", "data: 3"]
    response = exchange_of(received(lines, is_streaming=True)).response
    assert [chunk.data for chunk in response.chunks] == [
        b"event: a\ndata: {}\n\n",
        b": still there\n\n",
        b"data: 1\ndata: 2\n\n",
        b"data: 3\n",
    ]


def test_a_recorded_status_is_the_answer_s() -> None:
    exchange = exchange_of(received({"error": "no"}, status=400))
    assert (exchange.request.url, exchange.request.body) == ("http://a.ai/x", b'{"a":1}')
    assert (exchange.response.status, exchange.response.body) == (400, b'{"error":"no"}')


# ------------------------------------------------------------------ exceptions


def raised(message: str, endpoint: str = "/v1/completions", **details: Any) -> Document:
    return sdk_call(
        "https://a.ai" + ("" if endpoint.startswith("/api/") else "/v1"),
        endpoint,
        body=None,
        is_exception=True,
        exception_message=message,
        **({"exception_data": {"message": message} | details} if details else {}),
    )


def status_and_body(document: Document) -> tuple[int, bytes]:
    response = exchange_of(document).response
    return response.status, response.body


def test_the_answer_quoted_in_an_exception_comes_back_whole() -> None:
    answer = {
        "error": {"message": 'it\'s "x" \\ \n\x07 é \U0001f600', "code": None, "n": [1.5, True]},
        "seed": 10296991816860367000,
    }
    document = raised(f"Error code: 400 - {answer}", status_code=400, body=answer["error"])
    status, body = status_and_body(document)
    assert (status, json.dumps(json.loads(body))) == (400, json.dumps(answer))


def test_an_exception_of_the_old_form_has_its_status_from_the_message() -> None:
    assert status_and_body(raised("Error code: 429 - {'error': {'code': None}}")) == (
        429,
        b'{"error":{"code":null}}',
    )


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "quoted",
    [
        "slow down",
        "5",
        "[1, 2]",
        "{'error': {'message': 'another'}}",
        "{'error': nan}",
        "{'error': __import__('os')}",
        "{'error': ('a',)}",
        "{'a': '\\q'}",
        "{'a': '\\U00ffffff'}",
        "{'error': 'unfinished",
        "{'a': " + DEEP + "}",
        "{'a': '" + "x" * 300_000 + "'}",
        "{'a': " + "9" * 5000 + "}",
    ],
    ids=lambda quoted: quoted[:30],
)
def test_what_an_exception_does_not_quote_is_made_of_its_body(quoted: str) -> None:
    document = raised(f"Error code: 400 - {quoted}", status_code=400, body={"message": "m"})
    assert status_and_body(document) == (400, b'{"error":{"message":"m"}}')


def test_an_exception_that_quotes_and_holds_nothing_gives_its_message() -> None:
    document = raised("Error code: 500 - what?", status_code=500)
    assert status_and_body(document) == (
        500,
        b'{"error":{"message":"Error code: 500 - what?"}}',
    )


def test_a_message_that_is_no_quotation_was_the_answer_s_text() -> None:
    document = raised("<html>Bad Gateway</html>", status_code=502, body="<html>Bad Gateway</html>")
    response = exchange_of(document).response
    assert response.headers == (("content-type", "text/plain; charset=utf-8"),)
    assert (response.status, response.body) == (502, b"<html>Bad Gateway</html>")


def test_a_message_of_nothing_but_the_status_was_an_empty_answer() -> None:
    assert status_and_body(raised("Error code: 503", status_code=503, body="")) == (503, b"")


def test_ollama_s_exception_is_its_error_answer() -> None:
    message = "model 'm' not found (status code: 404)"
    assert status_and_body(raised(message, "/api/generate", status_code=404)) == (
        404,
        b'{"error":"model \'m\' not found"}',
    )


def test_a_call_that_got_no_answer_says_so() -> None:
    document = raised("Connection error.", category="unknown", type="APIConnectionError")
    with pytest.raises(FormatError) as error:
        llamastack.convert(document)
    assert str(error.value) == (
        "has no HTTP answer: the call ended in 'APIConnectionError'; llama-stack kept no HTTP"
        " exchange of it; record it anew with `wiretape record`"
    )


def test_a_stream_that_broke_is_its_chunks_and_a_cut() -> None:
    document = raised("overloaded", category="unknown", type="APIError")
    document["response"] |= {
        "is_streaming": True,
        "body": [{"__type__": "some.Chunk", "__data__": {"n": 0}}],
    }
    response = exchange_of(document).response
    assert response.end == "cut"
    assert [chunk.data for chunk in response.chunks] == [b'data: {"n":0}\n\n']


# ------------------------------------------------------------------ bad input


def changed(document: Document, path: tuple[Any, ...], value: Any) -> Document:
    document = copy.deepcopy(document)
    target: Any = document
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return document


COMPLETION = sdk_call("https://a.ai/v1", "/v1/completions", {"prompt": "secret"})
STREAM = sdk_call(
    "https://a.ai/v1",
    "/v1/completions",
    {"prompt": "a", "stream": True, "extra_body": {}, "extra_query": {"a": ["b"]}},
    body=[{"__type__": "some.Type", "__data__": {"n": n}} for n in range(2)],
    is_streaming=True,
)
LINES = received(["data: {}", ""], is_streaming=True)
FAILURE = raised("Error code: 400 - {'error': {}}", status_code=400, body={}, type="E")


MODELS = sdk_call("https://a.ai/v1", "/v1/models")


@in_one_test(
    "document, key, value, fault",
    [
        (COMPLETION, "request", [], "an object, got a list"),
        (COMPLETION, "response", None, "an object, got nothing"),
        (COMPLETION, "request.url", 1, "a URL, got a number"),
        (MODELS, "request.url", "ftp:/v1/models", "an http or https URL with a host, got text"),
        (
            MODELS,
            "request.url",
            "http://a:x/v1/models",
            "an http or https URL with a host, got text",
        ),
        (COMPLETION, "request.endpoint", None, "the endpoint's path, got nothing"),
        (COMPLETION, "request.body", "a", "an object, got text"),
        (STREAM, "request.body.extra_body", [], "an object, got a list"),
        (STREAM, "request.body.extra_query.a", {}, "text, a number, true or false, got an object"),
        (MODELS, "request.body.limit", 5, "no arguments for a GET, got a number"),
        (COMPLETION, "response.is_streaming", "yes", "true or false, got text"),
        (COMPLETION, "response.is_exception", 1, "true or false, got a number"),
        (COMPLETION, "response.body", None, "an object with __type__ and __data__, got nothing"),
        (COMPLETION, "response.body.__data__", "a", "an object, got text"),
        (STREAM, "response.body", {}, "a list of chunks, got an object"),
        (STREAM, "response.body.1.__type__", 1.5, "the name of a class, got a number"),
        (LINES, "response.body.0", "data: a\ndata: b", "text of one line, got text"),
        (LINES, "response.status", True, "an HTTP status, got true or false"),
        (FAILURE, "response.exception_data", "a", "an object, got text"),
        (
            FAILURE,
            "response.exception_data.status_code",
            200,
            "an HTTP status of an error, 300 to 599, got a number",
        ),
        (raised(""), "response.exception_message", None, "text, got nothing"),
    ],
)
def test_a_wrong_value_is_named_and_not_shown(
    document: Document, key: str, value: Any, fault: str
) -> None:
    path = tuple(int(step) if step.isdigit() else step for step in key.split("."))
    with pytest.raises(FormatError) as error:
        llamastack.convert(changed(document, path, value))
    named = re.sub(r"\.(\d+)", r"[\1]", key)
    assert str(error.value) == f"{named}: expected {fault} (llama-stack's format)"


def test_a_file_that_is_neither_ours_nor_llama_stack_s_says_how_to_become_ours() -> None:
    with pytest.raises(FormatError) as error:
        llamastack.convert(changed(COMPLETION, ("request", "url"), "https://a.ai/v1/chat"))
    assert str(error.value) == (
        "request.url: expected a URL that ends in request.endpoint (llama-stack's format);"
        ' a recording in wiretape\'s own format starts with "wiretape": 1'
    )


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["\ud800", "http://[", "http://a:99999/v1/completions", "Error code: 400"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of each member and item in a document."""
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return []
    return [path for key, item in items for path in ((*at, key), *places(item, (*at, key)))]


@given(st.data())
def test_no_document_whatever_gives_more_than_a_format_error(data: st.DataObject) -> None:
    pull = sdk_call("http://localhost:11434", "/api/pull", {"model": "m"})
    document = data.draw(st.sampled_from([COMPLETION, STREAM, LINES, FAILURE, MODELS, pull]))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(document)))
        document = changed(document, path, data.draw(JSON_VALUES))
    with contextlib.suppress(FormatError):
        converted = llamastack.convert(document)
        to_exchange(converted.document)
        for request in (converted.document["request"], *converted.also):
            key_of(request)

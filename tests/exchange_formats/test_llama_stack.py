"""What is written for llama-stack has the names and the words that its own recorder gave them."""

import base64
import json
import os
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner
from tests.clients.agents import Client
from tests.clients.installing import NotInstalled, folder_of, install
from tests.clients.results import clients_folder
from tests.support import commands, paths, stored
from tests.support.limits import PATIENCE

from wiretape.cli.main import main
from wiretape.core.errors import FormatError
from wiretape.core.model import Chunk, Exchange, Headers, Request, Response, WebSocket
from wiretape.core.recording.document import from_exchange, to_exchange
from wiretape.core.recording.llamastack import convert
from wiretape.exchange_formats.foreign import NotCarriedOver
from wiretape.exchange_formats.llama_stack import files_of, to_llama_stack
from wiretape.exchange_formats.writers import Stored

THEIRS: Final = sorted((paths.ROOT.parent / "shared/data/llama-stack").glob("*.json"))
JSON: Final = (("content-type", "application/json"),)
SSE: Final = (("content-type", "text/event-stream"),)
ASKED: Final = [{"role": "user", "content": "hi"}]
CHAT: Final = {
    "id": "chatcmpl-7",
    "object": "chat.completion",
    "created": 5,
    "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


def exchange(
    path: str, sent: Any, answer: Any, status: int = 200, headers: Headers = JSON, **more: Any
) -> Exchange:
    """A POST with a JSON answer; a list of answers is a stream of events."""
    body = json.dumps(sent, separators=(",", ":")).encode() if sent is not None else b""
    method = "GET" if sent is None else "POST"
    request = Request(method, "https", "api.together.xyz", 443, path, headers=JSON, body=body)
    if isinstance(answer, list):
        events = [f"data: {item if item == '[DONE]' else json.dumps(item)}\n\n" for item in answer]
        chunks = tuple(Chunk(event.encode(), 0.1) for event in events)
        return Exchange(request, Response(status, SSE, chunks, True, **more))
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return Exchange(request, Response(status, headers, (Chunk(data, 0.1),), **more))


def piece(text: str) -> dict[str, Any]:
    delta = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    about = {"id": "c", "object": "chat.completion.chunk", "created": 5, "model": "m"}
    return {**about, "choices": [delta]}


def written(*exchanges: Exchange) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The documents that are written, by name, and what is left out."""
    left_out: list[tuple[str, str]] = []
    recordings = [
        Stored(f"{number}.json", each, from_exchange(each)) for number, each in enumerate(exchanges)
    ]
    files = to_llama_stack(recordings, lambda name, reason: left_out.append((name, reason)))
    return {name: json.loads(text) for name, _, text in files}, left_out


@pytest.mark.skipif(not THEIRS, reason="../shared/data/llama-stack is not there")
def test_the_recordings_of_today_s_recorder_are_written_as_it_wrote_them() -> None:
    equal = 0
    for path in THEIRS:
        document = json.loads(path.read_text())
        if "test_id" not in document or document["request"].get("provider") == "tavily":
            continue  # names of another digest, or no HTTP
        if document["request"].get("body", {}).get("extra_body") == {}:
            continue  # what no wire shows
        try:
            converted = convert(document).document
        except FormatError:
            continue
        files = {
            file.name: file.text for file in files_of(to_exchange(converted), document["test_id"])
        }
        assert path.name in files
        ours = json.loads(files[path.name])
        document["request"].pop("provider_metadata", None)
        document["id_normalization_mapping"] = {}
        assert ours == document, path.name
        equal += 1
    assert equal == 25


@pytest.mark.skipif(not THEIRS, reason="../shared/data/llama-stack is not there")
def test_what_is_written_is_read_as_the_same_exchange() -> None:
    for path in THEIRS:
        try:
            before = to_exchange(convert(json.loads(path.read_text())).document)
        except FormatError:
            continue
        sure = next(file for file in files_of(before) if file.is_sure)
        after = to_exchange(convert(json.loads(sure.text)).document)
        assert (after.request.url, after.request.method) == (
            before.request.url,
            before.request.method,
        )
        assert after.response.status == before.response.status
        assert len(after.response.chunks) == len(before.response.chunks)


def test_a_call_has_a_file_for_each_way_that_it_may_have_been_made() -> None:
    data = base64.b64encode(struct.pack("<2f", 0.25, -1.5)).decode()
    answer = {"object": "list", "model": "m", "data": [{"index": 0, "embedding": data}]}
    sent = {"model": "m", "input": "a", "encoding_format": "base64", "truncate": True}
    files, left_out = written(exchange("/v1/embeddings", sent, answer))
    assert left_out == []
    bodies = [file["request"]["body"] for file in files.values()]
    plain = {"model": "m", "input": "a"}
    assert bodies == [
        sent,
        {**plain, "truncate": True},
        {**plain, "encoding_format": "base64", "extra_body": {"truncate": True}},
        {**plain, "extra_body": {"truncate": True}},
    ]
    given = [
        file["response"]["body"]["__data__"]["data"][0]["embedding"] for file in files.values()
    ]
    assert given == [data, [0.25, -1.5], data, [0.25, -1.5]]


def test_a_call_that_is_sure_goes_before_one_that_is_possible() -> None:
    guessed = exchange("/api/chat", {"model": "m", "tools": [], "stream": False}, {"message": 1})
    sure = exchange("/api/chat", {"model": "m"}, {"message": 2})
    for order in ([guessed, sure], [sure, guessed]):
        files, left_out = written(*order)
        answers = {
            json.dumps(file["request"]["body"]): file["response"]["body"]["__data__"]["message"]
            for file in files.values()
        }
        assert answers['{"model": "m"}'] == 2
        assert answers['{"model": "m", "tools": [], "stream": false}'] == 1
        assert left_out == []


def test_a_second_answer_to_a_call_is_left_out_and_said_so() -> None:
    sent = {"model": "m", "messages": ASKED}
    same, other = exchange("/v1/chat/completions", sent, CHAT), {**CHAT, "choices": []}
    files, left_out = written(same, same, exchange("/v1/chat/completions", sent, other))
    assert len(files) == 1
    assert left_out == [("2.json", "llama-stack keeps one answer to a call: that of 0.json")]


KEY: Final = "REDACTED-together-key-3f9a1c07"
CASES: Final = {
    "stand-ins": replace(exchange("/v1/completions", {"prompt": "{cwd}"}, {}), paths=("cwd",)),
    "its file's name depends on": exchange(f"/v1/{KEY}/completions", {"prompt": "a"}, {}),
    "WebSockets": Exchange(exchange("/v1/realtime", None, {}).request, WebSocket(101)),
    "redacted": exchange("/v1/chat/completions", {"model": KEY}, CHAT),
    "of such a path": exchange("/v1/audio/speech", {"model": "m"}, {}),
    "GET of such a path": exchange("/v1/chat/completions", None, {}),
    "request is not JSON": replace(
        exchange("/v1/completions", {}, {}),
        request=replace(exchange("/v1/completions", {}, {}).request, body=b"{"),
    ),
    "answer is not JSON": exchange("/v1/chat/completions", {"model": "m"}, b"<html>"),
    "answer is not a JSON object": exchange("/v1/chat/completions", {"model": "m"}, b"[]"),
    "an event of its answer is not JSON": exchange("/v1/responses", {"stream": True}, []),
    "client left": exchange("/v1/chat/completions", {"model": "m"}, CHAT, end="client-closed"),
    "no status of a stream": exchange("/v1/messages", {"stream": True}, [{}], 529),
    "list of models": exchange("/v1beta/models", None, {"models": []}),
    "streamed though": exchange("/v1/chat/completions", {"model": "m"}, [piece("a")]),
    "is no stream": exchange("/v1/messages", {"stream": True}, {}),
}


@pytest.mark.parametrize("reason", list(CASES))
def test_what_llama_stack_could_not_replay_is_left_out_with_its_reason(reason: str) -> None:
    case = CASES[reason]
    if reason.startswith("an event"):
        broken = replace(case.response, chunks=(Chunk(b"data: {\n\n"),))
        case = replace(case, response=broken)
    with pytest.raises(NotCarriedOver, match=reason):
        list(files_of(case))
    files, left_out = written(case)
    assert files == {}
    assert len(left_out) == 1


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    stored.put(tmp_path / "recordings", stored.document("hi"))
    arguments = ["export", "--to", "llama-stack", "-r", str(tmp_path / "recordings"), "--json"]
    arguments += ["-o", str(tmp_path / "out")]
    for _ in range(2):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
    (file,) = (tmp_path / "out/recordings").iterdir()
    file.write_text("mine")
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, file.read_text()) == (1, "mine")
    document = json.loads(done.stdout)
    assert document["exported"] == 0
    assert "is there with another text" in document["left_out"][0]["reason"]


# ------------------------------------------------------------------ their own recorders

RECORDERS: Final = {
    "llama_stack": Client(
        name="llama-stack",
        kind="python",
        packages=("llama-stack==0.7.3", "openai", "ollama", "aiohttp"),
        command=(),
    ),
    "ogx": Client(
        name="ogx",
        kind="python",
        packages=("ogx==1.5.0", "openai", "ollama", "aiohttp", "chardet", "pypdf"),
        command=(),
    ),
}
STREAM: Final = {"model": "m", "messages": ASKED, "stream": True}
EMBEDDED: Final = base64.b64encode(struct.pack("<2f", 0.1, -1.5)).decode()
RESPONSE: Final = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
DELTA: Final = {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "i"}
TEST: Final = "tests/chat/test_chat.py::test_hello"


def calls() -> Iterator[tuple[dict[str, Any], Exchange]]:
    """SDK calls with the exchanges of each on the wire."""

    def call(kind: str, path: str, sent: Any, answer: Any, *more: Any, **about: Any) -> Any:
        arguments = about.pop("arguments", sent or {})
        base = path if kind == "http" else path[:3] if path.startswith("/v1") else "/api"
        asked = {"kind": kind, "host": "https://api.together.xyz", "path": base}
        asked |= {"arguments": arguments, "test_id": TEST}
        return asked, exchange(path, sent, answer, *more, **about)

    chat, path = "chat.completions.create", "/v1/chat/completions"
    yield call(chat, path, {"model": "m", "messages": ASKED}, CHAT)
    yield call(chat, path, STREAM, [piece("a"), piece("b"), "[DONE]"])
    yield call(chat, path, {**STREAM, "temperature": 0.123456789}, [piece("a")], end="cut")
    yield call(chat, path, {**STREAM, "n": 1}, [piece("a"), {"error": {"message": "overloaded"}}])
    yield call(chat, path, {"model": "none", "messages": ASKED}, {"error": {"code": "x"}}, 404)
    extra = {"model": "m", "messages": ASKED, "extra_body": {"top_k": 4}}
    yield call(chat, path, {"model": "m", "messages": ASKED, "top_k": 4}, CHAT, arguments=extra)
    embedding = {"object": "embedding", "index": 0, "embedding": EMBEDDED}
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    answer = {"object": "list", "model": "m", "data": [embedding], "usage": usage}
    sent = {"model": "m", "input": ["a"], "encoding_format": "base64"}
    given = {"model": "m", "input": ["a"]}
    yield call("embeddings.create", "/v1/embeddings", sent, answer, arguments=given)
    choice = {"index": 0, "text": "t", "finish_reason": "stop", "logprobs": None}
    whole = {
        "id": "i",
        "object": "text_completion",
        "created": 4,
        "model": "m",
        "choices": [choice],
    }
    yield call("completions.create", "/v1/completions", {"model": "m", "prompt": "p"}, whole)
    delta = {**DELTA, "output_index": 0, "content_index": 0, "delta": "hi", "logprobs": []}
    events = [{"type": "response.created", "sequence_number": 0, "response": RESPONSE}, delta]
    asked = {"model": "m", "input": "q", "stream": True}
    yield call("responses.create", "/v1/responses", asked, events)
    model = {"object": "model", "created": 0, "owned_by": "o"}
    models = {"object": "list", "data": [{**model, "id": "a"}, {**model, "id": "b"}]}
    yield call("models.list", "/v1/models", None, models)


def ollama_calls() -> Iterator[tuple[dict[str, Any], Exchange]]:
    """Calls of ollama's SDK, which OGX's recorder does not know any more."""
    asked = {"kind": "chat", "host": "https://api.together.xyz", "path": "/api", "test_id": TEST}
    sent: dict[str, Any] = {"model": "l", "messages": ASKED, "tools": [], "stream": False}
    message = {"role": "assistant", "content": "yo"}
    answer = {"model": "l", "created_at": "2025-01-01T00:00:00Z", "message": message, "done": True}
    given: dict[str, Any] = {"model": "l", "messages": ASKED}
    yield {**asked, "arguments": given}, exchange("/api/chat", sent, answer)
    sent, given = {**sent, "model": "none"}, {**given, "model": "none", "stream": False}
    yield (
        {**asked, "arguments": given},
        exchange("/api/chat", sent, {"error": "no such model"}, 404),
    )


def posted_calls() -> Iterator[tuple[dict[str, Any], Exchange]]:
    """What OGX posts below the SDKs."""
    asked = {"kind": "http", "host": "https://api.together.xyz", "path": "/v1/messages"}
    sent: dict[str, Any] = {"model": "m", "messages": ASKED, "max_tokens": 5}
    yield (
        {**asked, "arguments": sent, "test_id": TEST},
        exchange("/v1/messages", sent, {"id": "msg"}),
    )
    sent = {**sent, "stream": True}
    events = exchange("/v1/messages", sent, [{"type": "message_start"}, {"type": "message_stop"}])
    yield {**asked, "arguments": sent, "test_id": TEST}, events


def asked(package: str, python: Path, place: str, chosen: list[Any], folder: Path) -> list[Any]:
    """What the calls give: a recorder's replay from a folder, or a proxy's from a URL."""
    ran = subprocess.run(
        [python, paths.ROOT / "tests/clients/ask_llama_stack.py", package, place],
        input=json.dumps([call for call, _ in chosen]),
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert ran.returncode == 0, ran.stderr
    return [_without_ids(json.loads(line)) for line in ran.stdout.splitlines()]


def _without_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    normalised = ("id", "created", "created_at")
    return {key: item for key, item in value.items() if key not in normalised and item is not None}


@pytest.mark.slow
@pytest.mark.clients
@pytest.mark.parametrize("package", list(RECORDERS))
def test_their_own_recorder_replays_what_the_proxy_does(
    package: str, clean_env: dict[str, str], tmp_path: Path
) -> None:
    recorder = RECORDERS[package]
    if not (os.environ.get("WIRETAPE_CLIENTS") or folder_of(recorder, clients_folder()).exists()):
        pytest.skip(
            f"{recorder.name} (0.5 GB) is not installed: where WIRETAPE_CLIENTS is set, it is"
        )
    try:
        python = install(recorder, clients_folder()) / "bin" / "python"
    except NotInstalled as error:
        pytest.skip(f"pip could not fetch {recorder.packages[0]}: {error}")
    chosen = [*calls(), *(ollama_calls() if package == "llama_stack" else posted_calls())]
    for number, (_, each) in enumerate(chosen):
        stored.put(
            tmp_path / "recordings", from_exchange(each), f"api.together.xyz/e/{number}.json"
        )
    export = ["export", "--to", "llama-stack", "-o", "common", "--test-id", TEST]
    done = commands.run(export, clean_env, tmp_path)
    assert done.returncode == 0, done.stderr
    replayed = asked(package, python, str(tmp_path / "common"), chosen, tmp_path)
    with commands.serving(["replay"], clean_env, tmp_path) as (_, ready):
        url = ready.split("base URLs ")[1].split("/HOST")[0]
        live = asked(package, python, url, chosen, tmp_path)
    assert len(replayed) == len(live) == len(chosen)
    for (call, _), theirs, ours in zip(chosen, replayed, live, strict=True):
        if isinstance(ours, dict) and "error" in ours and "status_code" not in ours:
            assert theirs["error"] == "Exception", call  # a stream that broke: their own limit
        elif isinstance(ours, dict) and "error" in ours:
            assert (theirs["error"], theirs["status_code"], theirs.get("body")) == (
                ours["error"],
                ours["status_code"],
                ours.get("body"),
            )
        else:
            assert theirs == ours, call

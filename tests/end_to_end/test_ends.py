"""Every way an exchange can end: what a client sees live it sees again in replay.

Each call of `ends.py` is made three times: to the provider, through `record`, and in `replay` at
the recorded pace.
"""

import json
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
import zstandard
from tests.support import paths
from tests.support.cases import in_one_test
from tests.support.commands import command
from tests.support.limits import PATIENCE
from tests.support.rawclient import SEES_RESETS
from tests.support.upstream import Answer, Upstream

OPENAI, ANTHROPIC = "api.openai.com", "api.anthropic.com"
SSE = [("Content-Type", "text/event-stream")]
JSON = [("Content-Type", "application/json")]
GAP = 0.15
SILENCE = 6.0
"""Seconds after which a client takes a silence for the end; a hundred and more clients are at work
at once, on a machine that has other work too."""
# All is recorded that can be, and what cannot be searched for secrets has none here.
CONFIG = """
record: {errors: true}
redact: {unsearched: [x-own, gzip]}
"""
STREAMS = ("openai.stream", "openai.async_stream", "httpx.stream", "httpx.async_stream", "curl")
WHOLE = ("openai.whole", "openai.async_whole")
BOTH = ("anthropic.stream", "anthropic.async_stream")


def event(value: Any, name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(value)}\n\n".encode()


def tokens(*texts: str) -> list[bytes]:
    return [
        event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
               "choices": [{"index": 0, "delta": {"content": text}}]})
        for text in texts
    ]  # fmt: skip


DONE = b"data: [DONE]\n\n"
CHUNKS = [*tokens("Gr", "üße", "!"), DONE]
MESSAGE = [
    event(
        {"type": "message_start", "message": {
            "id": "m", "type": "message", "role": "assistant", "content": [], "model": "m",
            "stop_reason": None, "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1}}},
        "message_start",
    ),
    event(
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        "content_block_start",
    ),
    event(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        "content_block_delta",
    ),
]  # fmt: skip
ANSWER = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop",
                 "message": {"role": "assistant", "content": "Grüße"}}],
}  # fmt: skip
SAID = json.dumps(ANSWER).encode()


def stream(chunks: Sequence[bytes], **options: Any) -> Answer:
    """A stream with a gap before each chunk and before the end."""
    options.setdefault("headers", SSE)
    options.setdefault("delays", [GAP] * (len(chunks) + 1))
    return Answer(chunks=chunks, **options)


def coded(coding: str, chunks: Sequence[bytes]) -> list[bytes]:
    """Each chunk coded and flushed, the coding's own end with the last."""
    out: list[bytes] = []
    if coding == "br":
        squeeze = brotli.Compressor()
        out = [squeeze.process(chunk) + squeeze.flush() for chunk in chunks]
        out[-1] += squeeze.finish()
    elif coding == "zstd":
        pack = zstandard.ZstdCompressor().compressobj()
        flush = zstandard.COMPRESSOBJ_FLUSH_BLOCK
        out = [pack.compress(chunk) + pack.flush(flush) for chunk in chunks]
        out[-1] += pack.flush()
    else:
        deflate = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
        out = [deflate.compress(chunk) + deflate.flush(zlib.Z_SYNC_FLUSH) for chunk in chunks]
        out[-1] += deflate.flush()
    return out


def error(status: int, message: str, *more: tuple[str, str]) -> Answer:
    body = {"type": "error", "error": {"type": "t", "message": message, "code": None}}
    return Answer.json(body, status=status, headers=more)


@dataclass(frozen=True)
class Case:
    """What the provider answers, in order, and how a client asks."""

    answers: Sequence[Answer]
    clients: Sequence[str]
    leave: int | None = None
    timeout: float | None = None
    retries: int = 0
    direct: bool = True
    """Whether a client that asks the provider itself sees the same; wiretape has a 502 of its own
    for a provider that gives no answer."""
    headers: Mapping[str, str] = field(default_factory=dict)


def raw(head: str, body: bytes) -> bytes:
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


CASES: dict[str, Case] = {
    "complete": Case([stream(CHUNKS)], STREAMS),
    "complete-whole": Case([Answer.json(ANSWER)], WHOLE),
    "client-left": Case(
        [stream([*CHUNKS[:3], *tokens(*"abcdefgh"), DONE])], STREAMS[:4], leave=2
    ),
    "cut": Case([stream(CHUNKS[:2], end="fin")], STREAMS),
    "cut-in-an-event": Case([stream([*CHUNKS[:2], CHUNKS[2][:20]], end="fin")], STREAMS),
    "cut-of-anthropic": Case([stream(MESSAGE, end="fin")], BOTH),
    "cut-whole": Case(
        [Answer(headers=[*JSON, ("Content-Length", "900")], chunks=[SAID[:60]],
                framing="content-length", end="fin")], [*WHOLE, "httpx.stream", "curl"],
    ),
    "cut-chunked-json": Case(
        [Answer(headers=JSON, chunks=[SAID[:60]], end="fin")], [*WHOLE, "httpx.stream", "curl"]
    ),
    "reset": Case([stream(CHUNKS[:2], end="reset")], STREAMS),
    "reset-whole": Case(
        [Answer(headers=[*JSON, ("Content-Length", "900")], chunks=[SAID[:60]],
                framing="content-length", delays=[GAP, GAP], end="reset")],
        [*WHOLE, "curl"],
    ),
    "reset-after-the-head": Case([stream([], end="reset", delays=[GAP])], STREAMS),
    "silence": Case(
        [stream([*CHUNKS[:2], DONE], delays=[GAP, GAP, 60])], STREAMS, timeout=SILENCE
    ),
    "error-in-the-stream": Case(
        [stream([*CHUNKS[:2], event({"error": {"message": "busy", "type": "server_error"}})])],
        STREAMS,
    ),
    "error-in-anthropics-stream": Case(
        [stream([*MESSAGE, event({"type": "error", "error": {"type": "overloaded_error",
                                                             "message": "Overloaded"}}, "error")])],
        BOTH,
    ),
    "responses-failed": Case(
        [stream([event({"type": "response.failed", "sequence_number": 1, "response": {
            "id": "r", "object": "response", "created_at": 1, "model": "m", "status": "failed",
            "output": [], "tools": [], "tool_choice": "auto", "parallel_tool_calls": True,
            "error": {"code": "server_error", "message": "failed"}}}, "response.failed")])],
        ["openai.responses"],
    ),
    "responses-error": Case(
        [stream([event({"type": "error", "code": "server_error", "message": "failed",
                        "param": None, "sequence_number": 1}, "error")])],
        ["openai.responses"],
    ),
    "retried": Case(
        [error(429, "slow down", ("retry-after", "0"), ("retry-after-ms", "200")),
         error(503, "down", ("retry-after-ms", "100")), stream(CHUNKS)],
        STREAMS[:2], retries=2,
    ),
    "length-too-short": Case(
        [Answer(headers=[*JSON, ("Content-Length", "40")], chunks=[SAID],
                framing="content-length", end="fin")], [*WHOLE, "httpx.stream", "curl"],
    ),
    "length-of-a-stream": Case(
        [stream(CHUNKS, framing="content-length")], STREAMS
    ),
    "cut-of-a-stream-with-a-length": Case(
        [stream(CHUNKS[:2], headers=[*SSE, ("Content-Length", "5000")],
                framing="content-length", end="fin")], STREAMS,
    ),
    "unknown-coding": Case(
        [Answer(headers=[*JSON, ("Content-Encoding", "x-own")], chunks=[SAID],
                framing="content-length")], [*WHOLE, "httpx.stream", "curl"],
    ),
    "broken-coding": Case(
        [Answer(headers=[*JSON, ("Content-Encoding", "gzip")], chunks=[SAID],
                framing="content-length")], [*WHOLE, "httpx.stream", "curl"],
    ),
    "coding-cut": Case(
        [stream(coded("gzip", CHUNKS)[:2], headers=[*SSE, ("Content-Encoding", "gzip")],
                end="fin")], STREAMS[:4],
    ),
    "http-1.0": Case(
        [Answer(raw=raw("HTTP/1.0 200 OK\nContent-Type: application/json", SAID), end="fin")],
        [*WHOLE, "httpx.stream", "curl"],
    ),
    "http-1.0-stream": Case(
        [Answer(raw=raw("HTTP/1.0 200 OK\nContent-Type: text/event-stream", b"".join(CHUNKS)),
                end="fin")], STREAMS,
    ),
    "no-content": Case([Answer(status=204)], [*WHOLE, "httpx.stream", "curl"]),
    "empty": Case(
        [Answer(headers=[*JSON, ("Content-Length", "0")])], [*WHOLE, "httpx.stream", "curl"]
    ),
    "no-json": Case([Answer.json(ANSWER, headers=JSON)], STREAMS),
    "closed-before-the-head": Case([Answer(raw=b"", end="fin")], [*WHOLE, *STREAMS], direct=False),
    "reset-before-the-head": Case(
        [Answer(raw=b"", end="reset")], [*WHOLE, *STREAMS], direct=False
    ),
}  # fmt: skip
for _status in (400, 401, 403, 404, 409, 422, 429, 500, 503, 529):
    CASES[f"status-{_status}"] = Case(
        [error(_status, "no", ("retry-after", "7"))], ["openai.whole", "openai.async_stream", *BOTH]
    )
for _coding in ("gzip", "br", "zstd", "deflate"):
    CASES[f"coded-{_coding}"] = Case(
        [stream(coded(_coding, CHUNKS), headers=[*SSE, ("Content-Encoding", _coding)])],
        # Of these only httpx knows zstd, where the package for it is there.
        STREAMS[2:4] if _coding == "zstd" else STREAMS[:4],
    )

CALLS = [f"{name}:{client}" for name, case in CASES.items() for client in case.clients]
TARGETS = {
    "openai.responses": "/v1/responses",
    "anthropic.whole": "/v1/messages",
    "anthropic.stream": "/v1/messages",
    "anthropic.async_stream": "/v1/messages",
}
type Told = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Rounds:
    direct: Told
    recorded: Told
    replayed: Told
    instant: Told
    recordings: Path


def script(provider: Upstream) -> None:
    for call in CALLS:
        name, _, client = call.partition(":")
        target = TARGETS.get(client, "/v1/chat/completions")
        # Who builds a query escapes the colon, and curl, which is given a URL, does not.
        shown = call if client == "curl" else call.replace(":", "%3A")
        provider.script(f"{target}?call={shown}", *CASES[name].answers)


def told(command: Sequence[str | Path], env: Mapping[str, str], cwd: Path) -> Told:
    env = {**env, "PYTHONPATH": str(paths.ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, env=env, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(CALLS), done.stderr[-3000:]
    (cwd / f"stderr-{len(list(cwd.glob('stderr-*')))}").write_text(done.stderr)
    return {line["name"]: line for line in lines}


@pytest.fixture(scope="module")
def rounds(clean_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Rounds:
    cwd = tmp_path_factory.mktemp("ends")
    (cwd / "config.yaml").write_text(CONFIG)
    calls = []
    for call in CALLS:
        name, _, client = call.partition(":")
        case = CASES[name]
        calls.append(
            {"client": client, "name": call, "leave": case.leave, "timeout": case.timeout,
             "retries": case.retries, "headers": dict(case.headers)}
        )  # fmt: skip
    (cwd / "calls.json").write_text(json.dumps(calls))
    program: list[str | Path] = [sys.executable, "-m", "tests.support.ends", "calls.json"]
    with Upstream() as provider:
        script(provider)
        where = {"ENDS_URL": provider.url, "SSL_CERT_FILE": str(provider.ca_file),
                 "CURL_CA_BUNDLE": str(provider.ca_file)}  # fmt: skip
        direct = told(program, {**clean_env, **where}, cwd)
    with Upstream() as provider:
        script(provider)
        args: list[str | Path] = ["-r", "r", "--upstream-ca", provider.ca_file]
        for host in (OPENAI, ANTHROPIC):
            args += ["--map", f"{host}={provider.url}"]
        recorded = told(command("record", *args, "--", *program), clean_env, cwd)
    replay = command("replay", "-r", "r", "--pace")
    replayed = told([*replay, "recorded", "--", *program], clean_env, cwd)
    instant = told([*replay, "instant", "--", *program], clean_env, cwd)
    return Rounds(direct, recorded, replayed, instant, cwd / "r")


def seen(call: dict[str, Any]) -> tuple[Any, Any]:
    return call["got"], call["raised"]


@in_one_test("call", CALLS)
def test_a_client_sees_the_same_end_in_replay_as_it_did_live(rounds: Rounds, call: str) -> None:
    assert seen(rounds.replayed[call]) == seen(rounds.recorded[call])
    if CASES[call.partition(":")[0]].direct:
        assert seen(rounds.recorded[call]) == seen(rounds.direct[call])


@in_one_test("call", CALLS)
def test_a_client_sees_the_same_end_at_once(rounds: Rounds, call: str) -> None:
    assert seen(rounds.instant[call]) == seen(rounds.recorded[call])


def is_timed(call: str) -> bool:
    """Whether the provider took its time over each piece that the client tells of."""
    case = CASES[call.partition(":")[0]]
    return bool(case.answers[0].delays) and not case.retries and "httpx" not in call


@in_one_test("call", [call for call in CALLS if is_timed(call)])
def test_nothing_comes_before_its_time(rounds: Rounds, call: str) -> None:
    case, told = CASES[call.partition(":")[0]], rounds.replayed[call]
    due = list(accumulate(case.answers[0].delays))
    if "curl" not in call:  # which tells all when it is over
        early = [time < at - 0.02 for time, at in zip(told["times"], due, strict=False)]
        assert not any(early), told["times"]
    if case.leave is None and case.timeout is None:
        # For a client a whole answer is over with its last chunk.
        over = due[-1] if case.answers[0].end != "clean" else due[-2]
        assert told["took"] > over - 0.02


@pytest.mark.parametrize(
    ("call", "raised"),
    [
        ("cut:openai.stream", "openai.APIConnectionError"),
        ("cut:httpx.stream", "httpx.RemoteProtocolError"),
        ("reset:httpx.stream", "httpx.ReadError" if SEES_RESETS else "httpx.RemoteProtocolError"),
        ("reset-before-the-head:openai.whole", "openai.APIConnectionError"),
        ("silence:openai.stream", "openai.APITimeoutError"),
        ("silence:httpx.async_stream", "httpx.ReadTimeout"),
        ("error-in-the-stream:openai.stream", "openai.APIError"),
        ("error-in-anthropics-stream:anthropic.stream", "anthropic."),
        ("status-429:anthropic.stream", "anthropic.RateLimitError"),
        ("status-400:openai.whole", "openai.BadRequestError"),
        ("broken-coding:httpx.stream", "httpx.DecodingError"),
    ],
)
def test_the_exception_is_the_one_that_is_meant(rounds: Rounds, call: str, raised: str) -> None:
    """The rounds could be equal because nothing happens in any of them."""
    assert rounds.replayed[call]["raised"][0].startswith(raised)

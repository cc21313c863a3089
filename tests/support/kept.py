"""A conversation with providers whose recordings are kept, made by an earlier wiretape.

    PYTHONPATH=EARLIER/proxy python -m tests.support.kept tests/data/NAME

records it into that folder with the wiretape that PYTHONPATH names, replays it with the same one,
and keeps what a client was then given in `answers.json`. A later wiretape has to give the same.
"""

import base64
import gzip
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.commands import serving
from tests.support.rawclient import Connection, Reply
from tests.support.upstream import Answer, Upstream

OPENAI, ANTHROPIC, GOOGLE = (
    "api.openai.com",
    "api.anthropic.com",
    "generativelanguage.googleapis.com",
)
KEY = "sk-proj-9rTq3ZxLw8NvB2hYc5Kd7MfG4JpSaE6u"
OTHER_KEY = "sk-ant-api03-Q7wE9rT5yU3iO1pA6sD8fG2hJ4kL0zXcVbNm-AA"
ACCESS = "at-8Jq2Wn5Xc7Vb1Zm4Lk9p"
JSON = ("Content-Type", "application/json")


@dataclass(frozen=True)
class Call:
    """A request, and what the provider answers it with."""

    host: str
    method: str
    target: str
    answer: Answer
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def _chat(prompt: str, answer: Answer, **more: Any) -> Call:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}], **more}
    headers = (JSON, ("Authorization", f"Bearer {KEY}"))
    return Call(OPENAI, "POST", "/v1/chat/completions", answer, headers, json.dumps(body).encode())


def _delta(**delta: Any) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta}]}


def _chats() -> Iterator[Call]:
    yield _chat(
        "Hi", Answer.sse([_delta(content="Gr"), b": ping\n\n", _delta(content="üße")]), stream=True
    )
    for text in ("first", "second"):
        yield _chat("again", Answer.json({"choices": [{"message": {"content": text}}]}))
    yield _chat(f"my key is {KEY}", Answer.json({"choices": [{"message": {"content": KEY}}]}))
    yield _chat("cut", Answer.sse([_delta(content="never e")], done=False, end="fin"), stream=True)
    call = {
        "id": "call_Ab3dE5fG7hI9",
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
    }
    yield _chat("tools", Answer.json({"choices": [{"message": {"tool_calls": [call]}}]}))
    result = {"role": "tool", "tool_call_id": call["id"], "content": "42"}
    messages = [{"role": "assistant", "tool_calls": [call]}, result]
    yield _chat("tools", Answer.json({"choices": [{"message": {"content": "42"}}]}), more=messages)
    zipped = gzip.compress(b'{"data":[{"embedding":[0.10,-1e-7,12345678901234567890]}]}')
    headers = [JSON, ("Content-Encoding", "gzip")]
    answer = Answer(headers=headers, chunks=[zipped], framing="content-length")
    yield Call(OPENAI, "POST", "/v1/embeddings", answer, (JSON,), b'{"model":"e","input":"x"}')


def _block(text: str) -> bytes:
    data = {"type": "content_block_delta", "delta": {"text": text}}
    return f"event: content_block_delta\r\ndata: {json.dumps(data)}\r\n\r\n".encode()


def _others() -> Iterator[Call]:
    events = [
        b'event: message_start\r\ndata: {"type":"message_start","message":{"id":"msg_1"}}\r\n\r\n',
        *(_block(part) for part in (OTHER_KEY[:30], OTHER_KEY[30:])),
        b'event: message_stop\r\ndata: {"type":"message_stop"}\r\n\r\n',
    ]
    headers = (JSON, ("x-api-key", OTHER_KEY), ("anthropic-version", "2023-06-01"))
    body = b'{"model":"claude","stream":true,"messages":[{"role":"user","content":"Hi"}]}'
    yield Call(ANTHROPIC, "POST", "/v1/messages", Answer.sse(events, done=False), headers, body)
    key = "AIzaSyD3kLm9QwErTyUiOpAsDfGhJkLzXcVbN1z"
    target = f"/v1beta/models/gemini-2.5-flash:generateContent?key={key}"
    body = b'{"contents":[{"parts":[{"text":"Hi"}]}]}'
    yield Call(GOOGLE, "POST", target, Answer.json({"candidates": []}), (JSON,), body)
    bearer = ("Authorization", f"Bearer {ACCESS}")
    yield Call(OPENAI, "GET", "/v1/models?limit=2", Answer.json({"data": ["a", "b"]}), (bearer,))
    part = (
        b'--b0\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
        b"\x00\xff\x01\r\n--b0--\r\n"
    )
    multipart = ("Content-Type", "multipart/form-data; boundary=b0")
    yield Call(
        OPENAI, "POST", "/v1/files", Answer.json({"id": "file-Ab12Cd34"}), (multipart,), part
    )
    content = Answer(
        headers=[("Content-Type", "application/octet-stream")],
        chunks=[bytes(range(256)) * 40],
        framing="content-length",
    )
    yield Call(OPENAI, "GET", "/v1/files/file-Ab12Cd34/content", content)


def _polls() -> Iterator[Call]:
    batch = {"id": "batch_6750a1b2c3", "object": "batch"}
    given = Answer.json({**batch, "status": "validating"})
    yield Call(
        OPENAI, "POST", "/v1/batches", given, (JSON,), b'{"endpoint":"/v1/chat/completions"}'
    )
    for status in ("queued", "queued", "in_progress", "in_progress", "completed"):
        answer = Answer.json({**batch, "status": status})
        yield Call(OPENAI, "GET", "/v1/batches/batch_6750a1b2c3", answer)


CALLS = (*_chats(), *_others(), *_polls())


def ask(port: int, ca: Path) -> list[Reply]:
    """Make all calls through the proxy, in order."""
    replies = []
    for call in CALLS:
        with Connection(port, ca, call.host) as connection:
            replies.append(connection.ask(call.method, call.target, call.headers, call.body))
    return replies


def kept(reply: Reply) -> dict[str, Any]:
    """What of an answer has to stay the same: status, end, and the body with its borders."""
    chunks = [_text(chunk) for chunk in reply.chunks]
    return {"status": reply.status, "end": reply.end, "chunks": chunks}


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(data).decode()


def served(mode: str, folder: Path, env: dict[str, str], *more: str | Path) -> list[Reply]:
    """What a client is given in a mode of the wiretape that `env` finds."""
    with serving([mode, "-r", folder, "--port", "0", *more], env, folder.parent) as (_, ready):
        port = int(ready.split("127.0.0.1:")[1].split()[0].strip("/,;"))
        return ask(port, Path(env["WIRETAPE_HOME"]) / "mitmproxy-ca-cert.pem")


def make(folder: Path) -> None:
    """Record the calls below `folder`, and note what a replay gives."""
    with tempfile.TemporaryDirectory() as home, Upstream() as up:
        env = {**os.environ, "WIRETAPE_HOME": home, "WIRETAPE_RUNTIME_DIR": home}
        env = {name: value for name, value in env.items() if not name.lower().endswith("_proxy")}
        targets: dict[str, list[Answer]] = {}
        for call in CALLS:
            targets.setdefault(call.target, []).append(call.answer)
        for target, answers in targets.items():
            up.script(target, *answers)
        maps = [
            word for call in (OPENAI, ANTHROPIC, GOOGLE) for word in ("--map", f"{call}={up.url}")
        ]
        live = served("record", folder / "recordings", env, "--upstream-ca", up.ca_file, *maps)
        again = served("replay", folder / "recordings", env)
    assert [reply.status for reply in again] == [reply.status for reply in live]
    text = json.dumps([kept(reply) for reply in again], indent=1, ensure_ascii=False)
    (folder / "answers.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]).absolute())

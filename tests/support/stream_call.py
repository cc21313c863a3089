"""A streamed call that many tests record: what is asked and answered, and the commands for it."""

import json
from pathlib import Path
from typing import Any

from tests.support.upstream import Upstream

HOST = "api.together.xyz"


EVENTS = [
    b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"Gr"}}]}\n\n',
    b": keep-alive\n\n",
    'data: {"id":"1","choices":[{"index":0,"delta":{"content":"üße"}}],"n":1.0}\n\n'.encode(),
    b"data: [DONE]\n\n",
]


STREAM = [("Content-Type", "text/event-stream")]


CHAT = "/v1/chat/completions"


BODY = '{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}'


def options(upstream: Upstream, folder: Path, host: str = HOST) -> list[str | Path]:
    return ["-r", folder, "--upstream-ca", upstream.ca_file, "--map", f"{host}={upstream.url}"]


def curl(path: str = CHAT, body: str | None = BODY, host: str = HOST, *more: str) -> list[str]:
    data = ["-H", "content-type: application/json", "--data-raw", body] if body else []
    return ["curl", "-sSN", f"https://{host}{path}", *data, *more]


def documents(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(folder.rglob("*.json"))]

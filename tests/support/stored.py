"""Recordings put on disk by hand, as a library would have written them."""

import json
from pathlib import Path
from typing import Any

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange

JSON = (("content-type", "application/json"),)
CHAT = "api.together.xyz/v1-chat-completions"


def exchange(prompt: str, at: str = "2026-11-20T17:30:00Z", **more: Any) -> Exchange:
    """A chat request with its answer; `more` are members of its body."""
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}], **more}
    request = Request(
        "POST",
        "https",
        "api.together.xyz",
        443,
        "/v1/chat/completions",
        headers=JSON,
        body=json.dumps(body, separators=(",", ":")).encode(),
    )
    reply = json.dumps({"id": f"chatcmpl-{len(prompt)}", "choices": []}).encode()
    return Exchange(request, Response(200, JSON, (Chunk(reply, 0.1),)), at)


def document(prompt: str, at: str = "2026-11-20T17:30:00Z", **more: Any) -> dict[str, Any]:
    return from_exchange(exchange(prompt, at, **more))


def key12(stored: dict[str, Any]) -> str:
    """The start of the key without any rules, which is what files are named by here."""
    return Matcher(built_in()).canonical(stored["request"]).key[:12]


def put(folder: Path, stored: dict[str, Any], name: str | None = None) -> Path:
    """Write a document to a folder; without a name where a library would."""
    path = folder / (name or f"{CHAT}/{key12(stored)}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(recording_format.dumps(stored), encoding="utf-8")
    return path

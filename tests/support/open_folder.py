"""A small folder of recordings, and libraries that are opened on it."""

import json
from pathlib import Path
from typing import Any

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, from_exchange, from_request
from wiretape.library.library import Library, LocalState

JSON = (("content-type", "application/json"),)
HOST = "api.together.xyz"
LONG_AGO = (1_700_000_000, 1_700_000_000)


def exchange(prompt: str, answer: str = "hello") -> Exchange:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}]}).encode()
    request = Request("POST", "https", HOST, 443, "/v1/chat/completions", headers=JSON, body=body)
    reply = json.dumps({"id": f"id-{answer}", "choices": [{"message": {"content": answer}}]})
    return Exchange(request, Response(200, JSON, (Chunk(reply.encode(), 0.1),)), None)


def text(prompt: str, answer: str = "hello") -> str:
    return recording_format.dumps(from_exchange(exchange(prompt, answer)))


class Open:
    """Opens libraries and closes them in the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[Library] = []

    def __call__(self, cache: Path | None = None, **options: Any) -> Library:
        made = Library(
            self.folder,
            Matcher(built_in()),
            state=LocalState(cache.parent, "f") if cache else LocalState(self.folder.parent),
            **options,
        )
        self.opened.append(made)
        made.load()
        return made


def form(prompt: str, ids: dict[str, str] | None = None) -> Document:
    document = from_request(exchange(prompt).request)
    return {**document, "ids": ids} if ids else document


def answers(of: Library, prompt: str) -> list[str]:
    bodies = [of.read(entry.name).response.body for entry in of.takes(of.keys(form(prompt))[0].key)]
    return [json.loads(body)["choices"][0]["message"]["content"] for body in bodies]


def place(folder: Path) -> Path:
    return folder / HOST / "v1-chat-completions"

"""Counts the interpreter's instructions on the hot paths, and prints them as JSON by name.

`tests/test_hot_paths.py` runs it in a process of its own, with one seed for hashes: what other
tests have cached, and how sets lie, would change the numbers.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Final

from wiretape.config.load import Config, load
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.playback.pace import Pace
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange, to_exchange
from wiretape.core.redaction import gate
from wiretape.core.redaction.clean_parts import CleanParts
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.text.exact_json import parse
from wiretape.engine.handler import Handler
from wiretape.engine.protocol import HttpServer
from wiretape.engine.replayer import Replayer
from wiretape.library.library import Library, LocalState
from wiretape.report.report import Report
from wiretape.sessions.sessions import Sessions

JSON: Final = ("content-type", "application/json")
HOST: Final = "api.together.xyz"


def request(number: int, *, spaces: str = "") -> Request:
    message = {"role": "user", "content": f"What is the square of {number:09}?"}
    body = {"model": "meta-llama/Llama-3.3-70B-Instruct-Turbo", "messages": [message], "seed": 42}
    headers = (JSON, ("accept", "application/json"), ("authorization", "Bearer bench-0123456789"))
    raw = json.dumps(body, separators=(",", f":{spaces}")).encode()
    return Request("POST", "https", HOST, 443, "/v1/chat/completions", headers=headers, body=raw)


def whole(number: int) -> Exchange:
    answer = {"id": f"chatcmpl-{number:09}", "choices": [{"index": 0, "message": {"content": "4"}}]}
    chunk = Chunk(json.dumps(answer, separators=(",", ":")).encode(), 0.2)
    return Exchange(request(number), Response(200, (JSON,), (chunk,)), "2026-11-20T17:30:00Z")


def stream() -> Exchange:
    events = [
        {"id": "chatcmpl-1", "choices": [{"delta": {"content": f" w{n}"}}]} for n in range(199)
    ]
    data = [json.dumps(event, separators=(",", ":")) for event in events] + ["[DONE]"]
    chunks = tuple(Chunk(f"data: {text}\n\n".encode(), n / 50) for n, text in enumerate(data))
    response = Response(200, (("content-type", "text/event-stream"),), chunks, streaming=True)
    return Exchange(request(0), response, "2026-11-20T17:30:00Z")


def replayer_of(config: Config, folder: Path) -> Replayer:
    """A replayer of a new folder with forty recordings."""
    (folder / HOST).mkdir(parents=True)
    for number in range(40):
        text = recording_format.dumps(from_exchange(whole(number)))
        path = folder / HOST / f"{number}.json"
        path.write_text(text, "utf-8")
        os.utime(path, (0, 0))  # one that has just changed is looked at again
    redactor = Redactor(config.redaction, remember=True)

    def opened(session: str | None) -> Library:
        state = LocalState(folder.with_name("state"))
        library = Library(folder, config.matcher, redactor.request, session, state)
        library.load()
        library.cache_for(3600)
        return library

    return Replayer(Sessions(opened), config.matcher, redactor, config.providers, Report("replay"))


def instructions(work: Callable[[], object], times: int) -> float:
    """The instructions of a call, on average, once what it needs is loaded and cached."""
    for _ in range(times):
        work()
    monitoring, tool, counted = sys.monitoring, sys.monitoring.PROFILER_ID, count()
    monitoring.use_tool_id(tool, "tests")
    try:
        monitoring.register_callback(
            tool, monitoring.events.INSTRUCTION, lambda code, offset: next(counted)
        )
        monitoring.set_events(tool, monitoring.events.INSTRUCTION)
        for _ in range(times):
            work()
    finally:
        monitoring.set_events(tool, 0)
        monitoring.register_callback(tool, monitoring.events.INSTRUCTION, None)
        monitoring.free_tool_id(tool)
    return next(counted) / times


def asked(replayer: Replayer, requests: Iterable[Request]) -> Iterator[bool]:
    """Ask each, and whether it was known by its bytes."""
    for live in requests:
        prepared = replayer.with_current_ids(replayer.prepare(live))
        assert replayer.answer(prepared) is not None
        yield prepared.digest is not None


class Unread(asyncio.Transport):
    """A connection of which nobody reads what is written."""

    def write(self, data: object) -> None: ...


async def answered(replayer: Replayer) -> float:
    """The instructions of an answer that is asked for again on its connection."""
    live = request(1)
    headers = "".join(f"{name}: {value}\r\n" for name, value in live.headers)
    head = f"POST /{HOST}{live.target} HTTP/1.1\r\nHost: localhost\r\n{headers}"
    data = f"{head}Content-Length: {len(live.body)}\r\n\r\n".encode() + live.body
    connection = HttpServer(Handler(replayer, Pace()))()
    connection.connection_made(Unread())
    before = replayer.report.counts["replayed"]
    count = instructions(lambda: connection.data_received(data), 10)
    assert replayer.report.counts["replayed"] == before + 20
    return count


def measured(folder: Path) -> dict[str, float]:
    """The instructions of each hot path; writes recordings to a folder."""
    parse("1e0")  # a number that is spelled in its own way: from now on writers look for more
    config = load(None, {})
    replayer = replayer_of(config, folder)
    first = asked(replayer, map(request, range(40)))
    read = asked(replayer, (request(number, spaces=" ") for number in range(40)))
    prepared = replayer.prepare(request(0))
    redactor = Redactor(config.redaction)
    exchange = stream()
    secrets = redactor.secrets(exchange.request)
    text = recording_format.dumps(from_exchange(exchange))

    def record() -> None:
        clean = CleanParts()
        document, _ = redactor.document(from_exchange(exchange), secrets, clean)
        text = recording_format.dumps(document, clean.texts)
        assert not gate.inspect(text, redactor, secrets, clean)

    return {
        "a recorded request, asked for the first time": instructions(lambda: next(first), 20),
        "the same request again": instructions(
            lambda: replayer.answer(replayer.with_current_ids(prepared)), 10
        ),
        "an answer on its connection": asyncio.run(answered(replayer)),
        "a request that is read": instructions(lambda: next(read), 20),
        "a stream of 200 chunks becomes a recording": instructions(record, 2),
        "a recording of 200 chunks becomes a stream": instructions(
            lambda: to_exchange(recording_format.loads(text), parsed=True), 2
        ),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        json.dump(measured(Path(scratch, "recordings")), sys.stdout)

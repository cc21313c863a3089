"""How many instructions of the interpreter the hot paths take: a guard against slow changes that
needs no quiet machine. What libraries in C do beneath is not counted.

A path may take a tenth more than here. One that takes much less has a new, lower number.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Final

import pytest

from wiretape.config.load import Config, load
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange, to_exchange
from wiretape.core.redaction import gate
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.text.exact_json import parse
from wiretape.engine.replayer import Replayer
from wiretape.library.library import Library, LocalState
from wiretape.report.report import Report
from wiretape.sessions.sessions import Sessions

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 13), reason="the numbers are those of Python 3.13's instructions"
)

MOST: Final = {
    "a recorded request, asked for the first time": 5_700,
    "the same request again": 1_260,
    "a request that is read": 14_000,
    "a stream of 200 chunks becomes a recording": 681_000,
    "a recording of 200 chunks becomes a stream": 190_500,
}
MORE: Final = 1.1
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


@pytest.fixture(scope="module")
def config() -> Config:
    return load(None, {})


@pytest.fixture(scope="module")
def replayer(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Replayer:
    """One of a folder with forty recordings."""
    folder = tmp_path_factory.mktemp("hot")
    (folder / HOST).mkdir()
    for number in range(40):
        text = recording_format.dumps(from_exchange(whole(number)))
        (folder / HOST / f"{number}.json").write_text(text, "utf-8")
    redactor = Redactor(config.redaction, remember=True)

    def opened(session: str | None) -> Library:
        state = LocalState(folder.with_name("state"))
        library = Library(folder, config.matcher, redactor.request, session, state)
        library.load()
        library.cache_for(3600)
        return library

    return Replayer(Sessions(opened), config.matcher, redactor, config.providers, Report("replay"))


@pytest.fixture(autouse=True)
def numbers() -> None:
    """Once a number was read that is spelled in its own way, writers look for more of them."""
    parse("1e0")


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


def check(name: str, work: Callable[[], object], times: int = 10) -> None:
    taken, most = instructions(work, times), MOST[name] * MORE
    assert taken <= most, f"{name}: {taken:.0f} instructions, {MOST[name]} before (times {MORE})"


def asked(replayer: Replayer, requests: Iterable[Request]) -> Iterator[bool]:
    """Ask each, and whether it was known by its bytes."""
    for live in requests:
        prepared = replayer.with_current_ids(replayer.prepare(live))
        assert replayer.answer(prepared) is not None
        yield prepared.digest is not None


def test_a_recorded_request_is_answered_without_reading_it(replayer: Replayer) -> None:
    answers = asked(replayer, map(request, range(40)))
    check("a recorded request, asked for the first time", lambda: next(answers), 20)


def test_a_request_that_came_before_costs_little(replayer: Replayer) -> None:
    prepared = replayer.prepare(request(0))
    check("the same request again", lambda: replayer.answer(replayer.with_current_ids(prepared)))


def test_a_request_with_other_bytes_is_read(replayer: Replayer) -> None:
    answers = asked(replayer, (request(number, spaces=" ") for number in range(40)))
    check("a request that is read", lambda: next(answers), 20)


def test_a_stream_becomes_a_recording(config: Config) -> None:
    redactor = Redactor(config.redaction)
    exchange = stream()
    secrets = redactor.secrets(exchange.request)

    def work() -> None:
        document, _ = redactor.document(from_exchange(exchange), secrets)
        assert not gate.inspect(recording_format.dumps(document), redactor, secrets)

    check("a stream of 200 chunks becomes a recording", work, 2)


def test_a_recording_becomes_a_stream() -> None:
    text = recording_format.dumps(from_exchange(stream()))
    check(
        "a recording of 200 chunks becomes a stream",
        lambda: to_exchange(recording_format.loads(text)),
        2,
    )


def test_the_guard_sees_what_is_done() -> None:
    assert instructions(lambda: [n + 1 for n in range(1000)], 1) > 2 * instructions(
        lambda: [n + 1 for n in range(100)], 1
    )

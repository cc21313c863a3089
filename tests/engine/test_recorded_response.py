"""An answer has the ids that the live request has in the place of the recorded ones."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.asked_folder import JSON, HttpFolder

from wiretape.core.model import Chunk, Exchange, Headers, Request, Response
from wiretape.core.redaction.run_paths import NO_PATHS
from wiretape.engine.recorded_response import response_to, stays_open
from wiretape.engine.request import ReplayRequest
from wiretape.library.file_cache import CachedRecording

SSE: Headers = (("content-type", "text/event-stream"),)
MCP: Headers = (("accept", "application/json, text/event-stream"), ("mcp-protocol-version", "1"))


def call(id: Any, **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": "tools/list", **more}


def result(id: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id, "result": {}}).encode()


def event(id: Any, name: str = "") -> bytes:
    return (f"id: {name}\n" if name else "").encode() + b"data: " + result(id) + b"\n\n"


@pytest.fixture
def folder(tmp_path: Path) -> HttpFolder:
    return HttpFolder(tmp_path / "r")


def recorded(folder: HttpFolder, *chunks: bytes, headers: Headers = JSON) -> CachedRecording:
    response = Response(
        200, headers, tuple(Chunk(data, 0.5) for data in chunks), streaming=headers is SSE
    )
    return CachedRecording.of(Exchange(folder.request(call(1)), response))


def live(folder: HttpFolder, body: Any, **more: Any) -> ReplayRequest:
    return folder.replayer().prepare(folder.request(body, **more))


def test_an_equal_request_gets_the_recorded_answer(folder: HttpFolder) -> None:
    exchange = recorded(folder, result(1))
    assert response_to(live(folder, call(1)), exchange, NO_PATHS) is exchange.response


def test_a_whole_answer_has_the_live_id_at_the_recorded_time(folder: HttpFolder) -> None:
    answer = response_to(live(folder, call("a")), recorded(folder, result(1)), NO_PATHS)
    assert [(json.loads(chunk.data)["id"], chunk.at) for chunk in answer.chunks] == [("a", 0.5)]


def test_so_has_each_event_of_a_stream_and_the_stream_that_goes_on_from_it(
    folder: HttpFolder,
) -> None:
    request = live(folder, call("a"))
    exchange = recorded(folder, event(1, "e-1"), event(1), headers=SSE)
    answer = response_to(request, exchange, NO_PATHS)
    assert b"".join(chunk.data for chunk in answer.chunks).count(b'"id": "a"') == 2
    resumed = live(folder, None, method="GET", headers=(("last-event-id", "e-1"),))
    resumed.session.renamings |= request.session.renamings
    rest = CachedRecording.of(Exchange(resumed.live, exchange.response))
    answer = response_to(resumed, rest, NO_PATHS)
    assert b'"id": "a"' in answer.chunks[0].data


@pytest.mark.parametrize(
    ("headers", "chunks", "is_recorded", "expected"),
    [
        (MCP, (b": hello\n\n",), False, True),
        (MCP, (b"id: e-1\ndata: {}\n\n",), False, True),
        (MCP, (b"id: e-1\ndata: {}\n\n",), True, False),
        (JSON, (b": hello\n\n",), False, False),
    ],
)
def test_only_a_servers_own_stream_that_nobody_resumed_stays_open(
    folder: HttpFolder,
    headers: Headers,
    chunks: tuple[bytes, ...],
    is_recorded: bool,
    expected: bool,
) -> None:
    asked: list[Request] = []

    def look_up(request: Request) -> bool:
        asked.append(request)
        return is_recorded

    request = folder.request(None, method="GET", headers=headers)
    response = Response(200, SSE, tuple(Chunk(data, 0.1) for data in chunks), streaming=True)
    assert stays_open(request, response, look_up) is expected
    assert all(("last-event-id", "e-1") in each.headers for each in asked)
    post = folder.request(call(1), headers=headers)
    assert not stays_open(post, response, look_up)

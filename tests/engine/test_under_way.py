"""An answer under way keeps its pace, in a loop whose time passes by itself."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from tests.support.timed_stream import STREAM
from tests.support.virtual_time import VirtualTimeLoop

from wiretape.config.packs import built_in
from wiretape.core.model import Chunk, Request, Response
from wiretape.core.playback.pace import Pace
from wiretape.engine.answer import ReplayAnswer
from wiretape.engine.sender import AnswerSender
from wiretape.report.report import Report

HOST = "api.openai.com"


def arrivals(answer: Response, pace: str, late: float) -> list[float]:
    """When each chunk of an answer comes, and its end, in seconds after the request, where each
    sleep of the loop is `late` by so much.
    """
    entry = SimpleNamespace(name="x.json")
    asked: Any = SimpleNamespace(
        provider=HOST, request=Request("GET", "https", HOST, 443, "/v1/x"), path="/v1/x",
        model=None, session=SimpleNamespace(name=None), shape=None,
    )  # fmt: skip
    sender = AnswerSender(Pace.parse(pace), Report("replay"), built_in())

    async def handle(http: web.BaseRequest) -> web.StreamResponse:
        loop = asyncio.get_running_loop()
        return await sender.send(
            http, asked, ReplayAnswer(entry=cast(Any, entry), response=answer), loop.time()
        )

    async def ask() -> list[float]:
        loop = asyncio.get_running_loop()
        server = web.Server(handle)
        async with await loop.create_server(server, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            began = loop.time()
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            times = []
            for _ in range(len(answer.chunks) + 1):
                size = int(await reader.readuntil(b"\r\n"), 16)
                await reader.readexactly(size + 2)
                times.append(loop.time() - began)
            assert size == 0
            writer.close()
            await server.shutdown()
        return times

    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(late)) as runner:
        return runner.run(ask())


@pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
@pytest.mark.parametrize(
    ("pace", "seconds"),
    [
        ("recorded", 0.5),
        ("2x", 0.25),
        ("0.5x", 1.0),
        ("ttft=0.2,tps=10", 0.6),
        ("ttft=0.3", 0.8),
    ],
)
def test_a_stream_takes_as_long_as_its_pace_says(pace: str, seconds: float) -> None:
    assert arrivals(STREAM, pace, 0.0)[-1] == pytest.approx(seconds)


@pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
@pytest.mark.parametrize(("pace", "factor"), [("recorded", 1), ("5x", 5), ("20x", 20)])
def test_sleeps_that_end_late_do_not_add_up(pace: str, factor: int) -> None:
    at = [number / 4 for number in range(240)]
    chunks = tuple(Chunk(b"data: %d\n\n" % n, due) for n, due in enumerate(at))
    minute = replace(STREAM, chunks=chunks, end_at=60.0)
    late = [
        came - due / factor
        for came, due in zip(arrivals(minute, pace, 0.001), [*at, 60.0], strict=True)
    ]
    assert min(late) > -1e-6
    assert max(late) < 0.0011

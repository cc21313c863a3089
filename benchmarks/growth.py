"""How the cost of replay grows: with recordings, chunks, size of bodies, and connections."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path
from typing import Final

from wiretape.core.model import Chunk, Response
from wiretape.tls.authority import Authority

from . import client, process, replaying, startup, workload
from .client import Place
from .outcome import Goal, Measure, Section

REPLAY: Final = "wiretape replay"
_CHUNKS: Final = (1, 10, 100, 1000)
_SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
_CONNECTIONS: Final = (1, 8, 64, 512)
_WARM: Final = 0.1
MANY: Final = 100_000
_GOALS: Final = {MANY: (Goal(15), Goal(0.5))}
"""Seconds of a cold and of a warm start."""


def section(counts: tuple[int, ...], seconds: float, folder: Path, cores: process.Cores) -> Section:
    """Measure; what is written goes to `folder`."""
    measures = [measure for count in counts for measure in _start_with(count, folder)]
    with process.on(cores.rest):
        measures += _answers(seconds, folder, cores)
    return Section(
        "Growth",
        (REPLAY,),
        tuple(measures),
        (
            "cold: the first start of a folder, which makes its index; warm: the next; CMD is true",
            "answers at a base URL over plain HTTP; where nothing else is said 8 connections and"
            " small JSON; every one was compared with its recording, byte for byte",
        ),
    )


def _start_with(count: int, folder: Path) -> Iterator[Measure]:
    state, recordings = folder / f"state-{count}", folder / f"recordings-{count}"
    state.mkdir()
    Authority.load_or_create(state)
    replaying.write_recordings(recordings, count)
    true = shutil.which("true")
    command = [process.script("wiretape"), "replay", "-q", "--allow-none", "-r", str(recordings)]
    command += ["--", true] if true else ["--", sys.executable, "-S", "-c", ""]
    env = process.environment(state)
    goals = _GOALS.get(count, (None, None))
    cold, warm = startup.timed(command, env, folder), startup.timed(command, env, folder)
    for name, times, goal in (("cold", cold, goals[0]), ("warm", warm, goals[1])):
        row = f"{count:,} recordings: {name} start"
        yield Measure(row, "s", {REPLAY: times.wall}, goal=goal)
        yield Measure(f"{row}, CPU", "s", {REPLAY: times.cpu})
    shutil.rmtree(recordings)


def _answers(seconds: float, folder: Path, cores: process.Cores) -> Iterator[Measure]:
    state, recordings = folder / "growth-state", folder / "growth"
    state.mkdir()
    questions: dict[str, tuple[bytes, bytes, int]] = {}
    for name, number, response in _recordings():
        is_stream = response.streaming
        replaying.write_one(recordings, str(number), number, response, stream=is_stream)
        path = f"/{workload.HOST}{workload.PATH}"
        request = workload.request(number, stream=is_stream, path=path, authority="127.0.0.1")
        data = [chunk.data for chunk in response.chunks]
        body = workload.framed(data) if is_stream else b"".join(data)
        questions[name] = request, body, 8
    small = questions.pop("small")
    for count in _CONNECTIONS:
        questions[f"{count} connections"] = small[0], small[1], count
    command = [process.script("wiretape"), "replay", "-q", "--recordings", str(recordings)]
    with ExitStack() as stack:
        with process.on(cores.measured):
            env, log = process.environment(state), folder / "growth.log"
            server = stack.enter_context(process.serving(command, env, state, log))
        place = Place(server.port, plain=True)
        for name, (request, body, connections) in questions.items():
            client.compared(place, repeat((request, body)), connections, _WARM)
            before = server.cpu()
            done = client.compared(place, repeat((request, body)), connections, seconds)
            after = server.cpu()
            yield Measure(f"{name}: answers", "1/s", {REPLAY: done.rate})
            if before is not None and after is not None:
                each = (after - before) / done.count * 1000
                yield Measure(f"{name}: CPU per answer", "ms", {REPLAY: each})


def _recordings() -> Iterator[tuple[str, int, Response]]:
    """What is measured, the number of its question, and its answer."""
    number = 800_000_000
    stream, json = (("content-type", "text/event-stream"),), (("content-type", "application/json"),)
    for count in _CHUNKS:
        number += 1
        chunks = tuple(Chunk(workload.paced_chunk(n, count), 0.1 + n / 50) for n in range(count))
        yield f"stream of {count:,} chunks", number, Response(200, stream, chunks, streaming=True)
    for size in _SIZES:
        number += 1
        body = workload.answer(1).replace(
            b"It is", b"x" * (size - len(workload.answer(1))) + b"It is"
        )
        yield f"JSON of {size // 1000:,} kB", number, Response(200, json, (Chunk(body, 0.2),))
    yield "small", number + 1, Response(200, json, (Chunk(workload.answer(1), 0.2),))

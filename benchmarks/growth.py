"""How the cost of replay grows: with recordings, chunks, size of bodies, and connections."""

import random
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from itertools import repeat
from pathlib import Path
from statistics import median
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
_ASKED: Final = 2_000
_MISSES: Final = 7


def section(counts: tuple[int, ...], seconds: float, folder: Path, cores: process.Cores) -> Section:
    """Measure; what is written goes to `folder`."""
    measures = [measure for count in counts for measure in _start_with(count, folder, cores)]
    with process.on(cores.rest):
        measures += _answers(seconds, folder, cores)
    return Section(
        "Growth",
        (REPLAY,),
        tuple(measures),
        (
            "finding an answer: what one that was not asked for before, in any order, costs beside"
            " one that is asked for again; a miss explained: until its client has the reason",
            "cold: the first start of a folder, which makes its index; warm: the next; CMD is true",
            "answers at a base URL over plain HTTP; where nothing else is said 8 connections and"
            " small JSON; every one was compared with its recording, byte for byte",
        ),
    )


def _start_with(count: int, folder: Path, cores: process.Cores) -> Iterator[Measure]:
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
    if count >= MANY:
        yield from _answers_of(count, recordings, state, cores)
    shutil.rmtree(recordings)


def _answers_of(
    count: int, recordings: Path, state: Path, cores: process.Cores
) -> Iterator[Measure]:
    """What an answer and a miss cost where there are so many recordings."""
    path = f"/{workload.HOST}{workload.PATH}"
    numbers = random.Random(1).sample(range(count), _ASKED)

    def asked(number: int) -> tuple[bytes, bytes]:
        request = workload.request(number, stream=False, path=path, authority="127.0.0.1")
        return request, workload.answer(number)

    command = [process.script("wiretape"), "replay", "-q", "--recordings", str(recordings)]
    row = f"{count:,} recordings"
    with process.on(cores.rest), ExitStack() as stack:
        with process.on(cores.measured):
            env, log = process.environment(state), state / "many.log"
            server = stack.enter_context(process.serving(command, env, state, log))
        connection = stack.enter_context(client.Connection(client.Place(server.port, plain=True)))
        costs = []
        # Once for what is imported when it is first used.
        for asks in ([asked(0)] * 10, [asked(0)] * _ASKED, map(asked, numbers)):
            before = server.cpu() or 0.0
            for request, body in asks:
                connection.send(request)
                if not connection.answer().endswith(b"\r\n\r\n" + body):
                    raise client.Unexpected("an answer that is not the recorded one")
            costs.append(((server.cpu() or 0.0) - before) / _ASKED * 1000)
        cost: dict[str, float | None] = {REPLAY: costs[2] - costs[1]}
        yield Measure(f"{row}: finding an answer, CPU", "ms", cost, goal=Goal(0.1))
        first, *more = [_miss(server.port, path, number) for number in range(_MISSES)]
        for which, seconds in (("first", first), ("next", median(more))):
            name = f"{row}: a miss explained, the {which}"
            yield Measure(name, "s", {REPLAY: seconds}, goal=Goal(0.05))
        if (memory := server.memory()) is not None:
            yield Measure(f"{row}: memory", "MB", {REPLAY: memory / 1e6}, goal=Goal(150))


def _miss(port: int, path: str, number: int) -> float:
    """The seconds until a client knows why its request has no recording."""
    body = workload.question(number, stream=False).replace(b"square of", b"square root of")
    with closing(HTTPConnection("127.0.0.1", port, timeout=client.TIMEOUT)) as connection:
        begun = time.monotonic()
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status < 400:
            raise client.Unexpected(f"{answer.status} to a request that was never recorded")
        return time.monotonic() - begun


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

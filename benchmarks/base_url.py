"""Replay at a base URL, over plain HTTP, in one process: `wiretape replay` against a bare aiohttp
server that looks nothing up. Each answer is compared with its recording, byte for byte.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count, repeat
from pathlib import Path
from typing import Final

from . import client, process, replaying, workload
from .client import Place
from .outcome import Goal, Measure, Rounds, Section
from .process import Server
from .replaying import Effort

LIMIT: Final = "bare aiohttp"
REPLAY: Final = "wiretape replay"
CONTESTANTS: Final = (LIMIT, REPLAY)
_CONNECTIONS: Final = 8
_WARM: Final = 0.1

type _Question = tuple[bytes, bytes]
"""A request, and its answer's body as it is framed."""


@dataclass(frozen=True)
class _Contestant:
    place: Place
    server: Server
    loads: dict[str, Iterator[_Question]]


_GOALS: Final = {
    "small JSON, asked again": Goal(1.0),
    "small JSON, never the same twice": Goal(1 / 0.8),
    f"stream of {workload.CHUNKS} chunks": Goal(0.25),
    "100 kB JSON": Goal(1 / 0.8),
}
"""At most so many times the CPU of the limit."""


def _loads(path: str, *, is_limit: bool) -> dict[str, Iterator[_Question]]:
    def ask(number: int, *, stream: bool = False) -> bytes:
        return workload.request(number, stream=stream, path=path, authority="127.0.0.1")

    def different() -> Iterator[_Question]:
        many = [ask(number) for number in range(workload.QUESTIONS)]
        for number in count():
            at = number % workload.QUESTIONS
            yield many[at], workload.answer(1 if is_limit else at)

    chunks = [workload.chunk(number) for number in range(workload.CHUNKS)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(data), data) for data in chunks)
    questions = (
        repeat((ask(1), workload.answer(1))),
        different(),
        repeat((ask(0, stream=True), framed + b"0\r\n\r\n")),
        repeat((ask(workload.LARGE), workload.large_answer())),
    )
    return dict(zip(_GOALS, questions, strict=True))


def section(effort: Effort, folder: Path, cores: process.Cores) -> Section:
    """Measure; what is written goes to `folder`."""
    rounds = Rounds()
    with ExitStack() as stack:
        contestants = _start(stack, folder, cores)
        with process.on(cores.rest):
            for who in contestants.values():
                for questions in who.loads.values():
                    client.compared(who.place, questions, _CONNECTIONS, _WARM)
            for _ in range(effort.rounds):
                for what in _GOALS:
                    for name, who in contestants.items():
                        _measure(rounds, what, name, who, effort.seconds)
    return Section(
        "Replay at a base URL (plain HTTP)",
        CONTESTANTS,
        tuple(_measures(rounds)),
        (
            f"{_CONNECTIONS} connections; every answer was compared with its recording, byte for"
            f" byte; never the same twice: {workload.QUESTIONS} recordings in turn",
            "each ratio is the median of the rounds' own",
            *(f"{what}: {_spread(rounds, what)}" for what in _GOALS),
        ),
    )


def _start(stack: ExitStack, folder: Path, cores: process.Cores) -> dict[str, _Contestant]:
    state, recordings = folder / "plain-state", folder / "plain-replayed"
    state.mkdir(exist_ok=True)
    replaying.write_recordings(recordings, workload.QUESTIONS)
    env, log = process.environment(state), folder / "base-url.log"
    replay = [process.script("wiretape"), "replay", "-q", "--recordings", str(recordings)]
    bare = [sys.executable, "-m", "benchmarks.origin", str(state), ""]
    with process.on(cores.measured):
        limit = stack.enter_context(process.serving(bare, env, process.ROOT, log))
        replayer = stack.enter_context(process.serving(replay, env, state, log))
    path = f"/{workload.HOST}{workload.PATH}"
    return {
        LIMIT: _Contestant(Place(limit.port, plain=True), limit, _loads(path, is_limit=True)),
        REPLAY: _Contestant(
            Place(replayer.port, plain=True), replayer, _loads(path, is_limit=False)
        ),
    }


def _measure(rounds: Rounds, what: str, name: str, who: _Contestant, seconds: float) -> None:
    before = who.server.cpu()
    done = client.compared(who.place, who.loads[what], _CONNECTIONS, seconds)
    after = who.server.cpu()
    rounds.add(f"{what}: answers", name, done.rate)
    if before is not None and after is not None:
        rounds.add(f"{what}: CPU per answer", name, (after - before) / done.count * 1000)


def _measures(rounds: Rounds) -> Iterator[Measure]:
    for what, goal in _GOALS.items():
        yield rounds.measure(f"{what}: answers", "1/s", CONTESTANTS, [(LIMIT, None)])
        yield rounds.measure(f"{what}: CPU per answer", "ms", CONTESTANTS, [(LIMIT, goal)])


def _spread(rounds: Rounds, what: str) -> str:
    lowest, highest = rounds.spread(f"{what}: CPU per answer", REPLAY, LIMIT)
    return f"CPU {lowest:.2f} to {highest:.2f} times"

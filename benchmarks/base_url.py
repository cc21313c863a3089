"""Replay at a base URL, over plain HTTP, in one process: `wiretape replay` against a bare aiohttp
server that looks nothing up, and against what else can be had (`rivals.py`). Each answer is
compared with its recording, byte for byte.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count, repeat
from pathlib import Path
from typing import Final

from . import client, process, replaying, rivals, workload
from .client import Place
from .outcome import Goal, Measure, Rounds, Section
from .replaying import Effort
from .rivals import Question, Rival

LIMIT: Final = "bare aiohttp"
REPLAY: Final = "wiretape replay"
_CONNECTIONS: Final = 8
_WARM: Final = 0.1

_GOALS: Final = dict(
    zip(workload.LOADS, (Goal(1.0), Goal(1 / 0.8), Goal(0.25), Goal(1 / 0.8)), strict=True)
)
"""At most so many times the CPU of the limit."""


def _loads(path: str, *, is_limit: bool) -> dict[str, Iterator[Question]]:
    def ask(number: int, *, stream: bool = False) -> bytes:
        return workload.request(number, stream=stream, path=path, authority="127.0.0.1")

    def different() -> Iterator[Question]:
        many = [ask(number) for number in range(workload.QUESTIONS)]
        for number in count():
            at = number % workload.QUESTIONS
            yield many[at], workload.answer(1 if is_limit else at)

    questions: tuple[Iterator[Question], ...] = (
        repeat((ask(1), workload.answer(1))),
        different(),
        repeat((ask(0, stream=True), workload.framed(map(workload.chunk, range(workload.CHUNKS))))),
        repeat((ask(workload.LARGE), workload.large_answer())),
    )
    return dict(zip(workload.LOADS, questions, strict=True))


def section(effort: Effort, folder: Path, cores: process.Cores) -> Section:
    """Measure; what is written goes to `folder`."""
    rounds = Rounds()
    with ExitStack() as stack:
        contestants, reasons = _start(stack, folder, cores)
        with process.on(cores.rest):
            for who in contestants.values():
                for questions in who.loads.values():
                    client.compared(who.place, questions, _CONNECTIONS, _WARM)
            for _ in range(effort.rounds):
                for what in workload.LOADS:
                    for name, who in contestants.items():
                        if what in who.loads:
                            _measure(rounds, what, name, who, effort.seconds)
    return Section(
        "Replay at a base URL (plain HTTP)",
        tuple(contestants),
        tuple(_measures(rounds, tuple(contestants))),
        (
            f"{_CONNECTIONS} connections; every answer was compared with its recording, byte for"
            f" byte, and of aimock's whether it holds the text, for its chunks and ids are its own;"
            f" never the same twice: {workload.QUESTIONS} recordings in turn",
            "nginx sends files whatever is asked, a stream as one body",
            "each ratio is the median of the rounds' own, with the lowest and the highest",
            *reasons,
        ),
    )


def _start(
    stack: ExitStack, folder: Path, cores: process.Cores
) -> tuple[dict[str, Rival], list[str]]:
    state, recordings = folder / "plain-state", folder / "plain-replayed"
    state.mkdir(exist_ok=True)
    replaying.write_recordings(recordings, workload.QUESTIONS)
    env, log = process.environment(state), folder / "base-url.log"
    replay = [process.script("wiretape"), "replay", "-q", "--recordings", str(recordings)]
    bare = [sys.executable, "-m", "benchmarks.origin", str(state), ""]
    with process.on(cores.measured):
        others, reasons = rivals.start(stack, folder)
        limit = stack.enter_context(process.serving(bare, env, process.ROOT, log))
        replayer = stack.enter_context(process.serving(replay, env, state, log))
    path = f"/{workload.HOST}{workload.PATH}"
    contestants = {
        **others,
        LIMIT: Rival(Place(limit.port, plain=True), limit, _loads(path, is_limit=True)),
        REPLAY: Rival(Place(replayer.port, plain=True), replayer, _loads(path, is_limit=False)),
    }
    return contestants, reasons


def _measure(rounds: Rounds, what: str, name: str, who: Rival, seconds: float) -> None:
    before = who.server.cpu()
    done = client.compared(who.place, who.loads[what], _CONNECTIONS, seconds)
    after = who.server.cpu()
    rounds.add(f"{what}: answers", name, done.rate)
    if before is not None and after is not None:
        rounds.add(f"{what}: CPU per answer", name, (after - before) / done.count * 1000)


def _measures(rounds: Rounds, names: tuple[str, ...]) -> Iterator[Measure]:
    others = [(name, None) for name in names if name not in (LIMIT, REPLAY)]
    for what, goal in _GOALS.items():
        yield rounds.measure(f"{what}: answers", "1/s", names, [*others, (LIMIT, None)])
        yield rounds.measure(f"{what}: CPU per answer", "ms", names, [*others, (LIMIT, goal)])

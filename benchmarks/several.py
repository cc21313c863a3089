"""`wiretape replay --workers 2` against one process: what an answer costs, and how many two give.

What an answer costs is measured with all servers on one core, and the clients on another. How many
answers two processes give depends on the cores that are free for them: with fewer than
`ENOUGH_CORES` what two processes of bare aiohttp give, in the same rounds, is the limit.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from queue import Empty
from typing import Any, Final

from . import client, paced, process, replaying, workload
from .client import Load, Place
from .outcome import Goal, Measure, Rounds, Section
from .process import Server
from .replaying import Effort

ONE: Final = "one process"
TWO: Final = "two"
CONTESTANTS: Final = (ONE, TWO)
ENOUGH_CORES: Final = 4
"""Two clients and two servers are busy at the same time."""

_SMALL: Final = "small JSON"
_IN_TURN: Final = "in turn, small JSON"
_LARGE: Final = "100 kB JSON"
_BARE: Final = "bare aiohttp, small JSON"
_LOADS: Final = (_SMALL, _IN_TURN, _LARGE, _BARE)
_CLIENTS: Final = 2
_CONNECTIONS: Final = 16
_RECORDINGS: Final = 1000
_SECONDS: Final = 0.25
_PATIENCE: Final = 60.0
_PACED: Final = paced.Load("1,000 paced streams", 1000, 4, 0.25)
_PACED_ROUNDS: Final = 2

type _Servers = dict[tuple[bool, str], Server]
"""By whether it is bare aiohttp, and the contestant's name."""


def section(effort: Effort, folder: Path, cores: process.Cores) -> Section:
    """Measure; what is written goes to `folder`."""
    rounds, count = Rounds(), _cores()
    replaying.write_recordings(folder / "several", _RECORDINGS)
    for measured, rest, what in ((cores.measured, cores.rest, "CPU"), (None, None, "answers")):
        with ExitStack() as stack:
            with process.on(measured):
                servers = _start(stack, folder)
            with process.on(rest):
                for number in range(effort.rounds + 1):
                    for load in _LOADS:
                        for name in CONTESTANTS:
                            server = servers[load == _BARE, name]
                            _measure(rounds if number else Rounds(), load, name, server, what)
    with process.on(cores.rest), paced.many_files():
        _measure_paced(rounds, folder, cores)
    return Section(
        "Several processes (base URL, plain HTTP)",
        CONTESTANTS,
        tuple(_measures(rounds, count)),
        tuple(_notes(rounds, count)),
    )


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _start(stack: ExitStack, folder: Path) -> _Servers:
    state = folder / "several-state"
    state.mkdir(exist_ok=True)
    env, log = process.environment(state), folder / "several.log"
    replay = [process.script("wiretape"), "replay", "-q", "--recordings", str(folder / "several")]
    origin = [sys.executable, "-m", "benchmarks.origin", str(state), ""]
    commands = {
        (False, ONE): replay,
        (False, TWO): [*replay, "--workers", "2"],
        (True, ONE): origin,
        (True, TWO): [*origin, "--twice"],
    }
    return {
        which: stack.enter_context(process.serving(command, env, process.ROOT, log))
        for which, command in commands.items()
    }


def _measure(rounds: Rounds, load: str, name: str, server: Server, what: str) -> None:
    place, before = Place(server.port, plain=True), server.cpu()
    loads = _at_once(place, load)
    after = server.cpu()
    if what == "answers":
        rounds.add(f"{load}: answers", name, sum(load.rate for load in loads))
    elif before is not None and after is not None:
        total = sum(load.count for load in loads)
        rounds.add(f"{load}: CPU per answer", name, (after - before) / total * 1000)


def _at_once(place: Place, load: str) -> list[Load]:
    fork = multiprocessing.get_context("fork")
    results: Any = fork.Queue()

    def ask(number: int) -> None:
        questions = _questions(load, number)
        results.put(client.compared(place, questions, _CONNECTIONS, _SECONDS))

    clients = [fork.Process(target=ask, args=(number,)) for number in range(_CLIENTS)]
    for each in clients:
        each.start()
    try:
        loads = [results.get(timeout=_PATIENCE) for _ in clients]
    except Empty:
        raise client.Unexpected("a client of several failed") from None
    finally:
        for each in clients:
            each.join()
    return loads


def _questions(load: str, client_number: int) -> Iterator[tuple[bytes, bytes]]:
    """The requests of a client, over and over, and what answers them."""
    path = workload.PATH if load == _BARE else f"/{workload.HOST}{workload.PATH}"
    numbers = range(client_number, _RECORDINGS, _CLIENTS) if load == _IN_TURN else (0,)
    answers = {number: workload.answer(number) for number in numbers}
    if load == _LARGE:
        answers = {workload.LARGE: workload.large_answer()}
    elif load == _BARE:
        answers = {0: workload.answer(1)}
    return cycle(
        [
            (workload.request(number, stream=False, path=path, authority="127.0.0.1"), answer)
            for number, answer in answers.items()
        ]
    )


def _measure_paced(rounds: Rounds, folder: Path, cores: process.Cores) -> None:
    env, log = process.environment(folder / "several-state"), folder / "several.log"
    replay = paced.replay_of(_PACED, folder)
    with ExitStack() as stack:
        with process.on(cores.measured):
            servers = {
                name: stack.enter_context(process.serving(command, env, process.ROOT, log))
                for name, command in ((ONE, replay), (TWO, [*replay, "--workers", "2"]))
            }
        for number in range(_PACED_ROUNDS):
            for name, server in servers.items():
                paced.measure(rounds, _PACED, name, server, is_first=number == 0)


def _measures(rounds: Rounds, count: int) -> Iterator[Measure]:
    gain = Goal(1.8, at_least=True) if count >= ENOUGH_CORES else None
    for load in _LOADS:
        goal = gain if load == _SMALL else None
        yield rounds.measure(f"{load}: answers", "1/s", CONTESTANTS, [(ONE, goal)])
        cost = Goal(1.1) if load in (_SMALL, _IN_TURN) else None
        yield rounds.measure(f"{load}: CPU per answer", "ms", CONTESTANTS, [(ONE, cost)])
    name = _PACED.name
    yield rounds.measure(f"{name}: CPU per chunk", "ms", CONTESTANTS, [(ONE, None)])
    yield rounds.measure(f"{name}: lateness, p50", "ms", CONTESTANTS, [(ONE, None)])


def _notes(rounds: Rounds, count: int) -> Iterator[str]:
    yield (
        f"{_CLIENTS} clients with {_CONNECTIONS} connections each, in processes of their own; two:"
        f" `--workers 2`, and two processes of bare aiohttp; in turn: {_RECORDINGS:,} recordings"
    )
    yield "CPU: all servers on one core, the clients on another; answers: on all cores"
    bare = rounds.ratio(f"{_BARE}: answers", TWO, ONE)
    if count < ENOUGH_CORES:
        yield (
            f"{count} cores, which the clients keep busy too: from {ENOUGH_CORES} on 1.8 times the"
            f" answers of one process are a goal. Here two processes of bare aiohttp gave {bare}"
        )

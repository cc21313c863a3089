"""`wiretape replay --workers 2` against one: what two processes answer together."""

import multiprocessing
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path
from queue import Empty
from typing import Any, Final

from . import client, process, replaying, workload
from .client import Load, Place
from .outcome import Goal, Measure, Rounds, Section
from .process import Server
from .replaying import Effort

ONE: Final = "one process"
TWO: Final = "--workers 2"
CONTESTANTS: Final = (ONE, TWO)
_CLIENTS: Final = 2
_CONNECTIONS: Final = 16
_LARGE: Final = "100 kB JSON"
_SMALL: Final = "small JSON"
_PATIENCE: Final = 60.0


def section(effort: Effort, folder: Path) -> Section:
    """Measure; what is written goes to `folder`."""
    rounds, recordings, state = Rounds(), folder / "several", folder / "several-state"
    state.mkdir()
    replaying.write_recordings(recordings, 1)
    env, log = process.environment(state), folder / "several.log"
    replay = [process.script("wiretape"), "replay", "-q", "--recordings", str(recordings)]
    with ExitStack() as stack:
        commands = {ONE: replay, TWO: [*replay, "--workers", "2"]}
        servers = {
            name: stack.enter_context(process.serving(command, env, state, log))
            for name, command in commands.items()
        }
        for number in range(effort.rounds + 1):
            for what in (_SMALL, _LARGE):
                for name, server in servers.items():
                    _measure(rounds if number else Rounds(), what, name, server, effort.seconds)
    return Section(
        "Several processes (base URL, plain HTTP)",
        CONTESTANTS,
        tuple(_measures(rounds)),
        (
            f"{_CLIENTS} clients with {_CONNECTIONS} connections each, in processes of their own;"
            " they and the servers share all cores, so the gain is less than where the load comes"
            " from elsewhere",
        ),
    )


def _measure(rounds: Rounds, what: str, name: str, server: Server, seconds: float) -> None:
    number = workload.LARGE if what == _LARGE else 0
    path = f"/{workload.HOST}{workload.PATH}"
    request = workload.request(number, stream=False, path=path, authority="127.0.0.1")
    body = workload.large_answer() if what == _LARGE else workload.answer(0)
    before = server.cpu()
    loads = _at_once(Place(server.port, plain=True), request, body, seconds)
    after = server.cpu()
    rounds.add(f"{what}: answers", name, sum(load.rate for load in loads))
    if before is not None and after is not None:
        total = sum(load.count for load in loads)
        rounds.add(f"{what}: CPU per answer", name, (after - before) / total * 1000)


def _at_once(place: Place, request: bytes, body: bytes, seconds: float) -> list[Load]:
    fork = multiprocessing.get_context("fork")
    results: Any = fork.Queue()

    def ask() -> None:
        results.put(client.compared(place, repeat((request, body)), _CONNECTIONS, seconds))

    clients = [fork.Process(target=ask) for _ in range(_CLIENTS)]
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


def _measures(rounds: Rounds) -> Iterator[Measure]:
    for what, goal in ((_SMALL, Goal(1.8, at_least=True)), (_LARGE, None)):
        yield rounds.measure(f"{what}: answers", "1/s", CONTESTANTS, [(ONE, goal)])
        yield rounds.measure(f"{what}: CPU per answer", "ms", CONTESTANTS, [(ONE, None)])

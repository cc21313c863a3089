"""Replay through HTTPS_PROXY: a mitmdump that answers from memory, `wiretape replay`, and, reached
directly, a bare aiohttp server: the limit.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle, repeat
from pathlib import Path
from typing import Final

from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange
from wiretape.tls.authority import Authority

from . import client, process, workload
from .client import Load, Place
from .outcome import Goal, Measure, Rounds, Section
from .process import Server

MITMDUMP: Final = "mitmdump"
LIMIT: Final = "bare aiohttp"
REPLAY: Final = "wiretape replay"
CONTESTANTS: Final = (MITMDUMP, LIMIT, REPLAY)

_CONNECTIONS: Final = 16
_STREAMS: Final = 4
_CLIENTS: Final = 4
_MOST: Final = 40_000
_FULL: Final = 0.9
"""The share of a core from which on a server counts as kept busy."""


@dataclass(frozen=True)
class Effort:
    """How much to measure; `seconds` is how long each load lasts."""

    rounds: int
    seconds: float


QUICK: Final = Effort(rounds=2, seconds=0.3)
FULL: Final = Effort(rounds=5, seconds=0.5)


@dataclass(frozen=True)
class _Contestant:
    place: Place
    server: Server
    questions: Iterator[bytes]
    """Different ones, in turn: where a round ends the next one goes on."""


def write_recordings(folder: Path, count: int) -> None:
    """Write `count` recordings of small JSON answers, one of a large one and one of a stream."""
    folder = folder / workload.HOST / "v1-chat-completions"
    folder.mkdir(parents=True)
    for number in range(count):
        response = Response(
            200,
            (("content-type", "application/json"),),
            (Chunk(workload.answer(number), 0.2),),
        )
        _write(folder / f"json-{number:04}.json", number, response, stream=False)
    json_headers = (("content-type", "application/json"),)
    large = Response(200, json_headers, (Chunk(workload.large_answer(), 0.2),))
    _write(folder / "large.json", workload.LARGE, large, stream=False)
    chunks = tuple(
        Chunk(workload.chunk(number), 0.2 + number / 50) for number in range(workload.CHUNKS)
    )
    headers = (("content-type", "text/event-stream"),)
    _write(folder / "stream.json", 0, Response(200, headers, chunks, streaming=True), stream=True)


def write_one(
    recordings: Path, name: str, number: int, response: Response, *, stream: bool
) -> None:
    """Write the recording of one question below a folder."""
    folder = recordings / workload.HOST / "v1-chat-completions"
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / f"{name}.json", number, response, stream=stream)


def _write(path: Path, number: int, response: Response, *, stream: bool) -> None:
    request = Request(
        "POST",
        "https",
        workload.HOST,
        443,
        workload.PATH,
        headers=(("accept", "application/json"), ("content-type", "application/json")),
        body=workload.question(number, stream=stream),
    )
    document = from_exchange(Exchange(request, response, "2026-11-20T17:30:00Z"))
    path.write_text(recording_format.dumps(document), encoding="utf-8")


def section(effort: Effort, folder: Path, cores: process.Cores) -> Section:
    """Measure; what is written goes to `folder`."""
    rounds = Rounds()
    with ExitStack() as stack:
        contestants = _start(stack, folder, cores)
        with process.on(cores.rest):
            for contestant in contestants.values():
                for load in LOADS.values():
                    load(contestant, 0.1)
            for _ in range(effort.rounds):
                for name, contestant in contestants.items():
                    for what, load in LOADS.items():
                        _measure(rounds, what, load, name, contestant, effort.seconds)
    return Section(
        "Replay through HTTPS_PROXY (CONNECT, TLS)",
        CONTESTANTS,
        tuple(_measures(rounds)),
        (
            f"kept alive: {_CONNECTIONS} connections that ask one question; never the same twice:"
            f" {workload.QUESTIONS} questions and recordings in turn, more than any cache holds;"
            f" new: {_CLIENTS} clients, a TLS connection a request; stream: {workload.CHUNKS}"
            f" chunks, {_STREAMS} connections",
            "bare aiohttp is reached directly, without CONNECT, and looks nothing up;"
            " mitmdump sends the 200 chunks as one block, for an addon's answer goes out no other"
            " way",
            *_idle(rounds),
        ),
    )


type _Load = Callable[[_Contestant, float], Load]
_ONE: Final = workload.request(0, stream=False)
_STREAM: Final = workload.request(0, stream=True)
_DIFFERENT: Final = "JSON, never the same twice"


def _kept_alive(who: _Contestant, seconds: float) -> Load:
    return client.kept_alive(who.place, repeat(_ONE), _CONNECTIONS, seconds, _MOST)


def _different(who: _Contestant, seconds: float) -> Load:
    return client.kept_alive(who.place, who.questions, _CONNECTIONS, seconds, _MOST)


def _anew(who: _Contestant, seconds: float) -> Load:
    return client.anew(who.place, repeat(_ONE), _CLIENTS, seconds, _MOST)


def _streams(who: _Contestant, seconds: float) -> Load:
    return client.kept_alive(who.place, repeat(_STREAM), _STREAMS, seconds, _MOST)


LOADS: Final[dict[str, _Load]] = {
    "JSON, kept alive": _kept_alive,
    _DIFFERENT: _different,
    "JSON, new connections": _anew,
    f"stream of {workload.CHUNKS} chunks": _streams,
}


_GOALS: Final[dict[str, tuple[Goal | None, Goal | None]]] = dict(
    zip(
        LOADS,
        (
            (Goal(1 / 12), Goal(1 / 0.9)),
            (None, None),
            (Goal(1 / 5), Goal(1 / 0.95)),
            (Goal(1 / 5), Goal(1 / 0.7)),
        ),
        strict=True,
    )
)
"""At most so many times the CPU of mitmdump and of the limit."""


def _start(stack: ExitStack, folder: Path, cores: process.Cores) -> dict[str, _Contestant]:
    state, recordings = folder / "state", folder / "replayed"
    state.mkdir(exist_ok=True)
    Authority.load_or_create(state)
    write_recordings(recordings, workload.QUESTIONS)
    env = process.environment(state)
    log = folder / "replaying.log"
    script = str(Path(__file__).with_name("shortcircuit.py"))
    lazy = ("--set", "connection_strategy=lazy")
    replay = [process.script("wiretape"), "replay", "-q", "--recordings", str(recordings)]
    with process.on(cores.measured):
        dump = stack.enter_context(process.mitmdump(state, log, env, *lazy, "-s", script))
        limit = stack.enter_context(process.origin(state, log, env))
        replayer = stack.enter_context(process.serving(replay, env, state, log))
    through = f"{workload.HOST}:443"
    many = [workload.request(number, stream=False) for number in range(workload.QUESTIONS)]
    return {
        MITMDUMP: _Contestant(Place(dump.port, through), dump, cycle(many)),
        LIMIT: _Contestant(Place(limit.port), limit, cycle(many)),
        REPLAY: _Contestant(Place(replayer.port, through), replayer, cycle(many)),
    }


def _measure(
    rounds: Rounds, what: str, load: _Load, name: str, who: _Contestant, seconds: float
) -> None:
    before = who.server.cpu()
    done = load(who, seconds)
    after = who.server.cpu()
    rounds.add(_rate(what), name, done.rate)
    if before is not None and after is not None:
        rounds.add(_cpu(what), name, (after - before) / done.count * 1000)
        rounds.add(_busy(what), name, (after - before) / done.seconds)


def _rate(what: str) -> str:
    return f"{what}: answers"


def _cpu(what: str) -> str:
    return f"{what}: CPU per answer"


def _busy(what: str) -> str:
    return f"{what}: share of a core"


def _measures(rounds: Rounds) -> Iterator[Measure]:
    for what, (most, more) in _GOALS.items():
        yield rounds.measure(_rate(what), "1/s", CONTESTANTS, [(MITMDUMP, None), (LIMIT, None)])
        yield rounds.measure(_cpu(what), "ms", CONTESTANTS, [(MITMDUMP, most), (LIMIT, more)])


def _idle(rounds: Rounds) -> Iterator[str]:
    """What the load did not keep busy: then the rates are not the servers' own."""
    for what in LOADS:
        shares = {name: rounds.median(_busy(what), name) for name in CONTESTANTS}
        idle = [f"{name} {share:.0%}" for name, share in shares.items() if share and share < _FULL]
        if idle:
            yield (
                f"{what}: not kept busy: {', '.join(idle)} of a core. Other work ran on these"
                " cores: go by the CPU"
            )

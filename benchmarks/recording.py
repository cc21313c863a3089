"""Recording: a direct connection, bare mitmdump, mitmdump with a tee, and `wiretape record`."""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from wiretape.tls.authority import Authority

from . import client, process, workload
from .client import Place
from .outcome import Goal, Measure, Rounds, Section
from .process import Server

DIRECT: Final = "direct"
BARE: Final = "mitmdump"
TEE: Final = "mitmdump tee"
RECORD: Final = "wiretape record"
CONTESTANTS: Final = (DIRECT, BARE, TEE, RECORD)

CHUNK_DELAY_MS: Final = 2.0
_CONNECTIONS: Final = 8
_CLIENTS: Final = 4
_MOST: Final = 2000
_DRAIN_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Effort:
    """How much to measure."""

    rounds: int
    streams: int
    asked: int
    """Requests asked one at a time."""
    seconds: float
    """How long each load lasts."""
    burst: int
    """Exchanges that finish while a stream goes on."""


QUICK: Final = Effort(rounds=2, streams=2, asked=30, seconds=0.3, burst=100)
FULL: Final = Effort(rounds=3, streams=3, asked=40, seconds=0.7, burst=1000)


class _Contestant:
    """A way to the provider, and what its proxy has used by now."""

    def __init__(self, place: Place, server: Server | None, recordings: Path | None = None) -> None:
        self.place: Final = place
        self._server = server
        self._recordings = recordings
        self._asked = 0

    def requests(self, *, stream: bool) -> Iterator[bytes]:
        """Requests none of which is like another: a recorder must not get away with one file."""
        while True:
            self._asked += 1
            yield workload.request(self._asked, stream=stream, authority=self.place.authority)

    def cpu(self) -> float | None:
        """CPU seconds used by now, for all that was asked: for what is not on disk yet it waits."""
        if self._recordings is not None:
            self._drain(self._recordings)
        return self._server.cpu() if self._server else None

    def _drain(self, recordings: Path) -> None:
        # There is no event to wait for: a recorder that is done says nothing.
        deadline = time.monotonic() + _DRAIN_SECONDS
        while (written := sum(1 for _ in recordings.rglob("*.json"))) < self._asked:
            if time.monotonic() > deadline:
                raise client.Unexpected(f"{self._asked} exchanges, but {written} recordings")
            time.sleep(0.02)


def section(effort: Effort, folder: Path, cores: process.Cores) -> Section:
    """Measure; what is written goes to `folder`."""
    rounds = Rounds()
    with ExitStack() as stack:
        contestants = _start(stack, folder, cores)
        for contestant in contestants.values():
            client.one_at_a_time(contestant.place, contestant.requests(stream=False), 5)
        with process.on(cores.rest):
            for _ in range(effort.rounds):
                for name, contestant in contestants.items():
                    _round(rounds, name, contestant, effort)
            for name in (DIRECT, TEE, RECORD):
                _burst(rounds, name, contestants[name], effort.burst)
            more, tee = (rounds.values[_BURST, name][0] for name in (RECORD, TEE))
            rounds.add(_BURST_MORE, RECORD, max(more - tee, 0.0))
    return Section(
        "Recording",
        CONTESTANTS,
        tuple(_measures(rounds)),
        (
            f"streams: {workload.CHUNKS} chunks, one every {CHUNK_DELAY_MS:g} ms, one stream right"
            " after the other over a kept connection; delay: from the provider's write to the"
            " client's read; bare mitmdump holds a stream back until it is whole",
            f"kept alive: {_CONNECTIONS} connections; new: {_CLIENTS} clients, a TLS connection a"
            " request; the tee keeps nothing, wiretape's CPU includes redaction and the file on"
            " disk",
            f"burst: {effort.burst} small exchanges at full speed while the streams go on",
        ),
    )


def _start(stack: ExitStack, folder: Path, cores: process.Cores) -> dict[str, _Contestant]:
    state, provider, recordings = folder / "state", folder / "provider", folder / "recorded"
    for path in (state, provider, recordings):
        path.mkdir(exist_ok=True)
    Authority.load_or_create(state)
    ca = Authority.load_or_create(provider).cert_path
    env = process.environment(state)
    log = folder / "recording.log"
    with process.on(cores.rest):
        upstream = stack.enter_context(
            process.origin(provider, log, env, "127.0.0.1", CHUNK_DELAY_MS)
        )
    trust = ("--set", f"ssl_verify_upstream_trusted_ca={ca}")
    tee = str(Path(__file__).with_name("tee.py"))
    record = [
        *(process.script("wiretape"), "record", "-q", "--recordings", str(recordings)),
        *("--map", f"{workload.HOST}=https://127.0.0.1:{upstream.port}"),
        *("--upstream-ca", str(ca)),
    ]
    with process.on(cores.measured):
        bare = stack.enter_context(process.mitmdump(state, log, env, *trust))
        teed = stack.enter_context(process.mitmdump(state, log, env, *trust, "-s", tee))
        recorder = stack.enter_context(process.serving(record, env, state, log))
    through = f"127.0.0.1:{upstream.port}"
    return {
        DIRECT: _Contestant(Place(upstream.port), None),
        BARE: _Contestant(Place(bare.port, through), bare),
        TEE: _Contestant(Place(teed.port, through), teed),
        RECORD: _Contestant(Place(recorder.port, f"{workload.HOST}:443"), recorder, recordings),
    }


_FIRST: Final = "stream: time to first chunk"
_P50: Final = "stream: delay per chunk, p50"
_P99: Final = "stream: delay per chunk, p99"
_STREAM_CPU: Final = "stream: CPU per exchange"
_TIME: Final = "JSON: time of one, p50"
_RATE: Final = "JSON, kept alive: exchanges"
_CPU: Final = "JSON, kept alive: CPU per exchange"
_NEW_RATE: Final = "JSON, new connections: exchanges"
_NEW_CPU: Final = "JSON, new connections: CPU per exchange"


_BURST: Final = "stream beside a burst: delay per chunk, p99"
_BURST_MORE: Final = "stream beside a burst: more than the tee's, p99"


def _burst(rounds: Rounds, name: str, contestant: _Contestant, count: int) -> None:
    """Read streams while a process of its own asks for `count` small answers."""
    asked = contestant.requests(stream=False)
    requests = [next(asked) for _ in range(count)]
    load = multiprocessing.get_context("fork").Process(
        target=client.kept_alive,
        args=(contestant.place, iter(requests), _CONNECTIONS, 60.0, count - _CONNECTIONS),
    )
    delays: list[float] = []
    streams = contestant.requests(stream=True)
    with client.Connection(contestant.place) as connection:
        load.start()
        while load.is_alive():
            delays += connection.stream(next(streams))[1]
        load.join()
    if load.exitcode:
        raise client.Unexpected(f"{name}: the load of the burst failed")
    rounds.add(_BURST, name, quantiles(delays, n=100)[98] * 1000)


def _round(rounds: Rounds, name: str, contestant: _Contestant, effort: Effort) -> None:
    place = contestant.place
    before = contestant.cpu()
    firsts: list[float] = []
    delays: list[float] = []
    streams = contestant.requests(stream=True)
    with client.Connection(place) as connection:
        for _ in range(effort.streams):
            first, each = connection.stream(next(streams))
            firsts.append(first)
            delays += each
    rounds.add(_STREAM_CPU, name, _each(contestant, before, effort.streams))
    rounds.add(_FIRST, name, median(firsts) * 1000)
    rounds.add(_P50, name, median(delays) * 1000)
    rounds.add(_P99, name, quantiles(delays, n=100)[98] * 1000)

    asked = contestant.requests(stream=False)
    rounds.add(_TIME, name, median(client.one_at_a_time(place, asked, effort.asked)) * 1000)

    before = contestant.cpu()
    load = client.kept_alive(place, asked, _CONNECTIONS, effort.seconds, _MOST)
    rounds.add(_RATE, name, load.rate)
    rounds.add(_CPU, name, _each(contestant, before, load.count))

    before = contestant.cpu()
    load = client.anew(place, asked, _CLIENTS, effort.seconds, _MOST)
    rounds.add(_NEW_RATE, name, load.rate)
    rounds.add(_NEW_CPU, name, _each(contestant, before, load.count))


def _each(contestant: _Contestant, before: float | None, count: int) -> float | None:
    """Milliseconds of CPU an exchange."""
    after = contestant.cpu()
    return None if before is None or after is None else (after - before) / count * 1000


def _measures(rounds: Rounds) -> Iterator[Measure]:
    # No more, give or take the tenth by which two measurements of one thing differ.
    no_more = Goal(1.1)
    for name in (_FIRST, _P50):
        yield rounds.measure(name, "ms", CONTESTANTS, [(DIRECT, None), (TEE, no_more)])
    # The slowest hundredth is the system's scheduler's as much as anybody's: no goal.
    yield rounds.measure(_P99, "ms", CONTESTANTS, [(DIRECT, None), (TEE, None)])
    yield rounds.measure(_STREAM_CPU, "ms", CONTESTANTS, [(TEE, Goal(1.2))])
    yield rounds.measure(_TIME, "ms", CONTESTANTS, [(DIRECT, None), (TEE, no_more)])
    for rate, cpu, goal in ((_RATE, _CPU, Goal(1.3)), (_NEW_RATE, _NEW_CPU, no_more)):
        yield rounds.measure(rate, "1/s", CONTESTANTS, [(DIRECT, None), (TEE, None)])
        yield rounds.measure(cpu, "ms", CONTESTANTS, [(TEE, goal)])
    yield rounds.measure(_BURST, "ms", CONTESTANTS, [(TEE, None)])
    yield rounds.measure(_BURST_MORE, "ms", CONTESTANTS, goal=Goal(5))

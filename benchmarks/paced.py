"""Many streams at once, each chunk at its time: how late chunks are, and what a stream costs.

`wiretape replay --pace recorded` against a bare aiohttp server that sleeps and writes. One client
has all connections; a chunk's lateness counts from its request and the time it was recorded at.
"""

import resource
import selectors
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Final

from wiretape.core.model import Chunk, Response

from . import client, process, replaying, workload
from .client import Connection, Place, Unexpected
from .origin import FIRST_SECONDS
from .outcome import Goal, Measure, Rounds, Section
from .process import Server

LIMIT: Final = "bare aiohttp"
REPLAY: Final = "wiretape replay"
CONTESTANTS: Final = (LIMIT, REPLAY)
_TIMEOUT: Final = 60.0
_READ: Final = 64 * 1024
_WARM: Final = 0.7
_ROUNDS: Final = 3
"""One alone is as noisy as the machine is."""


@dataclass(frozen=True)
class Load:
    """So many streams at once, each of some chunks."""

    name: str
    streams: int
    chunks: int
    seconds: float
    """Between two chunks."""
    is_tls: bool = False
    gap: float = 0.001
    """Seconds between the beginnings of two streams."""

    @property
    def number(self) -> int:
        """The number of its question."""
        return 700_000_000 + self.chunks * 1000 + round(self.seconds * 100)


FULL: Final = (
    Load("1,000 streams", 1000, 8, 0.25),
    Load("5,000 streams", 5000, 6, 1.0, gap=0.0008),
    Load("1,000 streams, TLS", 1000, 5, 0.5, is_tls=True),
)
QUICK: Final = (Load("200 streams", 200, 6, 0.25),)


def section(loads: tuple[Load, ...], folder: Path, cores: process.Cores) -> Section:
    """Measure; what is written goes to `folder`."""
    rounds = Rounds()
    with many_files(), process.on(cores.rest):
        for load in loads:
            with ExitStack() as stack, process.on(cores.measured):
                servers = {name: _start(stack, load, name, folder) for name in CONTESTANTS}
                with process.on(cores.rest):
                    for number in range(_ROUNDS):
                        for name, server in servers.items():
                            measure(rounds, load, name, server, is_first=number == 0)
    return Section(
        "Paced streams",
        CONTESTANTS,
        tuple(measure for load in loads for measure in _measures(rounds, load)),
        (
            "each chunk at its time; lateness: from the time at which a chunk was due to the"
            " client's read of it; client and server have a core each, and one client reads all",
            *(
                f"{load.name}: {load.chunks} chunks, one every {load.seconds * 1000:g} ms; a stream"
                f" begins every {load.gap * 1000:g} ms"
                for load in loads
            ),
            f"medians of {_ROUNDS} rounds, each ratio with its lowest and highest",
            "memory: what the server has more while all streams are open, by their number",
        ),
    )


@contextmanager
def many_files() -> Iterator[None]:
    """Allow this process, and what it starts meanwhile, all files that it may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _measures(rounds: Rounds, load: Load) -> Iterator[Measure]:
    within = [(LIMIT, Goal(1.1))]
    yield rounds.measure(f"{load.name}: lateness, p50", "ms", CONTESTANTS, [(LIMIT, None)])
    yield rounds.measure(f"{load.name}: lateness, p99", "ms", CONTESTANTS, within)
    yield rounds.measure(f"{load.name}: CPU per chunk", "ms", CONTESTANTS, [(LIMIT, None)])
    goal = Goal(50) if load.is_tls else None
    yield rounds.measure(f"{load.name}: memory per stream", "kB", CONTESTANTS, [], goal)


def measure(
    rounds: Rounds, load: Load, name: str, server: Server, *, is_first: bool = False
) -> None:
    """Measure one round of a server, as contestant `name`; of the first one also memory."""
    tunnel = f"{workload.HOST}:443" if load.is_tls and name != LIMIT else None
    place = Place(server.port, tunnel, plain=not load.is_tls)
    is_base_url = name != LIMIT and not load.is_tls
    path = f"/{workload.HOST}{workload.PATH}" if is_base_url else workload.PATH
    authority = workload.HOST if load.is_tls else "127.0.0.1"
    request = workload.request(load.number, stream=True, path=path, authority=authority)
    if is_first:
        Connection(place).detached().close()
        time.sleep(_WARM)  # what serves is imported with the first connection
    before, memory = server.cpu(), server.memory()
    result = _play(place, request, load, server)
    after = server.cpu()
    percentiles = quantiles(result.lateness, n=100)
    rounds.add(f"{load.name}: lateness, p50", name, percentiles[49] * 1000)
    rounds.add(f"{load.name}: lateness, p99", name, percentiles[98] * 1000)
    if before is not None and after is not None:
        each = (after - before) / len(result.lateness) * 1000
        rounds.add(f"{load.name}: CPU per chunk", name, each)
    if is_first and memory is not None and result.memory is not None:
        used = (result.memory - memory) / load.streams / 1000
        rounds.add(f"{load.name}: memory per stream", name, max(used, 0.0))


def _start(stack: ExitStack, load: Load, name: str, folder: Path) -> Server:
    state = folder / "paced-state"
    state.mkdir(exist_ok=True)
    env, log = process.environment(state), folder / "paced.log"
    if name == LIMIT:
        host = workload.HOST if load.is_tls else ""
        command = [
            *(sys.executable, "-m", "benchmarks.origin", str(state), host),
            *("--delay", str(load.seconds * 1000), "--paced", str(load.chunks)),
        ]
        return stack.enter_context(process.serving(command, env, process.ROOT, log))
    return stack.enter_context(process.serving(replay_of(load, folder), env, state, log))


def replay_of(load: Load, folder: Path) -> list[str]:
    """The command that replays a load's recording, which is written below `folder`."""
    recordings = folder / f"paced-{load.number}"
    if not recordings.exists():
        chunks = tuple(
            Chunk(workload.paced_chunk(number, load.chunks), FIRST_SECONDS + number * load.seconds)
            for number in range(load.chunks)
        )
        headers = (("content-type", "text/event-stream"),)
        response = Response(200, headers, chunks, streaming=True)
        replaying.write_one(recordings, "paced", load.number, response, stream=True)
    replay = [process.script("wiretape"), "replay", "-q", "--pace", "recorded"]
    return [*replay, "--recordings", str(recordings)]


# ------------------------------------------------------------------ the client


@dataclass
class _Played:
    lateness: list[float] = field(default_factory=list)
    """Seconds, one for each chunk."""
    memory: int | None = None
    """Bytes of the server while all streams were open."""


@dataclass(eq=False)
class _Stream:
    socket: socket.socket
    sent: float = 0.0
    data: bytearray = field(default_factory=bytearray)
    chunks: int = 0


def _play(place: Place, request: bytes, load: Load, server: Server) -> _Played:
    """Have all streams played, and compare each with its recording."""
    played, selector = _Played(), selectors.DefaultSelector()
    waiting = [_Stream(Connection(place).detached()) for _ in range(load.streams)]
    _settle(server)
    begin = time.perf_counter()
    expected = workload.framed(
        workload.paced_chunk(number, load.chunks) for number in range(load.chunks)
    )
    is_open, started = 0, 0
    while started < len(waiting) or is_open:
        now = time.perf_counter()
        while started < len(waiting) and now >= begin + started * load.gap:
            stream = waiting[started]
            stream.socket.sendall(request)
            stream.sent = time.perf_counter()
            stream.socket.setblocking(False)
            selector.register(stream.socket, selectors.EVENT_READ, stream)
            started, is_open = started + 1, is_open + 1
            if started == len(waiting):
                played.memory = server.memory()
        if now > begin + _TIMEOUT:
            raise TimeoutError(f"{load.name}: {is_open} streams are not over")
        for key, _ in selector.select(load.gap if started < len(waiting) else 1.0):
            if _read(key.data, load, played):
                selector.unregister(key.fileobj)
                _compare(key.data, expected)
                is_open -= 1
    return played


def _settle(server: Server) -> None:
    """Wait until a server has accepted all connections: until it rests."""
    for _ in range(50):
        before = server.cpu()
        time.sleep(0.1)
        after = server.cpu()
        if before is None or after is None or after - before < 0.005:
            return


def _read(stream: _Stream, load: Load, played: _Played) -> bool:
    """Read what has come; gives whether the stream is over."""
    try:
        while part := stream.socket.recv(_READ):
            stream.data += part
            if len(part) < _READ and not isinstance(stream.socket, ssl.SSLSocket):
                break
        else:
            raise Unexpected("the connection was closed in the middle of a stream")
    except (BlockingIOError, ssl.SSLWantReadError):
        pass
    now = time.perf_counter()
    if not stream.data.startswith(b"HTTP/1.1 200"):
        raise Unexpected(repr(bytes(stream.data[:500])))
    came = stream.data.count(b"\n\n")
    for number in range(stream.chunks, came):
        due = stream.sent + FIRST_SECONDS + number * load.seconds
        played.lateness.append(max(now - due, 0.0))
    stream.chunks = came
    return stream.data.endswith(client.LAST_CHUNK)


def _compare(stream: _Stream, expected: bytes) -> None:
    head, _, body = bytes(stream.data).partition(b"\r\n\r\n")
    stream.socket.close()
    if body != expected:
        raise Unexpected(f"not the recorded stream: {head[:200]!r} {body[:300]!r}")

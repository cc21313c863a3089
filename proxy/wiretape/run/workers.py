"""Carry a replay by several processes that share its port; the report is one.

    the run ──fork──► nursery ──fork──► worker 1 … N      each listens on the port (SO_REUSEPORT)
       ▲                                   │
       └── a socket in a private folder ◄──┘              what it did, four times a second

The nursery is forked before the run has threads or an event loop: it forks a worker for each that
ends, which a process with threads could not do safely. Workers share their sequences by files in
the folder, so a killed one takes no session along; what it had not reported yet is lost, so the
run fails and its sessions are told.
"""

import asyncio
import json
import os
import pickle
import select
import signal
import socket
import struct
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NoReturn

from wiretape import descriptors
from wiretape.core.errors import ConfigError, WiretapeError, reason_of
from wiretape.report.report import Report
from wiretape.sessions.control import Control
from wiretape.tls.authority import Authority

from .event_loop import run_in_loop
from .settings import Crew, Settings
from .sharing import shared_log

_SECONDS: Final = 0.25
"""How often a worker reports, and how soon one that ended is replaced."""
_LATEST: Final = 100
"""Rows that a worker tells each time of a run that shows and writes none."""
_MOST_RESTARTS: Final = 100
_END_SECONDS: Final = 10.0
_LENGTH: Final = struct.Struct("!I")

type Serve = Callable[[Settings, Report, Authority], Any]
"""Makes the proxy of one worker."""


@contextmanager
def crew_of(settings: Settings, serve: Serve, *, all_rows: bool) -> Iterator[Settings]:
    """Fork the nursery of a run with workers; the settings then have their crew. `all_rows`:
    whether the run shows or writes the row of each exchange.
    """
    if settings.workers < 2:
        yield settings
        return
    if not hasattr(os, "fork") or not hasattr(socket, "SO_REUSEPORT"):
        raise ConfigError("--workers: this system cannot share a port between processes")
    with tempfile.TemporaryDirectory(prefix="wiretape-") as name:
        ours, theirs = socket.socketpair()
        settings = replace(settings, crew=Crew(settings.workers, Path(name), ours))
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            ours.close()
            latest = None if all_rows else _LATEST
            _leave(lambda: _Nursery(settings, theirs, serve, latest).run())
        theirs.close()
        try:
            yield settings
        finally:
            ours.close()
            os.waitpid(pid, 0)


def _leave(work: Callable[[], object]) -> NoReturn:
    """Work, and end the process without the exit handlers of who forked it."""
    status = 1
    try:
        work()
        status = 0
    except KeyboardInterrupt:
        pass
    except Exception:
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(status)


class _Nursery:
    """Keeps the workers of a run alive until its channel ends."""

    def __init__(
        self, settings: Settings, channel: socket.socket, serve: Serve, latest: int | None
    ) -> None:
        self._settings = settings
        self._channel = channel
        self._serve = serve
        self._latest = latest
        self._workers: set[int] = set()
        self._authority: Authority | None = None
        self._ports: tuple[int, int | None] = (0, None)

    def run(self) -> None:
        # A terminal's Ctrl-C reaches the whole group; the run says when its workers end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        data = self._channel.recv(64)
        if not data:
            return
        from wiretape.state_dir import state_dir

        self._ports = json.loads(data)
        self._authority = Authority.load_or_create(state_dir())
        restarts = 0
        while True:
            while len(self._workers) < self._settings.workers and restarts <= _MOST_RESTARTS:
                self._fork()
            ready, _, _ = select.select([self._channel], [], [], _SECONDS)
            if ready:
                break
            restarts += self._reap()
        self._end()

    def _fork(self) -> None:
        pid = os.fork()
        if pid == 0:
            self._channel.close()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            _leave(lambda: run_in_loop(self._work()))
        self._workers.add(pid)

    async def _work(self) -> None:
        descriptors.raise_limit()
        authority = self._authority
        assert authority is not None
        report = Report(self._settings.mode)
        worker = _Worker(self._settings, report, self._latest)
        await worker.run(lambda: self._serve(self._settings, report, authority), self._ports)

    def _reap(self) -> int:
        """Forget the workers that ended; gives their number."""
        ended = {pid for pid in self._workers if os.waitpid(pid, os.WNOHANG)[0]}
        self._workers -= ended
        return len(ended)

    def _end(self) -> None:
        """Wait for the workers, which the run has told to end or which see that it is gone."""
        for _ in range(int(_END_SECONDS / _SECONDS)):
            self._reap()
            if not self._workers:
                return
            select.select([], [], [], _SECONDS)
        for pid in self._workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


class _Worker:
    """One process of a crew: a proxy, and what it tells the run."""

    def __init__(self, settings: Settings, report: Report, latest: int | None) -> None:
        self._settings = settings
        self._report = report
        self._latest = latest

    async def run(self, serve: Callable[[], Any], ports: tuple[int, int | None]) -> None:
        """Serve until the run says stop, or is gone."""
        reader, writer = await asyncio.open_unix_connection(_socket_path(self._settings))
        try:
            proxy = serve()
            await proxy.start(*ports)
        except WiretapeError as error:
            _send(writer, "failed", str(error))
            await writer.drain()
            return
        _send(writer, "ready", proxy.host_keys())
        news = asyncio.create_task(self._tell(writer))
        while order := (await reader.readline()).strip():
            if order == b"drain":
                proxy.drain()
            elif order == b"idle":
                await proxy.idle()
                _send(writer, "idle", None)
            elif order == b"stop":
                break
        # An empty line: the run itself is gone.
        news.cancel()
        await proxy.stop()
        _send(writer, "bye", self._report.take_news(self._latest))
        with suppress(ConnectionError):
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    async def _tell(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(_SECONDS)
            _send(writer, "news", self._report.take_news(self._latest))
            await writer.drain()


def _socket_path(settings: Settings) -> str:
    assert settings.crew is not None
    return str(settings.crew.folder / "report.sock")


def _send(writer: asyncio.StreamWriter, kind: str, value: object) -> None:
    data = pickle.dumps((kind, value), protocol=pickle.HIGHEST_PROTOCOL)
    writer.write(_LENGTH.pack(len(data)) + data)


@dataclass(eq=False, slots=True)
class _Hand:
    """A worker as the run knows it."""

    number: int
    writer: asyncio.StreamWriter
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class WorkersProxy:
    """The proxy of a run that workers carry."""

    control: Control | None = None

    def __init__(self, settings: Settings, report: Report, authority: Authority) -> None:
        assert settings.crew is not None
        self._settings = settings
        self._crew = settings.crew
        self._report = report
        self.token = settings.token
        self._hands: set[_Hand] = set()
        self._ready = 0
        self._count = 0
        self._all_ready: asyncio.Future[None] | None = None
        self._is_ending = False
        self._reserved: list[socket.socket] = []

    async def start(self, port: int, base_url_port: int | None) -> tuple[int, int]:
        host = self._settings.config.host
        ports = [_reserve(self._reserved, host, port)]
        if base_url_port is not None:
            ports.append(_reserve(self._reserved, host, base_url_port))
        self._all_ready = asyncio.get_running_loop().create_future()
        await asyncio.start_unix_server(self._attend, _socket_path(self._settings))
        orders = [ports[0], ports[1] if base_url_port is not None else None]
        self._crew.channel.sendall(json.dumps(orders).encode())
        await self._all_ready
        return ports[0], ports[-1]

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._count += 1
        hand = _Hand(self._count, writer)
        self._hands.add(hand)
        try:
            while True:
                (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                # Only this user's processes reach the folder of the socket.
                kind, value = pickle.loads(await reader.readexactly(length))
                self._take(hand, kind, value)
                if kind in ("bye", "failed"):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            await self._lost(hand)
        finally:
            self._hands.discard(hand)
            hand.idle.set()
            hand.ended.set()
            writer.close()

    def _take(self, hand: _Hand, kind: str, value: Any) -> None:
        if kind in ("news", "bye"):
            self._report.absorb(value)
        elif kind == "idle":
            hand.idle.set()
        elif kind == "ready":
            self._settings.config.providers.add_host_keys(value)
            self._ready += 1
            if self._ready == self._crew.size:
                self._settle(None)
        elif kind == "failed":
            if self._ready >= self._crew.size:
                self._report.not_served(f"worker {hand.number} could not begin: {value}")
            self._settle(WiretapeError(value))

    def _settle(self, error: WiretapeError | None) -> None:
        if self._all_ready is not None and not self._all_ready.done():
            if error is None:
                self._all_ready.set_result(None)
            else:
                self._all_ready.set_exception(error)

    async def _lost(self, hand: _Hand) -> None:
        if self._is_ending:
            self._report.not_served(f"worker {hand.number} ended before it had reported all")
            return
        text = (
            f"worker {hand.number} ended unexpectedly and was replaced: answers under way were cut,"
            " and its last quarter of a second is missing from the report"
        )
        self._report.not_served(text)
        self._settle(WiretapeError("a worker ended before it was ready; -v shows more"))
        log = shared_log(self._settings)
        if log is not None:
            entry = [json.dumps(["problem", text])]
            while not (await log.append("", entry)).is_appended:
                pass
            await log.close()

    def drain(self) -> None:
        self._order(b"drain\n")

    async def idle(self) -> None:
        hands = self._order(b"idle\n")
        await asyncio.gather(*(hand.idle.wait() for hand in hands))

    async def stop(self) -> None:
        self._is_ending = True
        hands = self._order(b"stop\n")
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                await asyncio.gather(*(hand.ended.wait() for hand in hands))
        for reserved in self._reserved:
            reserved.close()

    def _order(self, line: bytes) -> list[_Hand]:
        hands = list(self._hands)
        for hand in hands:
            hand.writer.write(line)
        return hands


def _reserve(reserved: list[socket.socket], host: str, port: int) -> int:
    """Take a port (0: any free one) that workers may then share; WiretapeError if it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # Another program's workers would share theirs with ours.
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            port = int(probe.getsockname()[1])
        taken = socket.socket(family)
        # Connections of a server that was here before may still be closing.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind((host, port))
    except OSError as error:
        raise WiretapeError(
            f"port {port} on {host} cannot be used ({reason_of(error)}):"
            " choose another with --port, or 0 for any free one"
        ) from error
    reserved.append(taken)
    return port

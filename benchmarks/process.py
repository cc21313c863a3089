"""Servers as processes of their own, on a core of their own, and the CPU they use."""

import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from .workload import HOST

ROOT: Final = Path(__file__).resolve().parents[1]
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0
_READY: Final = re.compile(rb"http://127\.0\.0\.1:(\d+)")


class CannotStart(Exception):
    """A server ended, or said nothing, before it was ready."""


@dataclass(frozen=True)
class Cores:
    """Which core is whose: what is measured has one, the load and the provider have the other.

    None where there is no choice, or no way to choose.
    """

    measured: int | None
    rest: int | None


def cores() -> Cores:
    """Share out the cores this process may use."""
    if sys.platform != "linux":
        return Cores(None, None)
    found = sorted(os.sched_getaffinity(0))
    return Cores(found[0], found[1]) if len(found) > 1 else Cores(None, None)


@contextmanager
def on(core: int | None) -> Iterator[None]:
    """Keep this process, and what it starts meanwhile, on a core."""
    if core is None or sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def environment(state: Path) -> dict[str, str]:
    """The environment of what is measured: no proxy, no trust of the caller's, bytecode kept."""
    wanted = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH")
    return {
        **{name: os.environ[name] for name in wanted if name in os.environ},
        "HOME": str(state),
        "WIRETAPE_HOME": str(state),
    }


def commit() -> str | None:
    """The commit that is measured; None where this is no checkout: an editable installation's
    version is that of the day it was made.
    """
    command = ["git", "describe", "--always", "--dirty"]
    try:
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return ran.stdout.strip()


def script(name: str) -> str:
    """A program that was installed beside this Python."""
    folder = sysconfig.get_path("scripts")
    found = shutil.which(name, path=folder)
    if found is None:
        raise CannotStart(f"{folder} holds no {name}: run `make setup` first")
    return found


class Server:
    """A process that serves on a port of 127.0.0.1."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port: Final = port

    def cpu(self) -> float | None:
        """CPU seconds it and its children have used by now, all threads; None where the system does
        not tell.
        """
        parts = [cpu_seconds(pid) for pid in (self._process.pid, *_below(self._process.pid))]
        return None if None in parts else sum(filter(None, parts))

    def memory(self) -> int | None:
        """Bytes it has in memory; None where the system does not tell."""
        try:
            pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        except OSError:
            return None
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path, *, port: int | None = None
) -> Iterator[Server]:
    """Start a server and end it. It says on stdout where it listens, or listens on `port`."""
    # Where it speaks to: a file, so that it never waits for somebody to read.
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if port is None else errors,
            stderr=errors,
        )
    try:
        yield Server(process, _said(process, log) if port is None else _open(process, port, log))
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _said(process: subprocess.Popen[bytes], log: Path) -> int:
    output: IO[bytes] | None = process.stdout
    assert output is not None
    for line in output:
        found = _READY.search(line)
        if found is not None:
            return int(found[1])
    raise CannotStart(f"{process.args!r}: {_tail(log)}")


def _open(process: subprocess.Popen[bytes], port: int, log: Path) -> int:
    """Wait until the port answers: mitmdump -q does not say when it is ready."""
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return port
    raise CannotStart(f"{process.args!r}: {_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:] or "it said nothing"


def _below(pid: int) -> Iterator[int]:
    """The processes that a process has started, and those that they have."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in path.read_text().split()]
        except OSError:
            continue
        for child in children:
            yield child
            yield from _below(child)


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float | None:
    """CPU seconds a process has used by now, all its threads; None where the system does not
    tell.
    """
    if sys.platform == "linux":
        # clock_getcpuclockid(3), which Python has not: to the nanosecond, where /proc/PID/stat
        # counts hundredths of a second.
        return time.clock_gettime((~pid << 3) | 2)
    try:
        done = subprocess.run(
            ["ps", "-o", "cputime=", "-p", str(pid)], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    total = 0.0
    for part in done.stdout.strip().replace("-", ":").split(":"):
        total = total * 60 + float(part)
    return total


@contextmanager
def mitmdump(state: Path, log: Path, env: Mapping[str, str], *options: str) -> Iterator[Server]:
    """A bare mitmdump, with wiretape's authority, so that its certificates are of the same kind."""
    port = free_port()
    command = [
        script("mitmdump"),
        *("-q", "--listen-host", "127.0.0.1", "--listen-port", str(port)),
        *("--set", f"confdir={state}"),
        *options,
    ]
    # The addons here import their workload from this package.
    env = {**env, "PYTHONPATH": str(ROOT)}
    with serving(command, env, state, log, port=port) as server:
        yield server


@contextmanager
def origin(
    state: Path, log: Path, env: Mapping[str, str], host: str = HOST, delay_ms: float = 0.0
) -> Iterator[Server]:
    """A bare aiohttp server over TLS, with a certificate of the authority in `state`."""
    command = [
        *(sys.executable, "-m", "benchmarks.origin", str(state), host),
        *("--delay", str(delay_ms)),
    ]
    with serving(command, env, ROOT, log) as server:
        yield server

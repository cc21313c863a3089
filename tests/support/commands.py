"""The command line as a test runs it: to its end, or serving until the block ends."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from tests.support.fork_server import Forked, ForkServer
from tests.support.limits import PATIENCE


class Wiretape(Protocol):
    """Runs `wiretape ARGS` to its end."""

    def __call__(
        self,
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = PATIENCE,
    ) -> subprocess.CompletedProcess[str]: ...


SERVER = ForkServer({"PATH": os.environ.get("PATH", "")})
"""Forks what `start` starts."""


def command(*args: str | Path) -> list[str]:
    """The command line of `wiretape ARGS`."""
    return [sys.executable, "-m", "wiretape", *map(str, args)]


def start(
    args: Sequence[str | Path],
    env: Mapping[str, str],
    cwd: Path,
    stderr: int | IO[str] = subprocess.PIPE,
) -> subprocess.Popen[str]:
    """Start `wiretape ARGS`, by fork where that makes no difference.

    With WIRETAPE_TESTS_FORK=0 in the environment of the tests each one starts anew.
    """
    if SERVER.suits(env) and os.environ.get("WIRETAPE_TESTS_FORK") != "0":
        return Forked(SERVER, [str(arg) for arg in args], env, str(cwd), stderr)
    return subprocess.Popen(
        command(*args),
        env=dict(env),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def run(
    args: Sequence[str | Path], env: Mapping[str, str], cwd: Path, timeout: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """Run `wiretape ARGS` to its end."""
    with start(args, env, cwd) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@contextmanager
def serving(
    args: Sequence[str | Path], env: Mapping[str, str], cwd: Path
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A wiretape that serves; gives the process and its ready line, and ends it."""
    process = start(args, env, cwd)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=PATIENCE)


def port_of(ready: str) -> int:
    return int(ready.split("HTTPS_PROXY=http://127.0.0.1:")[1].split(",")[0])

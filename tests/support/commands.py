"""The command line as a test runs it: to its end, or serving until the block ends."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

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


def command(*args: str | Path) -> list[str]:
    """The command line of `wiretape ARGS`."""
    return [sys.executable, "-m", "wiretape", *map(str, args)]


@contextmanager
def serving(
    args: Sequence[str | Path], env: Mapping[str, str], cwd: Path
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A wiretape that serves; gives the process and its ready line, and ends it."""
    process = subprocess.Popen(
        command(*args),
        env=dict(env),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=PATIENCE)

"""The process that runs proxies for this one: `run/pipe.py` at its other end.

Starting one takes half a second, so one that has closed its run is kept for the next. It ends when
this process does, killed or not, since its stdin ends then.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from wiretape.core.errors import WiretapeError

type Answer = dict[str, Any]

_KEPT: Final = 2
_END_SECONDS: Final = 10.0


class PipeProcess:
    """A `wiretape pipe`, and what it is asked, one at a time in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.owner: Final = os.getpid()
        # -P: a module of the working directory must not take the place of one of ours. Where this
        # process found us beside its own path, the child would not.
        home = str(Path(__file__).parents[2])
        paths = [*filter(None, [os.environ.get("PYTHONPATH")]), home]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "wiretape", "pipe"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(paths),
                # It is not a client, whatever starts it.
                "WIRETAPE_NO_PRELOAD": "1",
            },
            start_new_session=True,
        )
        greeting = self._read()
        if "wiretape_pipe" not in greeting:
            self.kill()
            raise WiretapeError("wiretape's own process did not start as expected")

    def ask(self, name: str, value: object = True) -> Answer:
        """Ask for one thing; WiretapeError with what it says of a failure, or if it has ended."""
        with self._lock:
            try:
                self._write({name: value})
                answer = self._read()
            except BaseException:
                # Where the next answer begins nobody knows any more.
                self.kill()
                raise
        if "error" in answer:
            raise WiretapeError(answer["error"]["message"])
        return dict(next(iter(answer.values())))

    def _write(self, message: Mapping[str, object]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            raise self._ended() from None

    def _read(self) -> Answer:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        return dict(json.loads(line))

    def _ended(self) -> WiretapeError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        status = self._process.returncode
        return WiretapeError(f"wiretape's own process has ended (status {status}): see stderr")

    @property
    def is_running(self) -> bool:
        """Whether it can be asked."""
        return self.owner == os.getpid() and self._process.poll() is None

    def end(self) -> None:
        """Let it end what it has begun, and wait for it."""
        self._close_pipes()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self._close_pipes()

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


_idle: list[PipeProcess] = []
_guard = threading.Lock()


def take() -> PipeProcess:
    """A process that has no run open: one that was kept, or a new one."""
    with _guard:
        while _idle:
            process = _idle.pop()
            if process.is_running:
                return process
    return PipeProcess()


def give_back(process: PipeProcess) -> None:
    """Keep a process whose run is closed for the next one."""
    with _guard:
        if len(_idle) < _KEPT and process.is_running:
            _idle.append(process)
            return
    process.end()


@atexit.register
def end_idle() -> None:
    """End the processes that are kept."""
    with _guard:
        processes = [process for process in _idle if process.owner == os.getpid()]
        _idle.clear()
    for process in processes:
        process.end()

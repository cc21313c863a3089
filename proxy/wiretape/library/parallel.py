"""Spread work over the processors, in copies of this process."""

import gc
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import Any, BinaryIO, Final

_MOST: Final = 8
_PIPE_BYTES: Final = 1 << 20


def processors() -> int:
    """How many processes to work in: 1 where this one cannot be copied, as it has threads."""
    if sys.platform != "linux" or threading.active_count() > 1:
        return 1
    with suppress(OSError):
        if len(os.listdir("/proc/self/task")) == 1:
            return min(len(os.sched_getaffinity(0)), _MOST)
    return 1


def in_processes[Item, Result](
    work: Callable[[Item], Result], items: Sequence[Item], number: int
) -> Generator[Result]:
    """What `work` gives for each item, in order, worked out in `number` copies of this process.

    It ends early where one of them does. What `work` remembers is lost with its process. Close
    what is given (`contextlib.closing`): that ends the processes.

    >>> from contextlib import closing
    >>> with closing(in_processes(len, ["a", "bc", "def"], 2)) as lengths:
    ...     list(lengths)
    [1, 2, 3]
    """
    workers: list[tuple[int, BinaryIO]] = []
    try:
        for first in range(number):
            workers.append(_forked(work, items[first::number]))
        for position in range(len(items)):
            try:
                yield pickle.load(workers[position % number][1])
            except (EOFError, pickle.UnpicklingError):
                return
    finally:
        for pid, results in workers:
            results.close()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _forked(work: Callable[[Any], object], items: Sequence[Any]) -> tuple[int, BinaryIO]:
    """A new process that works on items: its number, and what its results are read from."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, open(reader, "rb")
    try:
        # Who forked it hears of Ctrl-C, and ends it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)  # an event loop's, which is not copied
        gc.disable()  # it ends soon, and what it works on has no cycles
        os.close(reader)
        _widen(writer)
        with open(writer, "wb") as results:
            for item in items:
                pickle.dump(work(item), results, pickle.HIGHEST_PROTOCOL)
                results.flush()
    finally:
        # Without the exit handlers of who forked it, and without its traceback.
        os._exit(0)


def _widen(pipe: int) -> None:
    """Let a process work on while its results wait to be read (Linux)."""
    from fcntl import F_SETPIPE_SZ, fcntl

    with suppress(OSError):
        fcntl(pipe, F_SETPIPE_SZ, _PIPE_BYTES)

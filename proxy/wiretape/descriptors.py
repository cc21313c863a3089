"""Open files: as many as the system lets a process have, and whether they run out."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

try:
    import resource
except ImportError:
    # Windows has neither: its sockets are not files and have no such limit.
    resource = None  # type: ignore[assignment]  # a module that is not there

RESERVE: Final = 24
"""Descriptors that are kept for what answers are read from: recordings, certificates, the index."""

_USUAL_MOST: Final = 10_240
"""What macOS takes at most where it calls its hard limit infinite."""


def raise_limit() -> None:
    """Raise the soft limit of open files to the hard one, as far as the system lets us."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard, _USUAL_MOST):
        if soft == resource.RLIM_INFINITY or (limit <= soft and limit != resource.RLIM_INFINITY):
            return
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            return


def limit() -> int | None:
    """The soft limit of open files; None if the system has none."""
    if resource is None:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


@contextmanager
def limited_to(soft: int | None) -> Iterator[None]:
    """For a moment, go back to a soft limit, so that a child process starts with it.

    Programs that use select(2), or close every descriptor there could be, need a small one.
    """
    if resource is None or soft is None:
        yield
        return
    current, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (current, hard))


def are_low(newest: int | None = None, reserve: int = RESERVE) -> bool:
    """Whether fewer than about `reserve` descriptors are left to this process; `newest` is one that
    was just opened, where there is one: the system gives the lowest that is free.
    """
    most = limit()
    if most is None:
        return False
    if newest is None:
        try:
            newest = os.open(os.devnull, os.O_RDONLY)
        except OSError as error:
            return is_exhaustion(error)
        os.close(newest)
    return newest >= most - reserve


def is_exhaustion(error: BaseException | None) -> bool:
    """Whether a call failed, directly or underneath, because the process, or the machine, has no
    descriptor left.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return True
        error = error.__cause__
    return False


def advice() -> str:
    """What to tell a client or a user for whom there was no descriptor."""
    return (
        f"too many open files: this process may have {limit()}; raise the hard limit"
        " (`ulimit -Hn`, docker run --ulimit nofile=…), or open fewer connections at once"
    )

"""Report progress of long work here; a command decides whether it is shown.

    for name in track(names, "checking"):
        ...

Nothing is shown, and nothing is paid for it, unless `shown_by` is in effect.
"""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, BinaryIO, Final, Protocol

type Advance = Callable[[int], None]
"""Report that so many more steps are done."""


class ProgressDisplay(Protocol):
    """Shows work: each piece has a name and a number of steps."""

    def begin(self, what: str, total: int) -> Advance: ...
    def end(self, advance: Advance) -> None: ...


_display: Final[ContextVar[ProgressDisplay | None]] = ContextVar("progress", default=None)


@contextmanager
def shown_by(display: ProgressDisplay | None) -> Iterator[None]:
    """Let a display show the work of this context meanwhile; None shows nothing."""
    token = _display.set(display)
    try:
        yield
    finally:
        _display.reset(token)


@contextmanager
def steps(what: str, total: int) -> Iterator[Advance]:
    """Show a piece of work of so many steps; call what is given as they are done."""
    display = _display.get()
    if display is None:
        yield lambda number: None
        return
    advance = display.begin(what, total)
    try:
        yield advance
    finally:
        display.end(advance)


def track[T](items: Sequence[T], what: str) -> Iterator[T]:
    """Give the items one by one, and show how many are done."""
    with steps(what, len(items)) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def read_through(file: BinaryIO, what: str) -> Iterator[BinaryIO]:
    """A file that shows how far it was read, from its beginning on."""
    if _display.get() is None:
        yield file
        return
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    with steps(what, size) as advance:
        yield io.BufferedReader(_Watched(file, advance))


class _Watched(io.RawIOBase):
    """Reads a file, and reports how far it came."""

    def __init__(self, file: BinaryIO, advance: Advance) -> None:
        self._file = file
        self._advance = advance
        self._furthest = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        position = self._file.tell()
        if position > self._furthest:
            self._advance(position - self._furthest)
            self._furthest = position
        return len(data)

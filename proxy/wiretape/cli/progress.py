"""Bars on standard error for long work, where that is a terminal.

In a pipe, in CI and where TERM is dumb none is shown, and colours only without NO_COLOR
(https://no-color.org). Work that is done in a moment shows none either.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final

from wiretape.core.text.printable import escaped
from wiretape.progress import Advance, shown_by

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

DELAY: Final = 0.5
"""Seconds of work before a bar is shown; rich alone takes 0.07 to import."""


class Bars:
    """Shows each piece of work as a bar, once it has lasted a while; gone when it is done."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._tasks: dict[Advance, TaskID] = {}

    def begin(self, what: str, total: int) -> Advance:
        started, done = monotonic(), 0

        def advance(number: int) -> None:
            nonlocal done
            done += number
            task = self._tasks.get(advance)
            if task is None and (done >= total or monotonic() - started < DELAY):
                return
            if task is None:
                self._progress = self._progress or _started()
                task = self._progress.add_task(escaped(what), total=total)
                self._tasks[advance] = task
            assert self._progress is not None
            self._progress.update(task, completed=done)

        return advance

    def end(self, advance: Advance) -> None:
        task = self._tasks.pop(advance, None)
        if task is not None and self._progress is not None:
            self._progress.remove_task(task)
            if not self._tasks:
                self._progress.stop()
                self._progress = None


def _started() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    # What is printed to the same terminal goes above the bar; what goes elsewhere is left alone.
    same_terminal = sys.stdout.isatty()
    console = Console(file=sys.stderr)
    progress = Progress(*columns, console=console, transient=True, redirect_stdout=same_terminal)
    progress.start()
    return progress


@contextmanager
def progress_shown() -> Iterator[None]:
    """Show how far work has come meanwhile, if a person looks on."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    with shown_by(Bars()):
        yield

"""Write a stream to a connection, each chunk at its time."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from wiretape.core.model import Chunk
from wiretape.core.playback.pace import Schedule
from wiretape.report.report import Report, Row

type RowOf = Callable[[float | None, float | None, str | None], Row]
"""Makes the report's row of the seconds to the first chunk and to the end, and a note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacedAnswer:
    """A whole stream in HTTP/1.1 that leaves at a pace: its head up to the time in the `Date` that
    ends it, and its chunks. `started` is the loop's time when its request came.
    """

    head: bytes
    chunks: tuple[Chunk, ...]
    due: Schedule
    started: float
    framed: Callable[[bytes], Iterator[bytes]]
    """The bytes of a chunk as they are written."""
    end: bytes
    row_of: RowOf
    report: Report


class PacedStream:
    """One answer on its way. `write` takes bytes at once; `ended` is called when all are written.

    It rests between `pause` and `resume`, and `leave` ends it before its time.
    """

    __slots__ = (
        *("_answer", "_ended", "_first", "_head", "_is_paused", "_loop", "_number", "_timer"),
        "_write",
    )

    def __init__(
        self,
        answer: PacedAnswer,
        head: bytes,
        write: Callable[[bytes], None],
        ended: Callable[[], None],
    ) -> None:
        self._answer: Final = answer
        self._head = head
        self._write = write
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._number = 0
        self._first: float | None = None
        self._is_paused = False
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Write what is due by now, and the rest at its time."""
        answer = self._answer
        if answer.report.watched:
            row = answer.row_of(None, None, None)
            answer.report.begin(self, row, perf_counter(), lambda: self._number)
        self._step()

    def pause(self) -> None:
        """Write no more: the client does not read."""
        self._is_paused = True

    def resume(self) -> None:
        """Go on with what has become due."""
        self._is_paused = False
        if self._timer is None:
            self._step()

    def leave(self) -> None:
        """End because the client has left."""
        if self._timer is not None:
            self._timer.cancel()
        self._report("the client left")

    def _step(self) -> None:
        answer, started, due = self._answer, self._answer.started, self._answer.due
        self._timer = None
        while not self._is_paused:
            is_last = self._number == len(answer.chunks)
            at = started + (due.end if is_last else due.chunks[self._number])
            now = self._loop.time()
            if at > now:
                self._timer = self._loop.call_at(at, self._step)
                return
            if is_last:
                self._send(answer.end)
                self._report(None)
                self._ended()
                return
            if answer.report.lateness is not None:
                answer.report.lateness(now - at)
            data = answer.chunks[self._number].data
            self._number += 1
            if data:
                for piece in answer.framed(data):
                    self._send(piece)
                if self._first is None:
                    self._first = self._loop.time() - started

    def _send(self, data: bytes) -> None:
        self._write(self._head + data if self._head else data)
        self._head = b""

    def _report(self, note: str | None) -> None:
        answer = self._answer
        answer.report.end(self)
        took = self._loop.time() - answer.started
        answer.report.add(answer.row_of(self._first, took, note))

"""Write lines to a pipe whether or not somebody reads it: no answer waits for a log."""

import os
import select
from collections import deque
from functools import lru_cache
from threading import Lock, Thread
from typing import Final, TextIO

from wiretape.core.text.printable import count

_PIECE: Final = 4096
"""Bytes that a pipe takes at once when it is ready (PIPE_BUF of Linux; POSIX asks for 512)."""
_MOST_WAITING: Final = 1 << 20
_PATIENCE: Final = 5.0


class UnblockedStream:
    """A text stream to write lines to, which never waits for its reader.

    What the reader does not take is kept, up to `most` bytes; beyond that the oldest lines are left
    out, and a line in their place says how many. A stream without a file, a terminal and a system
    without poll(2) are written to as ever.
    """

    def __init__(self, stream: TextIO, most: int = _MOST_WAITING) -> None:
        self._stream = stream
        self._most = most
        self._file = _file_of(stream)
        self._ready = None if self._file is None else select.poll()
        if self._ready is not None and self._file is not None:
            stream.flush()
            self._ready.register(self._file, select.POLLOUT)
        self._guard = Lock()
        self._begun = b""
        """What is left of the line that is being written."""
        self._waiting = deque[bytes]()
        self._bytes_waiting = 0
        self._left_out = 0
        self._bytes_written = 0
        self._writer: Thread | None = None

    def write(self, line: str) -> int:
        """Write a line, its end included, now or when the reader has read what is before it."""
        if self._file is None:
            return self._stream.write(line)
        data = line.encode(self._stream.encoding, self._stream.errors or "backslashreplace")
        with self._guard:
            self._waiting.append(data)
            self._bytes_waiting += len(data)
            if self._writer is None and not self._write_waiting():
                self._writer = Thread(target=self._write_later, daemon=True)
                self._writer.start()
            while self._bytes_waiting > self._most:
                self._bytes_waiting -= len(self._waiting.popleft())
                self._left_out += 1
        return len(line)

    def flush(self) -> None:
        """Do nothing where lines are written at once."""
        if self._file is None:
            self._stream.flush()

    def close(self, patience: float = _PATIENCE) -> None:
        """Wait while the reader reads; if it does not for `patience` seconds, drop what it has not
        read, and all that is written to the file from now on, so that the process can end.
        """
        while (writer := self._writer) is not None:
            before = self._bytes_written
            writer.join(patience)
            if writer.is_alive() and self._bytes_written == before and self._file is not None:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._file)
                os.close(nowhere)
                return

    def _write_later(self) -> None:
        while self._ready is not None:
            self._ready.poll()
            with self._guard:
                if self._write_waiting():
                    self._writer = None
                    return

    def _write_waiting(self) -> bool:
        """Write what can be written without waiting; False if something is left."""
        assert self._file is not None
        assert self._ready is not None
        try:
            while self._begun or self._waiting:
                if not self._ready.poll(0):
                    return False
                if not self._begun:
                    self._begun = self._next_line()
                written = os.write(self._file, self._begun[:_PIECE])
                self._begun = self._begun[written:]
                self._bytes_written += written
        except OSError:  # the reader has gone: there is nobody to tell
            self._begun = b""
            self._waiting.clear()
            self._bytes_waiting = 0
        return True

    def _next_line(self) -> bytes:
        if self._left_out:
            text = f"wiretape: {count(self._left_out, 'line')} left out, as nobody read them\n"
            self._left_out = 0
            return text.encode()
        line = self._waiting.popleft()
        self._bytes_waiting -= len(line)
        return line


def _file_of(stream: TextIO) -> int | None:
    """The descriptor of a stream, if one can ask whether it would wait."""
    if not hasattr(select, "poll") or stream.isatty():
        return None
    try:
        return stream.fileno()
    except (OSError, ValueError):  # in memory, or closed
        return None


@lru_cache(maxsize=1)
def unblocked(stream: TextIO) -> UnblockedStream:
    """The one such stream of a process for its standard error, so that lines keep their order."""
    return UnblockedStream(stream)

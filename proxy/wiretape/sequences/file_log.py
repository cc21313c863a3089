"""Shared logs as files in a folder, for the workers of one machine.

The kernel lets go of the lock of a process that is killed, and a line that it left half written is
cut off: what was not appended whole was not handed out.

Who appends counts it first, in memory that all share: a number that has not changed tells without
asking the system that there is nothing to read.
"""

import fcntl
import hashlib
import mmap
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from wiretape.files import write_all

from .shared_log import SequencesLost, Tail

_COUNTERS: Final = 16
"""Bytes of two numbers: of changes to any log, and to the control log."""
_MOST_READ: Final = 1 << 15


class _LogFile:
    """One log, how many bytes of it were read, and the number of changes to all logs by then."""

    __slots__ = ("descriptor", "read_at", "read_bytes")

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self.read_bytes = 0
        self.read_at = -1

    def read(self) -> Sequence[str]:
        """The whole lines that were not read yet; the lock has to be held."""
        data = os.pread(self.descriptor, _MOST_READ, self.read_bytes)
        more = len(data) == _MOST_READ
        while more:
            piece = os.pread(self.descriptor, _MOST_READ, self.read_bytes + len(data))
            data, more = data + piece, bool(piece)
        whole = data[: data.rfind(b"\n") + 1]
        self.read_bytes += len(whole)
        if len(whole) < len(data):
            os.ftruncate(self.descriptor, self.read_bytes)
        return whole.decode().split("\n")[:-1] if whole else ()

    def write(self, entries: Sequence[str]) -> None:
        """Append lines to a log that was read to its end; the lock has to be held."""
        data = ("\n".join(entries) + "\n").encode()
        try:
            write_all(self.descriptor, data)
        except OSError:  # the disk is full
            os.ftruncate(self.descriptor, self.read_bytes)
            raise
        self.read_bytes += len(data)


def _is_never(others: Sequence[str]) -> bool:
    return False


class FileLog:
    """The logs below a folder that only the processes of one run know."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _LogFile] = {}
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        os.truncate(self._lock, _COUNTERS)
        self._shared = mmap.mmap(self._lock, _COUNTERS)
        self._changes = memoryview(self._shared).cast("Q")
        self._control = self._file("")

    def _file(self, name: str) -> _LogFile:
        file = self._files.get(name)
        if file is None:
            digest = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
            file = self._files[name] = _LogFile(self._folder / f"{digest}.log")
        return file

    def is_read(self, name: str) -> bool:
        file = self._files.get(name)
        return file is not None and file.read_at == self._changes[0]

    async def append(self, name: str, entries: Sequence[str] = ()) -> Tail:
        return self.append_now(name, entries)

    def append_now(
        self,
        name: str,
        entries: Sequence[str] = (),
        is_apart: Callable[[Sequence[str]], bool] = _is_never,
    ) -> Tail:
        try:
            return self._append(self._file(name), entries, is_apart)
        except OSError as error:
            raise SequencesLost(
                f"{self._folder}: the workers' sequences cannot be written: {error.strerror}"
            ) from error

    def _append(
        self, file: _LogFile, entries: Sequence[str], is_apart: Callable[[Sequence[str]], bool]
    ) -> Tail:
        changes, control = self._changes, self._control
        if not entries and file.read_at == changes[0]:
            return Tail(is_appended=True)
        control_tail: Sequence[str] = ()
        tail: Sequence[str] = ()
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            count = changes[0]
            if control.read_at != changes[1]:
                control_tail = control.read()
                control.read_at = changes[1]
            if file.read_at != count:
                tail = file.read()
                file.read_at = count
            if control_tail or (tail and not is_apart(tail)):
                return Tail(False, control_tail, tail)
            if entries:
                # First: who is killed between both has others look in vain, and not miss it.
                changes[0] = count + 1
                if file is control:
                    changes[1] = count + 1
                file.write(entries)
                file.read_at = count + 1
            return Tail(True, (), tail)
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def forget(self, name: str) -> None:
        file = self._files.pop(name, None)
        if file is not None:
            os.close(file.descriptor)

    async def close(self) -> None:
        for name in list(self._files):
            self.forget(name)
        self._changes.release()
        self._shared.close()
        with suppress(OSError):
            os.close(self._lock)

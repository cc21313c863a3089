"""Shared logs as files in a folder, for the workers of one machine.

The kernel lets go of the lock of a process that is killed, and a line that it left half written is
cut off: what was not appended whole was not handed out.
"""

import fcntl
import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .shared_log import SequencesLost, Tail


class _LogFile:
    """One log, and how many bytes of it were read."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self.read_bytes = 0

    @property
    def is_read(self) -> bool:
        return os.fstat(self.descriptor).st_size == self.read_bytes

    def read(self) -> list[str]:
        """The whole lines that were not read yet; the lock has to be held."""
        size = os.fstat(self.descriptor).st_size
        data = os.pread(self.descriptor, size - self.read_bytes, self.read_bytes)
        whole = data[: data.rfind(b"\n") + 1]
        self.read_bytes += len(whole)
        if len(whole) < len(data):
            os.ftruncate(self.descriptor, self.read_bytes)
        return whole.decode().split("\n")[:-1]

    def write(self, entries: Sequence[str]) -> None:
        data = "".join(f"{entry}\n" for entry in entries).encode()
        try:
            while data:
                data = data[os.write(self.descriptor, data) :]
        except OSError:  # the disk is full
            os.ftruncate(self.descriptor, self.read_bytes)
            raise
        self.read_bytes = os.fstat(self.descriptor).st_size


class FileLog:
    """The logs below a folder that only the processes of one run know.

    An entry costs about 10 µs, and a look whether there is one about 2.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _LogFile] = {}
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        self._control = self._file("")

    def _file(self, name: str) -> _LogFile:
        file = self._files.get(name)
        if file is None:
            digest = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
            file = self._files[name] = _LogFile(self._folder / f"{digest}.log")
        return file

    async def append(self, name: str, entries: Sequence[str] = ()) -> Tail:
        try:
            return self._append(self._file(name), entries)
        except OSError as error:
            raise SequencesLost(
                f"{self._folder}: the workers' sequences cannot be written: {error.strerror}"
            ) from error

    def _append(self, file: _LogFile, entries: Sequence[str]) -> Tail:
        control = self._control
        if not entries and control.is_read and file.is_read:
            return Tail(is_appended=True)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            control_tail = control.read()
            tail = file.read() if file is not control else []
            if control_tail or tail:
                return Tail(False, control_tail, tail)
            file.write(entries)
            return Tail(is_appended=True)
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def forget(self, name: str) -> None:
        file = self._files.pop(name, None)
        if file is not None:
            os.close(file.descriptor)

    async def close(self) -> None:
        for name in list(self._files):
            self.forget(name)
        with suppress(OSError):
            os.close(self._lock)

"""Read a file of a folder of recordings: its bytes, and what tells that they are still the same."""

import os
import stat
from pathlib import Path
from typing import Final

from wiretape.core.errors import StoreError

MAX_FILE_BYTES: Final = 256 * 1024 * 1024
MTIME_GRANULARITY_NS: Final = 20_000_000
"""A file changed less long ago may change again and keep its time: clocks have ticks."""

type Stat = tuple[int, int, int]
"""A file's inode, time of change (ns) and size in bytes; it differs when the content does."""


def stat_of(path: str | Path) -> Stat:
    """A file's `Stat`; OSError as the system has it."""
    info = os.stat(path)
    return info.st_ino, info.st_mtime_ns, info.st_size


def is_settled(changed_ns: int, read_ns: int) -> bool:
    """Whether a change after `read_ns` would show in a time of change that is `changed_ns`."""
    return (
        changed_ns < read_ns - MTIME_GRANULARITY_NS or changed_ns > read_ns + MTIME_GRANULARITY_NS
    )


def read_bytes(path: str | Path) -> tuple[bytes, Stat]:
    """A file's content and `Stat`; StoreError with the system's reason."""
    try:
        # Does not wait for a pipe's writer, and reads regular files only.
        descriptor = os.open(path, _READ)
        try:
            info = os.fstat(descriptor)
            if not stat.S_ISREG(info.st_mode):
                raise StoreError("neither a file nor a link to one, not read")
            if info.st_size > MAX_FILE_BYTES:
                raise StoreError(f"larger than {MAX_FILE_BYTES >> 20} MiB, not read")
            data = os.read(descriptor, info.st_size + 1)
            while len(data) != info.st_size and (more := os.read(descriptor, _MORE)):
                data += more
            return data, (info.st_ino, info.st_mtime_ns, info.st_size)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}") from error


_READ: Final = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)
_MORE: Final = 1 << 20

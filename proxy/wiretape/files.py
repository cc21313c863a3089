"""List files below paths, name them in messages, write them and replace them atomically."""

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from wiretape.core.errors import ConfigError

SKIPPED_FOLDERS: Final = frozenset(
    (".git", ".hg", ".mypy_cache", ".ruff_cache", ".svn", ".venv", "__pycache__", "node_modules")
)
"""Folders that are not searched unless they are named."""


def write_output(path: Path, data: bytes) -> None:
    """Write what a user asked for to a file, or to standard output where that is "-"; OSError."""
    if str(path) != "-":
        path.write_bytes(data)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.flush()


class Unreadable:
    """Folders that could not be listed, with the system's reason."""

    def __init__(self) -> None:
        self.reasons: list[tuple[Path, str]] = []

    def __call__(self, error: OSError) -> None:
        self.reasons.append((Path(error.filename or "?"), error.strerror or "cannot be read"))


def files(
    paths: Iterable[Path], unreadable: Unreadable, name_of: Callable[[Path], str]
) -> Iterator[Path]:
    """Regular files at and below paths, in order, each once. ConfigError for a path that does not
    exist, before any file is given; `name_of` says how the message names it.
    """
    paths = list(dict.fromkeys(paths))
    faults = [fault for path in paths if (fault := _fault(path, name_of))]
    if faults:
        raise ConfigError(*faults)
    seen: set[Path] = set()
    for path in paths:
        for file in _below(path, unreadable) if path.is_dir() else [path]:
            if file not in seen:
                seen.add(file)
                yield file


def _fault(path: Path, name_of: Callable[[Path], str]) -> str | None:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        return f"{name_of(path)}: {reason}; name a file or a folder that is there"
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        return f"{name_of(path)}: neither a file nor a folder"
    return None


def _below(folder: Path, unreadable: Unreadable) -> Iterator[Path]:
    try:
        with os.scandir(folder) as iterator:
            entries = sorted(iterator, key=lambda entry: entry.name)
    except OSError as error:
        unreadable(error)
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in SKIPPED_FOLDERS:
                yield from _below(Path(entry.path), unreadable)
        # Reading a pipe or a device could block.
        elif entry.is_file():
            yield Path(entry.path)


def name_of(path: Path) -> str:
    """A path as it is printed: with "/", relative if it is below the working directory."""
    absolute = Path(os.path.abspath(path))
    working_folder = Path.cwd()
    return (
        absolute.relative_to(working_folder)
        if absolute.is_relative_to(working_folder)
        else absolute
    ).as_posix()


def replace(path: Path, data: bytes) -> None:
    """Write a file as `write_whole` does; it keeps its mode, and a link stays a link."""
    target = Path(os.path.realpath(path))
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        mode = 0o644
    write_whole(target, data, mode)


def write_whole(path: Path, data: bytes | Iterable[bytes], mode: int | None = None) -> None:
    """Write a file so that a crash leaves the old one or the new one, whole; a link is replaced.

    `data` may come in pieces. Without a `mode` it is what the user's umask leaves of 0644.
    """
    file = StagedFile(path, data, mode)
    file.sync()
    file.rename()


class StagedFile:
    """A new file's content, in a temporary file beside the path where it is to be: `write_whole` in
    steps, so that several files are synced in one round before the first of them is there.

    Each step raises OSError as the system has it, and then leaves nothing behind.
    """

    def __init__(self, path: Path, data: bytes | Iterable[bytes], mode: int | None = None) -> None:
        from secrets import token_hex  # late: it needs OpenSSL, which who only reads does not

        self._path = path
        self._mode = mode
        folder = os.path.dirname(path) or os.curdir
        self._temporary = f"{folder}{os.sep}.{os.getpid()}-{token_hex(6)}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._handle = os.open(self._temporary, flags, 0o644 if mode is None else mode & 0o600)
        with self._discarded_on_error():
            if isinstance(data, bytes):
                write_all(self._handle, data)
            else:
                with open(self._handle, "wb", closefd=False) as file:
                    file.writelines(data)

    def sync(self) -> None:
        """Have the content on disk."""
        with self._discarded_on_error():
            os.fsync(self._handle)
            self._close()
            if self._mode is not None:
                os.chmod(self._temporary, self._mode)

    def rename(self) -> None:
        """Put the file where it is to be, in place of what is there."""
        with self._discarded_on_error():
            os.replace(self._temporary, self._path)

    def discard(self) -> None:
        """Remove the temporary file."""
        with suppress(OSError):
            self._close()
        with suppress(OSError):
            os.unlink(self._temporary)

    def _close(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    @contextmanager
    def _discarded_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.discard()
            raise


def write_all(handle: int, data: bytes) -> None:
    """Write bytes to an open file; OSError as the system has it, with a part of them written."""
    written = os.write(handle, data)
    # A full disk takes a part, and raises the reason with the next write.
    while written < len(data):
        written += os.write(handle, data[written:])

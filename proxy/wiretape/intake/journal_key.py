"""The keys of journals: in memory that outlives a killed process, and not the machine.

A journal lies on a disk and holds what was on the wire, so it is sealed (AES-256-GCM, NIST SP
800-38D). Its key is a file of the user's alone where files are memory: below `WIRETAPE_RUNTIME_DIR`
if that is set, else below `XDG_RUNTIME_DIR` or in `/dev/shm`, whichever is one. Where there is none
no journal is kept.
"""

import hmac
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_MAGIC: Final = b"wiretape key 1\n"
_SIZE: Final = 32
_MOST: Final = 16384
_IN_MEMORY: Final = (b"ramfs", b"tmpfs")
_MOUNTS: Final = Path("/proc/self/mountinfo")
_SHARED_MEMORY: Final = Path("/dev/shm")
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
# Another's pipe that is called as a key is not to be waited for.
_READ: Final = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
)


class RunKey:
    """A run's key; `path` is where it is kept. Its `repr` does not show it."""

    def __init__(self, path: Path, key: bytes) -> None:
        self.path: Final = path
        self._key = key
        self._cipher = AESGCM(key)

    def sealed(self, file: int, entry: int, data: bytes) -> bytes:
        """An entry's bytes as they may lie on a disk, 16 longer; a file and entry are sealed once.

        Two texts under one key and one nonce would tell of each other.
        """
        return self._cipher.encrypt(_nonce(file, entry), data, None)

    def opened(self, file: int, entry: int, data: bytes) -> bytes | None:
        """What was sealed as this entry of this file; None where it was not, or is torn."""
        try:
            return self._cipher.decrypt(_nonce(file, entry), data, None)
        except (InvalidTag, ValueError):
            return None

    def mark_of(self, value: str) -> str:
        """What tells whether two runs know the same secret, and not what it is."""
        return hmac.new(self._key, value.encode("utf-8", "surrogatepass"), "sha256").hexdigest()

    def remove(self) -> None:
        """Nobody is to read what was sealed with it any more."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def make(journal: Path) -> RunKey | None:
    """A new key, called as the journal it is for; None where there is no place in memory for it."""
    key = AESGCM.generate_key(256)
    for place in _places(os.environ):
        path = place / journal.name
        try:
            handle = os.open(path, _CREATE, 0o600)
        except OSError:
            continue
        made = RunKey(path, key)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + key + os.fsencode(journal))
        except OSError:
            made.remove()
            continue
        return made
    return None


def find(path: Path) -> RunKey | None:
    """The key that was kept there; None where it is gone, or is not this user's alone."""
    found = _read(path)
    return None if found is None else RunKey(path, found[0])


def remove_orphans(seconds: float) -> None:
    """Remove the keys of journals that are gone, if they are older than this."""
    for place in _places(os.environ):
        with suppress(OSError):
            for path in place.iterdir():
                found = _read(path)
                old = time() - path.stat().st_mtime > seconds
                # What is no key is not ours to remove.
                if found is not None and old and not found[1].exists():
                    path.unlink()


def _read(path: Path) -> tuple[bytes, Path] | None:
    """A key and the folder of its journal."""
    try:
        if not _is_private(path.parent.lstat()):
            return None
        with os.fdopen(os.open(path, _READ), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or not _is_private(found):
                return None
            data = file.read(_MOST)
    except (OSError, ValueError):
        return None
    end = len(_MAGIC) + _SIZE
    if not data.startswith(_MAGIC) or len(data) < end:
        return None
    return data[len(_MAGIC) : end], Path(os.fsdecode(data[end:]))


def _places(environ: Mapping[str, str]) -> Iterator[Path]:
    """The folders for keys that can be used, made if need be, the best first."""
    user = os.getuid() if hasattr(os, "getuid") else None
    wanted: list[Path] = []
    if chosen := environ.get("WIRETAPE_RUNTIME_DIR"):
        # Who chooses a place answers for what it is: it may be a disk in memory of macOS.
        wanted.append(Path(chosen).absolute() / "wiretape")
    else:
        if (runtime := environ.get("XDG_RUNTIME_DIR")) and _is_in_memory(Path(runtime)):
            wanted.append(Path(runtime) / "wiretape")
        if user is not None and _is_in_memory(_SHARED_MEMORY):
            wanted.append(_SHARED_MEMORY / f"wiretape-{user}")
    for place in wanted:
        with suppress(OSError):
            place.mkdir(mode=0o700, exist_ok=True)
            found = place.lstat()
            if stat.S_ISDIR(found.st_mode) and _is_private(found):
                yield place


def _is_private(found: os.stat_result) -> bool:
    """Whether something is this user's, and nobody else may look into it or change it."""
    if not hasattr(os, "getuid"):
        return True
    return found.st_uid == os.getuid() and not found.st_mode & 0o077


def _is_in_memory(folder: Path) -> bool:
    """Whether the files of a folder are kept in memory, as far as the system tells (proc(5))."""
    try:
        device = folder.stat().st_dev
        mounts = _MOUNTS.read_bytes().splitlines()
    except OSError:
        return False
    number = f"{os.major(device)}:{os.minor(device)}".encode()
    for mount in mounts:
        before, _, after = mount.partition(b" - ")
        if before.split()[2:3] == [number]:
            return after.startswith(_IN_MEMORY)
    return False


def _nonce(file: int, entry: int) -> bytes:
    return file.to_bytes(6) + entry.to_bytes(6)

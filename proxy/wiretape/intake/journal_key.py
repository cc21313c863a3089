"""Keep the keys of journals in memory that outlives a killed process, but not the machine.

A journal lies on a disk and holds what was on the wire, so it is encrypted (AES-256-GCM, NIST SP
800-38D). Its key is a file that only the user can read, in a file system in memory: below
`WIRETAPE_RUNTIME_DIR` if that is set, else below `XDG_RUNTIME_DIR` or in `/dev/shm`. Without such a
file system no journal is kept.
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
_CREATE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
# Opening must not block on somebody's pipe with a key's name.
_READ_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
)


class RunKey:
    """A run's key, kept at `path`; its `repr` does not show it."""

    def __init__(self, path: Path, key: bytes) -> None:
        self.path: Final = path
        self._key = key
        self._cipher = AESGCM(key)

    def encrypt(self, file: int, entry: int, data: bytes) -> bytes:
        """Encrypt an entry; the result is 16 bytes longer. Call it once for each file and entry.

        Two texts encrypted with one key and nonce would reveal each other.
        """
        return self._cipher.encrypt(_nonce(file, entry), data, None)

    def decrypt(self, file: int, entry: int, data: bytes) -> bytes | None:
        """Decrypt this entry of this file; None if it was not encrypted as such, or is torn."""
        try:
            return self._cipher.decrypt(_nonce(file, entry), data, None)
        except (InvalidTag, ValueError):
            return None

    def digest_of(self, value: str) -> str:
        """A keyed digest of a secret, to tell whether two runs know the same one."""
        return hmac.new(self._key, value.encode("utf-8", "surrogatepass"), "sha256").hexdigest()

    def remove(self) -> None:
        """Remove the key; nobody can decrypt the journal after that."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def make(journal: Path) -> RunKey | None:
    """Make a key named as its journal; None if there is no folder in memory for it."""
    key = AESGCM.generate_key(256)
    for folder in _key_folders(os.environ):
        path = folder / journal.name
        try:
            handle = os.open(path, _CREATE_FLAGS, 0o600)
        except OSError:
            continue
        run_key = RunKey(path, key)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + key + os.fsencode(journal))
        except OSError:
            run_key.remove()
            continue
        return run_key
    return None


def find(path: Path) -> RunKey | None:
    """Read a key; None if it is gone, or others than this user may read it."""
    contents = _read(path)
    return None if contents is None else RunKey(path, contents[0])


def remove_orphans(seconds: float) -> None:
    """Remove keys older than `seconds` whose journals are gone."""
    for folder in _key_folders(os.environ):
        with suppress(OSError):
            for path in folder.iterdir():
                contents = _read(path)
                is_old = time() - path.stat().st_mtime > seconds
                # Files that are not keys belong to somebody else.
                if contents is not None and is_old and not contents[1].exists():
                    path.unlink()


def _read(path: Path) -> tuple[bytes, Path] | None:
    """The key in a file, and the folder of its journal."""
    try:
        if not _is_private(path.parent.lstat()):
            return None
        with os.fdopen(os.open(path, _READ_FLAGS), "rb") as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode) or not _is_private(info):
                return None
            data = file.read(_MOST)
    except (OSError, ValueError):
        return None
    key_end = len(_MAGIC) + _SIZE
    if not data.startswith(_MAGIC) or len(data) < key_end:
        return None
    return data[len(_MAGIC) : key_end], Path(os.fsdecode(data[key_end:]))


def _key_folders(environ: Mapping[str, str]) -> Iterator[Path]:
    """The usable folders for keys, created if need be, the best first."""
    user = os.getuid() if hasattr(os, "getuid") else None
    candidates: list[Path] = []
    if configured := environ.get("WIRETAPE_RUNTIME_DIR"):
        # The user vouches for a configured folder: on macOS it may be a disk in memory.
        candidates.append(Path(configured).absolute() / "wiretape")
    else:
        if (runtime := environ.get("XDG_RUNTIME_DIR")) and _is_in_memory(Path(runtime)):
            candidates.append(Path(runtime) / "wiretape")
        if user is not None and _is_in_memory(_SHARED_MEMORY):
            candidates.append(_SHARED_MEMORY / f"wiretape-{user}")
    for folder in candidates:
        with suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            info = folder.lstat()
            if stat.S_ISDIR(info.st_mode) and _is_private(info):
                yield folder


def _is_private(info: os.stat_result) -> bool:
    """Whether a file or folder is this user's, and nobody else may read or change it."""
    if not hasattr(os, "getuid"):
        return True
    return info.st_uid == os.getuid() and not info.st_mode & 0o077


def _is_in_memory(folder: Path) -> bool:
    """Whether the files of a folder are in memory, as far as the system says (proc(5))."""
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

"""The keys of journals: in memory that outlives a killed process, and not the machine.

A journal lies on a disk and holds secrets, so it is sealed (ChaCha20-Poly1305, RFC 8439). Its key
is a file of the user's alone where files are memory: `$WIRETAPE_RUNTIME_DIR`, else
`$XDG_RUNTIME_DIR`, else `/dev/shm`. Where there is none of these no journal is kept.
"""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

_SIZE: Final = 32


def folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where keys are kept, made if need be; None where there is no such place."""
    own = environ.get("WIRETAPE_RUNTIME_DIR") or environ.get("XDG_RUNTIME_DIR")
    if own:
        place = Path(own) / "wiretape"
    elif Path("/dev/shm").is_dir() and hasattr(os, "getuid"):  # checked below
        place = Path(f"/dev/shm/wiretape-{os.getuid()}")  # checked below
    else:
        return None
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
    except OSError:
        return None
    mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return place if stat.S_ISDIR(found.st_mode) and mine and not found.st_mode & 0o077 else None


def make(name: str) -> bytes | None:
    """A new key under this name; None where it cannot be kept."""
    place = folder()
    if place is None:
        return None
    key = ChaCha20Poly1305.generate_key()
    try:
        handle = os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(key)
    except OSError:
        return None
    return key


def find(name: str) -> bytes | None:
    """The key of this name; None where it is gone."""
    place = folder()
    if place is None:
        return None
    try:
        key = (place / name).read_bytes()
    except OSError:
        return None
    return key if len(key) == _SIZE else None


def remove(name: str) -> None:
    """Nobody is to read what was sealed with this key any more."""
    place = folder()
    if place is not None:
        with suppress(OSError):
            (place / name).unlink(missing_ok=True)


class Seal:
    """Seals the entries of a journal's files; no number of a file and an entry comes twice."""

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)

    def sealed(self, file: int, entry: int, data: bytes) -> bytes:
        """An entry's bytes as they may lie on a disk."""
        return self._cipher.encrypt(_nonce(file, entry), data, None)

    def opened(self, file: int, entry: int, data: bytes) -> bytes | None:
        """What was sealed; None where it was not, or is torn."""
        try:
            return self._cipher.decrypt(_nonce(file, entry), data, None)
        except InvalidTag:
            return None


def _nonce(file: int, entry: int) -> bytes:
    return file.to_bytes(6) + entry.to_bytes(6)

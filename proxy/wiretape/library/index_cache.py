"""Keep the indexes of large folders between runs; they can be deleted at any time.

A database is named by its folder and by the fingerprint of all that keys depend on, so that one
made under other rules is never used. It holds digests, names, and the small answers of recordings
(`direct_answer.py`): nothing that is not in the folder, which was redacted. Only its user reads it.
"""

import hashlib
import hmac
import os
import sqlite3
import stat
import time
from contextlib import suppress
from pathlib import Path
from secrets import token_bytes
from typing import Final

from wiretape.program_files import program_files, program_state

from .index import Index
from .index_tables import VERSION

_MOST_KEPT: Final = 4
_KEPT_SECONDS: Final = 60 * 24 * 3600
_KEY: Final = "key"


def fingerprint(cache: Path, *parts: str | bytes) -> str:
    """The fingerprint of a set of rules; "" if it cannot be made, and then there is no cache.

    `parts` are all that keys and facts depend on besides wiretape itself: the configuration's text
    and the secret values. They are hashed under a key of this user's own, which lies in `cache`, so
    that nobody can guess values and compare.
    """
    try:
        key = _key(cache)
        digest = hmac.new(key, f"{VERSION}".encode(), hashlib.sha256)
        for part in (*program_state(), *parts):
            data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            digest.update(len(data).to_bytes(8, "big") + data)
    except OSError:
        return ""
    return digest.hexdigest()[:40]


def shared_fingerprint(*parts: str) -> str:
    """The fingerprint of a set of rules that holds no secret, which is the same on all machines."""
    digest = hashlib.sha256(f"{VERSION}".encode())
    for file in program_files():
        digest.update(hashlib.sha256(Path(file.path).read_bytes()).digest())
    for part in parts:
        digest.update(hashlib.sha256(part.encode("utf-8", "surrogatepass")).digest())
    return digest.hexdigest()[:40]


def _key(cache: Path) -> bytes:
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = cache / _KEY
    for _ in range(2):
        with suppress(FileNotFoundError):
            key = path.read_bytes()
            if len(key) == 32:
                return key
            path.unlink()
        # Two runs may begin at once: both take the first's key, which is never read half written.
        temporary = cache / f".{_KEY}.{token_bytes(8).hex()}"
        with os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
        ) as new:
            new.write(token_bytes(32))
        with suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
    return path.read_bytes()


def database_path(cache: Path, folder: Path, fingerprint: str) -> Path:
    """The database of a folder under a fingerprint."""
    return cache / f"{_of_folder(folder)}-{fingerprint}.sqlite"


def _of_folder(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]


def open_database(path: Path) -> Index | None:
    """Open the database at `path`, or a new one if it is damaged; None if neither is possible."""
    for _ in range(2):
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not stat.S_ISREG(os.lstat(path).st_mode) if os.path.lexists(path) else False:
                return None
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            index = Index(path)
            os.utime(path)
            return index
        except sqlite3.OperationalError:
            return None
        except sqlite3.DatabaseError:
            remove(path)
        except OSError:
            return None
    return None


def remove(path: Path) -> None:
    """Remove a database, with the files SQLite keeps beside it."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        with suppress(OSError):
            path.with_name(name).unlink(missing_ok=True)


def forget(cache: Path, folder: Path) -> None:
    """Remove all databases of a folder: they hold what was taken out of its recordings."""
    for database in cache.glob(f"{_of_folder(folder)}-*.sqlite"):
        remove(database)


def tidy(path: Path) -> None:
    """Remove databases unused for long, and of this folder's all but the latest."""
    folder = path.name.partition("-")[0]
    try:
        by_age = sorted(
            ((os.stat(database).st_mtime, database) for database in path.parent.glob("*.sqlite")),
            reverse=True,
        )
    except OSError:
        return
    of_folder = [
        database
        for _, database in by_age
        if database.name.startswith(f"{folder}-") and database != path
    ]
    for changed, database in by_age:
        if database != path and (
            database in of_folder[_MOST_KEPT - 1 :] or changed < time.time() - _KEPT_SECONDS
        ):
            remove(database)

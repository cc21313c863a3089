"""Keep a JSON value between runs, in wiretape's own folder; it can be deleted at any time.

A value has a name and a key, which holds all that the value depends on. What was kept under another
key, or is damaged, is as if it were not there; what cannot be written is not kept.
"""

import json
import os
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from .core.errors import WiretapeError
from .state_dir import state_dir

_KEPT_SECONDS: Final = 60 * 24 * 3600
_MOST_KEPT: Final = 100


def read_kept(name: str, key: str) -> Any:
    """The value that was kept under this name and key, else None.

    The key itself is compared, so that no digest is needed, which is long to import.
    """
    try:
        data = _path(name).read_bytes()
        head = _head(name, key)
        if not data.startswith(head):
            return None
        checksum, _, value = data[len(head) :].partition(b"\n")
        return json.loads(value) if int(checksum, 16) == zlib.crc32(value) else None
    except (WiretapeError, OSError, ValueError):
        return None


def write_kept(name: str, key: str, value: Any) -> None:
    """Keep a value, for this user alone, in place of what has its name."""
    with suppress(WiretapeError, OSError, ValueError):
        path = _path(name)
        data = json.dumps(value, separators=(",", ":")).encode()
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            _tidy(path.parent)
        checksum = f"{zlib.crc32(data):08x}\n".encode()
        # It need not outlast a crash: what is not whole has another checksum.
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        with open(temporary, "wb", opener=_private) as file:
            file.write(_head(name, key) + checksum + data)
        os.replace(temporary, path)


def forget_kept(name: str) -> None:
    """Forget the value of this name, whatever its key."""
    with suppress(WiretapeError, OSError):
        _path(name).unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _path(name: str) -> Path:
    # Two names may have one file: then what was written last is kept.
    return state_dir() / "kept" / f"{zlib.crc32(os.fsencode(name)):08x}"


def _head(name: str, key: str) -> bytes:
    return os.fsencode(f"{name}\0{key}\0")


def _tidy(folder: Path) -> None:
    """Make room for one more: remove what was not written for long, and of many the oldest."""
    by_age = sorted(((path.stat().st_mtime, path) for path in folder.iterdir()), reverse=True)
    for number, (written, path) in enumerate(by_age, 1):
        if number >= _MOST_KEPT or written < time.time() - _KEPT_SECONDS:
            path.unlink(missing_ok=True)

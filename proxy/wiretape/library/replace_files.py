"""Replace several files by one so that a crash leaves all of the old or all of the new.

One rename is atomic, a rename and the removal of other files are not. So before the rename a list
is written beside the new file: what the new file's content will be, and which files are void as
soon as it is in place. Whoever finds such a list finishes what it says, or, where the
rename never came, drops it. A file is void only while its content is what it was.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, Final

from wiretape.core.text import exact_json
from wiretape.files import write_whole

SUFFIX: Final = ".void"
_MAX_BYTES: Final = 64 * 1024 * 1024


def list_path(folder: Path, key: str) -> Path:
    """Where the list for a key stands; a key has one at a time, since its writer holds the lock."""
    return folder / f".{key[:12]}{SUFFIX}"


def replace(root: Path, listed: Path, path: Path, data: bytes, void: list[Path]) -> None:
    """Write `data` to `path` and remove the files in `void`, all below `root`: all of it or
    nothing. OSError as the system has it; nothing has happened then.
    """
    if not void:
        write_whole(path, data)
        return
    document = {
        "file": path.relative_to(root).as_posix(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "void": {old.relative_to(root).as_posix(): _sha256(old) for old in void},
    }
    try:
        write_whole(listed, json.dumps(document, indent=1).encode())
        _sync(listed.parent)
        write_whole(path, data)
    except OSError:
        with suppress(OSError):
            listed.unlink(missing_ok=True)
        raise
    # The rename is to be on disk before what it makes void is gone.
    _sync(path.parent)
    settle(root, listed)


def settle(root: Path, listed: Path) -> tuple[set[str], set[str]]:
    """Finish what a list says, or drop it where its file never came; gives the names below `root`
    of the files that are void: those removed, and those that could not be.

    To be called by who holds the lock, so that nobody is at it.
    """
    removed: set[str] = set()
    left: set[str] = set()
    for name in void_by(root, read_list(listed)):
        try:
            (root / name).unlink(missing_ok=True)
            removed.add(name)
        except OSError:
            left.add(name)
    if not left:
        with suppress(OSError):
            listed.unlink(missing_ok=True)
    return removed, left


def read_list(listed: Path) -> exact_json.Json:
    """What a list says; None where it cannot be read."""
    try:
        if listed.stat().st_size > _MAX_BYTES:
            return None
        # It may come from anywhere: its nesting is bounded.
        return exact_json.parse(listed.read_bytes())
    except (OSError, ValueError):
        return None


def void_by(root: Path, document: exact_json.Json) -> list[str]:
    """The names that a list makes void and that still hold what they held; the list may come from
    anywhere, so it names nothing outside `root`.
    """
    match document:
        case {"file": str(name), "sha256": str(content), "void": {**files}}:
            pass
        case _:
            return []
    # Were the new file's content another, the rename never came, or it was replaced itself.
    if not _holds(root, name, content):
        return []
    return [str(old) for old, was in files.items() if old != name and _holds(root, old, was)]


def _holds(root: Path, name: Any, content: Any) -> bool:
    if not isinstance(name, str) or not name.endswith(".json") or "\0" in name:
        return False
    parts = PurePosixPath(name).parts
    if PurePosixPath(name).is_absolute() or ".." in parts or "\\" in name:
        return False
    path = root / name
    try:
        inside = path.parent.resolve().is_relative_to(root.resolve())
        return inside and not path.is_symlink() and _sha256(path) == content
    except OSError:
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    # Where folders cannot be opened or synced, the system orders these writes itself or not at all.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

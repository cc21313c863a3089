"""Replace several files by one so that a crash leaves all of the old or all of the new.

One rename is atomic; a rename and the removal of other files are not. So a list (an intent log) is
written beside the new file first: the digest of the new file's content, and which files are void as
soon as it is in place. Whoever finds such a list carries it out, or drops it if the rename never
happened. A file is void only while its content is unchanged.
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
MAX_BYTES: Final = 64 * 1024 * 1024
"""The longest list that is read."""


def list_path(folder: Path, key: str) -> Path:
    """The path of a key's list; there is one at a time, since its writer holds the lock."""
    return folder / list_name(key)


def list_name(key: str) -> str:
    """The name of a key's list in its folder."""
    return f".{key[:12]}{SUFFIX}"


def replace(root: Path, listed: Path, path: Path, data: bytes, void: list[Path]) -> None:
    """Write `data` to `path` and remove the files in `void`, all below `root`, as one step.

    On OSError (as the system has it) nothing has changed.
    """
    if not void:
        write_whole(path, data)
        return
    document = {
        "file": path.relative_to(root).as_posix(),
        "sha256": sha256_of(data),
        "void": {old.relative_to(root).as_posix(): sha256(old) for old in void},
    }
    try:
        write_whole(listed, json.dumps(document, indent=1).encode())
        sync(listed.parent)
        write_whole(path, data)
    except OSError:
        with suppress(OSError):
            listed.unlink(missing_ok=True)
        raise
    # The rename must be on disk before the void files are removed.
    sync(path.parent)
    settle(root, listed)


def settle(root: Path, listed: Path) -> tuple[set[str], set[str]]:
    """Carry out a list, or drop it if its file was never written. Gives the names below `root` of
    the void files: those removed, and those that could not be.

    The caller holds the folder's lock.
    """
    removed: set[str] = set()
    unremoved: set[str] = set()
    for name in void_by(root, read_list(listed)):
        try:
            (root / name).unlink(missing_ok=True)
            removed.add(name)
        except OSError:
            unremoved.add(name)
    if not unremoved:
        with suppress(OSError):
            listed.unlink(missing_ok=True)
    return removed, unremoved


def read_list(listed: Path) -> exact_json.Json:
    """Parse a list; None if it cannot be read."""
    try:
        if listed.stat().st_size > MAX_BYTES:
            return None
        # The file is not trusted: `exact_json` bounds its nesting.
        return exact_json.parse(listed.read_bytes())
    except (OSError, ValueError):
        return None


def void_by(root: Path, document: exact_json.Json) -> list[str]:
    """The void files of a list, by name, whose content is unchanged. The list is not trusted: names
    outside `root` are left out.
    """
    match document:
        case {"file": str(new_name), "sha256": str(new_content), "void": {**files}}:
            pass
        case _:
            return []
    # If the new file has other content, the rename never happened or it was replaced itself.
    if not _holds(root, new_name, new_content):
        return []
    return [
        str(name)
        for name, content in files.items()
        if name != new_name and _holds(root, name, content)
    ]


def _holds(root: Path, name: Any, content: Any) -> bool:
    if not isinstance(name, str) or not name.endswith(".json") or "\0" in name:
        return False
    parts = PurePosixPath(name).parts
    if PurePosixPath(name).is_absolute() or ".." in parts or "\\" in name:
        return False
    path = root / name
    try:
        inside = path.parent.resolve().is_relative_to(root.resolve())
        return inside and not path.is_symlink() and sha256(path) == content
    except OSError:
        return False


def sha256_of(data: bytes) -> str:
    """The SHA-256 of a content in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(folder: Path) -> None:
    """Have what was renamed in a folder on disk."""
    # Where folders cannot be opened or synced, the system orders these writes itself or not at all.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

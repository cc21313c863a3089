"""Replace many files at once so that a crash leaves all of the old or all of the new.

The new contents are written to a hidden folder first, then a list (a redo log) that says where each
of them goes and which files are void. From then on the replacement is decided: whoever finds the
list carries it out, as often as it takes. Without a list the hidden folder is waste.
"""

import errno
import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

from wiretape.core.text import exact_json
from wiretape.files import write_whole
from wiretape.progress import track

from . import replace_files

FOLDER: Final = ".wiretape-replacing"
"""The hidden folder, in the folder whose files are replaced."""

_LIST: Final = "list.json"
_STAGED: Final = re.compile(r"\d{1,9}\.new")
_KINDS: Final = (".json", ".bin")


def replace(root: Path, new: Mapping[str, bytes | Path], void: Iterable[str] = ()) -> None:
    """Write files and remove those in `void`, as one step; names are below `root`, with "/".

    A content that is a Path is that of another file of the folder, which becomes this one. A file's
    mode stays. OSError as the system has it: then nothing has changed, unless `is_begun`, in which
    case `finish` does what is left. The caller holds the folder's lock.
    """
    folder = root / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o700)
        rows = []
        for number, (name, content) in enumerate(track(list(new.items()), "replacing")):
            staged = f"{number}.new"
            digest = _stage(folder / staged, content, root / name)
            rows.append({"staged": staged, "path": name, "sha256": digest})
        gone = {name: replace_files.sha256(root / name) for name in void}
        document = {"wiretape_replace": 1, "files": rows, "void": gone}
        listed = json.dumps(document, separators=(",", ":")).encode()
        if len(listed) > replace_files.MAX_BYTES:
            raise OSError(errno.EFBIG, "too many files at once", str(folder / _LIST))
        replace_files.sync(folder)
        write_whole(folder / _LIST, listed)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    replace_files.sync(folder)
    finish(root)


def _stage(staged: Path, content: bytes | Path, target: Path) -> str:
    """Put what is to be at `target` into the hidden folder; gives its SHA-256."""
    if isinstance(content, bytes):
        write_whole(staged, content, _mode(target))
        return replace_files.sha256_of(content)
    try:
        os.link(content, staged)
    except OSError:  # a file system without links
        write_whole(staged, content.read_bytes(), _mode(content))
    return replace_files.sha256(staged)


def is_begun(root: Path) -> bool:
    """Whether a replacement was decided and is not carried out."""
    return (root / FOLDER / _LIST).exists()


def finish(root: Path) -> int:
    """Carry out a replacement that was decided, and clear away what one that was not has left;
    gives the number of files that it is about.

    OSError as the system has it; it can be called again then. The caller holds the folder's lock.
    """
    folder = root / FOLDER
    if folder.is_symlink() or not folder.is_dir():
        return 0
    rows, void = _read(root, replace_files.read_list(folder / _LIST))
    touched: set[Path] = set()
    for staged, name, content in rows:
        source, target = folder / staged, root / name
        if source.is_symlink() or not source.is_file() or replace_files.sha256(source) != content:
            continue  # it is in its place already
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
        touched.add(target.parent)
    # The new files must be on disk before the void ones are removed.
    for parent in touched:
        replace_files.sync(parent)
    for name, content in void.items():
        path = root / name
        if path.is_file() and not path.is_symlink() and replace_files.sha256(path) == content:
            path.unlink()
            with suppress(OSError):  # it holds other files
                path.parent.rmdir()
    (folder / _LIST).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    return len(rows)


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None


def _read(
    root: Path, document: exact_json.Json
) -> tuple[list[tuple[str, str, str]], dict[str, str]]:
    """What a list says; it is not trusted, so what leads outside `root` is left out."""
    match document:
        case {"wiretape_replace": 1, "files": [*files], "void": {**void}}:
            pass
        case _:
            return [], {}
    rows = []
    for row in files:
        match row:
            case {"staged": str(staged), "path": str(name), "sha256": str(content)}:
                if _STAGED.fullmatch(staged) and _is_inside(root, name):
                    rows.append((staged, name, content))
    names = {name for _, name, _ in rows}
    gone = {str(name): content for name, content in void.items() if isinstance(content, str)}
    return rows, {
        name: content
        for name, content in gone.items()
        if name not in names and _is_inside(root, name)
    }


def _is_inside(root: Path, name: str) -> bool:
    """Whether a name is that of a recording or side file below `root`."""
    path = PurePosixPath(name)
    if not name.endswith(_KINDS) or "\0" in name or "\\" in name:
        return False
    if path.is_absolute() or any(part.startswith(".") for part in path.parts):
        return False
    try:
        inside = (root / name).parent.resolve().is_relative_to(root.resolve())
    except OSError:
        return False
    return inside and not (root / name).is_symlink()

"""A home and a folder for one run of CMD, in which nothing is left of the run before.

The home is empty and lies elsewhere in each run, and so does the folder, a copy of the working one
under its own name. The temporary folder stays: names in it are new in each run anyway, and a rule
for another one would be of no use later. So do all other variables: keys reach CMD as ever.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from wiretape.core.errors import StoreError, reason_of
from wiretape.core.text.printable import count

type FolderChoice = Literal["copy", "empty", "keep"]

MOST_FILES: Final = 50_000
MOST_BYTES: Final = 1 << 30

LINKED: Final = frozenset(("node_modules", ".venv", "venv", ".tox", ".nox"))
"""Folders of installed packages, which are not copied: a link leads to them."""

_HOMES: Final[Mapping[str, str]] = {
    "XDG_CONFIG_HOME": ".config",
    "XDG_CACHE_HOME": ".cache",
    "XDG_DATA_HOME": ".local/share",
    "XDG_STATE_HOME": ".local/state",
    "APPDATA": "AppData/Roaming",
    "LOCALAPPDATA": "AppData/Local",
}
"""Folders below a home that have variables of their own."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """The folder in which CMD runs, and its environment before wiretape adds its own."""

    folder: Path
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkplaceMaker:
    """Makes workplaces of one kind from the working folder and the user's environment.

    `left_out` are folders that are not copied: those of recordings.
    """

    source: Path
    environ: Mapping[str, str]
    choice: FolderChoice = "copy"
    keep_home: bool = False
    left_out: tuple[Path, ...] = ()

    @contextmanager
    def new(self) -> Iterator[Workplace]:
        """A workplace, which is gone afterwards. Raises StoreError where it cannot be made."""
        root = Path(os.path.realpath(tempfile.mkdtemp(prefix="wiretape-calibrate-")))
        try:
            yield self._made(root)
        finally:
            # A program may have taken away its own right to write there.
            shutil.rmtree(root, onexc=_remove_anyway)

    def _made(self, root: Path) -> Workplace:
        folder = self.source if self.choice == "keep" else root / (self.source.name or "folder")
        try:
            if self.choice == "copy":
                self._copy(folder)
            else:
                folder.mkdir(exist_ok=True)
            environ = dict(self.environ)
            if not self.keep_home:
                environ |= _new_home(environ, root / "home")
        except OSError as error:
            raise StoreError(
                f"{error.filename or folder}: cannot be copied for CMD: {reason_of(error)};"
                " --folder empty or --folder keep runs it elsewhere"
            ) from error
        environ["PWD"] = str(folder)
        environ.pop("OLDPWD", None)
        return Workplace(folder, environ)

    def _copy(self, folder: Path) -> None:
        size = 0
        for files, entry in enumerate(self._walk(self.source), 1):
            size += entry.stat(follow_symlinks=False).st_size
            if files > MOST_FILES or size > MOST_BYTES:
                raise StoreError(
                    f"{self.source}: more than {count(MOST_FILES, 'file')} or"
                    f" {MOST_BYTES >> 20} MiB to copy for each run of CMD; --folder keep runs it"
                    " here, --folder empty in an empty folder"
                )
        folder.mkdir()
        for entry in self._walk(self.source):
            target = folder / Path(entry.path).relative_to(self.source)
            if entry.is_symlink():
                # One that leads out of the folder leads to the same from its copy.
                link = os.readlink(entry.path)
                inside = Path(os.path.realpath(entry.path)).is_relative_to(self.source)
                target.symlink_to(link if inside else os.path.realpath(entry.path))
            elif entry.is_dir():
                if entry.name in LINKED:
                    target.symlink_to(entry.path)
                else:
                    target.mkdir()
            else:
                # What CMD's user cannot read CMD cannot either.
                with suppress(PermissionError):
                    shutil.copy2(entry.path, target)

    def _walk(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        """What is in a folder and below, each folder before what is in it; sockets are not."""
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except PermissionError:
            return
        for entry in entries:
            if Path(entry.path) in self.left_out or entry.name == "__pycache__":
                continue
            if entry.is_symlink() or entry.is_dir() or entry.is_file():
                yield entry
            if entry.is_dir(follow_symlinks=False) and entry.name not in LINKED:
                yield from self._walk(Path(entry.path))


def _new_home(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    home.mkdir()
    new = {"HOME": str(home)}
    if "USERPROFILE" in environ:
        new["USERPROFILE"] = str(home)
    for name, below in _HOMES.items():
        if environ.get(name):
            new[name] = str(home / below)
            (home / below).mkdir(parents=True)
    if environ.get("HOME") and not environ.get("PYTHONUSERBASE"):
        # Packages of `pip install --user` are programs, as those on PATH are.
        new["PYTHONUSERBASE"] = os.path.join(environ["HOME"], ".local")
    return new


def _remove_anyway(remove: object, path: str, error: BaseException) -> None:
    with suppress(OSError):
        os.chmod(os.path.dirname(path), stat.S_IRWXU)
        if os.path.isdir(path) and not os.path.islink(path):
            os.chmod(path, stat.S_IRWXU)
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)

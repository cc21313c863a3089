"""What lies in a folder of recordings: its sessions, their recordings and side files.

Folders are walked as `library/library.py` walks them; a file is opened only when it is asked for.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wiretape.core.errors import ConfigError, FormatError, StoreError
from wiretape.core.recording.file_names import SIDE_FILE_NAME, by_take
from wiretape.library.folder_names import LINKED, SESSION_NAME, is_host_folder
from wiretape.library.read_file import read_bytes
from wiretape.progress import track
from wiretape.store_url import is_mirror


@dataclass(frozen=True, slots=True)
class SessionFiles:
    """The files of one session (None: the recordings that are in no session's folder): `.json`
    files and side files by name, below `folder` and with "/"; `unreadable` are folders that could
    not be listed, with the system's reason.
    """

    session: str | None
    folder: Path
    recordings: tuple[str, ...]
    side_files: tuple[str, ...]
    unreadable: tuple[tuple[Path, str], ...] = ()

    def size(self, name: str) -> int:
        """The bytes of a file, 0 where it is gone."""
        try:
            return (self.folder / name).stat().st_size
        except OSError:
            return 0

    def read(self, name: str) -> bytes:
        """A file's bytes; StoreError where they cannot be had."""
        return read_bytes(self.folder / name)[0]


def sessions(folder: Path, session: str | None = None) -> list[SessionFiles]:
    """The sessions of a folder, first the recordings in no session; only one if `session` names it.

    ConfigError if there is no such folder or session.
    """
    if not folder.is_dir():
        what = "not a folder" if folder.exists() else "no such folder"
        if is_mirror(folder):
            raise ConfigError(
                "the recordings are in an object store, and not on this machine: `wiretape pull`"
                " copies them into the folder recordings; then name it with -r"
            )
        raise ConfigError(f"{folder}: {what}; name the folder of the recordings with -r")
    if session is not None:
        if not SESSION_NAME.fullmatch(session):
            raise ConfigError(
                f"--session {session!r:.120}: expected letters, digits, - and _, at most 100;"
                " / between such names for a folder in folders"
            )
        if not (folder / session).is_dir():
            there = ", ".join(name for name in _names(folder)) or "none"
            raise ConfigError(f"--session {session}: no such folder in {folder} (there: {there})")
        return [_files(session, folder / session)]
    return [_files(None, folder), *(_files(name, folder / name) for name in _names(folder))]


def _names(folder: Path) -> list[str]:
    """The sessions of a folder. A folder without recordings or hosts' folders, whose own folders
    have them, is not a session: its folders are.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if SESSION_NAME.fullmatch(entry.name) and os.path.isdir(entry.path)
            )
    except OSError as error:
        raise StoreError(f"{folder}: cannot be read: {error.strerror}") from error
    return [session for name in names for session in _nested(folder, name) or [name]]


def _nested(folder: Path, name: str) -> list[str]:
    """The sessions in a folder of sessions; empty if it is a session itself, or holds none."""
    top = folder / name
    sessions = []
    for where, folders, files in os.walk(top):  # `_files` reports what cannot be listed
        folders.sort()
        session = Path(where).relative_to(folder).as_posix()
        hosts = any(map(is_host_folder, folders))
        if hosts or any(file.endswith(".json") for file in files):
            if Path(where) == top:
                return []
            if not hosts or not SESSION_NAME.fullmatch(session):
                return []  # recordings that somebody has put into folders of his own
            sessions.append(session)
            folders.clear()
    return sessions


def _files(session: str | None, folder: Path) -> SessionFiles:
    recordings: list[str] = []
    side_files: list[str] = []
    unreadable: list[tuple[Path, str]] = []

    def fail(error: OSError) -> None:
        unreadable.append((Path(error.filename or folder), error.strerror or "cannot be read"))

    for where, folders, files in os.walk(folder, onerror=fail):
        if session is None and Path(where) == folder:
            folders[:] = filter(is_host_folder, folders)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if os.path.islink(os.path.join(where, name))]
        unreadable += [(Path(where) / name, LINKED) for name in links]
        below = Path(where).relative_to(folder).as_posix()
        lead = "" if below == "." else f"{below}/"
        for name in sorted(files):
            if name.startswith("."):
                continue
            if name.endswith(".json"):
                recordings.append(lead + name)
            elif SIDE_FILE_NAME.fullmatch(name):
                side_files.append(lead + name)
    return SessionFiles(
        session,
        folder,
        tuple(sorted(recordings, key=by_take)),
        tuple(sorted(side_files)),
        tuple(unreadable),
    )


def orphans(files: SessionFiles, without: Iterable[str] = ()) -> list[str]:
    """The side files that no recording beside them names; `without` are recordings that are not
    asked. A recording that cannot be read may name any.
    """
    gone = frozenset(without)
    by_folder: dict[str, dict[bytes, str]] = {}
    for name in files.side_files:
        folder, _, file = name.rpartition("/")
        by_folder.setdefault(folder, {})[file.encode()] = name
    for name in track(files.recordings, "looking for side files"):
        beside = by_folder.get(name.rpartition("/")[0])
        if not beside or name in gone:
            continue
        try:
            data = files.read(name)
        except StoreError:
            beside.clear()
            continue
        for side_file in [side_file for side_file in beside if side_file in data]:
            del beside[side_file]
    return sorted(name for beside in by_folder.values() for name in beside.values())


def recorded_at(document: dict[str, Any]) -> datetime | None:
    """When a recording was made; None if it does not say, as llama-stack's do not."""
    text = document.get("recorded_at")
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def document_of(files: SessionFiles, name: str) -> dict[str, Any] | None:
    """The document of a recording; None if it is not a recording or cannot be read."""
    from wiretape.core.recording import (
        text as recording_format,  # late: a list of names has no use for it
    )

    try:
        return recording_format.loads(files.read(name))
    except (FormatError, StoreError):
        return None

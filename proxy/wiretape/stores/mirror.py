"""A run that records into a store: a folder of its own, names reserved while it records, and what
it recorded uploaded after it.

Nothing is uploaded before the run's end, since until then a value may become known as a secret and
be taken out. A name is reserved by a small object that only it can create; readers go by manifests
and do not see it.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from filelock import FileLock

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.file_names import take_of
from wiretape.core.text.printable import count
from wiretape.files import write_whole
from wiretape.library.processes import is_alive
from wiretape.library.recording_file import side_files

from . import manifest, transfer
from .manifest import MARKER, Files, digest
from .store import ObjectStore, OutOfReach, in_parallel

_KEPT_SECONDS: Final = 30 * 24 * 3600.0
"""How long a mirror is kept that nobody uses."""
_RESERVED_SECONDS: Final = 24 * 3600.0
"""How long a name is reserved by a run that did not end."""
_LOCK_SECONDS: Final = 30.0
_PENDING: Final = ".wiretape-pending"
_SEEN: Final = ".wiretape-seen"
_OWN: Final = ".wiretape-run-"
"""How the file begins that has the names a run has reserved, with their tags; its process's
number follows."""


class Mirror:
    """The folder in which a run uses the recordings of a store. `notice` tells the user something.

    mirror = Mirror(ObjectStore("s3://bucket/prefix"), folder, print)
    mirror.begin(records=True)
    library.names_elsewhere = mirror
    …
    mirror.upload(written)
    """

    def __init__(self, store: ObjectStore, folder: Path, notice: Callable[[str], None]) -> None:
        self.folder: Final = folder
        self.store: Final = store
        self._notice = notice
        # The tag of what reserves each name: what it is replaced by is this run's recording.
        self._reserved: dict[str, str] = {}
        # The digests of what others replaced.
        self._dropped: Files = {}
        self._is_lost = False
        self._noted: dict[str, str] = {}
        self._fetched: set[str] = set()

    def begin(self, *, records: bool) -> None:
        """Make the folder ready; StoreError where `records` and it would not be safe to record.

        What an earlier run could not upload stays, and is uploaded first.
        """
        if records:
            self.store.probe()
        self.folder.mkdir(parents=True, exist_ok=True)
        tidy(self.folder)
        if not records:
            return
        self._take_over_killed()
        if pending := waiting(self.folder):
            self.upload(pending)
            self._reserved.clear()

    def fill(self) -> None:
        """Make the folder hold what the store has; StoreError where it cannot be had."""
        remote = manifest.list_files(self.store)
        plan = transfer.plan_pull(transfer.local_files(self.folder), remote, delete=True)
        # What was never seen in the store is another run's, or still to be uploaded.
        seen, unsent = _names_in(self.folder, _SEEN), self.unsent()
        pull = tuple(name for name in plan.pull if name not in unsent)
        remove = tuple(name for name in plan.remove if name in seen and name not in unsent)
        transfer.pull(self.store, self.folder, replace(plan, pull=pull, remove=remove))
        self._keep_names(_SEEN, sorted(remote))

    def unsent(self) -> set[str]:
        """The recordings that runs of this machine have made and not uploaded yet."""
        names = set(waiting(self.folder))
        for path in self.folder.glob(f"{_OWN}*"):
            with suppress(OSError, ValueError):
                names |= dict(map(json.loads, path.read_text().splitlines())).keys()
        return names

    def keep(self, name: str, data: bytes) -> None:
        """Put what was fetched into the folder; not over what a run of this machine recorded."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock():
            if name not in self.unsent():
                write_whole(path, data)
                self._fetched.add(name)
                return
        # It is reserved, and may be written at any moment.
        temporary = path.with_name(f".{path.name}.{os.getpid()}.fetched")
        write_whole(temporary, data)
        with suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()

    def _lock(self) -> FileLock:
        """Held while a name is looked at that another run may be about to record."""
        return FileLock(self.folder / ".wiretape-lock", timeout=_LOCK_SECONDS)

    # -------------------------------------------------------------- while it records

    def reserve(self, path: Path, *, is_replaced: bool) -> int | None:
        """As `NamesElsewhere` has it; where the store is lost, names are this run's own."""
        name = path.relative_to(self.folder).as_posix()
        if self._is_lost or name in self._reserved:
            self._note_own(name, "")
            return None
        try:
            tag = self._reserved_tag(name, is_replaced=is_replaced)
            if tag is not None:
                self._reserved[name] = tag
                self._note_own(name, tag)
                return None
            stem = name.removesuffix(".json")
            stem = stem.rpartition(".")[0] if take_of(name) > 1 else stem
            others = self.store.names_after(stem + ".")
            return max(map(take_of, others), default=take_of(name)) + 1
        except OutOfReach as error:
            self._is_lost = True
            self._note_own(name, "")
            self._notice(f"{error}; recordings are kept in {self.folder} until it does")
            return None

    def _note_own(self, name: str, tag: str) -> None:
        """Tell other runs of this machine, and the next one if this is killed, what is its own."""
        if self._noted.get(name) != tag and (tag or name not in self._noted):
            self._noted[name] = tag
            with self._lock(), (self.folder / f"{_OWN}{os.getpid()}").open("a") as file:
                file.write(json.dumps([name, tag]) + "\n")

    def _take_over_killed(self) -> None:
        """Wait with what killed runs of this machine recorded, as if they had not uploaded it."""
        for path in self.folder.glob(f"{_OWN}*"):
            with suppress(OSError, ValueError):
                tags = dict(map(json.loads, path.read_text().splitlines()))
                if not is_alive(int(path.name.removeprefix(_OWN))):
                    self._reserved |= {name: tag for name, tag in tags.items() if tag}
                    self._keep_names(_PENDING, sorted({*waiting(self.folder), *tags}))
                    path.unlink()

    def _reserved_tag(self, name: str, *, is_replaced: bool) -> str | None:
        marker = json.dumps({"wiretape_reserved": time.time(), "name": name}).encode()
        if (tag := self.store.created(name, marker)) is not None:
            return tag
        there = self.store.read(name)
        if there is None:
            return None
        if there.data.startswith(MARKER):
            # A run that ended without uploading it left the name.
            if time.time() - float(json.loads(there.data)["wiretape_reserved"]) < _RESERVED_SECONDS:
                return None
        elif not is_replaced or there.data != (self.folder / name).read_bytes():
            return None  # a run replaces only what it has seen
        return there.tag

    def drop(self, paths: Iterable[Path]) -> None:
        """As `NamesElsewhere` has it."""
        for path in paths:
            with suppress(OSError):
                self._dropped[path.relative_to(self.folder).as_posix()] = digest(path.read_bytes())

    # -------------------------------------------------------------- when it is over

    def upload(self, names: Iterable[str]) -> bool:
        """Upload recordings of the folder with their side files; False, with a notice, if some
        could not be: they are kept, and uploaded by the next run that records.
        """
        names = sorted({*names, *waiting(self.folder)})
        files = [name for name in names if (self.folder / name).is_file()]
        files += sorted({side for name in files for side in self._sides(name)})
        uploaded: Files = {}
        failed: dict[str, str] = {}

        def upload(name: str) -> None:
            try:
                data = (self.folder / name).read_bytes()
                if self._write(name, data):
                    uploaded[name] = digest(data)
                else:
                    failed[name] = "another run recorded under its name"
            except StoreError as error:
                failed[name] = str(error)

        for suffix in (".bin", ".json"):
            in_parallel(upload, [name for name in files if name.endswith(suffix)], "uploading")
        gone = {name: sha for name, sha in self._dropped.items() if name not in uploaded}
        try:
            transfer.list_in(self.store, uploaded, gone)
            unused = set(self._reserved) - set(files)
            in_parallel(self.store.remove, sorted(unused), "removing")
        except StoreError as error:
            failed |= dict.fromkeys(uploaded, str(error))
        self._keep_names(_PENDING, sorted(failed))
        self._keep_names(_SEEN, sorted({*_names_in(self.folder, _SEEN), *self._fetched}))
        (self.folder / f"{_OWN}{os.getpid()}").unlink(missing_ok=True)
        if failed:
            self._notice(
                f"{count(len(failed), 'recording')} could not be uploaded"
                f" ({next(iter(failed.values()))}); kept in {self.folder}, and uploaded by the next"
                f" run that records there, or by `wiretape push -r {self.folder} {self.store.url}`"
            )
        return not failed

    def _sides(self, name: str) -> list[str]:
        """The names of a recording's side files; empty for other files."""
        with suppress(OSError, FormatError):
            document = recording_format.loads((self.folder / name).read_bytes())
            folder = manifest.folder_of(name)
            return [f"{folder}/{side}".lstrip("/") for side in side_files(document)]
        return []

    def _write(self, name: str, data: bytes) -> bool:
        if name.endswith(".bin"):  # named by its content
            self.store.put(name, data)
            return True
        tag = self._reserved.get(name)
        if tag is None:
            return self.store.create(name, data)
        return self.store.replace(name, data, tag)

    def _keep_names(self, file: str, names: list[str]) -> None:
        path = self.folder / file
        if names:
            write_whole(path, json.dumps(names).encode())
        else:
            path.unlink(missing_ok=True)


def waiting(folder: Path) -> list[str]:
    """The recordings of a mirror that could not be uploaded yet."""
    return _names_in(folder, _PENDING)


def _names_in(folder: Path, file: str) -> list[str]:
    with suppress(OSError, ValueError):
        names = json.loads((folder / file).read_text())
        return [name for name in names if manifest.is_recording(name)]
    return []


def tidy(folder: Path) -> None:
    """Note that a folder is used; remove those unused for long that hold nothing of their own."""
    (folder / ".used").touch()
    for other in folder.parent.iterdir():
        with suppress(OSError):
            age = time.time() - (other / ".used").stat().st_mtime
            if age > _KEPT_SECONDS and not (other / _PENDING).exists():
                shutil.rmtree(other)

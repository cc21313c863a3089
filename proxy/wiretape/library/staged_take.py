"""A recording that is named and about to be written, one step for many of them at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wiretape.core.errors import StoreError
from wiretape.core.recording.document import Document
from wiretape.files import StagedFile, write_whole

from . import replace_files
from .lookup import Entry
from .recording_file import Facts, StoredRequest


@dataclass(frozen=True, slots=True)
class NewTake:
    """A recording to be written, and what distinguishes it from others of its key."""

    document: Document
    stored: StoredRequest
    identity: tuple[object, ...]
    client_messages: tuple[str, ...]
    """The keys of the messages that the client sent over a WebSocket."""


@dataclass(slots=True, kw_only=True)
class StagedTake:
    """A recording that is to be written: its `entry`, and after `commit` the `error` that kept it
    from being.
    """

    entry: Entry
    error: StoreError | None = None
    path: Path
    key: str
    new: NewTake
    data: bytes
    files: dict[str, bytes]
    facts: Facts
    void: list[str]
    """The names of the takes that it replaces, beside the one it is written over."""
    is_first: bool
    """Whether it is the first of its key in this run."""
    file: StagedFile | None = None

    @property
    def first(self) -> tuple[str, object]:
        """What only one take of a run is the first of."""
        return self.key, self.new.identity

    def prepare(self) -> None:
        """Write the side files, and the recording's temporary file."""
        with self._noting_error():
            for name, content in self.files.items():
                write_whole(self.path.parent / name, content)
            # What replaces others is written by itself, by a list of them.
            self.file = None if self.void else StagedFile(self.path, self.data)

    def sync(self) -> None:
        """Have the temporary file on disk."""
        with self._noting_error():
            if self.file is not None:
                self.file.sync()

    def rename(self, root: Path) -> None:
        """Put the recording where it is to be, in place of those that it replaces."""
        if self.error is not None:
            return
        with self._noting_error():
            if self.void:
                if self.file is not None:
                    self.file.discard()
                listed = replace_files.list_path(self.path.parent, self.key)
                void = [root / old for old in self.void]
                replace_files.replace(root, listed, self.path, self.data, void)
            elif self.file is not None:
                self.file.rename()

    @contextmanager
    def _noting_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.file = None
            self.error = store_error(error, self.path.parent)


def store_error(error: OSError, folder: Path) -> StoreError:
    """The same fault as wiretape tells it: which file or folder, and why."""
    wrapped = StoreError(f"{error.filename or folder}: cannot be written: {error.strerror}")
    wrapped.__cause__ = error
    return wrapped

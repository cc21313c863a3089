"""Recordings that are fetched when they are first used, from where a library has them.

An event loop must not wait for a server: inside `deferring()` a recording that would have to be
fetched raises NotHere, and who catches it fetches in a thread and begins again.
"""

from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Final, Protocol

from wiretape.core.errors import WiretapeError

from .index_tables import FileRows
from .recording_file import Examine
from .scan_folder import Sweep

_DEFERS: Final = ContextVar("defers", default=False)


class RecordingOrigin(Protocol):
    """Where a library's recordings are fetched from."""

    def sweep(
        self,
        folder: Path,
        examine: Examine,
        report_fault: Callable[[FileRows], None],
        *,
        is_session: bool,
    ) -> Sweep:
        """What keeps the index of a folder as `Sweep` does, and loads the recordings there."""
        ...

    def place_index(self, path: Path, session: str | None) -> None:
        """Write an index that others made of a session's recordings to `path`, if there is one."""
        ...


class NotHere(WiretapeError):
    """A recording has to be fetched first: call `fetch` where that may take a while.

    It raises FormatError and StoreError as `Library.read`.
    """

    def __init__(self, fetch: Callable[[], object]) -> None:
        super().__init__("a recording has to be fetched first")
        self.fetch: Final = fetch


class deferring:  # a context manager, and quicker than a generator: each request has two
    """Have recordings that are not here raise NotHere inside the block; else they are fetched."""

    __slots__ = ("_active", "_token")

    def __init__(self, *, active: bool = True) -> None:
        self._active = active

    def __enter__(self) -> None:
        self._token = _DEFERS.set(self._active)

    def __exit__(self, *_: object) -> None:
        _DEFERS.reset(self._token)


def may_defer() -> bool:
    """Whether the caller is inside `deferring()`."""
    return _DEFERS.get()

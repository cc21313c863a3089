"""Rename many recordings at once, so that a crash loses none (`library/replace_set.py`)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wiretape.core.errors import StoreError
from wiretape.core.recording import text as recording_format
from wiretape.library import replace_set
from wiretape.library.library import LocalState
from wiretape.state_dir import state_dir

from .rekey import Move


def rename(folder: Path, moves: Sequence[Move]) -> None:
    """Carry out moves in a session's folder: new tokens and new names, all of them or none.

    StoreError names the file and the system's reason.
    """
    if not moves:
        return
    with _writing(folder):
        olds = {move.old for move in moves}
        for move in moves:
            if move.new not in olds and (folder / move.new).exists():
                raise StoreError(
                    f"{folder / move.new}: appeared while recordings were to be renamed; move it"
                    " away and run `wiretape rekey` again; nothing was renamed"
                )
        new = {move.new: _content(folder / move.old, move) for move in moves}
        if len(new) < len(moves):
            raise StoreError(f"{folder}: two recordings would have one name; nothing was renamed")
        replace_set.replace(folder, new, olds.difference(new))


def interrupted(folder: Path) -> bool:
    """Whether files of a session's folder were being replaced and are not all in their places."""
    return replace_set.is_begun(folder)


def resume(folder: Path) -> int:
    """Finish what was interrupted; gives the number of its files, 0 if there is nothing to do.

    StoreError as `rename` has it.
    """
    if not interrupted(folder):
        return 0
    with _writing(folder):
        return replace_set.finish(folder)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; OSError becomes StoreError."""
    try:
        with LocalState(state_dir()).lock(folder):
            yield
    except TimeoutError:
        raise StoreError(
            f"{folder}: locked by another wiretape for 30 s; nothing was renamed"
        ) from None
    except OSError as error:
        rest = "nothing was renamed"
        if interrupted(folder):
            rest = "it was begun, and whatever opens the folder next finishes it"
        path = error.filename or folder
        raise StoreError(f"{path}: cannot be renamed: {error.strerror}; {rest}") from error


def _content(path: Path, move: Move) -> bytes | Path:
    """What a recording's new file holds: its old one, or that with new tokens."""
    if path.is_symlink():
        raise StoreError(
            f"{path}: a link, which is not renamed: put the file itself in its place; nothing was"
            " renamed"
        )
    if move.ids is None:
        return path
    document = recording_format.loads(path.read_bytes())
    document["request"]["ids"] = dict(move.ids)
    if not move.ids:
        del document["request"]["ids"]
    return recording_format.dumps(document).encode("utf-8")

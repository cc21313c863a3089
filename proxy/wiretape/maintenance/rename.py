"""Renaming many recordings at once so that a crash in the middle loses none.

A name may be wanted that another recording still has, which moves as well. So it goes in two steps,
told by a journal in the session's folder: first who is in the way is put aside under a hidden name
and the rest is renamed, then those put aside get their new names. Each act can be seen to be done,
so what was begun is finished by doing all of it again.
"""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.recording import text as recording_format
from wiretape.core.text import exact_json
from wiretape.files import replace
from wiretape.progress import track

from .rekey import Move

JOURNAL: Final = ".wiretape-rekey.json"

_VERSION: Final = 1
_FIRST: Final = "renaming"
_SECOND: Final = "placing"


def rename(folder: Path, moves: Sequence[Move]) -> None:
    """Carry out moves in a session's folder: new tokens, then new names.

    StoreError names the file and the system's reason; `resume` finishes what had begun then.
    """
    if not moves:
        return
    olds = {move.old for move in moves}
    for move in moves:
        if move.new not in olds:
            _refuse_to_cover(folder / move.new)
    try:
        _write_journal(folder, moves, _FIRST)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be written: {error.strerror}; nothing was renamed"
        ) from error
    _carry_out(folder, moves, _FIRST)


def interrupted(folder: Path) -> bool:
    """Whether a renaming was begun in a session's folder and not finished."""
    return (folder / JOURNAL).exists()


def resume(folder: Path) -> int:
    """Finish a renaming that was interrupted; gives the number of its files, 0 if there is none.

    FormatError where its journal is not one, StoreError as `rename` has it.
    """
    try:
        data = (folder / JOURNAL).read_bytes()
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise StoreError(f"{folder / JOURNAL}: cannot be read: {error.strerror}") from error
    step, moves = _read_journal(folder, data)
    _carry_out(folder, moves, step)
    return len(moves)


def _carry_out(folder: Path, moves: Sequence[Move], step: str) -> None:
    olds = {move.old for move in moves}
    try:
        if step == _FIRST:
            for number, move in enumerate(track(moves, "renaming")):
                _leave(folder, move, _aside(folder, move, number), in_the_way=move.new in olds)
            _write_journal(folder, moves, _SECOND)
        for number, move in enumerate(moves):
            aside = _aside(folder, move, number)
            if aside.exists():
                _refuse_to_cover(folder / move.new)
                os.rename(aside, folder / move.new)
        (folder / JOURNAL).unlink()
    except OSError as error:
        raise StoreError(
            f"{error.filename or folder}: cannot be renamed: {error.strerror}; nothing is lost:"
            " `wiretape rekey` finishes what was begun"
        ) from error


def _leave(folder: Path, move: Move, aside: Path, *, in_the_way: bool) -> None:
    old, new = folder / move.old, folder / move.new
    if aside.exists() or not old.exists():
        return  # done before a crash
    if move.ids is not None:
        document = recording_format.loads(old.read_bytes())
        document["request"]["ids"] = dict(move.ids)
        if not move.ids:
            del document["request"]["ids"]
        replace(old, recording_format.dumps(document).encode("utf-8"))
    if move.new == move.old:
        return
    if in_the_way:
        os.rename(old, aside)
    else:
        _refuse_to_cover(new)
        os.rename(old, new)


def _aside(folder: Path, move: Move, number: int) -> Path:
    return (folder / move.old).with_name(f".wiretape-rekey-{number}.tmp")


def _refuse_to_cover(path: Path) -> None:
    if path.exists():
        raise StoreError(
            f"{path}: appeared while recordings were renamed; move it away, then"
            " `wiretape rekey` finishes what was begun"
        )


# ------------------------------------------------------------------ the journal


def _write_journal(folder: Path, moves: Sequence[Move], step: str) -> None:
    rows = [
        {"old": move.old, "new": move.new, **({} if move.ids is None else {"ids": dict(move.ids)})}
        for move in moves
    ]
    text = json.dumps({"wiretape_rekey": _VERSION, "step": step, "moves": rows}, indent=1)
    replace(folder / JOURNAL, (text + "\n").encode())


def _read_journal(folder: Path, data: bytes) -> tuple[str, list[Move]]:
    """What a journal says; it lies among files of others and is not trusted to name any place."""
    wrong = FormatError(
        f"{folder / JOURNAL}: not a journal of wiretape's; delete it, then run `wiretape verify`"
    )
    try:
        journal = exact_json.parse(data)
    except ValueError:
        raise wrong from None
    if not isinstance(journal, dict) or journal.get("wiretape_rekey") != _VERSION:
        raise wrong
    step, rows = journal.get("step"), journal.get("moves")
    if not isinstance(rows, list) or not isinstance(step, str) or step not in (_FIRST, _SECOND):
        raise wrong
    moves = list(_moves(rows))
    within = folder.resolve()
    if len(moves) != len(rows) or not all(
        (folder / move.old).resolve().parent.is_relative_to(within) for move in moves
    ):
        raise wrong
    return step, moves


def _moves(rows: list[Any]) -> Iterator[Move]:
    for row in rows:
        match row:
            case {"old": str() as old, "new": str() as new}:
                ids = row.get("ids")
                if _is_inside(old) and _is_inside(new) and _same_folder(old, new) and _texts(ids):
                    yield Move(old, new, ids)


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return (
        name.endswith(".json")
        and not path.is_absolute()
        and "\0" not in name
        and not any(part.startswith(".") for part in path.parts)
    )


def _same_folder(old: str, new: str) -> bool:
    return old.rpartition("/")[0] == new.rpartition("/")[0]


def _texts(ids: Any) -> bool:
    return ids is None or (
        isinstance(ids, dict) and all(isinstance(text, str) for text in ids.values())
    )

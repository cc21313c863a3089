"""Direct answers are read one by one, or ahead, and are those of the files as they are."""

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wiretape.core.playback.known_request import KnownRequest
from wiretape.library import direct_rows
from wiretape.library.direct_answer import DirectAnswer
from wiretape.library.direct_rows import DirectRows
from wiretape.library.index import Index
from wiretape.library.recording_file import AnsweredKey, Facts, MatchKind, stat_of

COUNT = 200


def digest(number: int) -> bytes:
    return number.to_bytes(16)


def facts(folder: Path, number: int, **more: Any) -> Facts:
    name, key = f"{number:03}.json", f"{number:064x}"
    (folder / name).write_text(str(number))
    made = Facts(
        name=name,
        stat=stat_of(folder / name),
        settled=True,
        content=b"",
        keys=(AnsweredKey(key, ("h", "POST", "/"), MatchKind.EXACT),),
        digest=digest(number),
        known=KnownRequest(key, ("a",), "m", ("rule",)),
        answer=DirectAnswer(b"head", b"%d" % number, 200),
        # Two in a microsecond, in another order than that of the names.
        recorded=(COUNT - number) // 2,
    )
    return replace(made, **more)


class Folder:
    """A folder, its index, and how often that was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = Index()
        self.queries = 0
        self.rows = DirectRows(folder)

    def query[T](self, ask: Callable[[Index], T]) -> T:
        self.queries += 1
        return ask(self.index)

    def body(self, number: int) -> bytes | None:
        row = self.rows.get(digest(number), self.query, 0.0)
        return row and row.answer.body


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.index.put(facts(tmp_path, number) for number in range(COUNT))
    return made


def in_order() -> list[int]:
    return sorted(range(COUNT), key=lambda number: ((COUNT - number) // 2, number))


def test_rows_are_read_ahead_in_the_order_of_recording(folder: Folder) -> None:
    assert [folder.body(number) for number in in_order()] == [b"%d" % n for n in in_order()]
    assert folder.queries < COUNT // 10


def test_few_rows_in_another_order_are_read_one_by_one(folder: Folder) -> None:
    numbers = list(reversed(in_order()))[: direct_rows._SINGLE]
    assert [folder.body(number) for number in numbers] == [b"%d" % n for n in numbers]
    assert folder.queries == len(folder.rows._entries) == len(numbers)
    assert folder.body(numbers[0]) == b"%d" % numbers[0]
    assert folder.queries == len(numbers)


def test_of_a_small_folder_those_beside_are_read_in_the_end(folder: Folder) -> None:
    numbers = random.Random(1).sample(range(COUNT), COUNT)
    assert [folder.body(number) for number in numbers] == [b"%d" % n for n in numbers]
    assert folder.queries <= direct_rows._SINGLE + -(-COUNT // direct_rows._AHEAD) + 1
    assert folder.rows._bytes == sum(len(b"head%d" % number) for number in range(COUNT))


@pytest.mark.parametrize("limit", ["_SMALL", "_MOST_BYTES"])
def test_of_a_large_folder_they_are_not(
    folder: Folder, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_rows, limit, 90)
    numbers = list(reversed(in_order()))
    assert [folder.body(number) for number in numbers] == [b"%d" % n for n in numbers]
    assert folder.queries > COUNT // 2


def test_few_rows_are_in_memory(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_rows, "_MOST", 10)
    monkeypatch.setattr(direct_rows, "_SMALL", 0)
    for number in in_order():
        folder.body(number)
    assert len(folder.rows._entries) <= 10 + direct_rows._AHEAD


def test_a_row_says_all_that_is_reported(folder: Folder) -> None:
    row = folder.rows.get(digest(7), folder.query, 0.0)
    assert row is not None
    assert row.known == KnownRequest(f"{7:064x}", ("a",), "m", ("rule",))
    assert (row.name, row.answer) == ("007.json", DirectAnswer(b"head", b"7", 200))


def test_a_file_that_is_not_what_it_was_has_no_row(folder: Folder) -> None:
    assert folder.body(7) == b"7"
    os.utime(folder.folder / "007.json", (1, 1))
    assert folder.body(7) is None
    assert folder.rows.get(digest(7), folder.query, 3600.0) is None
    (folder.folder / "008.json").unlink()
    assert folder.body(8) is None


def test_a_file_is_trusted_as_long_as_is_said(folder: Folder) -> None:
    assert folder.body(7) == b"7"
    os.utime(folder.folder / "007.json", (1, 1))
    assert folder.rows.get(digest(7), folder.query, 3600.0) is not None


def test_what_is_not_there_is_not_looked_for_again_before_a_change(folder: Folder) -> None:
    assert (folder.body(COUNT), folder.body(COUNT), folder.queries) == (None, None, 1)
    folder.index.put([facts(folder.folder, COUNT)])
    folder.rows.forget()
    assert folder.body(COUNT) == b"%d" % COUNT


def test_a_file_that_does_not_answer_alone_has_no_row(folder: Folder) -> None:
    other = (AnsweredKey(f"{7:064x}", ("h", "POST", "/"), MatchKind.WITH_IDS),)
    folder.index.put([facts(folder.folder, 900, keys=other, digest=None, known=None, answer=None)])
    folder.index.put([facts(folder.folder, 8, settled=False)])
    folder.index.put([facts(folder.folder, 9, answer=None, content=b"new")])
    assert [folder.body(number) for number in (7, 8, 9, 10)] == [None, None, None, b"10"]
    folder.index.forget("", ["900.json"])
    folder.rows.forget()
    assert folder.body(7) == b"7"

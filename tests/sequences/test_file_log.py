import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from wiretape.sequences.file_log import FileLog
from wiretape.sequences.shared_log import SequencesLost, Tail


async def test_who_has_read_all_appends_and_others_read_first(tmp_path: Path) -> None:
    one, two = FileLog(tmp_path), FileLog(tmp_path)
    assert await one.append("a", ["1", "2"]) == Tail(True)
    assert await two.append("a", ["3"]) == Tail(False, (), ["1", "2"])
    assert await two.append("a", ["3"]) == Tail(True)
    assert await one.append("a") == Tail(False, (), ["3"])
    assert await one.append("a") == Tail(True)


async def test_a_change_of_the_control_log_comes_before_any_other(tmp_path: Path) -> None:
    one, two = FileLog(tmp_path), FileLog(tmp_path)
    await one.append("", ["start"])
    assert await two.append("a", ["1"]) == Tail(False, ["start"], ())
    assert await two.append("a", ["1"]) == Tail(True)


async def test_a_line_that_a_killed_process_left_half_written_was_never_there(
    tmp_path: Path,
) -> None:
    one, two = FileLog(tmp_path), FileLog(tmp_path)
    await one.append("a", ["1"])
    os.write(one._file("a").descriptor, b"hal")
    assert await two.append("a", ["2"]) == Tail(False, (), ["1"])
    assert await two.append("a", ["2"]) == Tail(True)
    assert await one.append("a") == Tail(False, (), ["2"])


async def test_who_is_killed_before_a_line_has_nobody_miss_it(tmp_path: Path) -> None:
    one, two = FileLog(tmp_path), FileLog(tmp_path)
    await one.append("a", ["1"])
    await two.append("a")
    one._changes[0] += 1  # it was counted, and never written
    assert not two.is_read("a")
    assert await two.append("a") == Tail(True)
    assert two.is_read("a")
    one._file("a").write(["2"])  # and once more, with the line but nobody who says so
    one._changes[0] += 1
    assert await two.append("a", ["3"]) == Tail(False, (), ["2"])


async def test_whether_a_log_is_read_is_known_without_reading(tmp_path: Path) -> None:
    one, two = FileLog(tmp_path), FileLog(tmp_path)
    assert not two.is_read("a")
    await two.append("a")
    assert two.is_read("a")
    for name in ("a", "b", ""):
        await one.append(name, ["1"])
        assert (one.is_read(name), two.is_read("a")) == (True, False)
        while not (await two.append("a")).is_appended:
            pass
        assert two.is_read("a")


async def test_an_entry_that_is_right_after_those_of_others_is_appended(tmp_path: Path) -> None:
    one, two = FileLog(tmp_path), FileLog(tmp_path)
    await one.append("a", ["1"])
    asked: list[Sequence[str]] = []

    def is_apart(others: Sequence[str]) -> bool:
        asked.append(others)
        return others != ["1"]

    assert two.append_now("a", ["2"], is_apart) == Tail(False, (), ["1"])
    await one.append("a", ["3"])
    assert two.append_now("a", ["2"], is_apart) == Tail(True, (), ["3"])
    assert asked == [["1"], ["3"]]
    await one.append("", ["reset"])
    assert two.append_now("a", ["4"], is_apart) == Tail(False, ["reset"], ())
    assert await FileLog(tmp_path).append("a") == Tail(False, ["reset"], ["1", "3", "2"])


async def test_a_long_log_is_read_whole(tmp_path: Path) -> None:
    entries = ["x" * 1000] * 200
    await FileLog(tmp_path).append("a", entries)
    assert await FileLog(tmp_path).append("a") == Tail(False, (), entries)


async def test_a_log_that_was_forgotten_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = FileLog(tmp_path)
    await log.append("a", ["1"])
    log.forget("a")
    assert await log.append("a") == Tail(False, (), ["1"])


async def test_a_log_that_cannot_be_written_is_lost(tmp_path: Path) -> None:
    log = FileLog(tmp_path)
    shutil.rmtree(tmp_path)
    with pytest.raises(SequencesLost, match="No such file"):
        await log.append("new", ["1"])

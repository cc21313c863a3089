import os
import shutil
from pathlib import Path

import pytest

from wiretape.sequences.file_log import FileLog
from wiretape.sequences.shared_log import SequencesLost, Tail


async def test_who_has_read_all_appends_and_others_read_first(tmp_path: Path) -> None:
    one, two = FileLog(tmp_path), FileLog(tmp_path)
    assert await one.append("a", ["1", "2"]) == Tail(True)
    assert await two.append("a", ["3"]) == Tail(False, [], ["1", "2"])
    assert await two.append("a", ["3"]) == Tail(True)
    assert await one.append("a") == Tail(False, [], ["3"])
    assert await one.append("a") == Tail(True)


async def test_a_change_of_the_control_log_comes_before_any_other(tmp_path: Path) -> None:
    one, two = FileLog(tmp_path), FileLog(tmp_path)
    await one.append("", ["start"])
    assert await two.append("a", ["1"]) == Tail(False, ["start"], [])
    assert await two.append("a", ["1"]) == Tail(True)


async def test_a_line_that_a_killed_process_left_half_written_was_never_there(
    tmp_path: Path,
) -> None:
    one, two = FileLog(tmp_path), FileLog(tmp_path)
    await one.append("a", ["1"])
    os.write(one._file("a").descriptor, b"hal")
    assert await two.append("a", ["2"]) == Tail(False, [], ["1"])
    assert await two.append("a", ["2"]) == Tail(True)
    assert await one.append("a") == Tail(False, [], ["2"])


async def test_a_log_that_was_forgotten_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = FileLog(tmp_path)
    await log.append("a", ["1"])
    log.forget("a")
    assert await log.append("a") == Tail(False, [], ["1"])


async def test_a_log_that_cannot_be_written_is_lost(tmp_path: Path) -> None:
    log = FileLog(tmp_path)
    shutil.rmtree(tmp_path)
    with pytest.raises(SequencesLost, match="No such file"):
        await log.append("new", ["1"])

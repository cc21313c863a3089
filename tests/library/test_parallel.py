"""Work in copies of this process: the results in order, and nothing left of the copies."""

import os
import signal
from contextlib import closing
from itertools import islice
from typing import Final

import pytest

from wiretape.library.parallel import in_processes, processors

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

NUMBERS: Final = list(range(20))


def squared(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_results_come_in_order_from_as_many_processes(copies: int) -> None:
    with closing(in_processes(squared, NUMBERS, copies)) as results:
        squares, pids = zip(*results, strict=True)
    assert squares == tuple(number * number for number in NUMBERS)
    assert len(set(pids) - {os.getpid()}) == copies


def test_more_processes_than_items_and_no_items_do_no_harm() -> None:
    with closing(in_processes(squared, [3], 4)) as results:
        assert [square for square, _ in results] == [9]
    with closing(in_processes(squared, [], 2)) as results:
        assert list(results) == []


def ends_at_seven(number: int) -> int:
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 12:
        raise ValueError("ends its process, too")
    return number


@pytest.mark.parametrize(("first", "last"), [(0, 7), (8, 12)])
def test_it_ends_early_where_a_process_does(
    first: int, last: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with closing(in_processes(ends_at_seven, NUMBERS[first:], 2)) as results:
        assert list(results) == NUMBERS[first:last]
    assert capfd.readouterr() == ("", "")


def test_closing_ends_processes_that_have_more_to_do() -> None:
    def work(number: int) -> tuple[int, bytes]:
        return os.getpid(), b"x" * (1 << 20)

    with closing(in_processes(work, NUMBERS, 2)) as results:
        pids = [pid for pid, _ in islice(results, 2)]
    for pid in pids:
        with pytest.raises(ChildProcessError):  # it has been waited for
            os.waitpid(pid, os.WNOHANG)


def test_a_process_with_threads_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threading.active_count", lambda: 2)
    assert processors() == 1

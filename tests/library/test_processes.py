"""Which processes are alive, by number and by when they began."""

import os
import subprocess
import sys

import pytest

from wiretape.library.processes import birth_of, is_alive


def test_one_that_has_ended_is_not_alive() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert not is_alive(done.pid)
    assert birth_of(done.pid) is None


def test_a_number_that_no_process_can_have_is_not_alive() -> None:
    assert not is_alive(2**62)


def test_the_process_of_another_user_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert is_alive(os.getpid())


@pytest.mark.skipif(birth_of(os.getpid()) is None, reason="nobody says when a process began")
def test_a_later_process_of_the_same_number_is_another() -> None:
    assert is_alive(os.getpid(), birth_of(os.getpid()))
    assert not is_alive(os.getpid(), "1")

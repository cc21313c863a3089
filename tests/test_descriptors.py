"""The limit of open files is raised for a run and not for CMD, and reaching it is noticed."""

import errno
import os
import subprocess
import sys

import pytest

from wiretape import descriptors

resource = pytest.importorskip("resource")


def run(code: str, soft: int, hard: int) -> str:
    """What a process with these limits prints."""
    limits = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}));"
    code = f"{limits} from wiretape import descriptors as d; import os\n{code}"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ran.stdout.strip()


@pytest.mark.parametrize(("soft", "hard"), [(64, 200), (64, 64), (200, 4000)])
def test_the_soft_limit_becomes_the_hard_one(soft: int, hard: int) -> None:
    assert run("d.raise_limit(); print(d.limit())", soft, hard) == str(hard)


def test_a_child_starts_with_the_limit_it_would_have_had() -> None:
    code = """
import subprocess, sys
usual = d.limit(); d.raise_limit()
with d.limited_to(usual):
    child = subprocess.run(["sh", "-c", "ulimit -Sn; ulimit -Hn"], capture_output=True, text=True)
print(child.stdout.split(), d.limit())
"""
    assert run(code, 64, 200) == "['64', '200'] 200"


def test_descriptors_are_low_before_they_are_gone() -> None:
    code = """
held, changes = [], []
while True:
    try:
        held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        break
    if d.are_low() and not changes:
        changes.append(held[-1])
print(64 - changes[0], d.are_low())
os.close(held.pop(0))
print(d.are_low())
for fd in held: os.close(fd)
print(d.are_low())
"""
    left, gone, one_free, all_free = run(code, 64, 64).split()
    assert int(left) in (descriptors.RESERVE, descriptors.RESERVE + 1)
    assert (gone, one_free, all_free) == ("True", "False", "False") or one_free == "True"


def test_one_that_was_just_opened_tells_how_many_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "limit", lambda: 100)
    monkeypatch.setattr("os.open", lambda *args: pytest.fail("opened another"))
    first_low = 100 - descriptors.RESERVE
    assert [descriptors.are_low(newest) for newest in (first_low - 1, first_low)] == [False, True]
    assert descriptors.are_low(50, reserve=50)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_exhaustion_is_known_by_its_cause(number: int) -> None:
    error = OSError(number, os.strerror(number))
    wrapped = ValueError("cannot be read")
    wrapped.__cause__ = error
    assert descriptors.is_exhaustion(error)
    assert descriptors.is_exhaustion(wrapped)


@pytest.mark.parametrize("error", [None, ValueError(), OSError(errno.ENOENT, "no such file")])
def test_another_failure_is_no_exhaustion(error: Exception | None) -> None:
    assert not descriptors.is_exhaustion(error)


def test_the_advice_names_the_limit() -> None:
    assert f"may have {descriptors.limit()}" in descriptors.advice()

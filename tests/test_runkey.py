"""The keys of journals and what they seal."""

import os
from pathlib import Path

import pytest

from wiretape import runkey
from wiretape.runkey import Seal


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of the test's own."""
    monkeypatch.setenv("WIRETAPE_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "wiretape"


def test_a_key_is_the_users_alone_and_found_by_its_name(memory: Path) -> None:
    key = runkey.make("run")
    assert key is not None
    assert runkey.find("run") == key
    assert memory.stat().st_mode & 0o777 == 0o700
    assert (memory / "run").stat().st_mode & 0o777 == 0o600
    runkey.remove("run")
    assert runkey.find("run") is None


def test_two_runs_have_two_keys() -> None:
    assert runkey.make("one") != runkey.make("two")


def test_a_key_is_made_once() -> None:
    runkey.make("run")
    assert runkey.make("run") is None


def test_a_place_that_others_can_read_is_not_used(memory: Path) -> None:
    memory.mkdir(mode=0o755)
    memory.chmod(0o755)
    assert runkey.folder() is None
    assert runkey.make("run") is None


def test_a_link_is_no_place(memory: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    memory.symlink_to(tmp_path / "elsewhere")
    assert runkey.folder() is None


def test_a_place_that_cannot_be_made_is_none(tmp_path: Path) -> None:
    environ = {"WIRETAPE_RUNTIME_DIR": str(tmp_path / "no" / "such")}
    assert runkey.folder(environ) is None


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="this machine has no /dev/shm")
def test_by_itself_a_key_is_in_memory() -> None:
    place = runkey.folder({})
    assert place == Path(f"/dev/shm/wiretape-{os.getuid()}")


def test_what_is_sealed_is_opened_in_its_place_alone() -> None:
    seal = Seal(bytes(32))
    sealed = seal.sealed(1, 2, b"secret")
    assert b"secret" not in sealed
    assert seal.opened(1, 2, sealed) == b"secret"
    assert seal.opened(1, 3, sealed) is None
    assert seal.opened(2, 2, sealed) is None
    assert seal.opened(1, 2, sealed[:-1]) is None
    assert seal.opened(1, 2, b"") is None
    assert Seal(bytes([1]) * 32).opened(1, 2, sealed) is None

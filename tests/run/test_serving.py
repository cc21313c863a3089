"""What serves is found, and what killed runs left behind goes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from wiretape.library.processes import birth_of, is_alive
from wiretape.run.serving import ServingProxy, announced, remove_leftovers, serving_proxies

PROXY = ServingProxy(mode="replay", port=8899, base_url_port=8900, token="t")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def files(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def test_a_proxy_is_found_as_long_as_it_serves(home: Path) -> None:
    with announced(PROXY):
        assert serving_proxies() == [PROXY]
        assert (home / f"running/{os.getpid()}.json").stat().st_mode & 0o777 == 0o600
    assert serving_proxies() == []
    assert files(home) == []


def test_what_the_dead_left_is_removed(home: Path, dead: int) -> None:
    (home / "running").mkdir()
    for name in (
        f"running/{dead}.json",
        f"running/.{dead}.tmp",
        f"running/.{dead}-0123456789ab.tmp",
        f"wiretape-a.{dead}.00000000.run",
        "wiretape-a.lock",
        "mitmproxy-ca.lock",
        "running/note.txt",
        f"wiretape-a.{os.getpid()}.00000000.run",
    ):
        (home / name).write_text("{")
    with FileLock(home / "held.lock"), announced(PROXY):
        remove_leftovers()
        assert files(home) == [
            "held.lock",
            f"running/{os.getpid()}.json",
            "running/note.txt",
            f"wiretape-a.{os.getpid()}.00000000.run",
        ]


def test_another_process_of_the_same_number_is_not_it(home: Path) -> None:
    if birth_of(os.getpid()) is None:
        pytest.skip("this system does not say when a process began")
    with announced(PROXY):
        path = home / f"running/{os.getpid()}.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "birth": "1"}))
        assert serving_proxies() == []
        assert not path.exists()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"mode": "replay"}'])
def test_a_file_that_cannot_be_read_is_passed_over(home: Path, text: str) -> None:
    (home / "running").mkdir()
    (home / f"running/{os.getpid()}.json").write_text(text)
    assert serving_proxies() == []


def test_life_is_told_by_number_and_birth(dead: int) -> None:
    assert is_alive(os.getpid())
    assert is_alive(os.getpid(), birth_of(os.getpid()))
    assert not is_alive(dead)
    assert not is_alive(1 << 70)

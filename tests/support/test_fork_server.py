"""A forked wiretape is what `python -m wiretape` starts: it says, ends and obeys the same."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.support import commands, fork_server
from tests.support.limits import PATIENCE

pytestmark = pytest.mark.skipif(not fork_server.WORKS, reason="nothing is forked on this system")
SHOW = (
    "import os, sys; print(sys.argv[1:], os.getcwd(), sorted(os.environ), file=sys.stderr);"
    " sys.exit(7)"
)


def both(args: list[str], env: dict[str, str], cwd: Path) -> list[tuple[int, str, str]]:
    """What a forked one and one that starts anew end with and say."""
    assert commands.SERVER.suits(env)
    anew = subprocess.run(
        commands.command(*args),
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
    )
    forked = commands.run(args, env, cwd)
    return [(done.returncode, done.stdout, done.stderr) for done in (forked, anew)]


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["replay", "--no-such-option"],
        ["list", "-r", "nowhere"],
        ["scan", "."],
        ["replay", "-q", "--allow-none", "-r", "r", "--", sys.executable, "-c", SHOW, "a b"],
    ],
)
def test_it_says_and_ends_as_one_that_starts_anew(
    args: list[str], clean_env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "r").mkdir()
    forked, anew = both(args, {**clean_env, "OWN": "1"}, tmp_path)
    assert forked == anew


def test_signals_reach_it(clean_env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    for number, status in ((signal.SIGTERM, 0), (signal.SIGKILL, -9)):
        with commands.serving(["replay", "-r", "r", "--allow-none"], clean_env, tmp_path) as (
            process,
            ready,
        ):
            assert isinstance(process, fork_server.Forked)
            assert "HTTPS_PROXY" in ready
            assert process.poll() is None
            process.send_signal(number)
            assert process.wait(PATIENCE) == status


def test_one_that_takes_too_long_is_ended(clean_env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    with pytest.raises(subprocess.TimeoutExpired):
        commands.run(["replay", "-r", "r"], clean_env, tmp_path, timeout=0.01)


def test_many_at_once_each_have_their_own_answer(clean_env: dict[str, str], tmp_path: Path) -> None:
    said: dict[int, str] = {}

    def run(number: int) -> None:
        args = ["replay", "-q", "--allow-none", "-r", ".", "--", "echo", str(number)]
        said[number] = commands.run(args, clean_env, tmp_path).stdout

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert said == {number: f"{number}\n" for number in range(8)}


def test_no_descriptor_of_others_is_open_in_it(clean_env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    with commands.serving(["replay", "-r", "r"], clean_env, tmp_path) as (one, ready):
        first = _sockets(one.pid)
        with commands.serving(["replay", "-r", "r"], clean_env, tmp_path) as (two, also_ready):
            assert ready
            assert also_ready
            assert not first & _sockets(two.pid)


def _sockets(pid: int) -> set[str]:
    folder = Path(f"/proc/{pid}/fd")
    return {
        name for entry in folder.iterdir() if (name := os.readlink(entry)).startswith("socket:")
    }


@pytest.mark.parametrize("name", ["PYTHONPATH", "LC_ALL", "OPENSSL_CONF"])
def test_what_is_read_at_the_start_is_not_forked(name: str, clean_env: dict[str, str]) -> None:
    assert not commands.SERVER.suits({**clean_env, name: "x"})

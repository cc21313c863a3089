"""Start-up: what a command costs that does nothing else, against Python and mitmdump."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wiretape.resources import shipped_recordings
from wiretape.tls.authority import Authority

from . import process, replaying
from .outcome import Goal, Measure, Rounds, Section
from .process import CannotStart

PYTHON: Final = "python -c ''"
MITMDUMP: Final = "mitmdump --version"
WIRETAPE: Final = "wiretape"
CONTESTANTS: Final = (PYTHON, MITMDUMP, WIRETAPE)
_MANY: Final = 1000

CLICK: Final = "import click"
_FIRST: Final = "ls, files new to it"

_GOALS: Final[dict[str, tuple[str, Goal | None]]] = {
    CLICK: (PYTHON, None),
    "--help": (PYTHON, Goal(3)),
    "ls": (PYTHON, Goal(6)),
    _FIRST: (PYTHON, None),
    "replay -- true": (MITMDUMP, Goal(0.6)),
    f"replay -- true, {_MANY} recordings": (MITMDUMP, None),
    "record -- true": (MITMDUMP, Goal(0.9)),
}
"""The commands, what they are compared with, and at most how many times it they may cost."""


@dataclass(frozen=True)
class Times:
    """Seconds that a process took: on the clock, and of CPU with its children."""

    wall: float
    cpu: float


def timed(command: Sequence[str], env: Mapping[str, str], cwd: Path) -> Times:
    """Run a command to its end; CannotStart if it fails."""
    started = time.perf_counter()
    ran = subprocess.Popen(
        command,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(ran.pid, 0)
    wall = time.perf_counter() - started
    ran.returncode = os.waitstatus_to_exitcode(status)
    if ran.returncode:
        raise CannotStart(f"{' '.join(command)}: ended with {ran.returncode}")
    return Times(wall, usage.ru_utime + usage.ru_stime)


def section(rounds: int, folder: Path) -> Section:
    """Measure; what is written goes to `folder`."""
    state = folder / "state"
    state.mkdir(exist_ok=True)
    Authority.load_or_create(state)
    commands, env = _commands(folder), process.environment(state)
    times = Rounds()
    for number in range(rounds + 1):
        taken: dict[str, Times] = {}
        for name, command in commands.items():
            if name == _FIRST:
                shutil.rmtree(state / "kept")  # where `ls` keeps the rows it knows
            taken[name] = timed(command, env, folder)
        # The first round warms the system's cache and writes bytecode.
        for name in _GOALS if number else ():
            for who in (PYTHON, MITMDUMP, name):
                contestant = WIRETAPE if who == name else who
                times.add(f"{name}: CPU", contestant, taken[who].cpu)
                times.add(f"{name}: wall clock", contestant, taken[who].wall)
    return Section(
        "Start-up",
        CONTESTANTS,
        tuple(_measures(times)),
        (f"median of {rounds} rounds, warm, with the shipped recordings; CPU is user and system",),
    )


def _commands(folder: Path) -> dict[str, list[str]]:
    shipped, many = folder / "shipped", folder / "thousand"
    shutil.copytree(shipped_recordings(), shipped)
    replaying.write_recordings(many, _MANY)
    wiretape, true = process.script("wiretape"), shutil.which("true")
    nothing = ["--", true] if true else ["--", sys.executable, "-S", "-c", ""]
    quiet = ["-q", "--allow-none", "-r"]
    ours = (
        [sys.executable, "-c", CLICK],
        [wiretape, "--help"],
        [wiretape, "ls", "-r", str(shipped)],
        [wiretape, "ls", "-r", str(shipped)],
        [wiretape, "replay", *quiet, str(shipped), *nothing],
        [wiretape, "replay", *quiet, str(many), *nothing],
        [wiretape, "record", *quiet, str(shipped), *nothing],
    )
    return {
        PYTHON: [sys.executable, "-c", ""],
        MITMDUMP: [process.script("mitmdump"), "--version"],
        **dict(zip(_GOALS, ours, strict=True)),
    }


def _measures(times: Rounds) -> Iterator[Measure]:
    for name, goal in _GOALS.items():
        for what in ("CPU", "wall clock"):
            yield times.measure(f"{name}: {what}", "s", CONTESTANTS, [goal])

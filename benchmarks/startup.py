"""Start-up: how long a command takes that does nothing else."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from wiretape.resources import shipped_recordings
from wiretape.tls.authority import Authority

from . import process, replaying
from .outcome import Goal, Rounds, Section

_SECONDS: Final = "wall clock"
_MANY: Final = 1000
_TIMEOUT: Final = 60.0


def section(rounds: int, folder: Path) -> Section:
    """Measure; what is written goes to `folder`."""
    state, shipped, many = folder / "state", folder / "shipped", folder / "thousand"
    state.mkdir(exist_ok=True)
    Authority.load_or_create(state)
    shutil.copytree(shipped_recordings(), shipped)
    replaying.write_recordings(many, _MANY)
    wiretape = process.script("wiretape")
    found = shutil.which("true")
    quiet = ("-q", "--allow-none", "-r")
    true = ("--", found) if found else ("--", sys.executable, "-S", "-c", "")
    commands: list[tuple[str, list[str], Goal | None]] = [
        ("python -c ''", [sys.executable, "-c", ""], None),
        ("wiretape --help", [wiretape, "--help"], Goal(0.2)),
        (
            "wiretape replay -- true",
            [wiretape, "replay", *quiet, str(shipped), *true],
            Goal(0.6),
        ),
        (
            f"the same, {_MANY} recordings",
            [wiretape, "replay", *quiet, str(many), *true],
            None,
        ),
        ("wiretape record -- true", [wiretape, "record", *quiet, str(shipped), *true], None),
        ("mitmdump --version", [process.script("mitmdump"), "--version"], None),
    ]
    env = process.environment(state)
    times = Rounds()
    for number in range(rounds + 1):
        for name, command, _ in commands:
            started = time.perf_counter()
            subprocess.run(
                command,
                env=env,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
                timeout=_TIMEOUT,
            )
            # The first round warms the system's cache and writes bytecode.
            if number:
                times.add(name, _SECONDS, time.perf_counter() - started)
    return Section(
        "Start-up",
        (_SECONDS,),
        tuple(times.measure(name, "s", (_SECONDS,), goal=goal) for name, _, goal in commands),
        (f"median of {rounds}, warm, with the shipped recordings",),
    )

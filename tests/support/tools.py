"""Programs that tests take from PATH."""

import shutil
import subprocess
from functools import cache

from tests.support.limits import PATIENCE


@cache
def working(name: str, *arguments: str) -> str | None:
    """The path of a program that is on PATH and runs: a shim may stand there with nothing behind
    it. It is asked for its version, or what `arguments` say.
    """
    path = shutil.which(name)
    try:
        if path is not None:
            command = [path, *(arguments or ("--version",))]
            subprocess.run(
                command,
                check=True,
                capture_output=True,
                timeout=PATIENCE,
                stdin=subprocess.DEVNULL,
            )
    except (OSError, subprocess.SubprocessError):
        return None
    return path

"""mitmdump with one of the scripts that people load into it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import paths
from tests.support.limits import PATIENCE
from tests.support.ports import unused_port

ADDONS = paths.ROOT / "addons"


MITMDUMP = shutil.which("mitmdump", path=str(Path(sys.executable).parent)) or "mitmdump"


@contextmanager
def mitmdump(
    script: str, env: dict[str, str], cwd: Path, *options: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """mitmdump with one of our scripts; gives the process and its proxy's URL."""
    port = unused_port()
    arguments = [
        MITMDUMP, "-s", str(ADDONS / script), "--listen-host", "127.0.0.1", "-p", str(port),
        "--set", f"confdir={cwd / 'conf'}", *options,
    ]  # fmt: skip
    process = subprocess.Popen(
        arguments,
        env={**env, "PYTHONUNBUFFERED": "1"},
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    line = ""
    for line in process.stdout:
        if "listening at" in line:
            break
    try:
        assert "listening at" in line, "mitmdump did not start"
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)

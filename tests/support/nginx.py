"""nginx in front of replicas, by the configuration that docs/fleet.md shows."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from tests.support import paths
from tests.support.limits import PATIENCE, wait_until
from tests.support.ports import unused_port

NGINX: Final = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
_LOG: Final = "log_format takes '$status $sent_http_x_wiretape'; access_log"


@contextmanager
def nginx(folder: Path, replicas: Sequence[int]) -> Iterator[int]:
    """nginx in front of the replicas at these ports; gives its own port. `takes.log` in the folder
    has the status and the recording of each answer that it sent.

    Skips the test where there is no nginx.
    """
    if NGINX is None:
        pytest.skip("no nginx: Debian's package nginx-light has it")
    text = (paths.ROOT / "integrations/fleet/nginx.conf").read_text()
    port = unused_port()
    text = text.replace("listen 8080", f"listen 127.0.0.1:{port}")
    text = text.replace("access_log off", f"{_LOG} {folder}/takes.log takes")
    for number, replica in enumerate(replicas, 1):
        text = text.replace(f"replica-{number}:8899", f"127.0.0.1:{replica}")
    (folder / "nginx.conf").write_text(f"pid {folder}/nginx.pid;\n{text}")
    command = [NGINX, "-e", str(folder / "nginx.log"), "-p", str(folder)]
    command += ["-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    process = subprocess.Popen(command)
    try:
        wait_until(lambda: (folder / "nginx.pid").exists() or process.poll() is not None)
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)


def sent_takes(folder: Path) -> list[str]:
    """The recordings of the whole answers that nginx sent, in the order they ended."""
    log = folder / "takes.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [line.rpartition(" ")[2] for line in lines if " replay " in line]

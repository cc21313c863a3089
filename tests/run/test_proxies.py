"""The proxy of a run: its ports."""

import socket
import subprocess
import sys
from pathlib import Path

from tests.support.limits import PATIENCE

# Says of a port that it is free, and it is not any more.
LATE = """
import sys
from wiretape_mitm import embedded
from wiretape.cli.main import main

real, ports = embedded.free_port, [int(sys.argv.pop(1))]
embedded.free_port = lambda host="127.0.0.1": ports.pop() if ports else real(host)
main()
"""


def test_a_port_that_was_taken_in_the_meantime_is_chosen_anew(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-c", LATE, port, "record", "-r", str(tmp_path / "r")]
        ran = subprocess.run(
            [*command, "--", "echo", "up"],
            env=clean_env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    assert (ran.returncode, ran.stdout) == (0, "up\n"), ran.stderr

"""The proxy of a run: its ports."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.commands import Wiretape
from tests.support.limits import PATIENCE

from wiretape_mitm import embedded

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


@pytest.mark.parametrize("named", [(0, 0), (7, 0), (0, 7)])
def test_two_ports_are_never_the_same(
    named: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    free = iter([7, 7, 8])
    monkeypatch.setattr(embedded, "free_port", lambda host: next(free))
    assert set(embedded.two_ports(*named, "127.0.0.1")) == {7, 8}


@pytest.mark.parametrize("mode", ["record", "replay", "auto"])
@pytest.mark.parametrize("where", ["options", "option and file"])
def test_one_port_for_both_is_refused(
    mode: str, where: str, wiretape: Wiretape, tmp_path: Path
) -> None:
    options = ["--port", "45671"]
    if where == "options":
        options += ["--base-url-port", "45671"]
    else:
        (tmp_path / "config.yaml").write_text("listen: {base_url_port: 45671}")
    ran = wiretape(mode, *options, "--", "true", cwd=tmp_path)
    assert (ran.returncode, "two different ports" in ran.stderr) == (2, True), ran.stderr
    assert "Traceback" not in ran.stderr

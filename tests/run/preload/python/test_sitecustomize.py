"""What every Python of CMD runs as it starts; a sitecustomize of the user's own runs after it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.limits import PATIENCE

from wiretape.run.stubborn_clients import PYTHON_CLIENTS

ASK = "import sys; print('wiretape_clients' in sys.modules, getattr(sys, 'mine', None))"


def started(folder: Path, **environ: str) -> str:
    (folder / "sitecustomize.py").write_text("import sys; sys.mine = 'mine'\n")
    path = os.pathsep.join([str(PYTHON_CLIENTS.parent), str(folder)])
    return subprocess.run(
        [sys.executable, "-c", ASK],
        env={"PYTHONPATH": path, **environ},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    ).stdout.strip()


@pytest.mark.parametrize(
    ("environ", "is_installed"),
    [
        ({"HTTPS_PROXY": "http://127.0.0.1:4000"}, True),
        ({"HTTPS_PROXY": "http://127.0.0.1:4000", "WIRETAPE_NO_PRELOAD": "1"}, False),
        ({}, False),
    ],
)
def test_clients_are_led_only_where_there_is_a_proxy_and_the_users_own_always_runs(
    tmp_path: Path, environ: dict[str, str], is_installed: bool
) -> None:
    assert started(tmp_path, **environ) == f"{is_installed} mine"

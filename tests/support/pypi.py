"""Python packages that cannot be installed beside wiretape's: an environment of their own, made
once.

It lies in .cache beside the project, by the digest of its requirements.txt.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from filelock import FileLock
from tests.support import paths
from tests.support.limits import PATIENCE


def python(programs: Path) -> Path:
    """The interpreter that has the packages of a folder's requirements.txt.

    Skips the test where they cannot be fetched, fails it where CI is set.
    """
    requirements = programs / "requirements.txt"
    version = "{}.{}".format(*sys.version_info)
    digest = hashlib.sha256(requirements.read_bytes() + version.encode()).hexdigest()[:12]
    place = paths.ROOT / ".cache" / f"python-{digest}"
    interpreter = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = place / "ready"
    place.parent.mkdir(exist_ok=True)
    with FileLock(f"{place}.lock", timeout=PATIENCE):
        if not ready.exists():
            venv.create(place, with_pip=True)
            _install(interpreter, requirements)
            ready.touch()
    return interpreter


def _install(interpreter: Path, requirements: Path) -> None:
    install = ("-m", "pip", "install", "-q", "--only-binary=:all:", "-r")
    # The user's environment: it tells pip where its index is.
    ran = subprocess.run(
        [interpreter, *install, requirements],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if ran.returncode:
        reason = f"pip could not fetch the packages of {requirements.parent.name}"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"{reason}\n{ran.stderr}")
        pytest.skip(reason)

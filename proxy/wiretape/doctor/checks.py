"""What surrounds a run: versions, configuration, recordings, git, ports, what the system allows."""

import os
import platform
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from wiretape import __version__
from wiretape.config.load import Config, load
from wiretape.core.errors import WiretapeError, reason_of
from wiretape.state_dir import state_dir

from .finding import CheckResult

_PACKAGES: Final = ("mitmproxy", "aiohttp", "pydantic", "cryptography")
_BUILT: Final = 1_767_225_600
"""2026-01-01 UTC: no clock that is right shows less."""


def checks(
    config_file: Path | None, folder: Path | None, environ: Mapping[str, str]
) -> Iterator[CheckResult]:
    """All checks; `folder` and `config_file` are as the command line has them."""
    yield _versions()
    yield _clock()
    yield _state()
    try:
        config = load(config_file, environ)
    except WiretapeError as error:
        yield CheckResult("config", "fault", str(error), "mend it: nothing starts before")
        return
    yield CheckResult("config", "ok", str(config.source))
    yield from _port(config)
    recordings = folder or config.recordings
    yield _recordings(recordings)
    if recordings.is_dir():
        yield from _git(recordings)


def _versions() -> CheckResult:
    versions = [f"wiretape {__version__}", f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            return CheckResult(
                "versions", "fault", f"{name} is not installed", "install wiretape anew"
            )
    return CheckResult("versions", "ok", ", ".join((*versions, ssl.OPENSSL_VERSION)))


def _clock() -> CheckResult:
    now = time.time()
    if now < _BUILT:
        shown = time.strftime("%Y-%m-%d", time.gmtime(now))
        advice = "set it: a certificate made now is not valid to others"
        return CheckResult("clock", "fault", f"shows {shown}", advice)
    return CheckResult("clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now)))


def _state() -> CheckResult:
    try:
        return CheckResult("state folder", "ok", str(state_dir()))
    except WiretapeError as error:
        return CheckResult("state folder", "fault", str(error))


def _port(config: Config) -> Iterator[CheckResult]:
    for name, port in (("port", config.port), ("base_url_port", config.base_url_port)):
        if not port:
            continue
        family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
        with socket.socket(family) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((config.host, port))
            except OSError as error:
                advice = f"choose another listen.{name}, or 0 for any free one"
                yield CheckResult(f"port {port}", "fault", reason_of(error), advice)
            else:
                yield CheckResult(f"port {port}", "ok", "free")


def _recordings(folder: Path) -> CheckResult:
    if not folder.is_dir():
        advice = "make some: wiretape record -- CMD"
        return CheckResult("recordings", "note", f"{folder}: no such folder", advice)
    count = sum(1 for _ in folder.rglob("*.json"))
    if not os.access(folder, os.R_OK | os.X_OK):
        return CheckResult("recordings", "fault", f"{folder}: cannot be read")
    result = f"{folder}: {count} files"
    return CheckResult("recordings", "ok", result, "check them: wiretape verify" if count else "")


def _git(folder: Path) -> Iterator[CheckResult]:
    top = _git_output(folder, "rev-parse", "--show-toplevel")
    if top is None:
        yield CheckResult("git", "note", f"{folder} is in no git checkout")
        return
    probe = folder / "HOST" / "PATH" / "KEY.json"
    if _git_output(folder, "check-ignore", "-q", str(probe)) is not None:
        advice = "take it out of .gitignore: recordings belong in git"
        yield CheckResult("git ignore", "fault", f"recordings in {folder} are ignored", advice)
    else:
        yield CheckResult("git ignore", "ok", "recordings are not ignored")
    attributes = _git_output(folder, "check-attr", "text", "eol", "--", str(probe)) or ""
    values = [line.rpartition(": ")[2] for line in attributes.splitlines()]
    keeps_line_ends = values[:1] == ["unset"] or values[1:] == ["lf"]
    yield CheckResult(
        "git attributes",
        "ok" if keeps_line_ends else "note",
        "line ends stay as they are"
        if keeps_line_ends
        else "git may change line ends in a checkout",
        "" if keeps_line_ends else "wiretape init writes a .gitattributes",
    )
    hooks = Path(top, ".pre-commit-config.yaml")
    has_hook = hooks.is_file() and "wiretape-scan" in hooks.read_text("utf-8", "replace")
    result = "scans recordings" if has_hook else "does not scan recordings for secrets"
    advice = "" if has_hook else "add the hook wiretape-scan, as wiretape init does"
    yield CheckResult("pre-commit", "ok" if has_hook else "note", result, advice)


def _git_output(folder: Path, *words: str) -> str | None:
    """What git prints; None if it fails or is not installed."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        finished = subprocess.run(
            [git, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return finished.stdout.strip() if finished.returncode == 0 else None

"""The program: found, started and asked; `wiretape pipe` says what it can be asked."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

PROTOCOL = 1
_START_SECONDS = 300.0  # uvx may have to fetch it first
_END_SECONDS = 30.0
_STDERR_CHARACTERS = 2_000


class WiretapeProblem(Exception):
    """What hinders a run; `str()` says what to do."""


def find_program(given: str | None, environ: dict[str, str] | None = None) -> list[str]:
    """The command line of wiretape: the one that is given, beside this Python, on PATH, in a tool's
    environment, or through uvx. WiretapeProblem where there is none.
    """
    environ = dict(os.environ) if environ is None else environ
    given = given or environ.get("WIRETAPE_BIN")
    if given:
        program = shutil.which(given, path=environ.get("PATH"))
        if program is None:
            raise WiretapeProblem(f"{given}: no such program, or not executable (WIRETAPE_BIN)")
        return [program]
    with suppress(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("wiretape")
        # -P: what lies in the working directory must not take its place.
        return [sys.executable, "-P", "-m", "wiretape"]
    path = environ.get("PATH", "")
    tools = [environ.get(name, "") for name in ("UV_TOOL_BIN_DIR", "XDG_BIN_HOME", "PIPX_BIN_DIR")]
    home = environ.get("HOME")
    places = [path, *filter(None, tools), *([str(Path(home, ".local", "bin"))] if home else [])]
    program = shutil.which("wiretape", path=os.pathsep.join(places))
    if program:
        return [program]
    uvx = shutil.which("uvx", path=os.pathsep.join(places))
    if uvx:
        return [uvx, "wiretape"]
    raise WiretapeProblem(
        "there is no wiretape: `uv tool install wiretape`, `pipx install wiretape` or `pip install"
        " wiretape` gets it, uv alone is enough too (`uvx wiretape`), and WIRETAPE_BIN names one"
    )


class Program:
    """A `wiretape pipe`. It ends when this process does."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the program runs
        try:
            self._process = subprocess.Popen(
                [*command, "pipe"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env={**os.environ, "WIRETAPE_NO_PRELOAD": "1"},
                start_new_session=True,
            )
        except OSError as error:
            raise WiretapeProblem(f"{command[0]}: cannot be started: {error.strerror}") from None
        patience = threading.Timer(_START_SECONDS, self._process.kill)
        patience.start()
        try:
            greeting = self._read()
        except WiretapeProblem as problem:
            raise WiretapeProblem(
                f"{problem}\n{' '.join(command)} may be too old for this pytest-wiretape: it has"
                " to know `wiretape pipe`"
            ) from None
        finally:
            patience.cancel()
        if greeting.get("wiretape_pipe") != PROTOCOL:
            self._process.kill()
            self.end()
            raise WiretapeProblem(
                f"{' '.join(command)} ({greeting.get('version', 'unknown')}) is newer than this"
                " pytest-wiretape: update pytest-wiretape"
            )
        self.version = str(greeting.get("version", ""))

    def ask(self, name: str, value: object = True) -> dict[str, Any]:
        """Ask for one thing; WiretapeProblem with what it says of a failure, or if it has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({name: value}).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            raise self._ended() from None
        answer = self._read()
        if "error" in answer:
            raise WiretapeProblem(str(answer["error"]["message"]))
        return dict(answer[next(iter(answer))])

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        try:
            return dict(json.loads(line))
        except (ValueError, TypeError):
            if line:  # it speaks something else, and may go on with that
                self._process.kill()
            raise self._ended() from None

    def _ended(self) -> WiretapeProblem:
        self._wait()
        self._stderr.seek(0)
        text = self._stderr.read().decode("utf-8", "replace").strip()[-_STDERR_CHARACTERS:]
        self._stderr.close()
        status = self._process.returncode
        return WiretapeProblem(f"wiretape has ended (status {status}){': ' if text else ''}{text}")

    def end(self) -> None:
        """End it and wait for it."""
        self._wait()
        self._stderr.close()

    def _wait(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

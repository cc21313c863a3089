"""One run of CMD through a proxy, with a limit of time, and what it sent."""

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wiretape import descriptors
from wiretape.config.load import Config
from wiretape.core.errors import ConfigError, reason_of
from wiretape.core.matching.request_pairs import SentRequest
from wiretape.core.redaction.redactor import Redactor
from wiretape.library.library import Library
from wiretape.report.report import Report
from wiretape.run.run import started
from wiretape.run.settings import Settings

_TERM_SECONDS: Final = 5.0
"""How long a CMD that is told to end may take."""


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """How CMD ended: its status as a shell gives it, and whether it was ended by the limit."""

    status: int
    timed_out: bool


def find_program(command: Sequence[str], environ_path: str | None) -> str:
    """The program of CMD; one with a slash in its name is looked for in the folder that CMD runs
    in. ConfigError where there is none.
    """
    program = shutil.which(command[0], path=environ_path)
    if program is None:
        raise ConfigError(f"{command[0]}: no such program, or not executable; nothing was started")
    return program if os.sep in command[0] else os.path.abspath(program)


async def run_command(
    settings: Settings,
    command: Sequence[str],
    program: str,
    folder: Path,
    limit: float,
    report: Report,
) -> CommandEnd:
    """Run CMD in a folder and carry its requests; its output goes to our standard error.

    What CMD has started ends with it, and at the latest after `limit` seconds.
    """
    usual_limit = descriptors.limit()
    async with started(settings, report, asyncio.Event()) as proxy:
        with descriptors.limited_to(usual_limit):
            try:
                process = await asyncio.create_subprocess_exec(
                    command[0],
                    *command[1:],
                    executable=program,
                    cwd=folder,
                    env=dict(proxy.environment()),
                    stdin=DEVNULL,
                    stdout=2,
                    start_new_session=True,
                )
            except OSError as error:
                raise ConfigError(f"{command[0]}: cannot be started: {reason_of(error)}") from error
        try:
            async with asyncio.timeout(limit):
                status = await process.wait()
            timed_out = False
        except TimeoutError:
            status, timed_out = await _end(process), True
        finally:
            _signal(process, signal.SIGKILL)
    return CommandEnd(status if status >= 0 else 128 - status, timed_out)


async def _end(process: Process) -> int:
    _signal(process, signal.SIGTERM)
    with suppress(TimeoutError):
        async with asyncio.timeout(_TERM_SECONDS):
            return await process.wait()
    _signal(process, signal.SIGKILL)
    return await process.wait()


def _signal(process: Process, number: int) -> None:
    """Send a signal to all that CMD started, which is one group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def sent_requests(folder: Path, config: Config) -> list[SentRequest]:
    """The requests of a folder's recordings in the order they were made; the messages of a
    WebSocket's client are requests too.
    """
    library = Library(folder, config.matcher, Redactor(config.redaction).request)
    library.load()
    config.providers.add_host_keys(library.host_keys())
    names = sorted(library.names(), key=lambda name: (library.read(name).recorded_at or "", name))
    requests = [
        SentRequest(part_name, document)
        for name in names
        for part_name, document in library.requests(name)
    ]
    library.close()
    return requests


def file_name(request: SentRequest) -> str:
    """The name of the recording that a request is in."""
    return request.name.partition(" #")[0]

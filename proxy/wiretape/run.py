"""One run of `record`, `replay` or `auto`: proxy up, CMD through it, everything written, proxy
down.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from .authority import Authority, state_dir
from .clientenv import client_environment
from .config import Config
from .errors import ConfigError, StoreError, WiretapeError
from .library import Library
from .pace import Pace
from .player import Player
from .redact import Redactor
from .replay import Replayer, Tickets
from .report import Report
from .running import Running

if TYPE_CHECKING:
    from asyncio.subprocess import Process

type Mode = Literal["record", "replay", "auto"]

DRAIN_SECONDS: Final = 5.0
"""How long a run that is told to stop lets answers under way come to their end."""

USAGE: Final = 2
INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line said, over the configuration."""

    mode: Mode
    config: Config
    recordings: Path
    pace: Pace
    port: int = 0
    base_url_port: int | None = None
    session: str | None = None
    report: Path | None = None
    upstream_ca: tuple[Path, ...] = ()
    routes: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


class Door(Protocol):
    """A proxy that is up: replay's own front, or mitmproxy."""

    async def start(self, port: int, base_url_port: int | None) -> tuple[int, int]: ...
    async def idle(self) -> None: ...
    async def stop(self) -> None: ...


class _Replay:
    """Pure replay: mitmproxy is not imported and nothing can go out."""

    def __init__(self, settings: Settings, report: Report, authority: Authority) -> None:
        from .front import Front
        from .server import Handler

        config, redactor = settings.config, Redactor(settings.config.redaction)
        library = _library(settings, redactor, report)
        if not library.folder.exists():
            report.notice(f"{library.folder}: no such folder, so every request will be a miss")
        replayer = Replayer(library, Player(config.repeat), redactor, config.providers, report)
        self._front = Front(
            Handler(replayer, settings.pace),
            authority,
            config.providers,
            report,
            config.other_hosts or "refuse",
        )

    async def start(self, port: int, base_url_port: int | None) -> tuple[int, int]:
        first = await self._front.listen(port)
        return first, first if base_url_port is None else await self._front.listen(base_url_port)

    async def idle(self) -> None:
        await self._front.handler.idle()

    async def stop(self) -> None:
        await self._front.close()


class _Record:
    """Through mitmproxy to the provider; in `auto` the library answers first."""

    def __init__(self, settings: Settings, report: Report, authority: Authority) -> None:
        # mitmproxy takes half a second to import: only who records pays for it.
        from .embedded import EmbeddedProxy
        from .intake import Intake
        from .mitm import Addon

        config, redactor = settings.config, Redactor(settings.config.redaction)
        library = _library(settings, redactor, report)
        _check_writable(library.folder)
        self._intake = Intake(
            library,
            redactor,
            config.providers,
            report,
            record_errors=config.record_errors,
        )
        self._replayer = None
        self._tickets = None
        if settings.mode == "auto":
            self._tickets = Tickets()
            player = Player(config.repeat)
            self._replayer = Replayer(library, player, redactor, config.providers, report)
        self._pace = settings.pace
        self._addon = Addon(
            config.providers,
            report,
            self._intake,
            self._replayer,
            self._tickets,
            settings.routes,
            tunnel_others=config.other_hosts != "refuse",
        )
        roots = authority.upstream_bundle(settings.upstream_ca, settings.environ)
        self._proxy = EmbeddedProxy(self._addon, authority, roots)
        self._engine: object = None

    async def start(self, port: int, base_url_port: int | None) -> tuple[int, int]:
        if self._replayer is not None:
            from .server import Engine

            self._engine = engine = Engine(self._replayer, self._pace, self._tickets)
            self._addon.engine = await engine.start()
        return await self._proxy.start(port, base_url_port or 0)

    async def idle(self) -> None:
        await self._addon.idle()

    async def stop(self) -> None:
        self._addon.abandon()
        await self._proxy.stop()
        if self._engine is not None:
            await self._engine.stop()  # type: ignore[attr-defined]  # an Engine, imported late
        await self._intake.drain()
        self._intake.close()
        self._intake.library.leave()


def _library(settings: Settings, redactor: Redactor, report: Report) -> Library:
    recording = settings.mode != "replay"
    config, folder = settings.config, settings.recordings
    return open_library(config, folder, settings.session, redactor, report, recording=recording)


def open_library(
    config: Config,
    folder: Path,
    session: str | None,
    redactor: Redactor,
    report: Report,
    *,
    recording: bool,
) -> Library:
    """The recordings of a run, read; files that are none are told. StoreError as `load` has it."""
    library = Library(folder, config.matcher, redactor.request, session, locks=state_dir())
    if recording:
        library.join()
    library.load()
    for fault in library.faults:
        report.notice(f"skipped {library.folder / fault.name}: {fault.reason}")
    return library


def _check_writable(folder: Path) -> None:
    """A recording session is not to be begun where nothing can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".wiretape-{os.getpid()}.tmp"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror}") from error


async def run(settings: Settings, command: Sequence[str], report: Report) -> int:
    """Carry out a run and give its exit status; WiretapeError where it could not begin."""
    program = _find(command, settings.environ) if command else None
    if settings.report is not None and not settings.report.absolute().parent.is_dir():
        raise ConfigError(
            f"--report {settings.report}: its folder is not there; nothing was started"
        )
    authority = Authority.load_or_create(state_dir())
    for notice in (*settings.config.notices, *filter(None, [authority.notice])):
        report.notice(notice)
    door: Door = (_Replay if settings.mode == "replay" else _Record)(settings, report, authority)
    stop, hurry = asyncio.Event(), asyncio.Event()
    signals: list[int] = []
    child: list[Process] = []
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stop.is_set():
            hurry.set()
        signals.append(number)
        stop.set()
        for process in child:
            _forward(process, number, len(signals))

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    try:
        port, base_url_port = await door.start(settings.port, settings.base_url_port)
        proxy_url = f"http://127.0.0.1:{port}"
        environment = client_environment(
            settings.environ,
            proxy_url=proxy_url,
            ca_cert=authority.cert_path,
            bundle=authority.bundle(settings.upstream_ca, settings.environ),
            dummy_keys=settings.config.providers.key_names if settings.mode == "replay" else (),
            hosts=settings.config.providers.hosts,
        )
        status = 0
        environment["WIRETAPE_BASE_URL"] = f"http://127.0.0.1:{base_url_port}"
        if program is not None:
            status = await _run_command(program, command, environment, child)
        else:
            with Running(settings.mode, port, base_url_port, settings.upstream_ca):
                print(
                    f"wiretape {settings.mode} is ready: HTTPS_PROXY={proxy_url},"
                    f" base URLs http://127.0.0.1:{base_url_port}/HOST/…"
                    " (`wiretape env` prints what clients need)",
                    flush=True,
                )
                await stop.wait()
    finally:
        await _first(door.idle(), hurry.wait(), seconds=DRAIN_SECONDS)
        await door.stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    _explain_silence(report, bool(command))
    if settings.report is not None:
        _write_report(settings.report, report)
    if signal.SIGINT in signals and program is None:
        return INTERRUPTED
    return status or report.exit_status


async def _first(*waits: Coroutine[Any, Any, object], seconds: float) -> None:
    """Wait for the first of some events, and no longer than `seconds`."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _find(command: Sequence[str], environ: Mapping[str, str]) -> str:
    found = shutil.which(command[0], path=environ.get("PATH"))
    if found is None:
        raise ConfigError(f"{command[0]}: no such program, or not executable; nothing was started")
    return found


async def _run_command(
    program: str, command: Sequence[str], environment: Mapping[str, str], child: "list[Process]"
) -> int:
    try:
        process = await asyncio.create_subprocess_exec(
            command[0], *command[1:], executable=program, env=dict(environment)
        )
    except OSError as error:
        raise ConfigError(f"{command[0]}: cannot be started: {error.strerror}") from error
    child.append(process)
    status = await process.wait()
    child.clear()
    # As a shell tells it: 128 and the signal's number.
    return status if status >= 0 else 128 - status


def _forward(process: "Process", number: int, count: int) -> None:
    # A terminal sends its Ctrl-C to CMD as well; once is enough.
    if number == signal.SIGINT and count == 1 and sys.stdin is not None and sys.stdin.isatty():
        return
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL if count > 2 else number)


def _explain_silence(report: Report, with_command: bool) -> None:
    if report.rows or not with_command:
        return
    if not report.connections:
        report.notice(
            "nothing reached the proxy. CMD made no request, or its client ignores HTTPS_PROXY:"
            " aiohttp does without trust_env=True, Node before 22.21 always, Java without"
            " -Dhttps.proxyHost. Such clients can be given a base URL instead:"
            " $WIRETAPE_BASE_URL/HOST/…, which CMD has in its environment"
        )
        return
    hosts = ", ".join(sorted(report.other_hosts)[:5]) or "none that said where it wanted to go"
    report.notice(
        f"{report.connections} connections reached the proxy but no request to a configured"
        f" provider host (seen: {hosts}). A host can be added under `providers` in config.yaml;"
        " a client that does not trust the proxy's certificate ends here as well"
    )


def _write_report(path: Path, report: Report) -> None:
    try:
        path.write_text(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise WiretapeError(f"--report {path}: cannot be written: {error.strerror}") from error

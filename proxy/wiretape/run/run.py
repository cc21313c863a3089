"""One run of `record`, `replay` or `auto`: proxy up, CMD through it, everything written, proxy
down.
"""

import asyncio
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from wiretape import descriptors
from wiretape.core.errors import ConfigError
from wiretape.report.report import Report
from wiretape.sessions.control import Control
from wiretape.state_dir import state_dir
from wiretape.tls.authority import Authority
from wiretape.ui.live import live_page

from . import ending
from .client_hints import trust_remedy
from .environment import environment_for
from .inner_runs import heard
from .proxies import RecordProxy, ReplayProxy, RunningProxy, own_hosts
from .recordings_store import with_store
from .serving import ServingProxy, announced, remove_leftovers
from .settings import Settings
from .telemetry import traces_of
from .workers import WorkersProxy

if TYPE_CHECKING:
    from asyncio.subprocess import Process

DRAIN_SECONDS: Final = 5.0
"""How long a stopping run waits for answers under way."""

USAGE: Final = 2
STDERR: Final = 2
INTERRUPTED: Final = 130


async def run(settings: Settings, command: Sequence[str], report: Report) -> int:
    """Carry out a run and give its exit status; WiretapeError where it could not begin."""
    program = find_program(command, settings.environ) if command else None
    ending.check_report(settings)
    report.expects_requests = program is not None and settings.expects_requests
    report.trust_remedy = trust_remedy(command, settings.mode)
    usual_limit = descriptors.limit()
    with Signals() as signals:
        async with started(settings, report, signals.hurry) as proxy:
            if program is None:
                await _serve(settings, proxy, signals, report)
            else:
                stdout = STDERR if settings.as_json else None
                with descriptors.limited_to(usual_limit):
                    process = await start_program(
                        program, command, proxy.environment(), stdout=stdout
                    )
                report.command_status = await signals.forwarded_to(process)
    ending.conclude(settings, report, command)
    if signal.SIGINT in signals.received and program is None:
        return INTERRUPTED
    return report.command_status or report.exit_status


@dataclass(frozen=True, slots=True)
class StartedProxy:
    """The proxy of a run while it is up."""

    settings: Settings
    serving: ServingProxy
    authority: Authority
    control: Control | None
    """None where its workers have it."""
    drain: Callable[[], None]
    """Tells probes that the run is about to end."""

    @property
    def url(self) -> str:
        """What clients have for HTTPS_PROXY."""
        return f"http://{self.settings.client_host}:{self.serving.port}"

    @property
    def base_url(self) -> str:
        """What comes before `/HOST/…` for clients that take a base URL."""
        return f"http://{self.settings.client_host}:{self.serving.base_url_port}"

    def environment(self) -> Mapping[str, str]:
        """The complete environment of a client."""
        settings = self.settings
        return environment_for(
            settings.environ,
            self.serving,
            settings.config,
            self.authority,
            host=settings.client_host,
            dummies=settings.mode == "replay",
            keep_keys=settings.keep_keys,
            base_urls=settings.base_urls,
        )


@asynccontextmanager
async def started(
    settings: Settings, report: Report, hurry: asyncio.Event
) -> AsyncIterator[StartedProxy]:
    """Bring the proxy of a run up; afterwards all is written and it is down. Answers that are under
    way then are waited for, up to `DRAIN_SECONDS` or until `hurry` is set.
    """
    descriptors.raise_limit()
    remove_leftovers()
    settings = await with_store(settings, report)
    authority = Authority.load_or_create(state_dir())
    for notice in (*settings.config.notices, *filter(None, [authority.notice])):
        report.notice(notice)
    report.prices = lambda: settings.config.prices
    traces = traces_of(settings, report)
    kind = ReplayProxy if settings.mode == "replay" else RecordProxy
    proxy: RunningProxy = (WorkersProxy if settings.crew else kind)(settings, report, authority)
    asyncio.get_running_loop().set_exception_handler(_report_exhaustion(report))
    try:
        ports = await proxy.start(settings.port, settings.base_url_port)
        serving = ServingProxy(
            mode=settings.mode,
            port=ports[0],
            base_url_port=ports[1],
            upstream_ca=settings.upstream_ca,
            token=proxy.token,
            hosts=own_hosts(settings.config.providers),
        )
        with heard(settings.recordings, report):
            yield StartedProxy(settings, serving, authority, proxy.control, proxy.drain)
    finally:
        await _first(proxy.idle(), hurry.wait(), seconds=DRAIN_SECONDS)
        await proxy.stop()
        if traces is not None:
            await asyncio.to_thread(traces.close)


class Signals:
    """What SIGINT and SIGTERM do: CMD gets them too, and the second ends the waiting."""

    def __init__(self) -> None:
        self.stop: Final = asyncio.Event()
        self.hurry: Final = asyncio.Event()
        self.received: Final[list[int]] = []
        self._child: Process | None = None

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)

    async def forwarded_to(self, process: "Process") -> int:
        """Wait for CMD; gives its exit status as a shell does: 128 and the signal's number."""
        self._child = process
        status = await process.wait()
        self._child = None
        return status if status >= 0 else 128 - status

    def _on_signal(self, number: int) -> None:
        if self.stop.is_set():
            self.hurry.set()
        self.received.append(number)
        self.stop.set()
        if self._child is not None:
            _forward(self._child, number, len(self.received))


async def _serve(
    settings: Settings, started_proxy: StartedProxy, signals: Signals, report: Report
) -> None:
    host, proxy = settings.client_host, started_proxy.serving
    stream = sys.stderr if settings.as_json else sys.stdout
    with announced(proxy):
        print(
            f"wiretape {settings.mode} is ready: HTTPS_PROXY=http://{host}:{proxy.port},"
            f" base URLs http://{host}:{proxy.base_url_port}/HOST/…"
            " (`wiretape env` prints what clients need)",
            file=stream,
            flush=True,
        )
        async with live_page(settings.config, settings.recordings, report) as url:
            print(f"wiretape {settings.mode}: look at the run: {url}", file=stream, flush=True)
            await signals.stop.wait()
            # Whoever sends clients here is to see it before they are turned away.
            started_proxy.drain()
            await _first(signals.hurry.wait(), seconds=settings.drain)


async def _first(*waits: Coroutine[Any, Any, object], seconds: float) -> None:
    """Wait for the first of some events, and no longer than `seconds`."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def find_program(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """The path of CMD's program; ConfigError if it is not there."""
    program = shutil.which(command[0], path=environ.get("PATH"))
    if program is None:
        raise ConfigError(f"{command[0]}: no such program, or not executable; nothing was started")
    return program


async def start_program(
    program: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: int | None = None,
    stdout: int | None = None,
) -> "Process":
    """Start CMD, with standard input and output as `asyncio.create_subprocess_exec` has them;
    ConfigError if it cannot be started.
    """
    try:
        return await asyncio.create_subprocess_exec(
            command[0],
            *command[1:],
            executable=program,
            env=dict(environment),
            stdin=stdin,
            stdout=stdout,
        )
    except OSError as error:
        raise ConfigError(f"{command[0]}: cannot be started: {error.strerror}") from error


def _report_exhaustion(
    report: Report,
) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """What the event loop calls with an error of its own, as when it cannot accept a client."""

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if descriptors.is_exhaustion(context.get("exception")):
            report.not_served(descriptors.advice())
        else:
            loop.default_exception_handler(context)

    return handle


def _forward(process: "Process", number: int, count: int) -> None:
    # A terminal sends its Ctrl-C to CMD as well; once is enough.
    if number == signal.SIGINT and count == 1 and sys.stdin is not None and sys.stdin.isatty():
        return
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL if count > 2 else number)

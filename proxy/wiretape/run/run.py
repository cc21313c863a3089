"""One run of `record`, `replay` or `auto`: proxy up, CMD through it, everything written, proxy
down.
"""

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from wiretape import descriptors
from wiretape.config.load import Config
from wiretape.core.errors import ConfigError, WiretapeError
from wiretape.report import junit
from wiretape.report.report import Report
from wiretape.state_dir import state_dir
from wiretape.tls.authority import Authority

from .client_environment import client_environment
from .proxies import Door, Recording, Replaying, Settings
from .serving import ServingProxy, announced, remove_leftovers

if TYPE_CHECKING:
    from asyncio.subprocess import Process

DRAIN_SECONDS: Final = 5.0
"""How long a run that is told to stop lets answers under way come to their end."""

USAGE: Final = 2
INTERRUPTED: Final = 130


async def run(settings: Settings, command: Sequence[str], report: Report) -> int:
    """Carry out a run and give its exit status; WiretapeError where it could not begin."""
    program = _find(command, settings.environ) if command else None
    if settings.report is not None and not settings.report.absolute().parent.is_dir():
        raise ConfigError(
            f"--report {settings.report}: its folder is not there; nothing was started"
        )
    usual_limit = descriptors.limit()
    descriptors.raise_limit()
    remove_leftovers()
    authority = Authority.load_or_create(state_dir())
    for notice in (*settings.config.notices, *filter(None, [authority.notice])):
        report.notice(notice)
    door: Door = (Replaying if settings.mode == "replay" else Recording)(
        settings, report, authority
    )
    stop, hurry = asyncio.Event(), asyncio.Event()
    signals: list[int] = []
    child: list[Process] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_tell_exhaustion(report))

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
        here = _authority(settings.config.host)
        proxy_url = f"http://{here}:{port}"
        environment = client_environment(
            settings.environ,
            proxy_url=proxy_url,
            ca_cert=authority.cert_path,
            bundle=authority.bundle(settings.upstream_ca, settings.environ),
            dummy_keys=settings.config.providers.key_names if settings.mode == "replay" else (),
            hosts=settings.config.providers.hosts,
        )
        status = 0
        environment["WIRETAPE_BASE_URL"] = f"http://{here}:{base_url_port}"
        environment["WIRETAPE_TOKEN"] = door.control.token
        if program is not None:
            with descriptors.limited_to(usual_limit):
                process = await _start(program, command, environment)
            child.append(process)
            status = await process.wait()
            child.clear()
            # As a shell reports it: 128 and the signal's number.
            status = status if status >= 0 else 128 - status
        else:
            token = door.control.token
            proxy = ServingProxy(
                mode=settings.mode,
                port=port,
                base_url_port=base_url_port,
                upstream_ca=settings.upstream_ca,
                token=token,
            )
            with announced(proxy):
                print(
                    f"wiretape {settings.mode} is ready: HTTPS_PROXY={proxy_url},"
                    f" base URLs http://{here}:{base_url_port}/HOST/…"
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
    _explain_rules(settings.config, report)
    report.command_status = status if program is not None else None
    if settings.report is not None:
        _write_report(settings.report, report)
    if signal.SIGINT in signals and program is None:
        return INTERRUPTED
    return status or report.exit_status


def _authority(host: str) -> str:
    """Where clients on this machine find the proxy."""
    address = ip_address(host)
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return f"[{host}]" if address.version == 6 else host


def _explain_rules(config: Config, report: Report) -> None:
    own = (rule.name for rule in config.matcher.rules if rule.own)
    names = [name for name in own if name not in report.applied] if report.rows else []
    if names:
        report.notice(
            f"rules of {config.source} that applied to no request of this run: {', '.join(names)}"
        )


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


async def _start(program: str, command: Sequence[str], environment: Mapping[str, str]) -> "Process":
    try:
        return await asyncio.create_subprocess_exec(
            command[0], *command[1:], executable=program, env=dict(environment)
        )
    except OSError as error:
        raise ConfigError(f"{command[0]}: cannot be started: {error.strerror}") from error


def _tell_exhaustion(
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
        if path.suffix.lower() == ".xml":
            text = junit.dumps(report)
        else:
            text = json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n"
        # A lone surrogate of a request has no UTF-8; this is the escape JSON has for it.
        path.write_bytes(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise WiretapeError(f"--report {path}: cannot be written: {error.strerror}") from error

"""The commands that carry a run: `record`, `replay`, `auto`, `refresh`, `mcp` and `pipe`."""

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import click

from wiretape.core.errors import ConfigError, WiretapeError
from wiretape.progress import shown_by

from .command import guarded
from .options import CONFIG, RECORDINGS, with_options
from .run_options import BUDGET, EVERY_RUN, ONLY_REPLAYED, RECORD_MODE, REPLAYED, RUN_OPTIONS

if TYPE_CHECKING:
    from wiretape.report.report import Report
    from wiretape.run.settings import Mode, Settings


_RUN: Final[dict[str, Any]] = {"ignore_unknown_options": False, "allow_interspersed_args": False}


@click.command(context_settings=_RUN)
@with_options(*RUN_OPTIONS, RECORD_MODE, BUDGET)
def record(**options: Any) -> None:
    """Go to the provider and record every exchange.

    Earlier takes of a request are replaced by the first take of this run.

    \b
    wiretape record -- python ask.py
    """
    _run("record", **options)


@click.command(context_settings=_RUN)
@with_options(*RUN_OPTIONS, *REPLAYED, *ONLY_REPLAYED)
def replay(**options: Any) -> None:
    """Answer from the recordings only: no provider is connected to, no name resolved.

    \b
    wiretape replay -- python ask.py
    wiretape replay --pace recorded -- python ask.py
    """
    _run("replay", **options)


@click.command(context_settings=_RUN)
@with_options(
    *RUN_OPTIONS,
    *REPLAYED,
    RECORD_MODE,
    BUDGET,
    click.option("--live", is_flag=True, help="Go to the provider even where CI is set."),
    click.option("--fill", is_flag=True, help="Record takes that are missing in the middle, too."),
    click.option(
        "--live-from",
        type=click.IntRange(1),
        metavar="N",
        help="Replay up to request N, then go live, and record the run as a branch: a session.",
    ),
    click.option("--after", metavar="KEY", help="The same, once this recording has answered."),
    click.option(
        "--branch", metavar="NAME", help="The branch's session, new; default branch-DATE-TIME."
    ),
)
def auto(live: bool, **options: Any) -> None:
    """Replay what is recorded, record the rest; where CI is set, replay only.

    \b
    wiretape auto -- pytest tests/
    """
    from wiretape.run.settings import in_ci

    is_branch = options["live_from"] is not None or options["after"] is not None
    if options["branch"] and not is_branch:
        raise click.UsageError("--branch goes with --live-from or --after")
    is_replay = in_ci(os.environ) and not live
    if is_replay and is_branch:
        raise click.UsageError("CI is set, where auto only replays: --live lets it go live")
    _run("replay" if is_replay else "auto", **options)


@click.command(context_settings=_RUN)
@with_options(
    *RUN_OPTIONS,
    BUDGET,
    click.option(
        "--only",
        multiple=True,
        metavar="RULE|PATH|AGE",
        help="Record anew only what this rule applies to, this path (/v1/chat/*), or what is older"
        " than this (older-than:90d); repeatable, any match is enough.",
    ),
)
def refresh(**options: Any) -> None:
    """Record anew what CMD asks for, or a part of it; replay the rest.

    \b
    wiretape refresh --only older-than:90d -- pytest tests/
    wiretape refresh --only '/v1/embeddings' -- pytest tests/
    """
    _run("refresh", **options)


_MCP_MODES: Final = {
    "record": "Start SERVER and record it.",
    "replay": "Answer from the recordings only: SERVER is not started. The default.",
    "auto": "Replay what is recorded, record the rest; where CI is set, replay only.",
}


@click.command(context_settings=_RUN)
@with_options(
    click.argument(
        "command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- SERVER …"
    ),
    *(
        click.option(f"--{name}", "mode", flag_value=name, default="replay", help=text)
        for name, text in _MCP_MODES.items()
    ),
    CONFIG,
    RECORDINGS,
    *EVERY_RUN,
    RECORD_MODE,
)
def mcp(mode: "Mode", **options: Any) -> None:
    """Record or replay an MCP server that speaks on standard input and output.

    An MCP client starts it in the place of SERVER, the server's command line.

    \b
    wiretape mcp --record -- npx -y @modelcontextprotocol/server-everything
    wiretape mcp --replay -- npx -y @modelcontextprotocol/server-everything
    """
    from wiretape.run.settings import in_ci

    mode = "replay" if mode == "auto" and in_ci(os.environ) else mode
    _run(mode, is_server=True, hosts=(), port=None, base_url_port=None, pace=None, **options)


@click.command(context_settings={"ignore_unknown_options": False})
@guarded
def pipe() -> int:
    """Run proxies for the program that starts this one, controlled by lines of JSON on stdin.

    The Python API, pytest-wiretape and other languages' helpers use it; docs/python.md has the
    protocol.
    """
    import asyncio
    import signal

    from wiretape.run.pipe import serve_pipe

    # A terminal sends SIGINT to the whole group: the starter closes the proxies it opened.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The terminal is that of the program.
    with shown_by(None):
        asyncio.run(serve_pipe(_parse))
    return 0


def _parse(arguments: Sequence[str]) -> "tuple[Settings, Report]":
    """Read a command line that is to be carried out without CMD."""
    import logging

    from wiretape.report.console import log_to_stderr
    from wiretape.report.report import Report
    from wiretape.run.folders import folders_of
    from wiretape.run.isolation import isolate_if_wanted
    from wiretape.run.settings import in_ci

    name, *rest = map(str, arguments) if arguments else [""]
    command = {"record": record, "replay": replay, "auto": auto, "refresh": refresh}.get(name)
    if command is None:
        raise ConfigError(f"{name!r:.40}: expected record, replay, auto or refresh")
    try:
        options = command.make_context(name, rest).params
    except (click.ClickException, click.exceptions.Exit) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else "no help here"
        raise ConfigError(f"{name}: {text}") from None
    if options.pop("command"):
        raise ConfigError(f"{name}: it is this program that makes the requests; no CMD can be run")
    if not options.pop("live", False) and name == "auto" and in_ci(os.environ):
        name = "replay"
    options.pop("quiet")
    options.pop("as_json")
    verbose, strict_ignored = options.pop("verbose"), options.pop("strict_ignored")
    settings = _settings(cast("Mode", name), **options)
    if settings.workers > 1:
        raise ConfigError(f"{name}: --workers is for a proxy that other programs start")
    if settings.config.run_paths:
        settings = replace(settings, paths=folders_of(os.environ, Path.cwd()))
    isolate_if_wanted(settings, has_command=False)
    logging.getLogger().handlers.clear()  # a run before had secrets of its own
    log_to_stderr(settings.config.redaction, verbose=verbose)
    return settings, Report(name, strict_ignored=strict_ignored)


@guarded
def _run(mode: "Mode", is_server: bool = False, **options: Any) -> int:
    command: tuple[str, ...] = options.pop("command")
    quiet: bool = options.pop("quiet")
    verbose: bool = options.pop("verbose")
    strict_ignored: bool = options.pop("strict_ignored")

    import asyncio

    from wiretape.report.console import View, log_to_stderr
    from wiretape.report.report import Report
    from wiretape.run.event_loop import run_in_loop
    from wiretape.run.folders import folders_of
    from wiretape.run.isolation import isolate_if_wanted
    from wiretape.run.proxies import ReplayProxy
    from wiretape.run.run import run
    from wiretape.run.workers import crew_of

    settings = _settings(mode, **options)
    if settings.workers > 1 and (mode != "replay" or is_server):
        raise ConfigError("--workers: only a replay over the network has them")
    if is_server:  # its client is its only one
        settings = replace(settings, config=replace(settings.config, sequences=None))
    if command and settings.config.run_paths:
        settings = replace(settings, paths=folders_of(os.environ, Path.cwd()))
    log_to_stderr(settings.config.redaction, verbose=verbose)
    keeps = settings.as_json or settings.report is not None or settings.html_report is not None
    report = Report(mode, strict_ignored=strict_ignored, keep_rows=keeps)
    report.isolated = isolate_if_wanted(settings, has_command=bool(command) and not is_server)
    # A live view and a bar would write into each other's lines.
    bars = nullcontext() if command else shown_by(None)
    all_rows = keeps or not quiet or settings.config.traces
    with crew_of(settings, ReplayProxy, all_rows=all_rows) as settings, bars:
        # CMD shares the terminal, and would write into the lines of a live view.
        view = View(report, quiet=quiet, live=not command)
        try:
            if is_server:
                from wiretape.run.stdio import run_stdio as run
            start = run_in_loop if mode == "replay" else asyncio.run
            status = start(run(settings, command, report))
        except WiretapeError:
            view.abandon()
            raise
        view.close()
        return status


def _settings(
    mode: "Mode",
    config_file: Path | None,
    recordings: Path | None,
    port: int | None,
    base_url_port: int | None,
    pace: Any,
    hosts: tuple[str, ...],
    **others: Any,
) -> "Settings":
    from wiretape.config.load import load
    from wiretape.run.settings import Settings

    config = load(config_file, os.environ)
    for host in hosts:
        config.providers.add_host(host)
    # Replicas have one token, or a control request would depend on which of them gets it.
    if others.get("run_name") and (token := os.environ.get("WIRETAPE_TOKEN")):
        others["token"] = token
    port = config.port if port is None else port
    base_url_port = config.base_url_port if base_url_port is None else base_url_port
    if port and port == base_url_port:
        raise ConfigError(
            f"port {port} is that of the proxy and of base URLs: expected two different ports"
            " (--port and --base-url-port, or listen.port and listen.base_url_port)"
        )
    return Settings(
        mode=mode,
        config=config,
        recordings=recordings or config.recordings,
        pace=pace or config.pace,
        port=port,
        base_url_port=base_url_port,
        **others,
    )

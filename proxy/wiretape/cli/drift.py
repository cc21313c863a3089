"""Measure how providers have changed since recording, or how another model answers."""

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from wiretape.core.errors import ConfigError, WiretapeError, reason_of
from wiretape.progress import steps

from .command import guarded, print_json, say
from .options import (
    CONFIG,
    HOSTS,
    RECORDINGS,
    ROUTES,
    UPSTREAM_CA,
    as_json,
    session,
    with_options,
)

if TYPE_CHECKING:
    from wiretape.config.load import Config
    from wiretape.core.cost.prices import Money
    from wiretape.drift.sending import SendOptions

_REPORTS: Final = (".json", ".xml", ".md")


def _rate(_c: click.Context, _p: click.Parameter, value: str | None) -> float | None:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:/(s|min|h))?", value or "1")
    if match is None or not float(match[1]):
        raise click.BadParameter(f"{value!r}: expected requests a second, or 30/min or 100/h")
    seconds = {"s": 1, "min": 60, "h": 3600}[match[2] or "s"]
    return None if value is None else float(match[1]) / seconds


def _budget(_c: click.Context, _p: click.Parameter, value: str | None) -> "int | Money | None":
    from wiretape.core.cost.prices import Money

    if value is None:
        return None
    try:
        return max(1, int(value)) if value.isdecimal() else Money.parse(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}, or a number of requests") from None


def _reports(_c: click.Context, _p: click.Parameter, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    for path in paths:
        if path.suffix.lower() not in _REPORTS:
            raise click.BadParameter(f"{path}: expected a name that ends in {', '.join(_REPORTS)}")
        if not path.absolute().parent.is_dir():
            raise click.BadParameter(f"{path}: its folder is not there; nothing was sent")
    return paths


def _base_url(_c: click.Context, _p: click.Parameter, value: str | None) -> str | None:
    from wiretape.core.model import split_url

    try:
        split_url(value or "https://host")
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}") from None
    return value


_OPTIONS: Final = (
    click.argument("names", nargs=-1, metavar="[NAME…]"),
    CONFIG,
    RECORDINGS,
    session("Only this session's recordings; default all."),
    click.option(
        "--only",
        multiple=True,
        metavar="RULE|PATH|AGE",
        help="Only what this rule applies to, this path (/v1/chat/*), or what is older than this"
        " (older-than:90d); repeatable, any match is enough.",
    ),
    click.option(
        "--sample", type=click.IntRange(1), metavar="N", help="Only so many, chosen at random."
    ),
    click.option(
        "--budget",
        callback=_budget,
        metavar="N|AMOUNT",
        help="Send at most so many requests, or spend at most so much: 0.50USD.",
    ),
    click.option(
        "--rate", callback=_rate, metavar="N[/min]", help="Requests a second, or 30/min, 100/h."
    ),
    click.option(
        "--concurrency",
        type=click.IntRange(1, 64),
        default=4,
        help="Requests at a time; default 4.",
    ),
    click.option(
        "--unsafe",
        is_flag=True,
        help="Also send what may make or change something there: files, batches, fine-tunes.",
    ),
    click.option(
        "--report",
        "reports",
        multiple=True,
        callback=_reports,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Write a report: .json, .xml for JUnit, .md for a pull request; repeatable.",
    ),
    click.option(
        "--all", "everything", is_flag=True, help="Also print what is benign or the same."
    ),
    as_json("Print the result as JSON."),
    HOSTS,
    UPSTREAM_CA,
    ROUTES,
)


@click.command()
@with_options(
    *_OPTIONS,
    click.option(
        "--update", is_flag=True, help="Record anew what has drifted; nothing else is touched."
    ),
)
@guarded
def drift(update: bool, **options: Any) -> int:
    """Send recorded requests again and tell what has changed at the provider.

    Keys are read from the environment. Exit status 5 if there is a regression, 6 if something
    could not be measured.

    \b
    wiretape drift --only '/v1/chat/*' --sample 20 --rate 30/min
    wiretape drift --update --report drift.md
    """
    from wiretape.drift.measure import record

    run = _DriftRun(options, "wiretape drift", repeats=update)
    if update:
        drifted = [each for each in run.report.measurements if each.has_drifted]
        record(drifted, run.report, run.plan, run.folder)
    return run.conclude()


@click.command()
@with_options(
    *_OPTIONS,
    click.option("--to", "model", metavar="MODEL", help="The model to ask."),
    click.option(
        "--to-url",
        metavar="URL",
        callback=_base_url,
        help="The base URL to ask, of a provider that speaks the same: https://host/v1",
    ),
    click.option(
        "--into", metavar="NAME", help="The session to record into; default migrate-MODEL."
    ),
)
@guarded
def migrate(model: str | None, to_url: str | None, into: str | None, **options: Any) -> int:
    """Ask another model, or another provider of the same dialect, what was recorded.

    Its answers are recorded as a session of their own and compared as `wiretape drift` does.

    \b
    wiretape migrate --to gpt-5-mini --report migrate.md
    wiretape migrate --to qwen3 --to-url http://localhost:8000/v1
    """
    from wiretape.drift.measure import record
    from wiretape.sessions.sessions import UnknownSession, check_name

    if not model and not to_url:
        raise click.UsageError("name a model with --to, or a base URL with --to-url")
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", model or to_url or "").strip("-_")[:80]
    into = into or f"migrate-{slug}"
    try:
        check_name(into)
    except UnknownSession as error:
        raise ConfigError(f"--into: {error}") from None
    run = _DriftRun(options, f"wiretape migrate to {model or to_url}", model, to_url, into=into)
    record(run.report.measurements, run.report, run.plan, run.folder, into)
    return run.conclude()


class _DriftRun:
    """What both commands do: choose, send, compare, print."""

    def __init__(
        self,
        options: dict[str, Any],
        title: str,
        model: str | None = None,
        to_url: str | None = None,
        *,
        into: str | None = None,
        repeats: bool = False,
    ) -> None:
        import asyncio

        from wiretape.config.load import load
        from wiretape.core.redaction.redactor import Redactor
        from wiretape.core.redaction.run_paths import NO_PATHS
        from wiretape.drift.measure import DriftPlan, DriftReport, measure
        from wiretape.drift.other_model import changing
        from wiretape.drift.targets import ChosenRecordings, targets
        from wiretape.run.folders import folders_of

        self._options, self._title = options, title
        config = load(options["config_file"], os.environ)
        for host in options["hosts"]:
            config.providers.add_host(host)
        paths = folders_of(os.environ, Path.cwd()) if config.run_paths else NO_PATHS
        redactor = Redactor(config.redaction, paths, remember=True)
        self.folder: Final[Path] = options["recordings"] or config.recordings
        chosen = ChosenRecordings(
            **{name: options[name] for name in ("names", "session", "only", "sample", "unsafe")},
            without_session=into,
        )
        to_ask, unreadable = targets(self.folder, chosen, config, redactor)
        with steps("asking again", len(to_ask)) as advance:
            self.plan: Final = DriftPlan(
                config=config,
                redactor=redactor,
                options=_send_options(options, config),
                environ=os.environ,
                transform=changing(config.providers, model, to_url),
                repeats=repeats,
                on_progress=lambda _done: advance(1),
            )
            measurements = asyncio.run(measure(to_ask, self.plan))
        self.report: Final = DriftReport(
            measurements=measurements, unreadable=unreadable, budget=self.plan.options.budget
        )

    def conclude(self) -> int:
        """Print and write what was measured; gives the exit status."""
        from wiretape.drift import printing

        from .terminal import echo, for_terminal

        report = self.report
        document = {"wiretape_drift": 1, **printing.as_json(report)}
        for path in self._options["reports"]:
            text = {
                ".json": lambda: json.dumps(document, indent=2) + "\n",
                ".xml": lambda: printing.junit(report, self._title),
                ".md": lambda: printing.markdown(report, self._title),
            }[path.suffix.lower()]()
            try:
                path.write_text(text, encoding="utf-8")
            except OSError as error:
                raise WiretapeError(f"{path}: cannot be written: {reason_of(error)}") from error
        if self._options["as_json"]:
            print_json("drift", **printing.as_json(report))
        else:
            for style, text in printing.lines(report, everything=self._options["everything"]):
                echo(text, "error" if style == "regression" else "")
        for fault in (*report.unreadable, *report.refused):
            say(for_terminal(fault))
        say(report.summary)
        return report.exit_status


def _send_options(options: dict[str, Any], config: "Config") -> "SendOptions":
    import ssl

    from wiretape.core.cost.budget import Budget
    from wiretape.drift.sending import SendOptions
    from wiretape.state_dir import state_dir
    from wiretape.tls.authority import Authority

    limit = options["budget"]
    authority = Authority.load_or_create(state_dir())
    bundle = authority.upstream_bundle(options["upstream_ca"], os.environ)
    return SendOptions(
        **{name: options[name] for name in ("concurrency", "rate", "routes")},
        most=limit if isinstance(limit, int) else None,
        budget=None if limit is None or isinstance(limit, int) else Budget(limit, config.prices),
        trust=ssl.create_default_context(cafile=str(bundle)),
        upstream_proxy=config.upstream_proxy,
    )

"""The options of the commands that carry a run."""

from typing import Any, Final

import click

from .options import (
    BASE_URLS,
    CONFIG,
    HOSTS,
    PORT,
    RECORDINGS,
    ROUTES,
    UPSTREAM_CA,
    FileOrStore,
    Option,
    as_json,
    html_file,
    record_mode,
    session,
)


def _pace(_c: click.Context, _p: click.Parameter, value: str | None) -> Any:
    from wiretape.core.playback.pace import Pace

    if value is None:
        return None
    try:
        return Pace.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


EVERY_RUN: Final[tuple[Option, ...]] = (
    session("Use the folder NAME below the recordings."),
    click.option(
        "--report",
        type=FileOrStore(allow_dash=True),
        help="Write what happened to a JSON file, or as JUnit to one that ends in .xml; - is"
        " standard output. To s3://BUCKET/RUN every replica adds its own.",
    ),
    html_file("Write what happened as a page in one file.", "--html-report"),
    click.option(
        "--strict-ignored",
        is_flag=True,
        help="Fail if anything that a rule ignores has changed since the recording.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="Only misses, losses and notices."),
    click.option("-v", "--verbose", is_flag=True, help="Also what the proxy itself has to say."),
)
"""The options of every run, `wiretape mcp` included."""

RUN_OPTIONS: Final[tuple[Option, ...]] = (
    click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD …]"),
    CONFIG,
    RECORDINGS,
    HOSTS,
    click.option("--port", type=PORT, help="Port of the proxy; 0, the default, is any free one."),
    click.option("--base-url-port", type=PORT, help="Port for http://127.0.0.1:PORT/HOST/…"),
    BASE_URLS,
    click.option(
        "--pace",
        callback=_pace,
        metavar="PACE",
        help="When replayed chunks leave: instant (default), recorded, a factor such as 2x, or a"
        " speed such as ttft=0.4,tps=60.",
    ),
    UPSTREAM_CA,
    ROUTES,
    click.option(
        "--allow-none",
        is_flag=True,
        help="Succeed though nothing reached the proxy: else replay, and any run where CI is set,"
        " exits with 3.",
    ),
    as_json(
        "Print the report on standard output when the run is over; CMD's output goes to standard"
        " error."
    ),
    *EVERY_RUN,
)
"""The options of every run of a command, or of a proxy that serves."""

RECORD_MODE: Final = record_mode()


def _budget(_c: click.Context, _p: click.Parameter, value: str | None) -> Any:
    if value is None:
        return None
    from wiretape.core.cost.prices import Money

    try:
        return Money.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


BUDGET: Final = click.option(
    "--budget",
    callback=_budget,
    metavar="AMOUNT",
    help="Go to the provider only until this is spent: 2USD. Then requests miss.",
)

REPLAYED: Final[tuple[Option, ...]] = (
    click.option(
        "--keep-keys",
        is_flag=True,
        help="In replay, leave CMD the providers' keys; else it has dummies in their place.",
    ),
    click.option(
        "--isolate/--no-isolate",
        default=None,
        help="In replay, give CMD a network with loopback only (Linux); default where CI is set and"
        " it can be had.",
    ),
    click.option(
        "--run",
        "run_name",
        metavar="NAME",
        envvar="WIRETAPE_RUN",
        help="In replay, the run whose takes all replicas share that name it (`sequences`).",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1, 64),
        default=1,
        help="In replay, processes that answer on the port together; default 1.",
    ),
    click.option(
        "--drain",
        type=click.FloatRange(0, 3600),
        default=0.0,
        metavar="SECONDS",
        help="Without CMD: how long to go on after SIGTERM, while /readyz says no.",
    ),
)
"""The options of runs that answer from recordings."""


def _edits(_c: click.Context, _p: click.Parameter, values: tuple[str, ...]) -> Any:
    if not values:
        return ()
    from wiretape.run.edits import parse_edit

    try:
        return tuple(map(parse_edit, values))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _age(_c: click.Context, _p: click.Parameter, value: str | None) -> str | None:
    from wiretape.core.text.age import parse_age

    try:
        return None if value is None or parse_age(value) is None else value
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


ONLY_REPLAYED: Final[tuple[Option, ...]] = (
    click.option(
        "--set",
        "edits",
        multiple=True,
        callback=_edits,
        metavar="KEY.PART=TEXT",
        help="Let an answer say something else in this run: 3f2a.text=No; see `wiretape edit`.",
    ),
    click.option(
        "--max-age",
        callback=_age,
        metavar="AGE",
        help="Tell which recordings that answered are older than this: 90d, 12h, 6w.",
    ),
)
"""The options of runs that only replay."""

"""The command that finds the rules under which a program replays: `wiretape calibrate`."""

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from wiretape.core.errors import WiretapeError

from .command import FOUND, guarded, print_json, say
from .options import (
    BASE_URLS,
    CONFIG,
    HOSTS,
    ROUTES,
    UPSTREAM_CA,
    LocalFolder,
    as_json,
    with_options,
)

if TYPE_CHECKING:
    from wiretape.calibration.rounds import CalibrationOutcome, CalibrationPlan
    from wiretape.config.load import Config

_CONTEXT: Final = {"ignore_unknown_options": False, "allow_interspersed_args": False}


@click.command(context_settings=_CONTEXT)
@with_options(
    click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="-- CMD …", required=True),
    CONFIG,
    click.option("--write", is_flag=True, help="Put the rules into the configuration file."),
    click.option(
        "-r",
        "--recordings",
        "keep",
        type=LocalFolder(),
        metavar="DIR",
        help="Keep the first run's recordings in this folder, which is empty or not there yet.",
    ),
    click.option(
        "--folder",
        type=click.Choice(["copy", "empty", "keep"]),
        default="copy",
        help="Where CMD runs: in a copy of this folder in each run (default), in an empty folder,"
        " or here.",
    ),
    click.option(
        "--keep-home", is_flag=True, help="Leave CMD the user's home; else each run has a new one."
    ),
    click.option(
        "--time-limit",
        type=click.FloatRange(min=0, min_open=True),
        default=600.0,
        metavar="SECONDS",
        help="End a run of CMD that takes longer; default 600.",
    ),
    click.option(
        "--runs",
        type=click.IntRange(2, 20),
        default=5,
        metavar="N",
        help="The most runs of CMD: one that records, one to compare with it, and one under the"
        " rules each time that there are new ones; default 5.",
    ),
    HOSTS,
    BASE_URLS,
    UPSTREAM_CA,
    ROUTES,
    as_json("Print what was found as JSON."),
)
@guarded
def calibrate(as_json: bool, **options: Any) -> int:
    """Run CMD twice or more, and find the rules under which it replays.

    What varied between the runs (ids, times, counters) is taken out by the fewest and narrowest
    rules, which are proved; what was asked never is. Goes to the provider as `record` does.

    Exit status 0 if CMD replays, 1 if rules are to be added or something cannot be tamed, 3 if it
    sends nothing; that of CMD if it fails.

    \b
    wiretape calibrate -- python agent.py
    wiretape calibrate --write -- python agent.py
    """
    from wiretape.calibration import printing

    write, keep = options.pop("write"), options.pop("keep")
    plan = _plan(**options)
    _check_targets(Path(plan.source) if write else None, keep)
    import asyncio

    outcome = asyncio.run(_until_cancelled(plan, keep))
    fault = _write(outcome, Path(plan.source)) if write else None
    written = write and fault is None and outcome.is_settled and bool(outcome.rules)
    if as_json:
        print_json("calibration", **printing.as_json(outcome, plan.source, written=written))
    else:
        for line in printing.lines(outcome, plan.source, written=written):
            click.echo(line)
    if fault is not None:
        raise fault
    if outcome.problem:
        say(outcome.problem)
        return outcome.status or FOUND
    return 0 if outcome.is_settled and (written or not outcome.rules) else FOUND


def _write(outcome: "CalibrationOutcome", path: Path) -> WiretapeError | None:
    """Write the rules, if there are any; gives the error to be printed after them."""
    from wiretape.calibration.write_rules import write_rules

    if outcome.is_settled and outcome.rules:
        try:
            write_rules(path, outcome.config_before, outcome.config_text)
        except WiretapeError as error:
            return error
    return None


def _plan(
    command: tuple[str, ...],
    config_file: Path | None,
    folder: Any,
    keep_home: bool,
    hosts: tuple[str, ...],
    runs: int,
    **others: Any,
) -> "CalibrationPlan":
    from wiretape.calibration.rounds import CalibrationPlan
    from wiretape.calibration.workplace import WorkplaceMaker
    from wiretape.config.load import load

    def load_config(path: Path | None) -> "Config":
        config = load(path or config_file, os.environ)
        for host in hosts:
            config.providers.add_host(host)
        return config

    recordings = (Path.cwd() / load_config(None).recordings).absolute()
    workplaces = WorkplaceMaker(
        source=Path.cwd(),
        environ=dict(os.environ),
        choice=folder,
        keep_home=keep_home,
        left_out=(recordings,),
    )
    return CalibrationPlan(
        command=command,
        load=load_config,
        source=str(config_file or "config.yaml"),
        workplaces=workplaces,
        most_runs=runs,
        **others,
    )


def _check_targets(config_file: Path | None, keep: Path | None) -> None:
    """Fail before CMD is run where its result could not be kept."""
    from wiretape.core.errors import ConfigError

    if config_file is not None:
        target = Path(os.path.realpath(config_file))
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise ConfigError(
                f"{config_file}: its folder cannot be written to; nothing was started"
            )
    if keep is not None and keep.is_dir() and any(keep.iterdir()):
        raise ConfigError(f"-r {keep}: expected a folder that is empty or not there")


async def _until_cancelled(plan: "CalibrationPlan", keep: Path | None) -> "CalibrationOutcome":
    """Calibrate. SIGINT and SIGTERM end CMD and remove the temporary folders first."""
    import asyncio

    from wiretape.calibration.rounds import calibrate_command

    task = asyncio.ensure_future(calibrate_command(plan, say, keep))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None

"""The command that examines this machine: `wiretape doctor`."""

import os
from pathlib import Path
from typing import Any, Final

import click

from .command import guarded, print_json
from .options import CONFIG, RECORDINGS, as_json, with_options

_MARKS: Final = {"ok": ("ok", "green"), "note": ("note", "yellow"), "fault": ("fault", "red")}


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@with_options(CONFIG, RECORDINGS, as_json("Print the findings as JSON."))
@click.argument("command", nargs=-1)
@guarded
def doctor(
    config_file: Path | None, recordings: Path | None, as_json: bool, command: tuple[str, ...]
) -> int:
    """Say what goes through the proxy on this machine, and what is not in order.

    With CMD also what of it reached the proxy in a replay. Exit status 1 for a fault.

    \b
    wiretape doctor
    wiretape doctor -- pytest tests/
    """
    from wiretape.doctor import doctor as examine
    from wiretape.doctor.checks import checks
    from wiretape.doctor.finding import CheckResult

    findings: list[CheckResult] = []

    def tell(finding: CheckResult) -> None:
        findings.append(finding)
        if not as_json:
            _print(finding)

    for finding in checks(config_file, recordings, os.environ):
        tell(finding)
    examine.clients(os.environ, tell)
    if command:
        options = [*(("-c", str(config_file)) if config_file else ())]
        options += [*(("-r", str(recordings)) if recordings else ())]
        examine.command(command, options, os.environ, tell)
    if as_json:
        print_json("doctor", findings=[finding.as_json() for finding in findings])
    return int(any(finding.state == "fault" for finding in findings))


def _print(finding: Any) -> None:
    from .terminal import for_terminal

    if finding.state == "skipped":
        return
    mark, colour = _MARKS[finding.state]
    click.echo(
        click.style(f"{mark:<6}", fg=colour) + for_terminal(f"{finding.name}: {finding.seen}")
    )
    if finding.advice:
        click.echo(for_terminal(f"      {finding.advice}"))

"""`wiretape report`: what runs wrote with `--report`."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from wiretape.core.errors import ConfigError, reason_of

from .command import guarded
from .options import FileOrStore


@click.group()
def report() -> None:
    """Work with the reports that runs wrote."""


@report.command()
@click.argument("files", nargs=-1, required=True, type=FileOrStore())
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Default: print it."
)
@guarded
def merge(files: tuple[Path | str, ...], output: Path | None) -> int:
    """Make one report of those that the replicas of a run wrote; exits as such a run would.

    \b
    wiretape report merge replica-*.json -o report.json
    wiretape report merge s3://bucket/reports/load-17 -o report.json
    """
    from wiretape.report.merge import exit_status, merged

    documents = [document for file in files for document in _read(file)]
    try:
        document = merged(documents)
    except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
        names = ", ".join(map(str, files))
        raise ConfigError(f"{names}: one of them is not the report of a run: {error}") from None
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if output is None:
        click.echo(text, nl=False)
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{output}: cannot be written: {reason_of(error)}") from None
    return exit_status(document)


def _read(path: Path | str) -> Iterator[Any]:
    if isinstance(path, str):
        from wiretape.stores.reports import read_all

        yield from read_all(path, os.environ)
        return
    try:
        yield json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as a report: {reason_of(error)}") from None

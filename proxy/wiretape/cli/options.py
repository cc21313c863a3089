"""Options that several commands have, each said once."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

type Command = Callable[..., None]
type Option = Callable[[Command], Command]

CONFIG: Final[Option] = click.option(
    "-c",
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="Configuration; default config.yaml in this folder, if there.",
)
RECORDINGS: Final[Option] = click.option(
    "-r",
    "--recordings",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the recordings; default recordings.",
)
DRY_RUN: Final[Option] = click.option(
    "-n", "--dry-run", is_flag=True, help="Only show what would be done."
)


def record_mode(default: str | None = None) -> Option:
    """`--record-mode MODE`; without a default the configuration says it."""
    return click.option(
        "--record-mode",
        type=click.Choice(["replace", "append", "missing-only"]),
        default=default,
        help="What becomes of recordings that are there: replace them"
        f"{'' if default else ' (default)'}, add takes to them, or write only what is missing"
        f"{' (default)' if default else ''}.",
    )


def session(text: str) -> Option:
    """`--session NAME`, with what it says of itself."""
    return click.option("--session", metavar="NAME", help=text)


def as_json(text: str) -> Option:
    """`--json`, with what it says of itself."""
    return click.option("--json", "as_json", is_flag=True, help=text)


def with_options(*options: Option) -> Option:
    """Give a command these options, in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add

"""The commands of the program, each by the words that name it."""

from collections.abc import Iterator

import click
import pytest

from wiretape.cli.main import main


def all_commands(
    command: click.Command = main, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A command and all below it, with the words that name them below the program."""
    yield path, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from all_commands(below, (*path, name))


def forget_help_options(patch: pytest.MonkeyPatch) -> None:
    """Have click make the options --help of all commands anew: it makes each once in a process, and
    a test that calls a command apart from the program gives it no -h.
    """
    for _, command in all_commands():
        patch.setattr(command, "_help_option", None)

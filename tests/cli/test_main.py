"""The table of commands says what the commands say of themselves."""

import click
import pytest
from tests.support.cases import in_one_test

from wiretape.cli.main import COMMANDS, main


@in_one_test("name", COMMANDS)
def test_the_table_has_the_first_sentence_of_each_command(name: str) -> None:
    command = main.commands[name]
    assert command.name == name
    assert command.get_short_help_str(1000) == COMMANDS[name][1]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_help_lists_the_commands_as_click_does(width: int) -> None:
    ours, stock = (kind(None, commands=dict(main.commands)) for kind in (type(main), click.Group))
    texts = []
    for group in (ours, stock):
        formatter = click.HelpFormatter(max_width=width)
        group.format_commands(click.Context(group), formatter)
        texts.append(formatter.getvalue())
    assert texts[0] == texts[1]

"""Write `help.txt`, the texts of help that `start.py` prints.

make packs
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from .main import main
from .start import NAME, WIDTHS, title

FILE: Final = Path(__file__).with_name("help.txt")


def as_text() -> str:
    """The content of `help.txt`: what click prints for the program and each of its commands."""
    texts = []
    for columns in WIDTHS:
        # Click leaves two columns free.
        settings = {**main.context_settings, "terminal_width": columns - 2}
        program = click.Context(main, info_name=NAME, **settings)
        for path, context in _contexts([], program):
            texts.append(f"{title(path, columns)}{context.get_help()}\n")
    return "".join(texts)


def _contexts(path: list[str], context: click.Context) -> Iterator[tuple[list[str], click.Context]]:
    """A command and all below it, by the words that name them."""
    yield path, context
    if isinstance(context.command, click.Group):
        for name, command in context.command.commands.items():
            below = click.Context(command, info_name=name, parent=context)
            yield from _contexts([*path, name], below)


if __name__ == "__main__":
    FILE.write_text(as_text(), encoding="utf-8")

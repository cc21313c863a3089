"""What commands print for people: text that cannot steer a terminal, coloured on one."""

import sys
from collections.abc import Iterable
from typing import Any, Final

import click

from wiretape.core.text.printable import printable

_STYLES: Final[dict[str, dict[str, Any]]] = {
    "role": {"bold": True},
    "faint": {"dim": True},
    "call": {"fg": "cyan"},
    "error": {"fg": "red"},
    "-": {"fg": "red"},
    "+": {"fg": "green"},
    "=": {"bold": True},
}
"""How kinds of lines look; those of other kinds are plain."""


def for_terminal(text: str) -> str:
    """Text of a recording for a terminal: tabs as spaces, what would steer it replaced."""
    text = text.replace("\r\n", "\n").expandtabs(4).replace("\N{NO-BREAK SPACE}", " ")
    return printable(text)


def echo(text: str, style: str = "") -> None:
    """Print a line, in colour where standard output is a terminal."""
    click.echo(click.style(_known(for_terminal(text)), **_STYLES.get(style, {})))


def echo_cells(*rows: Iterable[str]) -> None:
    """Print rows of cells, separated by tabs."""
    for cells in rows:
        click.echo(_known("\t".join(" ".join(for_terminal(cell).split("\n")) for cell in cells)))


def _known(text: str) -> str:
    # A terminal may not know all the letters that a model does.
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)

"""What all commands share: exit status, messages, JSON."""

import functools
import json
import sys
from collections.abc import Callable
from typing import Any, Final

import click

from wiretape.core.errors import WiretapeError

FOUND: Final = 1
"""Exit status where there is something to do."""

USAGE: Final = 2
REFUSED: Final = 4
INTERRUPTED: Final = 130


def guarded[**P](work: Callable[P, int]) -> Callable[P, None]:
    """Make a command of a function that returns an exit status; its errors are printed without a
    traceback.
    """

    @functools.wraps(work)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            status = work(*args, **kwargs)
        except WiretapeError as error:
            for line in str(error).splitlines():
                say(line)
            status = USAGE
        except KeyboardInterrupt:
            status = INTERRUPTED
        sys.exit(status)

    return command


def say(text: str) -> None:
    """Print a message to standard error; results go to standard output."""
    click.echo(f"wiretape: {text}", err=True)


def print_json(kind: str, **members: Any) -> None:
    """Print a JSON document that names its kind and version."""
    click.echo(json.dumps({f"wiretape_{kind}": 1, **members}, indent=2))

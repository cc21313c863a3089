"""What all commands share: exit status, messages, JSON.

With `--json` a command prints one document on standard output, whatever happens: its result, or
`{"wiretape_error": 1, …}`. Messages go to standard error as ever. docs/json.md has the shapes.
"""

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from wiretape.core.errors import ConfigError, FormatError, StoreError, WiretapeError

from .progress import progress_shown

FOUND: Final = 1
"""Exit status where there is something to do."""

USAGE: Final = 2
REFUSED: Final = 4
INTERRUPTED: Final = 130

_KINDS: Final = {ConfigError: "config", FormatError: "format", StoreError: "store"}

_PRINTED: Final = "wiretape.cli.printed"
"""The key in click's context that says whether the document of --json is printed."""


def report_wrong_usage(
    run: Callable[..., Any], args: Sequence[str] | None, *more: Any, **options: Any
) -> Any:
    """Run the command line (`click.Command.main`); with --json, report wrong usage as JSON, too."""
    arguments = list(sys.argv[1:] if args is None else args)
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--json" not in own or not options.get("standalone_mode", True):
        return run(args, *more, **options)
    options["standalone_mode"] = False
    try:
        sys.exit(run(arguments, *more, **options) or 0)
    except click.ClickException as error:
        error.show()
        _print_error("usage", error.format_message(), error.exit_code)
        sys.exit(error.exit_code)
    except click.Abort:
        _print_error("interrupted", "interrupted", INTERRUPTED)
        sys.exit(INTERRUPTED)


def guarded[**P](work: Callable[P, int]) -> Callable[P, None]:
    """Make a command of a function that returns an exit status; its errors are printed without a
    traceback.
    """

    @functools.wraps(work)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with progress_shown():
                status = work(*args, **kwargs)
        except WiretapeError as error:
            for line in str(error).splitlines():
                say(line)
            status = USAGE
            _tell_in_json(_KINDS.get(type(error), "failed"), str(error), status)
        except KeyboardInterrupt:
            status = INTERRUPTED
            _tell_in_json("interrupted", "interrupted", status)
        sys.exit(status)

    return command


def say(text: str) -> None:
    """Print a message to standard error; results go to standard output."""
    click.echo(f"wiretape: {text}", err=True)


def print_json(kind: str, /, **members: Any) -> None:
    """Print the document of `--json`, which names its kind and version."""
    import json

    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[_PRINTED] = True
    click.echo(json.dumps({f"wiretape_{kind}": 1, **members}, indent=2))


def _tell_in_json(kind: str, message: str, status: int) -> None:
    """Print an error as the document that was asked for, unless that is printed already."""
    context = click.get_current_context(silent=True)
    if context is not None and context.params.get("as_json") and _PRINTED not in context.meta:
        _print_error(kind, message, status)


def _print_error(kind: str, message: str, status: int) -> None:
    print_json("error", kind=kind, message=message, status=status)

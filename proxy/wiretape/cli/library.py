"""The commands that show recordings to a person: `wiretape ls`, `show` and `diff`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .command import guarded, print_json, say
from .folder import Scope
from .options import CONFIG, RECORDINGS, as_json, html_file, session, with_options

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from wiretape.config.folder_settings import FolderSettings
    from wiretape.maintenance.known_rows import KnownRows
    from wiretape.maintenance.listed_recording import ListedRecording
    from wiretape.maintenance.listing import Listing
    from wiretape.maintenance.read_row import RowReader

_SCOPE: Final = (
    CONFIG,
    RECORDINGS,
    session("Look at this session's recordings."),
    as_json("Print the result as JSON."),
)


def complete_name(context: click.Context, _p: click.Parameter, start: str) -> list[str]:
    """The names of recordings that begin so, for a shell's completion."""
    from wiretape.config.load import load
    from wiretape.core.errors import WiretapeError
    from wiretape.maintenance.names import completions

    try:
        folder = context.params.get("recordings")
        if folder is None:
            folder = load(context.params.get("config_file"), os.environ).recordings
        return completions(folder, start, context.params.get("session"))
    except WiretapeError:
        # A shell has no place for a message.
        return []


def _since(_c: click.Context, _p: click.Parameter, value: str | None) -> "datetime | None":
    from datetime import UTC, datetime

    from wiretape.core.text.age import parse_age

    if value is None:
        return None
    try:
        return datetime.now(UTC) - parse_age(value)
    except ValueError:
        pass
    try:
        date = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r}: expected an age such as 7d, 12h or 2w, or a date such as 2026-11-20"
        ) from None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


_SORTS: Final = ("name", "provider", "model", "tokens", "cost", "chunks", "age", "size", "status")
_FILTERS: Final = (
    click.option("--all-sessions", is_flag=True, help="List the recordings of all sessions."),
    click.option("--provider", metavar="NAME", help="Only of this provider or host."),
    click.option("--model", metavar="TEXT", help="Only where the model's name has this in it."),
    click.option("--path", metavar="GLOB", help="Only requests to this path: /v1/chat/*"),
    click.option("--status", metavar="STATUS", help="Only answers of this status: 200, 4xx"),
    click.option(
        "--since", metavar="AGE", callback=_since, help="Only recorded since: 7d, 12h, 2026-11-20"
    ),
    click.option(
        "--age",
        is_flag=False,
        flag_value="",
        metavar="[AGE]",
        help="Only recorded longer ago, the oldest first; without AGE stale_after of config.yaml.",
    ),
    click.option(
        "--grep", metavar="TEXT", help="Only where request or answer has this text, in any case."
    ),
    click.option(
        "--streamed/--not-streamed", default=None, help="Only answers that are streamed, or not."
    ),
    click.option("--sort", type=click.Choice(_SORTS), default="name", help="Default name."),
    click.option("--reverse", is_flag=True, help="Reverse the order."),
)


@click.command("ls")
@with_options(*_SCOPE, *_FILTERS)
@guarded
def list_(
    config_file: Path | None,
    recordings: Path | None,
    session: str | None,
    as_json: bool,
    sort: str,
    reverse: bool,
    age: str | None,
    **filters: Any,
) -> int:
    """List recordings: provider, model, prompt, tokens, cost, chunks, age, size, status, name.

    In a pipe tabs are between the columns. Files that are not recordings are reported on stderr.
    TOKENS are the request's and the answer's, as the answer says, or with a ~ an estimate.

    \b
    wiretape ls --provider together --since 7d
    wiretape ls --grep weather --sort tokens --reverse
    """
    from datetime import UTC, datetime

    from wiretape.config.folder_settings import folder_settings
    from wiretape.maintenance import listing

    config = folder_settings(config_file, os.environ)
    now = datetime.now(UTC)
    if age is not None:
        filters["until"] = now - _age(age or config.stale_after)
        sort, reverse = "age", not reverse
    chosen = listing.Filter(session=session, **filters)
    folder = recordings or config.recordings
    listed = listing.read(folder, chosen, lambda: _row_reader(config), _known_rows(folder, config))
    rows = listing.ordered(listed.rows, sort, reverse=reverse)
    if as_json:
        print_json(
            "ls",
            folder=str(listed.folder),
            recordings=[row.as_json() for row in rows],
            faults=[{"name": name, "reason": reason} for name, reason in listed.faults],
        )
    else:
        _print_rows(rows, now)
    _say_faults(listed)
    if not rows and not as_json:
        say(listed.nothing)
    return 0


def _print_rows(rows: "Sequence[ListedRecording]", now: "datetime") -> None:
    from wiretape.maintenance.listed_recording import COLUMNS

    from .terminal import echo_cells

    if not _is_terminal():
        echo_cells(COLUMNS, *(row.cells(now) for row in rows))
    elif rows:
        _table(rows, now)


def _row_reader(settings: "FolderSettings") -> "RowReader":
    from wiretape.maintenance.read_row import RowReader

    return RowReader(*settings.load())


def _known_rows(folder: Path, settings: "FolderSettings") -> "KnownRows":
    from wiretape.maintenance.known_rows import KnownRows

    return KnownRows(folder, settings.fingerprint)


def _say_faults(listed: "Listing") -> None:
    from .terminal import for_terminal

    for name, reason in listed.faults:
        say(for_terminal(f"{name}: {reason}"))


@click.command()
@with_options(*_SCOPE)
@click.argument("names", nargs=-1, required=True, metavar="NAME…", shell_complete=complete_name)
@click.option("--chunks", is_flag=True, help="Print the answer's chunks, each with its time.")
@click.option("--raw", is_flag=True, help="Print the answer's body, byte for byte.")
@click.option("--request", is_flag=True, help="Print the request's body, byte for byte.")
@click.option("--plot", is_flag=True, help="Draw when the answer came: its text and its chunks.")
@html_file("Write the recording as a page in one file.")
@guarded
def show(names: tuple[str, ...], as_json: bool, html: Path | None, **options: Any) -> int:
    """Show recordings as conversations.

    NAME is a path, a name below the folder, or the start of a key as `wiretape ls` has it.

    \b
    wiretape show 3f2a
    wiretape show 3f2a --raw | jq .
    wiretape show 3f2a --html for-the-bug-report.html
    """
    chunks, plot, raw, request = (options.pop(n) for n in ("chunks", "plot", "raw", "request"))
    if raw + request + plot + (html is not None) + (as_json or chunks) > 1:
        raise click.UsageError(
            "--raw, --request, --plot, --html and --chunks or --json: choose one"
        )
    if (raw or request or html) and len(names) > 1:
        raise click.UsageError("--raw, --request and --html are of one recording: name one")
    from . import show as printer

    scope = Scope(**options)
    if html is not None:
        return printer.show_html(scope, names[0], html)
    if raw or request:
        return printer.show_body(scope, names[0], request=request)
    return printer.show(scope, names, as_json=as_json, chunks=chunks, draw=plot)


@click.command()
@with_options(*_SCOPE)
@click.argument("a", metavar="A", shell_complete=complete_name)
@click.argument("b", metavar="B", shell_complete=complete_name)
@html_file("Write the comparison as a page in one file.")
@click.option(
    "--sessions",
    "of_sessions",
    is_flag=True,
    help="A and B are sessions: line up their steps; . is what is in none.",
)
@guarded
def diff(a: str, b: str, as_json: bool, html: Path | None, of_sessions: bool, **scope: Any) -> int:
    """Compare two recordings: the requests by path, the answers by text and by tool call.

    Exit status 0 if they ask and answer the same, 1 if not. What rules ignore is not compared;
    number of chunks, times and tokens are printed and do not count.

    \b
    wiretape diff 3f2a00112233 3f2a00112233.2
    wiretape diff --sessions nightly branch-20261129-201500
    """
    if of_sessions:
        from .diff_sessions import diff_sessions

        if html is not None:
            raise click.UsageError("--html is for two recordings, not for --sessions")
        return diff_sessions(Scope(**scope), a, b, as_json=as_json)
    from . import show as printer

    return printer.diff(Scope(**scope), a, b, as_json=as_json, html=html)


def _age(text: str) -> "timedelta":
    from wiretape.core.text.age import parse_age

    try:
        return parse_age(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--age") from None


def _is_terminal() -> bool:
    return sys.stdout.isatty()


_WIDEST: Final = {"provider": 12, "model": 24, "name": 24}
"""Characters; what is longer is cut on a terminal, and of the prompt what has no room."""
_NARROWEST: Final = 12


def _table(rows: "Sequence[ListedRecording]", now: "datetime") -> None:
    # rich takes 70 ms to import: only a terminal has use for it.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from wiretape.maintenance.listed_recording import COLUMNS, NUMBERS

    cells = [row.cells(now, brief=True) for row in rows]
    width = {
        column: min(max(map(len, (column, *texts))), _WIDEST.get(column, 100))
        for column, texts in zip(COLUMNS, zip(*cells, strict=True), strict=True)
    }
    terminal = Console().width
    # One column parts each from the next.
    rest = sum(width.values()) - width["prompt"] + len(COLUMNS) - 1
    width["prompt"] = min(width["prompt"], max(_NARROWEST, terminal - rest))
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for column in COLUMNS:
        table.add_column(
            column,
            justify="right" if column in NUMBERS else "left",
            no_wrap=True,
            overflow="ellipsis",
            width=width[column],
        )
    for row in cells:
        table.add_row(*map(Text, row))
    # On a narrower one the lines wrap, and nothing is lost.
    Console(highlight=False, width=max(terminal, rest + width["prompt"])).print(table)

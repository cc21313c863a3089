"""The command that writes recordings for other tools: `wiretape export`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from wiretape.core.errors import StoreError, WiretapeError
from wiretape.core.text.printable import count
from wiretape.files import write_whole

from .command import FOUND, guarded, say
from .folder import Folder, Scope
from .options import CONFIG, RECORDINGS, session, with_options

if TYPE_CHECKING:
    from wiretape.exchange_formats.writers import Stored

_TARGETS: Final = ("har", "vcr", "jsonl")


@click.command("export")
@with_options(
    CONFIG,
    RECORDINGS,
    session("Only this session's recordings; default all."),
    click.option(
        "--to",
        "target_format",
        type=click.Choice(_TARGETS),
        required=True,
        help="HAR, a cassette of vcrpy's, or lines of JSON with prompts and answers.",
    ),
    click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
        default="-",
        metavar="FILE",
        help="Where to write; default standard output.",
    ),
)
@guarded
def export(target_format: str, output: Path, **scope: Any) -> int:
    """Write recordings in another tool's format, in the order they were made.

    What is redacted stays redacted. Exit status 1 if a recording could not be read.

    \b
    wiretape export --to har -o trace.har
    wiretape export --to jsonl > prompts.jsonl
    """
    from wiretape.exchange_formats.writers import WRITERS

    folder = Folder(Scope(**scope))
    unread: list[str] = []
    pieces = WRITERS[target_format](_stored(folder, unread))
    try:
        if str(output) == "-":
            for piece in pieces:
                click.echo(piece, nl=False)
        else:
            write_whole(output, (piece.encode("utf-8", "surrogateescape") for piece in pieces))
    except OSError as error:
        raise StoreError(f"{output}: cannot be written: {error.strerror}") from None
    for fault in unread:
        say(fault)
    say(f"{count(folder.count - len(unread), 'recording')} exported")
    return FOUND if unread else 0


def _stored(folder: Folder, unread: list[str]) -> "Iterator[Stored]":
    """The recordings of a folder in the order they were made; what cannot be read is added to
    `unread`.
    """
    from wiretape.exchange_formats.writers import Stored
    from wiretape.library.recording_file import load
    from wiretape.maintenance.inventory import document_of, recorded_at

    dated: list[tuple[float, Path, str]] = []
    for recorded in folder.sessions:
        for name in recorded.recordings:
            document = document_of(recorded, name)
            at = None if document is None else recorded_at(document)
            when = at.timestamp() if at else 0.0
            dated.append((when, recorded.folder / name, folder.shown(recorded, name)))
    # Only their times are kept: all recordings of a folder may not fit in memory.
    for _, path, name in sorted(dated):
        try:
            recording = load(path)
        except WiretapeError as error:
            unread.append(f"{name}: skipped: {folder.redactor.text(str(error))}")
            continue
        yield Stored(name, recording.exchange, recording.document)

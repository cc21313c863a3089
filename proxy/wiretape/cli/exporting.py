"""The command that writes recordings for other tools: `wiretape export`."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from wiretape.core.errors import StoreError, WiretapeError
from wiretape.core.text.printable import count
from wiretape.files import write_whole
from wiretape.progress import track

from .command import FOUND, guarded, print_json, say
from .folder import Folder, Scope
from .options import CONFIG, RECORDINGS, as_json, session, with_options

if TYPE_CHECKING:
    from wiretape.exchange_formats.writers import LeaveOut, Stored

_TO_A_FOLDER: Final = "llama-stack"
_TARGETS: Final = ("har", "vcr", "jsonl", _TO_A_FOLDER)


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
        help="HAR, a cassette of vcrpy's, lines of JSON with prompts and answers, or a folder that"
        " llama-stack's own recorder replays.",
    ),
    click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, allow_dash=True),
        default="-",
        metavar="FILE",
        help="Where to write; default standard output. For llama-stack the folder that"
        " LLAMA_STACK_TEST_RECORDING_DIR (OGX_TEST_RECORDING_DIR) names.",
    ),
    click.option(
        "--test-id",
        metavar="NODEID",
        help="The test that llama-stack replays it for: tests/test_a.py::test_b; default none.",
    ),
    as_json("Print what was written and left out as JSON; needs --output."),
)
@guarded
def export(
    target_format: str, output: Path, test_id: str | None, as_json: bool, **scope: Any
) -> int:
    """Write recordings in another tool's format, in the order they were made.

    What is redacted stays redacted. Exit status 1 if a recording could not be read, or has no place
    in that format.

    \b
    wiretape export --to har -o trace.har
    wiretape export --to jsonl > prompts.jsonl
    wiretape export --to llama-stack -o tests/integration/common
    """
    to_stdout, to_folder = str(output) == "-", target_format == _TO_A_FOLDER
    if to_stdout and (as_json or to_folder):
        what = "--json: give --output a file" if as_json else "--to llama-stack writes a folder"
        raise click.UsageError(f"{what}; name it with -o")
    if test_id is not None and not to_folder:
        raise click.UsageError("--test-id is for --to llama-stack")
    folder = Folder(Scope(**scope))
    left_out: list[dict[str, str]] = []

    def leave_out(name: str, reason: str) -> None:
        left_out.append({"recording": name, "reason": reason})
        say(f"{name}: left out: {reason}")

    recordings = _stored(folder, leave_out)
    try:
        if to_folder:
            _write_folder(output, recordings, leave_out, test_id)
        else:
            _write_file(None if to_stdout else output, target_format, recordings, leave_out)
    except BrokenPipeError:  # the reader, `head` say, has enough
        raise
    except OSError as error:
        raise StoreError(f"{output}: cannot be written: {error.strerror}") from None
    exported = folder.count - len({row["recording"] for row in left_out})
    if as_json:
        about = {"format": target_format, "output": str(output), "exported": exported}
        print_json("export", **about, left_out=left_out)
    say(f"{count(exported, 'recording')} exported")
    return FOUND if left_out else 0


def _write_file(
    path: Path | None, target_format: str, recordings: "Iterable[Stored]", leave_out: "LeaveOut"
) -> None:
    from wiretape.exchange_formats.writers import WRITERS

    pieces = WRITERS[target_format](recordings, leave_out)
    if path is None:
        for piece in pieces:
            click.echo(piece, nl=False)
    else:
        write_whole(path, (piece.encode("utf-8", "surrogateescape") for piece in pieces))


def _write_folder(
    path: Path, recordings: "Iterable[Stored]", leave_out: "LeaveOut", test_id: str | None
) -> None:
    """Write the files; what somebody else wrote under the same name stays as it is."""
    from wiretape.exchange_formats.llama_stack import to_llama_stack

    folder = path / "recordings"
    folder.mkdir(parents=True, exist_ok=True)
    ours: set[str] = set()
    for name, recording, text in to_llama_stack(recordings, leave_out, test_id):
        data = text.encode()
        file = folder / name
        if name not in ours and file.exists() and file.read_bytes() != data:
            leave_out(recording, f"{file} is there with another text; delete it first")
            continue
        ours.add(name)
        write_whole(file, data)


def _stored(folder: Folder, leave_out: "Callable[[str, str], None]") -> "Iterator[Stored]":
    """The recordings of a folder in the order they were made."""
    from wiretape.exchange_formats.writers import Stored
    from wiretape.library.recording_file import load
    from wiretape.maintenance.inventory import document_of, recorded_at

    dated: list[tuple[float, Path, str]] = []
    for recorded in folder.sessions:
        for name in track(recorded.recordings, "reading dates"):
            document = document_of(recorded, name)
            at = None if document is None else recorded_at(document)
            when = at.timestamp() if at else 0.0
            dated.append((when, recorded.folder / name, folder.shown(recorded, name)))
    # Only their times are kept: all recordings of a folder may not fit in memory.
    for _, path, name in track(sorted(dated), "exporting"):
        try:
            recording = load(path)
        except WiretapeError as error:
            leave_out(name, folder.redactor.text(str(error)))
            continue
        yield Stored(name, recording.exchange, recording.document)

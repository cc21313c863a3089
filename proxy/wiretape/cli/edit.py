"""Change what a recorded answer says: `wiretape edit`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from wiretape.core.errors import FormatError, StoreError, WiretapeError, reason_of

from .command import REFUSED, guarded, print_json, say
from .library import complete_name
from .options import CONFIG, RECORDINGS, as_json, session, with_options

if TYPE_CHECKING:
    from wiretape.maintenance.edit import RecordingEdit

_NOT_KEPT: Final = "nothing was changed"


def _set(_c: click.Context, _p: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    changes = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r:.60}: expected PART=TEXT, such as text=Hello")
        changes[name] = text
    return changes


@click.command()
@with_options(
    CONFIG,
    RECORDINGS,
    session("Look among this session's recordings."),
    click.argument("name", metavar="NAME", shell_complete=complete_name),
    click.option(
        "--set",
        "changes",
        multiple=True,
        callback=_set,
        metavar="PART=TEXT",
        help="Change a part without an editor: text, reasoning, refusal, call, or text[1].",
    ),
    click.option(
        "--from",
        "source",
        type=click.Path(path_type=Path, dir_okay=False, exists=True),
        metavar="FILE",
        help="Take the edited text from this file, such as one that was refused.",
    ),
)
@as_json("Print the result as JSON.")
@guarded
def edit(
    config_file: Path | None,
    recordings: Path | None,
    session: str | None,
    name: str,
    changes: dict[str, str],
    source: Path | None,
    as_json: bool,
) -> int:
    """Edit what a recorded answer says, in $EDITOR; it is written back into its chunks.

    NAME is what `wiretape show` takes. The number of tokens is estimated; what does not fit the
    new words is reported. The file is marked as edited, which `wiretape ls` shows.

    \b
    wiretape edit 3f2a
    wiretape edit 3f2a --set text='It rains.'
    """
    from wiretape.config.load import load
    from wiretape.core.redaction.redactor import Redactor
    from wiretape.maintenance.edit import RecordingEdit, SecretRefused
    from wiretape.maintenance.names import find

    from .terminal import for_terminal

    config = load(config_file, os.environ)
    named = find(recordings or config.recordings, name, session)
    shown = for_terminal(named.name)
    draft: Path | None = source
    try:
        recording = RecordingEdit(named)
        if not changes:
            draft, changes = _edited(recording, named.name, source)
        notes: tuple[str, ...] = ()
        if changes:
            notes = recording.write(changes, Redactor(config.redaction))
    except (FormatError, StoreError, SecretRefused) as error:
        hint = "" if draft is None else f"; your text is in {draft} (--from {draft} tries again)"
        fault = f"{shown}: {error}; {_NOT_KEPT}{hint}"
        if isinstance(error, SecretRefused):
            say(fault)
            return REFUSED
        raise StoreError(fault) from None
    _remove(draft, source)
    if as_json:
        print_json("edit", recording=named.name, edited=sorted(changes), notes=list(notes))
    say(f"{shown}: edited {', '.join(sorted(changes))}" if changes else f"{shown}: {_NOT_KEPT}")
    for note in notes:
        say(f"  {note}")
    return 0


def _remove(draft: Path | None, source: Path | None) -> None:
    """Remove the file that was made for an editor, not one of the user's own."""
    if draft is not None and draft != source:
        draft.unlink(missing_ok=True)


def _edited(
    recording: "RecordingEdit", name: str, source: Path | None
) -> tuple[Path, dict[str, str]]:
    """What the user made of a recording's text, and the file that it stands in."""
    import tempfile

    from wiretape.core.conversation.editing import to_text

    parts = recording.parts
    draft = source
    if draft is None:
        handle, path = tempfile.mkstemp(prefix="wiretape-", suffix=".txt")
        draft = Path(path)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(to_text(parts, name))
        try:
            click.edit(filename=str(draft))
        except click.ClickException as error:
            draft.unlink(missing_ok=True)
            raise WiretapeError(f"{error.message}; set EDITOR, or use --set") from None
    try:
        text = draft.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WiretapeError(f"{draft}: cannot be read: {reason_of(error)}") from None
    return draft, _changes(text, recording, draft)


def _changes(text: str, recording: "RecordingEdit", draft: Path) -> dict[str, str]:
    from wiretape.core.conversation.editing import from_text

    try:
        return from_text(text, recording.parts) if text.strip() else {}
    except FormatError as error:
        raise WiretapeError(
            f"{draft}: {error}; {_NOT_KEPT}, and your text is still there (--from {draft})"
        ) from None

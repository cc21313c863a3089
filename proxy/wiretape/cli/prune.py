"""List recordings that are unused or old, delete the unused: `unused`, `prune`, `stale`."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from wiretape.core.errors import ConfigError, FormatError, StoreError
from wiretape.core.text.printable import count, size
from wiretape.progress import track

from .command import FOUND, guarded, print_json, say
from .folder import FOLDER, Folder, Scope
from .options import DRY_RUN, with_options

if TYPE_CHECKING:
    from wiretape.maintenance.inventory import SessionFiles
    from wiretape.maintenance.usage import Used


_REPORTS: Final = (
    click.option(
        "--report",
        "reports",
        multiple=True,
        required=True,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Read what a run's --report wrote; repeatable, once for each shard of a run.",
    ),
    click.option(
        "--all-sessions",
        is_flag=True,
        help="Look at all sessions; default: those that the reports name.",
    ),
)
_FAIL: Final = click.option("--fail", is_flag=True, help="Exit with 1 if there are any.")


@dataclass(frozen=True, slots=True)
class _Unused:
    """A recording that no report names."""

    files: "SessionFiles"
    name: str
    bytes: int
    foreign: bool


def _read_reports(paths: Iterable[Path]) -> "Used":
    from wiretape.maintenance.usage import Used, read_report

    used = Used()
    for path in dict.fromkeys(paths):
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"--report {path}: cannot be read: {error.strerror}") from None
        try:
            used |= read_report(data, f"--report {path}")
        except FormatError as error:
            raise ConfigError(str(error)) from None
    return used


def _sessions(folder: Folder, used: "Used", *, all_sessions: bool) -> "list[SessionFiles]":
    """The sessions to look at: a report says nothing about those it does not name."""
    if folder.session is not None or all_sessions:
        return folder.sessions
    reported = [files for files in folder.sessions if files.session in used.names]
    unreported = [files for files in folder.sessions if files not in reported and files.recordings]
    if unreported:
        names = ", ".join(files.session or "those of no session" for files in unreported[:5])
        more = f" and {len(unreported) - 5} more" if len(unreported) > 5 else ""
        say(
            f"left alone, since no report names a recording of theirs: {names}{more}"
            " (--all-sessions looks there too)"
        )
    return reported


def _find_unused(sessions: "Iterable[SessionFiles]", used: "Used") -> list[_Unused]:
    from wiretape.core.recording.llamastack import is_llamastack
    from wiretape.maintenance.inventory import document_of

    unused_recordings = []
    for files in sessions:
        names = used.names.get(files.session, frozenset())
        for name in track(files.recordings, "looking for what is unused"):
            # What is not a recording is not for us to count, nor to delete.
            if name not in names and (document := document_of(files, name)) is not None:
                foreign = is_llamastack(document)
                unused_recordings.append(_Unused(files, name, files.size(name), foreign))
    return unused_recordings


@click.command()
@with_options(*_REPORTS, *FOLDER, _FAIL)
@guarded
def unused(
    reports: tuple[Path, ...], all_sessions: bool, as_json: bool, fail: bool, **scope: Any
) -> int:
    """List the recordings that no run answered from or recorded.

    \b
    wiretape replay --report report.json -- pytest
    wiretape unused --report report.json
    """
    used = _read_reports(reports)
    folder = Folder(Scope(**scope))
    sessions = _sessions(folder, used, all_sessions=all_sessions)
    recordings = _find_unused(sessions, used)
    total = sum(len(files.recordings) for files in sessions)
    if as_json:
        rows = [
            folder.row(
                recording.files, recording.name, bytes=recording.bytes, foreign=recording.foreign
            )
            for recording in recordings
        ]
        print_json("unused", recordings=total, unused=rows, doubts=list(used.doubts))
    else:
        for recording in recordings:
            mark = "  (llama-stack's)" if recording.foreign else ""
            name = folder.shown(recording.files, recording.name)
            click.echo(f"{size(recording.bytes):>9}  {name}{mark}")
    for doubt in used.doubts:
        say(f"{doubt}, so more may be needed than was used")
    weight = size(sum(recording.bytes for recording in recordings))
    say(f"{len(recordings)} of {count(total, 'recording')} unused ({weight})")
    return FOUND if fail and recordings else 0


@click.command()
@with_options(*_REPORTS, *FOLDER, DRY_RUN)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--foreign", is_flag=True, help="Also delete llama-stack's own recordings.")
@click.option(
    "--force", is_flag=True, help="Also after runs that had misses, failed or used nothing."
)
@guarded
def prune(
    reports: tuple[Path, ...],
    all_sessions: bool,
    as_json: bool,
    dry_run: bool,
    yes: bool,
    foreign: bool,
    force: bool,
    **scope: Any,
) -> int:
    """Delete the recordings that `unused` lists, and side files that no recording names.

    \b
    wiretape prune --report report.json --dry-run
    wiretape prune --report shard1.json --report shard2.json --yes
    """
    used = _read_reports(reports)
    folder = Folder(Scope(**scope))
    sessions = _sessions(folder, used, all_sessions=all_sessions)
    if not force:
        _refuse_to_guess(folder, sessions, used)
    unused_recordings = _find_unused(sessions, used)
    doomed = _doomed(
        sessions, [recording for recording in unused_recordings if foreign or not recording.foreign]
    )
    weight = sum(files.size(name) for files, name in doomed)
    rows = [folder.row(files, name, bytes=files.size(name)) for files, name in doomed]
    lines = [f"{size(row['bytes']):>9}  {row['file']}" for row in rows]
    asks = bool(doomed) and not yes and not dry_run
    if not as_json and (asks or dry_run):
        click.echo("\n".join(lines), nl=bool(lines))
    if asks and not _confirmed(len(doomed), weight):
        say("nothing was deleted")
        return FOUND
    if not dry_run:
        for files, name in doomed:
            _delete(files, name)
    if as_json:
        print_json("prune", dry_run=dry_run, deleted=rows)
    elif not asks and not dry_run:
        click.echo("\n".join(lines), nl=bool(lines))
    foreign_kept = 0 if foreign else sum(recording.foreign for recording in unused_recordings)
    if foreign_kept:
        say(
            f"{count(foreign_kept, 'unused recording')} of llama-stack kept"
            " (--foreign deletes them too)"
        )
    done = "would be deleted" if dry_run else "deleted"
    say(f"{count(len(doomed), 'file')} {done} ({size(weight)})")
    return 0


def _doomed(
    sessions: "Iterable[SessionFiles]", recordings: Sequence[_Unused]
) -> "list[tuple[SessionFiles, str]]":
    """The files to delete: recordings, and the side files that none but they name."""
    from wiretape.maintenance.inventory import orphans

    doomed = [(recording.files, recording.name) for recording in recordings]
    for files in sessions:
        names_here = [recording.name for recording in recordings if recording.files is files]
        doomed += [(files, name) for name in orphans(files, without=names_here)]
    return doomed


def _refuse_to_guess(folder: Folder, sessions: "Sequence[SessionFiles]", used: "Used") -> None:
    """ConfigError where the reports do not say what is needed."""
    again = "run CMD again until it is well, or say --force"
    if used.doubts:
        doubts = [f"{doubt}; more may be needed than was used" for doubt in used.doubts]
        raise ConfigError(*doubts, f"nothing was deleted; {again}")
    if not any(used.names.get(f.session, frozenset()) & set(f.recordings) for f in sessions):
        raise ConfigError(
            f"{folder.path}: the reports name no recording that is here; is it the folder they are"
            f" of? Nothing was deleted; {again}"
        )


def _confirmed(number: int, weight: int) -> bool:
    if not sys.stdin.isatty():
        raise ConfigError(
            "no terminal to ask on; nothing was deleted: say --yes, or --dry-run to only look"
        )
    return click.confirm(f"Delete {count(number, 'file')} ({size(weight)})?", err=True)


def _delete(files: "SessionFiles", name: str) -> None:
    path = files.folder / name
    try:
        path.unlink(missing_ok=True)
        folder = path.parent
        while folder != files.folder and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent
    except OSError as error:
        raise StoreError(f"{path}: cannot be deleted: {error.strerror}") from error


# ------------------------------------------------------------------ stale


@click.command()
@click.option(
    "--older-than",
    metavar="AGE",
    help="Such as 90d, 12h or 6w; default: stale_after of the configuration, 90d.",
)
@with_options(*FOLDER, _FAIL)
@guarded
def stale(older_than: str | None, as_json: bool, fail: bool, **scope: Any) -> int:
    """List the recordings that were made long ago, the oldest first.

    \b
    wiretape stale
    wiretape stale --older-than 6w --fail
    """
    from datetime import UTC, datetime

    from wiretape.core.text.age import parse_age
    from wiretape.maintenance.inventory import document_of, recorded_at

    folder = Folder(Scope(**scope))
    older_than = older_than or folder.config.stale_after
    try:
        age = parse_age(older_than)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--older-than") from None
    now = datetime.now(UTC)
    old: list[tuple[datetime, SessionFiles, str]] = []
    unknown: list[tuple[SessionFiles, str]] = []
    for files in folder.sessions:
        for name in track(files.recordings, "reading dates"):
            if (document := document_of(files, name)) is None:
                continue
            if (at := recorded_at(document)) is None:
                unknown.append((files, name))
            elif now - at > age:
                old.append((at, files, name))
    old.sort(key=lambda row: (row[0], row[1].session or "", row[2]))
    if as_json:
        rows = [
            folder.row(files, name, recorded_at=at.isoformat(), age_days=(now - at).days)
            for at, files, name in old
        ]
        dateless = [folder.row(files, name) for files, name in unknown]
        print_json("stale", older_than=older_than, stale=rows, unknown=dateless)
    else:
        for at, files, name in old:
            days = count((now - at).days, "day")
            click.echo(f"{at:%Y-%m-%d}  {days:>9}  {folder.shown(files, name)}")
        for files, name in unknown:
            click.echo(f"{'unknown':<10}  {'':>9}  {folder.shown(files, name)}")
    dated = f", {len(unknown)} of unknown age" if unknown else ""
    say(f"{len(old)} of {count(folder.count, 'recording')} older than {older_than}{dated}")
    return FOUND if fail and old else 0

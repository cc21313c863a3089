"""The commands that tell which recordings are not needed or old, and delete them."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wiretape.core.errors import ConfigError, FormatError, StoreError

from .folder import FOUND, Folder, Place, count, print_json, say, sized

if TYPE_CHECKING:
    from wiretape.maintenance.inventory import SessionFiles
    from wiretape.maintenance.usage import Used


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


def _asked(folder: Folder, used: "Used", *, all_sessions: bool) -> "list[SessionFiles]":
    """The sessions to look at: a report tells nothing of those it does not name."""
    if folder.session is not None or all_sessions:
        return folder.sessions
    asked = [files for files in folder.sessions if files.session in used.names]
    left = [files for files in folder.sessions if files not in asked and files.recordings]
    if left:
        names = ", ".join(files.session or "those of no session" for files in left[:5])
        more = f" and {len(left) - 5} more" if len(left) > 5 else ""
        say(
            f"left alone, since no report names a recording of theirs: {names}{more}"
            " (--all-sessions looks there too)"
        )
    return asked


def _find_unused(sessions: "Iterable[SessionFiles]", used: "Used") -> list[_Unused]:
    from wiretape.core.recording.llamastack import is_llamastack
    from wiretape.maintenance.inventory import document_of

    found = []
    for files in sessions:
        names = used.names.get(files.session, frozenset())
        for name in files.recordings:
            # What is no recording is not for us to count, nor to delete.
            if name not in names and (document := document_of(files, name)) is not None:
                foreign = is_llamastack(document)
                found.append(_Unused(files, name, files.size(name), foreign))
    return found


def unused(
    place: Place, reports: tuple[Path, ...], all_sessions: bool, as_json: bool, fail: bool
) -> int:
    used = _read_reports(reports)
    folder = Folder(place)
    asked = _asked(folder, used, all_sessions=all_sessions)
    found = _find_unused(asked, used)
    total = sum(len(files.recordings) for files in asked)
    if as_json:
        rows = [folder.row(o.files, o.name, bytes=o.bytes, foreign=o.foreign) for o in found]
        print_json("unused", recordings=total, unused=rows, doubts=list(used.doubts))
    else:
        for one in found:
            mark = "  (llama-stack's)" if one.foreign else ""
            click.echo(f"{sized(one.bytes):>9}  {folder.shown(one.files, one.name)}{mark}")
    for doubt in used.doubts:
        say(f"{doubt}, so more may be needed than was used")
    size = sized(sum(one.bytes for one in found))
    say(f"{len(found)} of {count(total, 'recording')} unused ({size})")
    return FOUND if fail and found else 0


def prune(
    place: Place,
    reports: tuple[Path, ...],
    *,
    all_sessions: bool,
    as_json: bool,
    dry_run: bool,
    yes: bool,
    foreign: bool,
    force: bool,
) -> int:
    from wiretape.maintenance.inventory import orphans

    used = _read_reports(reports)
    folder = Folder(place)
    asked = _asked(folder, used, all_sessions=all_sessions)
    if not force:
        _refuse_to_guess(folder, asked, used)
    found = _find_unused(asked, used)
    doomed = [(one.files, one.name) for one in found if foreign or not one.foreign]
    for files in asked:
        gone = [name for of, name in doomed if of is files]
        doomed += [(files, name) for name in orphans(files, without=gone)]
    size = sum(files.size(name) for files, name in doomed)
    rows = [folder.row(files, name, bytes=files.size(name)) for files, name in doomed]
    told = [f"{sized(row['bytes']):>9}  {row['file']}" for row in rows]
    asks = bool(doomed) and not yes and not dry_run
    if not as_json and (asks or dry_run):
        click.echo("\n".join(told), nl=bool(told))
    if asks and not _confirmed(len(doomed), size):
        say("nothing was deleted")
        return FOUND
    if not dry_run:
        for files, name in doomed:
            _delete(files, name)
    if as_json:
        print_json("prune", dry_run=dry_run, deleted=rows)
    elif not asks and not dry_run:
        click.echo("\n".join(told), nl=bool(told))
    kept = len(found) - sum(foreign or not one.foreign for one in found)
    if kept:
        say(f"{count(kept, 'unused recording')} of llama-stack kept (--foreign deletes them too)")
    done = "would be deleted" if dry_run else "deleted"
    say(f"{count(len(doomed), 'file')} {done} ({sized(size)})")
    return 0


def _refuse_to_guess(folder: Folder, asked: "Sequence[SessionFiles]", used: "Used") -> None:
    """ConfigError where the reports do not tell what is needed."""
    again = "run CMD again until it is well, or say --force"
    if used.doubts:
        doubts = [f"{doubt}; more may be needed than was used" for doubt in used.doubts]
        raise ConfigError(*doubts, f"nothing was deleted; {again}")
    if not any(used.names.get(f.session, frozenset()) & set(f.recordings) for f in asked):
        raise ConfigError(
            f"{folder.path}: the reports name no recording that is here; is it the folder they are"
            f" of? Nothing was deleted; {again}"
        )


def _confirmed(number: int, size: int) -> bool:
    if not sys.stdin.isatty():
        raise ConfigError(
            "no terminal to ask on; nothing was deleted: say --yes, or --dry-run to only look"
        )
    return click.confirm(f"Delete {count(number, 'file')} ({sized(size)})?", err=True)


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


def stale(place: Place, older_than: str, seconds: float, as_json: bool, fail: bool) -> int:
    from datetime import UTC, datetime

    from wiretape.maintenance.inventory import document_of, recorded_at

    folder = Folder(place)
    now = datetime.now(UTC)
    old: list[tuple[datetime, SessionFiles, str]] = []
    unknown: list[tuple[SessionFiles, str]] = []
    for files in folder.sessions:
        for name in files.recordings:
            if (document := document_of(files, name)) is None:
                continue
            if (at := recorded_at(document)) is None:
                unknown.append((files, name))
            elif (now - at).total_seconds() > seconds:
                old.append((at, files, name))
    old.sort(key=lambda one: (one[0], one[1].session or "", one[2]))
    if as_json:
        rows = [
            folder.row(files, name, recorded_at=at.isoformat(), age_days=(now - at).days)
            for at, files, name in old
        ]
        dateless = [folder.row(files, name) for files, name in unknown]
        print_json("stale", older_than=older_than, stale=rows, unknown=dateless)
    else:
        for at, files, name in old:
            age = count((now - at).days, "day")
            click.echo(f"{at:%Y-%m-%d}  {age:>9}  {folder.shown(files, name)}")
        for files, name in unknown:
            click.echo(f"{'unknown':<10}  {'':>9}  {folder.shown(files, name)}")
    dated = f", {len(unknown)} of unknown age" if unknown else ""
    say(f"{len(old)} of {count(folder.count, 'recording')} older than {older_than}{dated}")
    return FOUND if fail and old else 0

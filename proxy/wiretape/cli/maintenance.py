"""Keep recordings in order: `verify`, `rekey`; and `completion`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wiretape.core.errors import ConfigError, FormatError, StoreError
from wiretape.core.text.printable import count
from wiretape.files import replace
from wiretape.progress import track

from .command import FOUND, guarded, print_json, say
from .folder import FOLDER, Folder, Scope
from .options import DRY_RUN, with_options

if TYPE_CHECKING:
    from wiretape.maintenance.inventory import SessionFiles
    from wiretape.maintenance.rekey import Move
    from wiretape.maintenance.verify import FileProblem
    from wiretape.scanning.baseline import Allowed
    from wiretape.scanning.scan import Hit


@click.command()
@with_options(*FOLDER)
@click.option("--fix", is_flag=True, help="Rename and rewrite what is safe to.")
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Let the secrets pass that this YAML file of `wiretape scan` lists.",
)
@guarded
def verify(as_json: bool, fix: bool, baseline: Path | None, **scope: Any) -> int:
    """Check that every recording loads, replays, answers its own request, is named by its key,
    is laid out as wiretape does it, and holds no secret.

    Exit status 1 if something is found, 0 if all is well.

    \b
    wiretape verify
    wiretape verify --fix
    """
    folder = Folder(Scope(**scope))
    passes = _baseline(baseline)
    findings: list[tuple[SessionFiles, FileProblem]] = []
    fixed: list[tuple[SessionFiles, FileProblem]] = []
    for files in folder.sessions:
        before = _look(folder, files, passes)
        remaining = (
            _fixed(folder, files, passes) if fix and any(f.fixable for f in before) else before
        )
        fixed += [
            (files, problem) for problem in before if problem.fixable and problem not in remaining
        ]
        findings += [(files, problem) for problem in remaining]
    if as_json:
        print_json(
            "verify",
            recordings=folder.count,
            findings=[_finding_row(folder, *finding) for finding in findings],
            fixed=[_finding_row(folder, *finding) for finding in fixed],
        )
    else:
        for files, problem in fixed:
            click.echo(f"{folder.shown(files, problem.name)}: fixed: {problem.text}")
        for files, problem in findings:
            click.echo(f"{folder.shown(files, problem.name)}: {problem.text}; {problem.remedy}")
    files_with_findings = len({(files.session, problem.name) for files, problem in findings})
    result = (
        f"{count(len(findings), 'finding')} in {count(files_with_findings, 'file')}"
        if files_with_findings
        else "all well"
    )
    done = f"; {len(fixed)} fixed" if fixed else ""
    say(f"{count(folder.count, 'recording')}: {result}{done}")
    return FOUND if findings else 0


@click.command()
@with_options(*FOLDER, DRY_RUN)
@guarded
def rekey(as_json: bool, dry_run: bool, **scope: Any) -> int:
    """Name recordings by the keys they have under the rules of today.

    Nothing is recorded anew. Exit status 1 if a file is not a recording (or, with --dry-run, one
    would be renamed).

    \b
    wiretape rekey --dry-run
    wiretape rekey
    """
    from wiretape.maintenance.inventory import sessions
    from wiretape.maintenance.rename import interrupted, rename, resume

    folder = Folder(Scope(**scope))
    finished = 0
    for files in folder.sessions:
        if dry_run and interrupted(files.folder):
            raise ConfigError(
                f"{files.folder}: a `wiretape rekey` or `redact` was interrupted here; run"
                " `wiretape rekey` without --dry-run to finish it first"
            )
        finished += resume(files.folder)
    rows: list[dict[str, Any]] = []
    skipped = 0
    for files in sessions(folder.path, folder.session) if finished else folder.sessions:
        moves, faults = _planned(folder, files)
        skipped += faults
        for move in moves:
            row = {"from": folder.shown(files, move.old), "to": folder.shown(files, move.new)}
            rows.append({**row, "ids": move.ids is not None})
            if not as_json:
                stays = f"{row['from']}: its ids name other recordings now"
                click.echo(stays if move.old == move.new else f"{row['from']} -> {row['to']}")
        if not dry_run:
            rename(files.folder, moves)
    if as_json:
        print_json("rekey", dry_run=dry_run, finished=finished, skipped=skipped, renamed=rows)
    if finished:
        say(f"{count(finished, 'file')} of an interrupted rekey or redact put in place first")
    done = "would be renamed" if dry_run else "renamed"
    say(f"{len(rows)} of {count(folder.count, 'recording')} {done}")
    return FOUND if skipped or (dry_run and rows) else 0


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@guarded
def completion(shell: str) -> int:
    """Print the script that makes a shell complete commands and options.

    \b
    wiretape completion bash > ~/.local/share/bash-completion/completions/wiretape
    wiretape completion zsh > "${fpath[1]}/_wiretape"
    wiretape completion fish > ~/.config/fish/completions/wiretape.fish
    """
    from click.shell_completion import shell_complete

    program = click.get_current_context().find_root().command
    return shell_complete(program, {}, "wiretape", "_WIRETAPE_COMPLETE", f"{shell}_source")


def _baseline(path: Path | None) -> "Callable[[Hit], bool]":
    from wiretape.scanning.baseline import read

    entries: tuple[Allowed, ...] = ()
    if path is not None:
        try:
            entries = read(str(path), path.read_bytes())
        except OSError as error:
            raise ConfigError(f"--baseline {path}: cannot be read: {error.strerror}") from None
    return lambda hit: any(entry.covers(hit) for entry in entries)


def _finding_row(folder: Folder, files: "SessionFiles", finding: "FileProblem") -> dict[str, Any]:
    facts = {name: getattr(finding, name) for name in ("rule", "text", "remedy", "fixable")}
    return folder.row(files, finding.name, **facts)


def _look(
    folder: Folder, files: "SessionFiles", passes: "Callable[[Hit], bool]"
) -> "list[FileProblem]":
    from wiretape.library.replace_set import FOLDER as REPLACING
    from wiretape.maintenance.rename import interrupted
    from wiretape.maintenance.verify import FileProblem, verify

    verified = verify(files, folder.keys, folder.redactor, lambda n: folder.shown(files, n), passes)
    if not interrupted(files.folder):
        return list(verified.findings)
    text = "a `wiretape rekey` or `redact` was interrupted; not all of its files are in place"
    return [
        FileProblem(REPLACING, "interrupted", text, "`wiretape rekey` finishes it", fixable=True),
        *verified.findings,
    ]


def _fixed(
    folder: Folder, files: "SessionFiles", passes: "Callable[[Hit], bool]"
) -> "list[FileProblem]":
    """Rewrite and rename what can be, and look again; gives what is left."""
    from wiretape.maintenance.inventory import sessions
    from wiretape.maintenance.rename import rename, resume
    from wiretape.maintenance.verify import moves, verify

    if resume(files.folder):
        (files,) = [f for f in sessions(folder.path, files.session) if f.session == files.session]
    verified = verify(files, folder.keys, folder.redactor, lambda n: folder.shown(files, n), passes)
    for name, text in verified.rewrites.items():
        try:
            replace(files.folder / name, text.encode("utf-8"))
        except OSError as error:
            raise StoreError(
                f"{files.folder / name}: cannot be rewritten: {error.strerror}"
            ) from error
    rename(files.folder, moves(files, folder.keys, verified.standing))
    (files,) = [f for f in sessions(folder.path, files.session) if f.session == files.session]
    return _look(folder, files, passes)


def _planned(folder: Folder, files: "SessionFiles") -> "tuple[tuple[Move, ...], int]":
    """The moves of a session, and how many of its files are not recordings."""
    from wiretape.library.recording_file import load
    from wiretape.maintenance.verify import moves

    keys, standing, faults = folder.keys, [], 0
    for name in track(files.recordings, "reading"):
        try:
            recording = load(files.folder / name)
            if not recording.foreign:
                standing.append(keys.standing(name, recording.document))
        except (FormatError, StoreError) as error:
            faults += 1
            say(f"{folder.shown(files, name)}: skipped: {folder.redactor.text(str(error))}")
    return moves(files, keys, tuple(standing)), faults

"""The commands that keep recordings in order: unused, prune, stale, verify, rekey, completion."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from wiretape.core.errors import ConfigError, FormatError, StoreError
from wiretape.files import replace

from .folder import FOLDER, FOUND, Folder, Place, count, print_json, say
from .options import DRY_RUN, with_options

if TYPE_CHECKING:
    from wiretape.maintenance.inventory import SessionFiles
    from wiretape.maintenance.rekey import Move
    from wiretape.maintenance.verify import Finding
    from wiretape.scanning.baseline import Allowed
    from wiretape.scanning.scan import Hit

type Guarded = Callable[[Callable[[], int]], None]

_REPORTS: Final = (
    click.option(
        "--report",
        "reports",
        multiple=True,
        required=True,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="What a run's --report wrote; give it again for each shard of a run.",
    ),
    click.option(
        "--all-sessions",
        is_flag=True,
        help="Also sessions that the reports do not name; default: only those they name.",
    ),
)


def register(group: click.Group, guarded: Guarded) -> None:
    """Add the commands to `group`; `guarded` runs one and ends with its exit status."""

    @group.command()
    @with_options(*_REPORTS, *FOLDER)
    @click.option("--fail", is_flag=True, help="Exit status 1 if there is one.")
    def unused(
        reports: tuple[Path, ...], all_sessions: bool, as_json: bool, fail: bool, **place: Any
    ) -> None:
        """List the recordings that no run answered from or recorded.

        \b
        wiretape replay --report report.json -- pytest
        wiretape unused --report report.json
        """
        from . import prune

        guarded(lambda: prune.unused(Place(**place), reports, all_sessions, as_json, fail))

    @group.command()
    @with_options(*_REPORTS, *FOLDER, DRY_RUN)
    @click.option("-y", "--yes", is_flag=True, help="Do not ask.")
    @click.option("--foreign", is_flag=True, help="Also delete llama-stack's own recordings.")
    @click.option(
        "--force", is_flag=True, help="Also after runs that had misses, failed or used nothing."
    )
    def prune(reports: tuple[Path, ...], as_json: bool, **options: Any) -> None:
        """Delete the recordings that `unused` lists, and side files that no recording names.

        \b
        wiretape prune --report report.json --dry-run
        wiretape prune --report shard1.json --report shard2.json --yes
        """
        from . import prune

        place = Place(*(options.pop(name) for name in ("config_file", "recordings", "session")))
        guarded(lambda: prune.prune(place, reports, as_json=as_json, **options))

    @group.command()
    @click.option("--older-than", required=True, metavar="AGE", help="Such as 90d, 12h or 6w.")
    @with_options(*FOLDER)
    @click.option("--fail", is_flag=True, help="Exit status 1 if there is one.")
    def stale(older_than: str, as_json: bool, fail: bool, **place: Any) -> None:
        """List the recordings that were made long ago, the oldest first.

        \b
        wiretape stale --older-than 90d
        """
        from wiretape.core.playback.selection import parse_age

        from . import prune

        try:
            age = parse_age(older_than)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--older-than") from None
        seconds = age.total_seconds()
        guarded(lambda: prune.stale(Place(**place), older_than, seconds, as_json, fail))

    @group.command()
    @with_options(*FOLDER)
    @click.option("--fix", is_flag=True, help="Rename and rewrite what is safe to.")
    @click.option(
        "--baseline",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Let the secrets pass that this YAML file of `wiretape scan` lists.",
    )
    def verify(as_json: bool, fix: bool, baseline: Path | None, **place: Any) -> None:
        """Check that every recording loads, replays, answers its own request, is named by its key,
        is laid out as wiretape does it, and holds no secret.

        Exit status 1 if something is found, 0 if all is well.

        \b
        wiretape verify
        wiretape verify --fix
        """
        guarded(lambda: _verify(Place(**place), as_json, fix, baseline))

    @group.command()
    @with_options(*FOLDER, DRY_RUN)
    def rekey(as_json: bool, dry_run: bool, **place: Any) -> None:
        """Name recordings by the keys they have under the rules of today.

        Nothing is recorded anew. Exit status 1 if a file is no recording (or, with --dry-run, one
        would be renamed).

        \b
        wiretape rekey --dry-run
        wiretape rekey
        """
        guarded(lambda: _rekey(Place(**place), as_json, dry_run))

    @group.command()
    @click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
    def completion(shell: str) -> None:
        """Print the script by which a shell completes commands and options.

        \b
        wiretape completion bash > ~/.local/share/bash-completion/completions/wiretape
        """
        click.echo(_completion(group, shell), nl=False)


# ------------------------------------------------------------------ verify, rekey


def _verify(place: Place, as_json: bool, fix: bool, baseline: Path | None) -> int:
    folder = Folder(place)
    passes = _baseline(baseline)
    findings: list[tuple[SessionFiles, Finding]] = []
    fixed: list[tuple[SessionFiles, Finding]] = []
    for files in folder.sessions:
        first = _look(folder, files, passes)
        left = _fixed(folder, files, passes) if fix and any(f.fixable for f in first) else first
        fixed += [(files, one) for one in first if one.fixable and one not in left]
        findings += [(files, one) for one in left]
    if as_json:
        print_json(
            "verify",
            recordings=folder.count,
            findings=[_finding_row(folder, *one) for one in findings],
            fixed=[_finding_row(folder, *one) for one in fixed],
        )
    else:
        for files, one in fixed:
            click.echo(f"{folder.shown(files, one.name)}: fixed: {one.text}")
        for files, one in findings:
            click.echo(f"{folder.shown(files, one.name)}: {one.text}; {one.remedy}")
    where = len({(files.session, one.name) for files, one in findings})
    told = f"{count(len(findings), 'finding')} in {count(where, 'file')}" if where else "all well"
    done = f"; {len(fixed)} fixed" if fixed else ""
    say(f"{count(folder.count, 'recording')}: {told}{done}")
    return FOUND if findings else 0


def _baseline(path: Path | None) -> "Callable[[Hit], bool]":
    from wiretape.scanning.baseline import read

    entries: tuple[Allowed, ...] = ()
    if path is not None:
        try:
            entries = read(str(path), path.read_bytes())
        except OSError as error:
            raise ConfigError(f"--baseline {path}: cannot be read: {error.strerror}") from None
    return lambda hit: any(entry.covers(hit) for entry in entries)


def _finding_row(folder: Folder, files: "SessionFiles", one: "Finding") -> dict[str, Any]:
    facts = {"rule": one.rule, "text": one.text, "remedy": one.remedy, "fixable": one.fixable}
    return folder.row(files, one.name, **facts)


def _look(
    folder: Folder, files: "SessionFiles", passes: "Callable[[Hit], bool]"
) -> "list[Finding]":
    from wiretape.maintenance.rename import JOURNAL, interrupted
    from wiretape.maintenance.verify import Finding, verify

    found = verify(files, folder.keys, folder.redactor, lambda n: folder.shown(files, n), passes)
    if not interrupted(files.folder):
        return list(found.findings)
    text = "a `wiretape rekey` was interrupted; recordings may lie under hidden names"
    return [
        Finding(JOURNAL, "interrupted", text, "`wiretape rekey` finishes it", fixable=True),
        *found.findings,
    ]


def _fixed(
    folder: Folder, files: "SessionFiles", passes: "Callable[[Hit], bool]"
) -> "list[Finding]":
    """Rewrite and rename what can be, and look again; gives what is left."""
    from wiretape.maintenance.inventory import sessions
    from wiretape.maintenance.rename import rename, resume
    from wiretape.maintenance.verify import moves, verify

    if resume(files.folder):
        (files,) = [f for f in sessions(folder.path, files.session) if f.session == files.session]
    found = verify(files, folder.keys, folder.redactor, lambda n: folder.shown(files, n), passes)
    for name, text in found.rewrites.items():
        try:
            replace(files.folder / name, text.encode("utf-8"))
        except OSError as error:
            raise StoreError(
                f"{files.folder / name}: cannot be rewritten: {error.strerror}"
            ) from error
    rename(files.folder, moves(files, folder.keys, found.standing))
    (files,) = [f for f in sessions(folder.path, files.session) if f.session == files.session]
    return _look(folder, files, passes)


def _rekey(place: Place, as_json: bool, dry_run: bool) -> int:
    from wiretape.maintenance.inventory import sessions
    from wiretape.maintenance.rename import interrupted, rename, resume

    folder = Folder(place)
    finished = 0
    for files in folder.sessions:
        if dry_run and interrupted(files.folder):
            raise ConfigError(
                f"{files.folder}: a `wiretape rekey` was interrupted here; run it without --dry-run"
                " to finish it first"
            )
        finished += resume(files.folder)
    rows: list[dict[str, Any]] = []
    skipped = 0
    for files in sessions(folder.path, place.session) if finished else folder.sessions:
        found, faults = _planned(folder, files)
        skipped += faults
        for move in found:
            row = {"from": folder.shown(files, move.old), "to": folder.shown(files, move.new)}
            rows.append({**row, "ids": move.ids is not None})
            if not as_json:
                stays = f"{row['from']}: its ids name other recordings now"
                click.echo(stays if move.old == move.new else f"{row['from']} -> {row['to']}")
        if not dry_run:
            rename(files.folder, found)
    if as_json:
        print_json("rekey", dry_run=dry_run, finished=finished, skipped=skipped, renamed=rows)
    if finished:
        say(f"{count(finished, 'file')} of an earlier, interrupted rekey finished first")
    done = "would be renamed" if dry_run else "renamed"
    say(f"{len(rows)} of {count(folder.count, 'recording')} {done}")
    return FOUND if skipped or (dry_run and rows) else 0


def _planned(folder: Folder, files: "SessionFiles") -> "tuple[tuple[Move, ...], int]":
    """The moves of a session, and how many of its files are no recordings."""
    from wiretape.library.recording_file import load
    from wiretape.maintenance.verify import moves

    keys, standing, faults = folder.keys, [], 0
    for name in files.recordings:
        try:
            recording = load(files.folder / name)
            if not recording.foreign:
                standing.append(keys.standing(name, recording.document))
        except (FormatError, StoreError) as error:
            faults += 1
            say(f"{folder.shown(files, name)}: skipped: {folder.redactor.text(str(error))}")
    return moves(files, keys, tuple(standing)), faults


# ------------------------------------------------------------------ completion


_INSTALL: Final[Mapping[str, str]] = {
    "bash": "wiretape completion bash > ~/.local/share/bash-completion/completions/wiretape",
    "zsh": 'wiretape completion zsh > "${fpath[1]}/_wiretape"',
    "fish": "wiretape completion fish > ~/.config/fish/completions/wiretape.fish",
}


def _completion(group: click.Group, shell: str) -> str:
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    kinds = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
    kind = kinds[shell](group, {}, "wiretape", "_WIRETAPE_COMPLETE")
    # Not `source`, which runs the bash of this machine to see how old it is.
    script = kind.source_template % kind.source_vars()
    first, _, rest = script.lstrip("\n").partition("\n")
    # zsh knows a completion by its first line.
    lines = [first, f"# To install: {_INSTALL[shell]}", rest]
    if shell != "zsh":
        lines[:2] = reversed(lines[:2])
    return "\n".join(lines).rstrip("\n") + "\n"

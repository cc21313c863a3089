"""Find secrets in files and take them out: `wiretape scan`, `wiretape redact`."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from wiretape.core.errors import ConfigError, StoreError
from wiretape.core.text.printable import count, escaped
from wiretape.files import Unreadable, files, name_of
from wiretape.progress import track

from .command import FOUND, guarded, print_json, say
from .options import CONFIG, as_json

if TYPE_CHECKING:
    from wiretape.config.load import Config
    from wiretape.core.redaction.redactor import Redactor
    from wiretape.maintenance.redact import Plan
    from wiretape.scanning.baseline import Allowed, SortedHits
    from wiretape.scanning.scan import Hit

_PATHS: Final = click.argument(
    "paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH…]"
)


@click.command()
@_PATHS
@CONFIG
@as_json("Print the findings as JSON.")
@click.option(
    "--sarif",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Write the findings as SARIF 2.1.0, for code scanning; - is standard output.",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Let the findings pass that this YAML file lists, each with its reason.",
)
@click.option("--write-baseline", is_flag=True, help="Write all findings to the --baseline file.")
@guarded
def scan(
    paths: tuple[Path, ...],
    config_file: Path | None,
    as_json: bool,
    sarif: Path | None,
    baseline: Path | None,
    write_baseline: bool,
) -> int:
    """Search files for secrets: recordings, vcrpy's, HAR, any text; default: recordings.

    Exit status 1 if one is found, 0 if none.

    \b
    wiretape scan
    wiretape scan tests/cassettes trace.har
    """
    if write_baseline and baseline is None:
        raise click.UsageError("--write-baseline needs --baseline FILE, the file to write")
    sarif_to_stdout = str(sarif) == "-"
    if as_json and sarif_to_stdout:
        raise click.UsageError("--json and --sarif - both write to standard output")
    from wiretape.config.load import load
    from wiretape.scanning import baseline as allowed

    config = load(config_file, os.environ)
    entries = _entries(baseline, write_baseline=write_baseline)
    names: list[str] = []
    hits: list[Hit] = []
    print_hits = not as_json and not write_baseline and not sarif_to_stdout
    for name, file_hits in _hits(paths or _default(config), config, baseline):
        names.append(name)
        hits += file_hits
        if print_hits:
            for hit in allowed.sort(file_hits, entries, ()).left:
                click.echo(escaped(str(hit)))
    if baseline is not None and write_baseline:
        return _write_baseline(baseline, hits, entries)
    result = allowed.sort(hits, entries, names)
    if as_json:
        print_json("scan", **_members(result, len(names)))
    if sarif is not None:
        _write_sarif(sarif, result)
    for entry in result.unused:
        say(f"{baseline}:{entry.line}: nothing is found there any more; take the entry out")
    _summary(result, len(names))
    return FOUND if result.left else 0


def _write_baseline(path: Path, hits: "list[Hit]", entries: "tuple[Allowed, ...]") -> int:
    from wiretape.scanning.baseline import dumps

    _write_text(path, dumps(hits, entries))
    say(
        f"{path}: {count(len(set(hits)), 'finding')} written;"
        " give each entry a reason, without one it is a fault"
    )
    return 0


def _write_sarif(path: Path, result: "SortedHits") -> None:
    from wiretape import __version__
    from wiretape.scanning.sarif import log

    text = json.dumps(log(result.left, result.passed, __version__), indent=2) + "\n"
    if str(path) == "-":
        click.echo(text, nl=False)
    else:
        _write_text(path, text)


def _default(config: "Config") -> tuple[Path, ...]:
    if not config.recordings.exists():
        raise ConfigError(
            f"{config.recordings}: no such folder, where {config.source} says that recordings are;"
            " name what to scan: wiretape scan PATH…"
        )
    return (config.recordings,)


def _entries(baseline: Path | None, *, write_baseline: bool) -> "tuple[Allowed, ...]":
    from wiretape.scanning.baseline import read

    if baseline is None or (write_baseline and not baseline.exists()):
        return ()
    try:
        data = baseline.read_bytes()
    except OSError as error:
        raise ConfigError(f"--baseline {baseline}: cannot be read: {error.strerror}") from None
    return read(str(baseline), data, reasons=not write_baseline)


def _hits(
    paths: Iterable[Path], config: "Config", baseline: Path | None
) -> "Iterator[tuple[str, list[Hit]]]":
    """The name of each file, and what is found in it."""
    from wiretape.core.redaction.redactor import Redactor
    from wiretape.scanning.scan import MAX_BYTES, search, unsearched

    redactor = Redactor(config.redaction)
    # The baseline itself quotes what it lets pass.
    own = None if baseline is None else Path(os.path.abspath(baseline))

    unreadable = Unreadable()
    chosen = files(paths, unreadable, lambda path: redactor.text(name_of(path)))
    for path in track(list(chosen), "scanning"):
        if own is not None and Path(os.path.abspath(path)) == own:
            continue
        name = name_of(path)
        shown = redactor.text(name)
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                data = b"" if size > MAX_BYTES else file.read(MAX_BYTES + 1)
        except OSError as error:
            yield shown, [unsearched(shown, f"cannot be read: {error.strerror}")]
            continue
        if size > MAX_BYTES or len(data) > MAX_BYTES:
            reason = f"not searched, larger than {MAX_BYTES >> 20} MiB"
            yield shown, [unsearched(shown, reason, "leave it out of what is scanned")]
            continue
        yield shown, list(search(name, data, redactor))
    for folder, reason in unreadable.reasons:
        shown = redactor.text(name_of(folder))
        yield shown, [unsearched(shown, f"cannot be read: {reason}")]


def _members(result: "SortedHits", files: int) -> dict[str, Any]:
    def row(hit: "Hit") -> dict[str, Any]:
        names = ("file", "line", "rule", "where", "masked", "remedy", "fingerprint")
        return {name: getattr(hit, name) for name in names}

    return {
        "files": files,
        "findings": [row(hit) for hit in result.left],
        "allowed": [{**row(hit), "reason": reason} for hit, reason in result.passed],
        "unused": [
            {"line": entry.line, "file": entry.file, "rule": entry.rule} for entry in result.unused
        ],
    }


def _summary(result: "SortedHits", files: int) -> None:
    passed = f" ({len(result.passed)} let pass by the baseline)" if result.passed else ""
    if not result.left:
        say(f"{count(files, 'file')}, no secret found{passed}")
        return
    where = len({hit.file for hit in result.left})
    say(
        f"{count(len(result.left), 'finding')}{passed} in {where} of {count(files, 'file')}."
        " Revoke what was ever pushed; `wiretape redact FILE` takes it out of recordings"
    )


# ------------------------------------------------------------------ redact


@click.command()
@_PATHS
@CONFIG
@click.option("-n", "--dry-run", is_flag=True, help="Only show what would be changed.")
@as_json("Print what was changed, and what others against it, as JSON.")
@guarded
def redact(paths: tuple[Path, ...], config_file: Path | None, dry_run: bool, as_json: bool) -> int:
    """Take secrets out of recordings in place, and prove that they answer as before.

    What is found in one recording is looked for in all that are named. The requests of the whole
    folder are replayed on a copy first: what an answer gives and a later request sends must go from
    both. All files are replaced together, or none.

    Exit status 0 if all are clean now, 1 if a file is not a recording (or, with --dry-run, would
    be changed), 4 if nothing was rewritten since a secret would be left or a request would not be
    answered as before.

    \b
    wiretape redact --dry-run recordings
    wiretape redact recordings
    """
    if not paths:
        raise click.UsageError("name what to rewrite: wiretape redact recordings")
    from wiretape.config.load import load
    from wiretape.maintenance.redact import NotRedacted, carry_out, redactor_for

    config = load(config_file, os.environ)
    redactor = redactor_for(config)
    try:
        chosen = _chosen(paths, redactor)
        plans = _plans(chosen, config, redactor)
        for planned in () if dry_run else plans:
            carry_out(planned)
    except NotRedacted as error:
        rows = _say_faults(error.faults, redactor)
        if as_json:
            print_json("redact", dry_run=dry_run, changes=[], faults=rows)
        return error.status
    rows = list(_changes(plans, redactor))
    for row in () if as_json else rows:
        click.echo("{file}: {where}: {rule}".format_map(row))
    others = _say_faults([fault for planned in plans for fault in planned.others], redactor)
    if as_json:
        print_json("redact", dry_run=dry_run, changes=rows, faults=others)
    changed = sum(len(planned.changes) for planned in plans)
    done = "would be rewritten" if dry_run else "rewritten"
    say(f"{changed} of {count(len(chosen), 'recording')} {done}{_proof(plans)}")
    is_faulty = any(planned.others for planned in plans)
    return FOUND if is_faulty or (dry_run and changed) else 0


def _chosen(paths: tuple[Path, ...], redactor: "Redactor") -> list[Path]:
    from wiretape.maintenance.redact import NotRedacted

    unreadable = Unreadable()
    named = files(paths, unreadable, lambda path: redactor.text(name_of(path)))
    # In a folder that is named stand side files and others too.
    chosen = [path for path in named if path in paths or path.suffix == ".json"]
    if unreadable.reasons:
        faults = [(str(f), f"cannot be read: {why}") for f, why in unreadable.reasons]
        raise NotRedacted(faults, FOUND)
    return chosen


def _plans(chosen: list[Path], config: "Config", redactor: "Redactor") -> "list[Plan]":
    """What is to be done in each folder of recordings."""
    from wiretape.maintenance.redact import folder_of, plan

    roots: dict[Path, list[Path]] = {}
    for path in chosen:
        roots.setdefault(folder_of(path, config.recordings), []).append(path)
    plans = [plan(root, paths, config, redactor) for root, paths in roots.items()]
    if len(plans) > 1:
        # What was found in a later folder may stand in an earlier one.
        plans = [plan(root, paths, config, redactor) for root, paths in roots.items()]
    return plans


def _proof(plans: "list[Plan]") -> str:
    requests = sum(planned.requests for planned in plans)
    unanswered = sum(planned.unanswered for planned in plans)
    if not requests:
        return ""
    before = f" ({unanswered} of them by nothing)" if unanswered else ""
    return f"; {count(requests, 'request')} replayed and answered as before{before}"


def _changes(plans: "list[Plan]", redactor: "Redactor") -> Iterator[dict[str, str]]:
    for planned in plans:
        for name, changes in planned.changes.items():
            shown = escaped(redactor.text(name_of(planned.root / name)))
            for change in changes:
                yield {"file": shown, "where": escaped(change.where), "rule": change.rule}


def _say_faults(faults: Iterable[tuple[str, str]], redactor: "Redactor") -> list[dict[str, str]]:
    """Print faults, and give them as rows of JSON."""
    rows = [
        {"file": escaped(redactor.text(name_of(Path(path)))), "reason": redactor.text(text)}
        for path, text in faults
    ]
    for row in rows:
        say("{file}: {reason}".format_map(row))
    return rows


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from error

"""The command that writes a project's first files: `wiretape init`."""

import os
import shutil
from pathlib import Path
from typing import Any

import click

from .command import guarded, print_json
from .options import as_json


@click.command()
@click.argument(
    "folder", type=click.Path(file_okay=False, exists=True, path_type=Path), default="."
)
@click.option("--dry-run", is_flag=True, help="Print the files and write none.")
@as_json("Print the files, and what became of each, as JSON.")
@guarded
def init(folder: Path, dry_run: bool, as_json: bool) -> int:
    """Write config.yaml, .gitattributes, a pre-commit hook and an example test.

    What they hold follows from the project in FOLDER. A file that is there is left as it is.

    \b
    wiretape init --dry-run
    wiretape init
    """
    from wiretape.config.packs import built_in
    from wiretape.core.errors import StoreError, reason_of
    from wiretape.starter.files import files
    from wiretape.starter.project import AGENTS, read

    path = os.environ.get("PATH")
    agents = tuple(name for name in AGENTS if shutil.which(name, path=path))
    rows: list[dict[str, Any]] = []
    for name, text in files(read(folder, os.environ, agents), built_in()):
        target = folder / name
        present = os.path.lexists(target)
        if not dry_run and not present:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("x", encoding="utf-8", newline="\n") as file:
                    file.write(text)
            except OSError as error:
                raise StoreError(f"{target}: cannot be written: {reason_of(error)}") from error
        rows.append({"file": name, "present": present, "text": text})
        if not as_json:
            click.echo(_line(name, text, present=present, dry_run=dry_run))
    if as_json:
        print_json("init", dry_run=dry_run, files=rows)
    elif not dry_run:
        click.echo("Next: wiretape record -- CMD, then wiretape replay -- CMD")
    return 0


def _line(name: str, text: str, *, present: bool, dry_run: bool) -> str:
    if dry_run:
        return f"--- {name}\n{text}"
    if present:
        return f"{name}: is there and stays as it is; it might hold:\n{_indented(text)}"
    return f"{name}: written"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())

"""`wiretape push`, `pull` and `sync`: recordings between a folder and an object store."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from wiretape.core.errors import ConfigError
from wiretape.core.text.printable import count, escaped

from .command import FOUND, REFUSED, guarded, print_json, say
from .options import CONFIG, DRY_RUN, RECORDINGS, as_json, with_options

if TYPE_CHECKING:
    from wiretape.config.load import Config
    from wiretape.stores.store import ObjectStore
    from wiretape.stores.transfer import TransferPlan

_SHARED: Final = (
    click.argument("url", required=False, metavar="[URL]"),
    CONFIG,
    RECORDINGS,
    DRY_RUN,
    click.option("--rebuild", is_flag=True, help="Read the store's objects, not its manifests."),
    as_json("Print what was copied as JSON."),
)
_DELETE: Final = click.option(
    "--delete", is_flag=True, help="Also remove what is not where it is copied from."
)


@click.command()
@with_options(
    *_SHARED,
    _DELETE,
    click.option("--freeze", metavar="TAG", help="Also keep the whole set as TAG, for good."),
)
@guarded
def push(url: str | None, delete: bool, freeze: str | None, **options: Any) -> int:
    """Upload what a folder has and the store has otherwise; nothing that holds a secret.

    \b
    wiretape push s3://bucket/recordings
    wiretape push s3://bucket/recordings --freeze v17
    """
    from wiretape.stores import transfer

    config, store, folder = _ends(url, **options)
    local = transfer.local_files(folder)
    plan = transfer.plan_push(local, _remote(store, options), delete=delete)
    if leaks := _leaks(config, folder, plan, options):
        return leaks
    if not options["dry_run"]:
        transfer.push(store, folder, plan)
        _index(config, store, folder)
        if freeze:
            say(f"{store.url}: {freeze}@sha256:{transfer.freeze(store, folder, local, freeze)}")
    return _tell(plan, options)


@click.command()
@with_options(
    *_SHARED,
    _DELETE,
    click.option(
        "--frozen", metavar="TAG", help="The set that was frozen as TAG, or TAG@sha256:DIGEST."
    ),
)
@guarded
def pull(url: str | None, delete: bool, frozen: str | None, **options: Any) -> int:
    """Download what the store has and the folder has otherwise.

    \b
    wiretape pull s3://bucket/recordings
    wiretape pull s3://bucket/recordings --frozen v17
    """
    from wiretape.stores import transfer

    _, store, folder = _ends(url, **options)
    remote = transfer.frozen(store, frozen) if frozen else _remote(store, options)
    plan = transfer.plan_pull(transfer.local_files(folder), remote, delete=delete)
    if not options["dry_run"]:
        transfer.pull(store, folder, plan, blobs=bool(frozen))
    return _tell(plan, options)


@click.command()
@with_options(*_SHARED)
@guarded
def sync(url: str | None, **options: Any) -> int:
    """Copy what is missing both ways; files that differ are listed, not changed.

    \b
    wiretape sync s3://bucket/recordings
    """
    from wiretape.stores import transfer

    config, store, folder = _ends(url, **options)
    plan = transfer.plan_sync(transfer.local_files(folder), _remote(store, options))
    if leaks := _leaks(config, folder, plan, options):
        return leaks
    if not options["dry_run"]:
        transfer.push(store, folder, plan)
        transfer.pull(store, folder, plan)
        _index(config, store, folder)
    for name in plan.conflicts:
        say(f"{name}: differs; `wiretape push` or `pull` says which one counts")
    return _tell(plan, options) or (FOUND if plan.conflicts else 0)


def _ends(
    url: str | None, config_file: Path | None, recordings: Path | None, **_: Any
) -> "tuple[Config, ObjectStore, Path]":
    from wiretape.config.load import load
    from wiretape.store_url import is_store
    from wiretape.stores.store import ObjectStore

    config = load(config_file, os.environ)
    url = url or config.store
    if url is None or not is_store(url):
        raise ConfigError(
            "expected the store as s3://BUCKET/PREFIX, gs://, az:// or file:///FOLDER: as URL, or"
            " as `recordings` in config.yaml"
        )
    folder = recordings or (Path("recordings") if config.store else config.recordings)
    return config, ObjectStore(url), folder


def _remote(store: "ObjectStore", options: dict[str, Any]) -> dict[str, str]:
    from wiretape.stores.manifest import list_files

    return list_files(store, rebuild=options["rebuild"])


def _index(config: "Config", store: "ObjectStore", folder: Path) -> None:
    """Index the recordings of a store for the runs that replay from it."""
    from wiretape.run.recordings_store import on_demand, update_index

    update_index(config, on_demand(config, store, folder))


def _leaks(config: "Config", folder: Path, plan: "TransferPlan", options: dict[str, Any]) -> int:
    """The exit status if what is to be uploaded holds a secret: then nothing is."""
    from wiretape.core.redaction.redactor import Redactor
    from wiretape.scanning.scan import search

    redactor = Redactor(config.redaction)
    hits = [
        hit for name in plan.push for hit in search(name, (folder / name).read_bytes(), redactor)
    ]
    for hit in () if options["as_json"] else hits:
        click.echo(escaped(str(hit)))
    if hits:
        if options["as_json"]:
            _print_transfer({}, options, refused=[escaped(str(hit)) for hit in hits])
        say("nothing was uploaded: `wiretape redact` takes out what was found")
    return REFUSED if hits else 0


def _tell(plan: "TransferPlan", options: dict[str, Any]) -> int:
    names = {"pushed": plan.push, "pulled": plan.pull, "removed": plan.remove}
    if options["as_json"]:
        _print_transfer({**names, "conflicts": plan.conflicts}, options)
        return 0
    if options["dry_run"]:
        for what, changed in names.items():
            for name in changed:
                click.echo(f"{what}: {name}")
    done = [f"{count(len(value), 'file')} {what}" for what, value in names.items() if value]
    would = "would be " if options["dry_run"] and done else ""
    same = sum(plan.remote.get(name) == value for name, value in plan.local.items())
    say(f"{would}{', '.join(done) or 'nothing to do'}; {same} alike before")
    return 0


def _print_transfer(
    names: Mapping[str, Iterable[str]], options: dict[str, Any], refused: Iterable[str] = ()
) -> None:
    members = ("pushed", "pulled", "removed", "conflicts")
    lists = {name: list(names.get(name, ())) for name in members}
    print_json("transfer", **lists, refused=list(refused), dry_run=options["dry_run"])

"""Copy recordings between a folder and a store: only what differs, and each whole or not at all."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from wiretape.core.errors import StoreError
from wiretape.files import write_whole

from . import manifest
from .manifest import Files, digest, folder_of, is_recording
from .store import ObjectStore, in_parallel

_TRIES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferPlan:
    """What is to be copied: names of files, `conflicts` those that differ on both sides."""

    local: Files
    remote: Files
    push: tuple[str, ...] = ()
    pull: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    """Names of the files to delete at the destination."""
    conflicts: tuple[str, ...] = field(default=())


def local_files(folder: Path) -> Files:
    """The recordings and side files of a folder, with their digests."""
    files: Files = {}
    if folder.is_dir():
        for path in folder.rglob("*"):
            name = path.relative_to(folder).as_posix()
            if is_recording(name) and path.is_file():
                files[name] = digest(path.read_bytes())
    return files


def plan_push(local: Files, remote: Files, *, delete: bool = False) -> TransferPlan:
    """Plan the uploads after which a store holds what a folder has."""
    push = tuple(name for name in sorted(local) if remote.get(name) != local[name])
    remove = tuple(sorted(set(remote) - set(local))) if delete else ()
    return TransferPlan(local=local, remote=remote, push=push, remove=remove)


def plan_pull(local: Files, remote: Files, *, delete: bool = False) -> TransferPlan:
    """Plan the downloads after which a folder holds what a store has."""
    pull = tuple(name for name in sorted(remote) if local.get(name) != remote[name])
    remove = tuple(sorted(set(local) - set(remote))) if delete else ()
    return TransferPlan(local=local, remote=remote, pull=pull, remove=remove)


def plan_sync(local: Files, remote: Files) -> TransferPlan:
    """Plan the copies that each side lacks; files that differ become `conflicts`."""
    return TransferPlan(
        local=local,
        remote=remote,
        push=tuple(sorted(set(local) - set(remote))),
        pull=tuple(sorted(set(remote) - set(local))),
        conflicts=tuple(sorted(n for n in set(local) & set(remote) if local[n] != remote[n])),
    )


def push(store: ObjectStore, folder: Path, plan: TransferPlan) -> None:
    """Upload what a plan says; the manifests list a file only once it is there."""
    uploaded: Files = {}

    def upload(name: str) -> None:
        data = (folder / name).read_bytes()
        store.put(name, data)
        uploaded[name] = digest(data)

    try:
        # Nobody is to find a recording whose side file is not there yet.
        for suffix in (".bin", ".json"):
            in_parallel(upload, [name for name in plan.push if name.endswith(suffix)], "pushing")
    finally:
        # What was uploaded before an error need not be again.
        list_in(store, uploaded, {name: plan.remote[name] for name in plan.remove})


def list_in(store: ObjectStore, added: Files, removed: Files) -> None:
    """Bring the manifests to what was uploaded, and remove what is still as it was seen."""
    for name in sorted({folder_of(name) for name in (*added, *removed)}):

        def change(files: Files, folder: str = name) -> None:
            for full, value in added.items():
                if folder_of(full) == folder:
                    files[full.rpartition("/")[2]] = value
            for full, value in removed.items():
                last = full.rpartition("/")[2]
                if folder_of(full) == folder and files.get(last) == value:
                    del files[last]

        manifest.update(store, name, change, manifest.in_folder(added, name))

    def remove(name: str) -> None:
        there = store.read(name)
        if there is not None and digest(there.data) == removed[name]:
            store.remove(name)

    in_parallel(remove, removed, "removing")


def pull(store: ObjectStore, folder: Path, plan: TransferPlan, *, blobs: bool = False) -> None:
    """Download what a plan says; StoreError for what is not what its digest says. From `blobs`
    where the set is frozen.
    """

    def download(name: str) -> None:
        wanted = plan.remote[name]
        data = _checked(store, manifest.BLOBS + wanted if blobs else name, wanted)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)

    for suffix in (".bin", ".json"):
        in_parallel(download, [name for name in plan.pull if name.endswith(suffix)], "pulling")
    for name in plan.remove:
        (folder / name).unlink(missing_ok=True)


def _checked(store: ObjectStore, name: str, wanted: str) -> bytes:
    for _ in range(_TRIES):
        there = store.read(name)
        if there is not None and digest(there.data) == wanted:
            return there.data
    state = "not there" if there is None else "not what the manifest says"
    raise StoreError(
        f"{store.url}/{name}: {state}: it was changed by another tool, or while it was read;"
        " `wiretape sync --rebuild` reads the store anew"
    )


def freeze(store: ObjectStore, folder: Path, files: Files, tag: str) -> str:
    """Keep a set under a tag that nobody can change; gives the digest of its manifest.

    StoreError if the tag is another set's.
    """

    def keep(value: str) -> None:
        data = (folder / by_digest[value]).read_bytes()
        if digest(data) != value:
            raise StoreError(f"{folder / by_digest[value]}: changed while it was frozen; try again")
        store.create(manifest.BLOBS + value, data)

    name = manifest.frozen_name(tag)
    by_digest = {value: file for file, value in files.items()}
    in_parallel(keep, sorted(by_digest), "freezing")
    data = manifest.dumps(files)
    if not store.create(name, data):
        raise StoreError(f"{store.url}: tag {tag} is another set's; take another tag")
    return digest(data)


def frozen(store: ObjectStore, tag: str) -> Files:
    """The files of a frozen set: TAG, or TAG@sha256:DIGEST to have no other."""
    tag, _, expected = tag.partition("@sha256:")
    name = manifest.frozen_name(tag)
    there = store.read(name)
    if there is None:
        raise StoreError(f"{store.url}: no set is frozen as {tag}")
    if expected and digest(there.data) != expected:
        raise StoreError(
            f"{store.url}: {tag} is sha256:{digest(there.data)}, not what was expected"
        )
    return manifest.loads(there.data, f"{store.url}/{name}")

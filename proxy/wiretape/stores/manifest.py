"""The index of a store: for each folder of recordings an object that has their digests.

    .wiretape/manifests/HOST/ENDPOINT.json     {"wiretape_manifest": 1, "files": {NAME: SHA256}}
    .wiretape/frozen/TAG.json                  the same of a whole set, by the files' full names
    .wiretape/blobs/SHA256                     what a frozen set has, which nobody changes

What a manifest does not have is not there: an object is uploaded first and listed then.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from typing import Final

from wiretape.core.errors import StoreError

from .store import ObjectStore, in_parallel

ROOT: Final = ".wiretape/"
MANIFESTS: Final = ROOT + "manifests/"
FROZEN: Final = ROOT + "frozen/"
BLOBS: Final = ROOT + "blobs/"
MARKER: Final = b'{"wiretape_reserved"'
"""How an object begins that only reserves its name for a recording."""

_NAME: Final = re.compile(
    r"(?!.*(?:^|/)\.)[A-Za-z0-9._+%=@~-]+(?:/[A-Za-z0-9._+%=@~-]+)*\.(?:json|bin)"
)
_TAG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TRIES: Final = 200

type Files = dict[str, str]
"""The SHA-256 (hex) of each file, by its name below the store or folder."""


def digest(data: bytes) -> str:
    """The SHA-256 of a content, in hex."""
    return hashlib.sha256(data).hexdigest()


def is_recording(name: str) -> bool:
    """Whether an object may be a recording or a side file: no hidden file, no way out of a folder.

    >>> [is_recording(name) for name in ("h/e/3f2a.json", "../x.json", "a/.b.json", "notes.txt")]
    [True, False, False, False]
    """
    return _NAME.fullmatch(name) is not None


def folder_of(name: str) -> str:
    """The folder whose manifest lists a name; "" for the top."""
    return name.rpartition("/")[0]


def _object(folder: str) -> str:
    return f"{MANIFESTS}{folder or '_'}.json"


def loads(data: bytes, where: str) -> Files:
    """Read a manifest; StoreError for one of a newer version, ValueError for a damaged one."""
    document = json.loads(data)
    if not isinstance(document, dict) or not isinstance(document.get("wiretape_manifest"), int):
        raise ValueError(f"{where}: not a manifest")
    if document["wiretape_manifest"] != 1:
        raise StoreError(f"{where}: of a newer wiretape; upgrade this one to read the store")
    files = document.get("files")
    if not isinstance(files, dict) or not all(isinstance(value, str) for value in files.values()):
        raise ValueError(f"{where}: not a manifest")
    return {name: value for name, value in files.items() if is_recording(name)}


def dumps(files: Files) -> bytes:
    """The text of a manifest."""
    return json.dumps({"wiretape_manifest": 1, "files": dict(sorted(files.items()))}).encode()


def list_files(store: ObjectStore, *, rebuild: bool = False) -> Files:
    """The files of a store, by its manifests; without any, or to `rebuild` them, by its objects.

    Objects that are not recordings are left out.
    """
    folders = [] if rebuild else list(tags(store))
    if not folders:
        return rebuild_all(store)
    files: Files = {}

    def look(folder: str) -> None:
        lead = f"{folder}/" if folder else ""
        files.update({lead + last: value for last, value in read(store, folder).items()})

    in_parallel(look, folders, "listing")
    return files


def tags(store: ObjectStore) -> dict[str, str]:
    """The folders that have a manifest, with its tag, which differs when it does."""
    return {
        listed.name.removeprefix(MANIFESTS).removesuffix(".json").removesuffix("_").rstrip("/"): (
            listed.tag
        )
        for listed in store.listing(MANIFESTS)
        if is_recording(listed.name.removeprefix(MANIFESTS))
    }


def read(store: ObjectStore, folder: str) -> Files:
    """The files right in a folder, by its manifest; by its objects if that is damaged."""
    there = store.read(_object(folder))
    try:
        return loads(there.data, f"{store.url}/{_object(folder)}") if there else {}
    except ValueError:
        return _listed(store, folder)


def rebuild_all(store: ObjectStore) -> Files:
    """List and read all objects, and write the manifests anew where that is allowed."""
    files = _digests(store, store.names())
    for folder in {folder_of(name) for name in files}:
        known = in_folder(files, folder)

        def change(listed: Files, folder: str = folder, known: Files = known) -> None:
            # What others have listed meanwhile may have been uploaded after it was looked for.
            later = [last for last, sha in listed.items() if known.get(last) != sha]
            lead = f"{folder}/" if folder else ""
            now = in_folder(_digests(store, [lead + last for last in later]), folder)
            listed.clear()
            listed.update({last: sha for last, sha in known.items() if last not in later} | now)

        try:
            update(store, folder, change, known)
        except StoreError:
            break  # who may only read gets the files all the same
    return files


def in_folder(files: Files, folder: str) -> Files:
    """Those right in a folder, by the last part of their names."""
    return {
        name.rpartition("/")[2]: value for name, value in files.items() if folder_of(name) == folder
    }


def _listed(store: ObjectStore, folder: str, known: Files | None = None) -> Files:
    """The files right in a folder, by its objects, without those that are `known`."""
    names = (
        name
        for name in store.names(folder)
        if folder_of(name) == folder and name.rpartition("/")[2] not in (known or ())
    )
    return in_folder(_digests(store, names), folder)


def _digests(store: ObjectStore, names: Iterable[str]) -> Files:
    wanted = (name for name in names if is_recording(name))
    files: Files = {}

    def look(name: str) -> None:
        there = store.read(name)
        if there is not None and not there.data.startswith(MARKER):
            files[name] = digest(there.data)

    in_parallel(look, wanted, "reading")
    return files


def update(
    store: ObjectStore,
    folder: str,
    change: Callable[[Files], object],
    known: Files | None = None,
) -> None:
    """Change a folder's manifest, whoever else does at the same time: `change` is given what it
    lists, perhaps more than once. One that is not there is made of the folder's objects, of which
    those that `change` sets, being `known`, are not read.
    """
    name = _object(folder)
    for _ in range(_TRIES):
        there = store.read(name)
        try:
            files = loads(there.data, f"{store.url}/{name}") if there else None
        except ValueError:
            files = None
        files = _listed(store, folder, known) if files is None else files
        change(files)
        data = dumps(files)
        if there is not None and there.data == data:
            return
        if there is None and store.create(name, data):
            return
        if there is not None and store.replace(name, data, there.tag):
            return
    raise StoreError(f"{store.url}/{name}: others change it all the time; try again")


def frozen_name(tag: str) -> str:
    """The object of a frozen set; StoreError for an invalid tag."""
    if not _TAG.fullmatch(tag):
        raise StoreError(f"tag {tag[:40]!r}: expected letters, digits, ., - and _")
    return f"{FROZEN}{tag}.json"

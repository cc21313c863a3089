"""Folders and stores are copied to one another: what differs, whole or not at all."""

import threading
from functools import partial
from pathlib import Path

import pytest
from tests.support import stored

from wiretape.core.errors import StoreError
from wiretape.stores import manifest, transfer
from wiretape.stores.store import ObjectStore

pytest.importorskip("obstore", reason="obstore is in wiretape[fleet]")


@pytest.fixture
def store() -> ObjectStore:
    return ObjectStore("memory:///")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for prompt in ("a", "b", "c"):
        stored.put(tmp_path / "r", stored.document(prompt))
    stored.put(tmp_path / "r" / "session", stored.document("d"))
    (tmp_path / "r" / stored.CHAT / f"{'0' * 64}.bin").write_bytes(b"side")
    (tmp_path / "r" / "README.md").write_text("no recording")
    return tmp_path / "r"


def push(store: ObjectStore, folder: Path, *, delete: bool = False) -> transfer.TransferPlan:
    local = transfer.local_files(folder)
    plan = transfer.plan_push(local, manifest.list_files(store), delete=delete)
    transfer.push(store, folder, plan)
    return plan


def pull(store: ObjectStore, folder: Path, *, delete: bool = False) -> transfer.TransferPlan:
    remote = manifest.list_files(store)
    plan = transfer.plan_pull(transfer.local_files(folder), remote, delete=delete)
    transfer.pull(store, folder, plan)
    return plan


def test_what_is_pushed_is_pulled_byte_for_byte_and_only_once(
    store: ObjectStore, folder: Path, tmp_path: Path
) -> None:
    assert len(push(store, folder).push) == 5
    assert push(store, folder).push == ()
    assert len(pull(store, tmp_path / "copy").pull) == 5
    assert pull(store, tmp_path / "copy").pull == ()
    for name in transfer.local_files(folder):
        assert (tmp_path / "copy" / name).read_bytes() == (folder / name).read_bytes()
    assert not (tmp_path / "copy" / "README.md").exists()


def test_only_what_changed_is_copied_and_what_is_gone_only_on_demand(
    store: ObjectStore, folder: Path, tmp_path: Path
) -> None:
    push(store, folder)
    pull(store, tmp_path / "copy")
    changed, removed, *_ = sorted((folder / stored.CHAT).glob("*.json"))
    changed.write_bytes(changed.read_bytes() + b"\n")
    removed.unlink()
    assert push(store, folder).push == (changed.relative_to(folder).as_posix(),)
    assert pull(store, tmp_path / "copy").pull == (changed.relative_to(folder).as_posix(),)
    name = removed.relative_to(folder).as_posix()
    assert (tmp_path / "copy" / name).exists()
    assert push(store, folder, delete=True).remove == (name,)
    assert pull(store, tmp_path / "copy", delete=True).remove == (name,)
    assert not (tmp_path / "copy" / name).exists()


def test_an_upload_that_breaks_off_goes_on_where_it_was(
    store: ObjectStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = store.put, [2]

    def breaks(name: str, data: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise StoreError("the connection broke")
        real(name, data)

    monkeypatch.setattr(store, "put", breaks)
    with pytest.raises(StoreError, match="broke"):
        push(store, folder)
    monkeypatch.undo()
    assert len(push(store, folder).push) == 3
    assert manifest.list_files(store) == transfer.local_files(folder)


def test_a_truncated_download_is_not_written(
    store: ObjectStore, folder: Path, tmp_path: Path
) -> None:
    push(store, folder)
    name = sorted(transfer.local_files(folder))[0]
    store.put(name, (folder / name).read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"not what the manifest says.*sync --rebuild"):
        pull(store, tmp_path / "copy")
    assert not (tmp_path / "copy" / name).exists()
    assert len(manifest.list_files(store, rebuild=True)) == 5
    pull(store, tmp_path / "copy")
    assert (tmp_path / "copy" / name).exists()


def test_foreign_objects_and_names_that_lead_out_are_left_alone(
    store: ObjectStore, folder: Path, tmp_path: Path
) -> None:
    push(store, folder)
    for name in ("notes.txt", "logs/2026/a.gz", "a/.hidden.json"):
        store.put(name, b"{}")
    files = {**transfer.local_files(folder), "../../evil.json": "0" * 64, "/etc/x.json": "0" * 64}
    store.put(".wiretape/manifests/x.json", manifest.dumps(files))
    names = manifest.list_files(store)
    assert not any(".." in name or name.startswith("/") for name in names)
    assert set(manifest.list_files(store, rebuild=True)) == set(transfer.local_files(folder))


def test_manifests_that_are_lost_or_damaged_are_made_of_the_objects(
    store: ObjectStore, folder: Path
) -> None:
    push(store, folder)
    files = transfer.local_files(folder)
    for name in list(store.names(manifest.MANIFESTS)):
        store.put(name, b"{damaged")
    assert manifest.list_files(store) == files
    for name in list(store.names(manifest.MANIFESTS)):
        store.remove(name)
    assert manifest.list_files(store) == files
    assert list(store.names(manifest.MANIFESTS)), "they are written anew"


def test_a_manifest_of_a_newer_version_is_not_guessed_at(store: ObjectStore, folder: Path) -> None:
    push(store, folder)
    name = next(store.names(manifest.MANIFESTS))
    store.put(name, b'{"wiretape_manifest": 2, "files": []}')
    with pytest.raises(StoreError, match="newer wiretape"):
        manifest.list_files(store)
    with pytest.raises(StoreError, match="newer wiretape"):
        manifest.update(store, stored.CHAT, lambda files: None)


def test_writers_at_the_same_time_lose_no_line_of_a_manifest(store: ObjectStore) -> None:
    def write(writer: int) -> None:
        for number in range(10):
            name = f"{writer}-{number}.json"
            manifest.update(store, "h/e", partial(dict.update, **{name: "0" * 64}))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(manifest.list_files(store)) == 80


def test_a_frozen_set_stays_what_it_was(store: ObjectStore, folder: Path, tmp_path: Path) -> None:
    files = transfer.local_files(folder)
    pinned = transfer.freeze(store, folder, files, "v1")
    for path in folder.rglob("*.json"):
        path.write_bytes(path.read_bytes() + b"\n")
    push(store, folder)
    with pytest.raises(StoreError, match="another set's"):
        transfer.freeze(store, folder, transfer.local_files(folder), "v1")
    remote = transfer.frozen(store, f"v1@sha256:{pinned}")
    assert remote == files
    copy = tmp_path / "copy"
    transfer.pull(store, copy, transfer.plan_pull({}, remote), blobs=True)
    assert transfer.local_files(copy) == files
    for wrong in ("v2", f"v1@sha256:{'0' * 64}", "../x"):
        with pytest.raises(StoreError):
            transfer.frozen(store, wrong)


def test_syncing_gives_each_side_what_it_lacks_and_overwrites_nothing() -> None:
    plan = transfer.plan_sync({"a": "1", "b": "1", "c": "1"}, {"b": "1", "c": "2", "d": "1"})
    assert (plan.push, plan.pull, plan.conflicts) == (("a",), ("d",), ("c",))

"""A store's manifests: what they list, and what becomes of damaged ones."""

import json
from collections.abc import Iterable

import pytest

from wiretape.core.errors import StoreError

pytest.importorskip("obstore", reason="obstore is in wiretape[fleet]")

from wiretape.stores import manifest  # after the skip: it imports obstore
from wiretape.stores.store import ListedObject, ObjectStore

A, B = b"a", b"b"


@pytest.fixture
def store() -> ObjectStore:
    store = ObjectStore("memory:///")
    for name, data in (("h/e/a.json", A), ("top.json", B), ("notes.txt", B)):
        assert store.create(name, data)
    return store


FILES = {"h/e/a.json": manifest.digest(A), "top.json": manifest.digest(B)}


@pytest.mark.parametrize("name", ["/a.json", "a//b.json", "a/../b.json", "a b.json", "a.json/"])
def test_names_that_leave_the_folder_are_not_recordings(name: str) -> None:
    assert not manifest.is_recording(name)


def test_without_manifests_the_objects_are_listed_and_then_the_manifests(
    store: ObjectStore,
) -> None:
    assert manifest.list_files(store) == FILES
    assert store.create("h/e/later.json", B)  # not listed yet
    assert manifest.list_files(store) == FILES
    assert manifest.list_files(store, rebuild=True) == {
        **FILES,
        "h/e/later.json": manifest.digest(B),
    }


@pytest.mark.parametrize("rebuild", [False, True])
def test_what_others_list_while_objects_are_read_is_kept(
    rebuild: bool, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.create("h/e/gone.json", A)
    read_objects = manifest._digests

    def read_and_be_overtaken(store: ObjectStore, names: Iterable[str]) -> manifest.Files:
        files = read_objects(store, names)
        monkeypatch.undo()
        assert store.create("h/e/late.json", B)
        store.put("h/e/a.json", B)
        manifest.update(
            store, "h/e", lambda listed: listed.update({"late.json": "?", "a.json": "?"})
        )
        store.remove("h/e/gone.json")
        manifest.update(store, "h/e", lambda listed: listed.update({"gone.json": "?"}))
        return files

    monkeypatch.setattr(manifest, "_digests", read_and_be_overtaken)
    manifest.list_files(store, rebuild=rebuild)
    assert manifest.list_files(store) == {
        "h/e/a.json": manifest.digest(B),
        "h/e/late.json": manifest.digest(B),
        "top.json": manifest.digest(B),
    }


def test_a_reserved_name_is_not_a_recording(store: ObjectStore) -> None:
    assert store.create("h/e/b.json", manifest.MARKER + b": 1}")
    assert manifest.list_files(store) == FILES


def test_a_damaged_manifest_is_made_again_of_the_objects(store: ObjectStore) -> None:
    manifest.list_files(store)
    store.put(f"{manifest.MANIFESTS}h/e.json", b"{")
    assert manifest.list_files(store) == FILES


def test_a_newer_manifest_is_refused_and_a_stray_name_left_out() -> None:
    with pytest.raises(StoreError, match="newer wiretape"):
        manifest.loads(b'{"wiretape_manifest": 2, "files": {}}', "m")
    text = json.dumps({"wiretape_manifest": 1, "files": {"../x.json": "1", "a.json": "2"}})
    assert manifest.loads(text.encode(), "m") == {"a.json": "2"}
    with pytest.raises(ValueError, match="not a manifest"):
        manifest.loads(b"[]", "m")


def test_a_tag_cannot_be_a_path() -> None:
    assert manifest.frozen_name("v1.2") == f"{manifest.FROZEN}v1.2.json"
    with pytest.raises(StoreError, match="expected letters"):
        manifest.frozen_name("../v1")


def test_no_object_is_read_twice_to_make_manifests(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"own/e/{number}.json" for number in range(5)]
    for name in names:
        store.put(name, name.encode())
    reads: list[str] = []
    read = store.read
    monkeypatch.setattr(store, "read", lambda name: reads.append(name) or read(name))  # type: ignore[func-returns-value]  # it is a record
    assert set(names) <= set(manifest.list_files(store))
    assert sorted(name for name in reads if name in names) == names
    store.remove(f"{manifest.MANIFESTS}own/e.json")
    reads.clear()
    manifest.update(store, "own/e", lambda files: None, dict.fromkeys(("0.json", "1.json"), ""))
    assert sorted(name for name in reads if name in names) == names[2:]


def test_a_manifest_whose_folder_leads_out_is_none(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("_.json", "h/e.json", "../../out.json", "h/.hidden/e.json", "h/e.txt")
    listed = [ListedObject(manifest.MANIFESTS + name, name, 0.0) for name in names]
    monkeypatch.setattr(store, "listing", lambda prefix: iter(listed))
    assert manifest.tags(store) == {"": "_.json", "h/e": "h/e.json"}

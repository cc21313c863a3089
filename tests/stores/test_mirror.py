"""Runs record into one store from several machines: no take is lost, none is overwritten."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import stored

from wiretape.config.packs import built_in
from wiretape.core.errors import StoreError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.playback.policy import RecordMode
from wiretape.core.recording import text as recording_format
from wiretape.library.library import Library, LocalState
from wiretape.stores import manifest
from wiretape.stores.mirror import Mirror
from wiretape.stores.on_demand import OnDemand
from wiretape.stores.store import ObjectStore, OutOfReach

pytest.importorskip("obstore", reason="obstore is in wiretape[fleet]")


@pytest.fixture
def store() -> ObjectStore:
    return ObjectStore("memory:///")


class Machine:
    """A run that records, with a folder of its own; on demand, or in a mirror that is filled."""

    def __init__(
        self,
        store: ObjectStore,
        folder: Path,
        record_mode: RecordMode = "append",
        *,
        is_filled: bool = False,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.notices: list[str] = []
        self.mirror = Mirror(store, folder / "stores" / "m", self.notices.append)
        self.mirror.begin(records=True)
        state = LocalState(folder)
        if is_filled:
            self.mirror.fill()
        else:
            origin = OnDemand(store, self.mirror.folder, "f" * 40, None, mirror=self.mirror)
            state = origin.state(folder, None)
        self.library = Library(
            self.mirror.folder, Matcher(built_in()), state=state, record_mode=record_mode
        )
        self.library.join()
        self.library.load()
        if not is_filled:
            self.library.keep_index_apart()
        self.library.names_elsewhere = self.mirror
        self.names: list[str] = []

    def record(self, prompt: str, at: str = "2026-11-20T17:30:00Z") -> str:
        document = stored.document(prompt, at)
        entry = self.library.write(document, recording_format.dumps(document), {})
        assert entry is not None
        self.names.append(entry.name)
        return entry.name

    def answers(self, prompt: str) -> list[str]:
        """When each of the takes that answer a prompt was recorded."""
        key = self.library.keys(stored.document(prompt, "2026-11-20T17:30:00Z")["request"])[0].key
        return [str(self.library.read(entry.name).recorded_at) for entry in self.library.takes(key)]

    def end(self) -> bool:
        self.library.leave()
        self.library.close()
        return self.mirror.upload(self.names)


def put_index(store: ObjectStore, folder: Path) -> None:
    """Give a store an index, as runs do at their end."""
    origin = OnDemand(store, folder / "cache", "f" * 40)
    library = Library(
        origin.folder, Matcher(built_in()), state=origin.state(folder / "index", None)
    )
    library.load()
    assert origin.publish(library)
    library.close()


def in_threads(number: int, work: Callable[[int], None]) -> None:
    errors: list[BaseException] = []

    def guarded(index: int) -> None:
        try:
            work(index)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.parametrize(("url", "writers"), [("memory:///", 20), ("file://{tmp}/store", 6)])
def test_writers_of_one_request_give_each_take_a_number_of_its_own(
    url: str, writers: int, tmp_path: Path
) -> None:
    store, takes = ObjectStore(url.format(tmp=tmp_path)), 20

    def write(index: int) -> None:
        machine = Machine(store, tmp_path / str(index))
        for take in range(takes):
            machine.record("hi", f"2026-11-20T17:{index:02}:{take:02}Z")
        assert machine.end(), machine.notices

    in_threads(writers, write)
    files = manifest.list_files(store)
    assert len(files) == len(set(files.values())) == writers * takes
    numbers = sorted(int(name.split(".")[-2]) for name in files if name.count(".") > 3)
    assert numbers == list(range(2, writers * takes + 1)), "none is skipped"


def test_what_was_seen_is_replaced_and_what_others_recorded_since_is_not(
    store: ObjectStore, tmp_path: Path
) -> None:
    first = Machine(store, tmp_path / "first")
    name = first.record("hi", "2026-11-20T17:30:01Z")
    first.record("hi", "2026-11-20T17:30:02Z")
    assert first.end()
    one = Machine(store, tmp_path / "one", "replace")
    two = Machine(store, tmp_path / "two", "replace")
    assert one.record("hi", "2026-11-20T17:31:00Z") == name
    assert one.end()
    assert list(manifest.list_files(store)) == [name], "both takes were replaced"
    assert two.record("hi", "2026-11-20T17:32:00Z") != name
    assert two.end()
    assert len(manifest.list_files(store)) == 2


def test_nothing_is_uploaded_before_the_end(store: ObjectStore, tmp_path: Path) -> None:
    machine = Machine(store, tmp_path / "m")
    name = machine.record("a private matter")
    for there in store.names():
        read = store.read(there)
        assert read is not None
        assert b"private" not in read.data
    assert manifest.list_files(store) == {}
    assert machine.end()
    assert list(manifest.list_files(store)) == [name]


def test_a_store_that_is_lost_loses_nothing(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise OutOfReach("s3://b at http://127.0.0.1:1 (AWS_ENDPOINT_URL) does not answer")

    machine = Machine(store, tmp_path / "m")
    for method in ("created", "create", "put", "replace", "read", "names"):
        monkeypatch.setattr(store, method, gone)
    name = machine.record("hi")
    assert not machine.end()
    assert "does not answer" in machine.notices[0]
    assert "wiretape push" in machine.notices[-1]
    monkeypatch.undo()
    later = Machine(store, tmp_path / "m")
    assert (later.mirror.folder / name).is_file()
    assert list(manifest.list_files(store)) == [name]
    assert later.end()


def test_a_run_does_not_take_what_another_records_into_the_same_mirror(
    store: ObjectStore, tmp_path: Path
) -> None:
    one = Machine(store, tmp_path / "m")
    name = one.record("hi")
    two = Machine(store, tmp_path / "m")
    assert (two.mirror.folder / name).is_file()
    assert two.end()
    assert manifest.list_files(store) == {}
    assert one.end()
    assert list(manifest.list_files(store)) == [name]


@pytest.mark.parametrize("is_killed", [False, True])
def test_what_a_run_replaced_is_not_undone_by_another_of_this_machine(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_killed: bool
) -> None:
    first = Machine(store, tmp_path / "m")
    name = first.record("hi", "2026-11-20T17:30:01Z")
    assert first.end()
    replacing = Machine(store, tmp_path / "m", "replace")
    assert replacing.record("hi", "2026-11-20T17:31:00Z") == name
    data = (replacing.mirror.folder / name).read_bytes()
    monkeypatch.setattr("wiretape.stores.mirror.is_alive", lambda process: not is_killed)
    other = Machine(store, tmp_path / "m")
    assert (other.mirror.folder / name).read_bytes() == data
    assert other.answers("hi") == ["2026-11-20T17:31:00Z"]
    assert (manifest.list_files(store)[name] == manifest.digest(data)) is is_killed
    assert other.end()
    assert replacing.end()
    assert manifest.list_files(store) == {name: manifest.digest(data)}


@pytest.mark.parametrize("is_filled", [False, True])
def test_what_was_removed_from_the_store_answers_no_more(
    store: ObjectStore, tmp_path: Path, is_filled: bool
) -> None:
    one = Machine(store, tmp_path / "m")
    name = one.record("hi")
    assert one.end()
    (one.mirror.folder / name).unlink()
    again = Machine(store, tmp_path / "m", is_filled=is_filled)
    assert again.answers("hi") != []
    assert again.end()
    manifest.update(store, manifest.folder_of(name), dict.clear)
    for filled in (is_filled, True):
        last = Machine(store, tmp_path / "m", is_filled=filled)
        assert last.answers("hi") == []
        assert last.end()
    assert not (again.mirror.folder / name).exists()


def test_a_run_fetches_only_what_it_replaces(store: ObjectStore, tmp_path: Path) -> None:
    first = Machine(store, tmp_path / "first")
    for prompt in ("a", "b", "c"):
        first.record(prompt, "2026-11-20T17:30:01Z")
        first.record(prompt, "2026-11-20T17:30:02Z")
    assert first.end()
    put_index(store, tmp_path)
    run = Machine(store, tmp_path / "second", "replace")
    assert list(run.mirror.folder.rglob("*.json")) == []
    name = run.record("b", "2026-11-20T17:31:00Z")
    assert [path.name for path in run.mirror.folder.rglob("*.json")] == [Path(name).name]
    assert run.answers("b") == ["2026-11-20T17:31:00Z"]
    assert run.answers("a") == ["2026-11-20T17:30:01Z", "2026-11-20T17:30:02Z"]
    assert run.end(), run.notices
    assert len(manifest.list_files(store)) == 5
    after = Machine(store, tmp_path / "third")
    assert after.answers("b") == ["2026-11-20T17:31:00Z"]


def test_what_is_about_to_be_replaced_answers_until_it_is(
    store: ObjectStore, tmp_path: Path
) -> None:
    first = Machine(store, tmp_path / "first")
    name = first.record("hi", "2026-11-20T17:30:00Z")
    assert first.end()
    put_index(store, tmp_path)
    run = Machine(store, tmp_path / "second", "replace")
    assert run.mirror.reserve(run.mirror.folder / name, is_replaced=False) is not None
    run.mirror._note_own(name, "1")
    assert run.answers("hi") == ["2026-11-20T17:30:00Z"]
    (run.mirror.folder / name).write_bytes(b"{}")
    run.mirror.keep(name, b"older")
    assert (run.mirror.folder / name).read_bytes() == b"{}"


def test_takes_are_added_after_those_that_were_not_fetched(
    store: ObjectStore, tmp_path: Path
) -> None:
    first = Machine(store, tmp_path / "first")
    names = [first.record("hi", f"2026-11-20T17:30:0{take}Z") for take in (1, 2)]
    assert first.end()
    put_index(store, tmp_path)
    run = Machine(store, tmp_path / "second")
    assert run.record("hi", "2026-11-20T17:31:00Z") == names[1].replace(".2.", ".3.")
    assert len(list(run.mirror.folder.rglob("*.json"))) == 1
    assert run.end()
    assert len(manifest.list_files(store)) == 3
    kept = Machine(store, tmp_path / "third", "missing-only")
    document = stored.document("hi", "2026-11-20T17:32:00Z")
    assert kept.library.write(document, recording_format.dumps(document), {}) is None


def test_a_run_that_began_before_another_replaced_something_does_not_undo_it(
    store: ObjectStore, tmp_path: Path
) -> None:
    first = Machine(store, tmp_path / "first")
    name = first.record("hi", "2026-11-20T17:30:00Z")
    assert first.end()
    one, two = (Machine(store, tmp_path / "m", "replace") for _ in range(2))
    assert one.record("hi", "2026-11-20T17:31:00Z") == name
    assert two.answers("hi") == ["2026-11-20T17:31:00Z"], "it lies where it would be fetched to"
    assert two.record("hi", "2026-11-20T17:32:00Z") != name
    assert two.end(), two.notices
    assert one.end(), one.notices
    assert Machine(store, tmp_path / "last").answers("hi") == [
        "2026-11-20T17:31:00Z",
        "2026-11-20T17:32:00Z",
    ]


def test_a_store_that_is_lost_before_what_would_be_replaced_is_fetched_loses_nothing(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise OutOfReach("does not answer")

    first = Machine(store, tmp_path / "first")
    first.record("hi", "2026-11-20T17:30:00Z")
    assert first.end()
    put_index(store, tmp_path)
    run = Machine(store, tmp_path / "m", "replace")
    for method in ("created", "create", "put", "replace", "read", "names"):
        monkeypatch.setattr(store, method, gone)
    with pytest.raises(StoreError):
        run.answers("hi")
    run.record("hi", "2026-11-20T17:31:00Z")
    assert not run.end()
    monkeypatch.undo()
    assert Machine(store, tmp_path / "m").end()
    assert Machine(store, tmp_path / "last").answers("hi") == [
        "2026-11-20T17:30:00Z",
        "2026-11-20T17:31:00Z",
    ]


def test_a_store_that_is_unfit_is_not_recorded_into(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "create", lambda name, data: True)
    with pytest.raises(StoreError, match="overwrites"):
        Machine(store, tmp_path / "m")

"""A store's recordings are fetched when they are first used, and are what its index says."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from tests.support import stored

from wiretape.config.packs import built_in
from wiretape.core.errors import StoreError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, from_exchange
from wiretape.library.library import Library
from wiretape.library.on_demand import NotHere, deferring
from wiretape.stores import manifest, on_demand, transfer
from wiretape.stores.on_demand import INDEXES, OnDemand
from wiretape.stores.store import ObjectStore, StoredObject

pytest.importorskip("obstore", reason="obstore is in wiretape[fleet]")

PROMPTS = [f"What is {number} squared?" for number in range(12)]


class CountedStore(ObjectStore):
    """A store in memory that counts what is read of it."""

    def __init__(self) -> None:
        super().__init__("memory:///")
        self.reads: Counter[str] = Counter()

    def read(self, name: str) -> StoredObject | None:
        self.reads[name] += 1
        return super().read(name)

    @property
    def fetched(self) -> list[str]:
        return sorted(name for name in self.reads if not name.startswith(".wiretape/"))


@pytest.fixture
def store() -> CountedStore:
    return CountedStore()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for prompt in PROMPTS:
        stored.put(tmp_path / "recordings", stored.document(prompt))
    return tmp_path / "recordings"


class Machine:
    """A machine that replays from a store, or gives it an index."""

    def __init__(self, home: Path, store: ObjectStore) -> None:
        self.home = home
        self.store = store

    def open(
        self,
        session: str | None = None,
        near: Path | None = None,
        prepare: Callable[[Document], Document] = lambda request: request,
    ) -> Library:
        origin = OnDemand(self.store, self.home / "s.cache", "rules", near)
        state = origin.state(self.home, session)
        library = Library(origin.folder, Matcher(built_in()), prepare, session, state)
        library.load()
        origin.publish(library)
        self.origin = origin
        return library


def push(store: ObjectStore, folder: Path) -> None:
    plan = transfer.plan_push(transfer.local_files(folder), manifest.list_files(store), delete=True)
    transfer.push(store, folder, plan)


@pytest.fixture
def indexed(store: CountedStore, folder: Path, tmp_path: Path) -> CountedStore:
    push(store, folder)
    Machine(tmp_path / "pusher", store).open(near=folder)
    store.reads.clear()
    return store


def names(library: Library, prompt: str) -> list[str]:
    document = stored.document(prompt)
    return [take.name for take in library.takes(library.canonical(document["request"]).key)]


def test_a_run_is_ready_without_the_recordings_and_a_hit_is_one_get(
    indexed: CountedStore, tmp_path: Path
) -> None:
    library = Machine(tmp_path / "a", indexed).open()
    assert len(library) == len(PROMPTS)
    assert indexed.fetched == []
    (name,) = names(library, PROMPTS[3])
    exchange = library.read(name)
    assert exchange.request == stored.exchange(PROMPTS[3]).request
    assert indexed.reads[name] == 1
    assert indexed.fetched == [name]
    # The next run of this machine has it.
    indexed.reads.clear()
    again = Machine(tmp_path / "a", indexed).open()
    assert again.read(names(again, PROMPTS[3])[0]) == exchange
    assert indexed.fetched == []


def test_what_pushing_uploaded_is_indexed_without_downloading_it(
    store: CountedStore, folder: Path, tmp_path: Path
) -> None:
    push(store, folder)
    store.reads.clear()
    Machine(tmp_path / "pusher", store).open(near=folder)
    assert store.fetched == []


def test_what_an_index_lacks_is_added_and_what_is_gone_is_not_answered(
    indexed: CountedStore, folder: Path, tmp_path: Path
) -> None:
    gone = f"{stored.CHAT}/{stored.key12(stored.document(PROMPTS[0]))}.json"
    (folder / gone).unlink()
    added = stored.put(folder, stored.document("What is new?"))
    push(indexed, folder)
    indexed.reads.clear()
    library = Machine(tmp_path / "a", indexed).open()
    assert names(library, PROMPTS[0]) == []
    assert names(library, "What is new?") == [added.relative_to(folder).as_posix()]
    assert indexed.fetched == [added.relative_to(folder).as_posix()]
    assert len(library) == len(PROMPTS)


def test_what_changes_in_the_store_is_for_the_next_run(
    indexed: CountedStore, folder: Path, tmp_path: Path
) -> None:
    library = Machine(tmp_path / "a", indexed).open()
    gone = f"{stored.CHAT}/{stored.key12(stored.document(PROMPTS[0]))}.json"
    (folder / gone).unlink()
    stored.put(folder, stored.document("What is new?"))
    push(indexed, folder)
    assert names(library, "What is new?") == []
    assert names(library, PROMPTS[0]) == [gone]
    # What it has not fetched yet is gone: an error, and no miss that might go live.
    with pytest.raises(StoreError, match=r"is gone.*begin again"):
        library.read(gone)
    later = Machine(tmp_path / "a", indexed).open()
    assert (len(names(later, "What is new?")), names(later, PROMPTS[0])) == (1, [])


def test_a_recording_that_is_not_what_the_manifest_says_is_refused(
    indexed: CountedStore, tmp_path: Path
) -> None:
    library = Machine(tmp_path / "a", indexed).open()
    (name,) = names(library, PROMPTS[1])
    there = indexed.read(name)
    assert there is not None
    indexed.put(name, there.data.replace(b"choices", b"chances"))
    with pytest.raises(StoreError, match="is not what its manifest said"):
        library.read(name)
    indexed.remove(name)
    with pytest.raises(StoreError, match="is gone"):
        library.read(name)


def test_a_truncated_file_of_the_cache_is_fetched_again(
    indexed: CountedStore, tmp_path: Path
) -> None:
    machine = Machine(tmp_path / "a", indexed)
    library = machine.open()
    (name,) = names(library, PROMPTS[1])
    library.read(name)
    path = machine.origin.folder / name
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    assert machine.open().read(name).request == stored.exchange(PROMPTS[1]).request
    assert path.read_bytes() == whole
    assert indexed.reads[name] == 2


def test_an_index_that_lies_about_what_a_recording_answers_is_found_out(
    store: CountedStore, folder: Path, tmp_path: Path
) -> None:
    push(store, folder)

    def confused(request: Document) -> Document:
        text = request["body"]["messages"][0]["content"]
        others = {PROMPTS[1]: PROMPTS[2], PROMPTS[2]: "something else"}
        return dict(stored.document(others.get(text, text))["request"])

    Machine(tmp_path / "liar", store).open(near=folder, prepare=confused)
    library = Machine(tmp_path / "a", store).open()
    (name,) = names(library, PROMPTS[2])
    with pytest.raises(StoreError, match="answers other requests than it does"):
        library.read(name)


def test_an_index_that_names_a_file_outside_the_folder_writes_none(
    indexed: CountedStore, tmp_path: Path
) -> None:
    machine = Machine(tmp_path / "a", indexed)
    library = machine.open()
    (name,) = names(library, PROMPTS[1])
    data = indexed.read(name)
    assert data is not None
    path = library.index_file
    assert path is not None
    library.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE folders SET path = '../../outside'")
        database.commit()
    indexed.put("outside/" + name.rpartition("/")[2], data.data)
    origin = OnDemand(indexed, machine.home / "s.cache", "rules")
    with pytest.raises(StoreError, match=r"its index names '\.\./\.\./outside"):
        origin.file(f"../../outside/{name.rpartition('/')[2]}", b"")
    library = machine.open()
    with suppress(StoreError):
        library.read(f"../../outside/{name.rpartition('/')[2]}")
    assert not list(tmp_path.rglob("outside"))


def damaged(data: bytes) -> bytes:
    return data[:-9] + b"123456789"


def newer(data: bytes) -> bytes:
    return data.replace(b'"wiretape_index": 1', b'"wiretape_index": 2')


@pytest.mark.parametrize("change", [damaged, newer, lambda data: data[:200], lambda data: b"{}"])
def test_an_index_that_cannot_be_used_is_made_anew(
    indexed: CountedStore, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    (name,) = indexed.names(INDEXES)
    there = indexed.read(name)
    assert there is not None
    indexed.put(name, change(there.data))
    library = Machine(tmp_path / "a", indexed).open()
    assert len(library) == len(PROMPTS)
    assert len(indexed.fetched) == len(PROMPTS)
    assert Machine(tmp_path / "b", indexed).open().read(names(library, PROMPTS[5])[0])


def test_an_event_loop_does_not_wait_for_the_store(indexed: CountedStore, tmp_path: Path) -> None:
    library = Machine(tmp_path / "a", indexed).open()
    (name,) = names(library, PROMPTS[1])
    with deferring(), pytest.raises(NotHere) as absent:
        library.read(name)
    assert indexed.fetched == []
    absent.value.fetch()
    with deferring():
        assert library.read(name).request == stored.exchange(PROMPTS[1]).request


def test_side_files_come_with_their_recording(store: CountedStore, tmp_path: Path) -> None:
    audio = bytes(range(256)) * 200
    request = Request("POST", "https", "api.openai.com", 443, "/v1/audio/speech", body=b"{}")
    response = Response(200, (("content-type", "audio/mpeg"),), (Chunk(audio, 0.5),), True)
    document, files = recording_format.externalise(from_exchange(Exchange(request, response)))
    folder = stored.put(tmp_path / "recordings", document, "api.openai.com/speech/1.json").parent
    for name, data in files.items():
        (folder / name).write_bytes(data)
    push(store, tmp_path / "recordings")
    Machine(tmp_path / "pusher", store).open(near=tmp_path / "recordings")
    store.reads.clear()
    library = Machine(tmp_path / "a", store).open()
    assert (store.fetched, library.faults) == ([], [])
    assert library.read("api.openai.com/speech/1.json").response == response
    (side,) = files
    assert store.fetched == sorted(
        [f"api.openai.com/speech/{side}", "api.openai.com/speech/1.json"]
    )
    # One that is changed in the store is not taken for the recorded one.
    store.put(f"api.openai.com/speech/{side}", audio[1:])
    with pytest.raises(StoreError, match="is not what its manifest said"):
        Machine(tmp_path / "b", store).open().read("api.openai.com/speech/1.json")


def test_sessions_have_indexes_of_their_own(store: CountedStore, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    stored.put(folder, stored.document("top"))
    stored.put(folder / "checkout", stored.document("in the session"))
    push(store, folder)
    Machine(tmp_path / "pusher", store).open("checkout", near=folder)
    Machine(tmp_path / "pusher", store).open(near=folder)
    store.reads.clear()
    top = Machine(tmp_path / "a", store).open()
    session = Machine(tmp_path / "a", store).open("checkout")
    assert [len(top), len(session)] == [1, 1]
    assert names(top, "in the session") == []
    assert store.fetched == []
    assert session.read(names(session, "in the session")[0])
    assert store.fetched == [f"checkout/{names(session, 'in the session')[0]}"]


def test_what_is_kept_is_bounded_the_first_fetched_go_first(
    indexed: CountedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_demand, "_YOUNG_SECONDS", -1.0)
    size = 4 * len(indexed.read(next(indexed.names(stored.CHAT))).data)  # type: ignore[union-attr]  # it is there
    machine = Machine(tmp_path / "a", indexed)
    library = machine.open()
    machine.origin._most_bytes = size
    for prompt in PROMPTS:
        library.read(names(library, prompt)[0])
    machine.origin.trim()
    files = sorted(machine.origin.folder.rglob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    assert 0 < sum(path.stat().st_size for path in files) <= size
    assert names(library, PROMPTS[-1])[0].endswith(files[-1].name)
    assert library.read(names(library, PROMPTS[0])[0])  # it is fetched again


def test_who_may_only_read_a_store_without_manifests_has_the_recordings(
    store: CountedStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(store, folder)
    for name in list(store.names(".wiretape")):
        store.remove(name)

    def refused(*_: object) -> bool:
        raise StoreError("refused")

    for write in ("put", "create", "replace"):
        monkeypatch.setattr(store, write, refused)
    machine = Machine(tmp_path / "a", store)
    with pytest.raises(StoreError, match="refused"):
        machine.open()  # what it may not write is said to who publishes
    library = Library(
        machine.home / "s.cache",
        Matcher(built_in()),
        state=OnDemand(store, machine.home / "s.cache", "rules").state(machine.home, None),
    )
    library.load()
    assert (
        library.read(names(library, PROMPTS[4])[0]).request == stored.exchange(PROMPTS[4]).request
    )

"""Recordings are looked up as they are now: what changes on disk while a run lasts is noticed."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.support import paths
from tests.support.limits import PATIENCE

from wiretape.config.packs import built_in
from wiretape.core.errors import StoreError
from wiretape.core.matching.canonical import Canonical
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Chunk, Close, Exchange, Message, Request, Response, WebSocket
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, from_exchange, from_request
from wiretape.core.recording.given_ids import AnswerId
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.library import lookup, parallel, scan_folder
from wiretape.library.library import Library, LocalState

JSON = (("content-type", "application/json"),)
HOST = "api.together.xyz"
LONG_AGO = (1_700_000_000, 1_700_000_000)


def exchange(prompt: str, answer: str = "hello") -> Exchange:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}]}).encode()
    request = Request("POST", "https", HOST, 443, "/v1/chat/completions", headers=JSON, body=body)
    reply = json.dumps({"id": f"id-{answer}", "choices": [{"message": {"content": answer}}]})
    return Exchange(request, Response(200, JSON, (Chunk(reply.encode(), 0.1),)), None)


def text(prompt: str, answer: str = "hello") -> str:
    return recording_format.dumps(from_exchange(exchange(prompt, answer)))


class Open:
    """Opens libraries and closes them in the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[Library] = []

    def __call__(self, cache: Path | None = None, **options: Any) -> Library:
        made = Library(
            self.folder,
            Matcher(built_in()),
            state=LocalState(cache.parent, "f") if cache else LocalState(self.folder.parent),
            **options,
        )
        self.opened.append(made)
        made.load()
        return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of recordings with "Hi" and "Ho" in it, made long ago."""
    place = tmp_path / "recordings" / HOST / "v1-chat-completions"
    place.mkdir(parents=True)
    for prompt in ("Hi", "Ho"):
        path = place / f"{prompt.lower()}.json"
        path.write_text(text(prompt))
        os.utime(path, LONG_AGO)
    return tmp_path / "recordings"


@pytest.fixture
def library(folder: Path) -> Iterator[Open]:
    opens = Open(folder)
    yield opens
    for opened in opens.opened:
        with suppress(sqlite3.Error):
            opened.close()


@pytest.fixture(params=["memory", "cache"])
def cache(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path | None:
    """Where the index is kept; where it is, folders are treated as large ones."""
    if request.param == "memory":
        return None
    monkeypatch.setattr(lookup, "LARGE", 1)
    return tmp_path / "index"


def form(prompt: str, ids: dict[str, str] | None = None) -> Document:
    document = from_request(exchange(prompt).request)
    return {**document, "ids": ids} if ids else document


def answers(of: Library, prompt: str) -> list[str]:
    bodies = [of.read(entry.name).response.body for entry in of.takes(of.keys(form(prompt))[0].key)]
    return [json.loads(body)["choices"][0]["message"]["content"] for body in bodies]


def place(folder: Path) -> Path:
    return folder / HOST / "v1-chat-completions"


def test_a_file_that_is_added_is_found(library: Open, folder: Path, cache: Path | None) -> None:
    opened = library(cache)
    assert answers(opened, "New") == []
    (place(folder) / "new.json").write_text(text("New"))
    opened.check()
    assert answers(opened, "New") == ["hello"]
    assert len(opened) == 3


def test_a_file_that_is_added_is_found_by_a_request_that_would_miss(
    library: Open, folder: Path, cache: Path | None
) -> None:
    opened = library(cache)
    (folder / "other.example" / "x").mkdir(parents=True)
    (folder / "other.example" / "x" / "new.json").write_text(text("New"))
    assert answers(opened, "New") == ["hello"]


def test_a_file_that_is_removed_is_gone(library: Open, folder: Path, cache: Path | None) -> None:
    opened = library(cache)
    assert answers(opened, "Hi") == ["hello"]
    (place(folder) / "hi.json").unlink()
    assert answers(opened, "Hi") == []
    assert len(opened) == 1


def test_a_folder_that_is_removed_is_gone(library: Open, folder: Path, cache: Path | None) -> None:
    opened = library(cache)
    place(folder).rename(folder.parent / "away")
    opened.check()
    assert (len(opened), answers(opened, "Hi")) == (0, [])


def test_a_file_edited_in_place_answers_what_it_says_now(
    library: Open, folder: Path, cache: Path | None
) -> None:
    opened = library(cache)
    assert answers(opened, "Hi") == ["hello"]
    (place(folder) / "hi.json").write_text(text("Hi", "edited"))
    assert answers(opened, "Hi") == ["edited"]


def test_a_file_edited_in_place_answers_another_request(
    library: Open, folder: Path, cache: Path | None
) -> None:
    opened = library(cache)
    assert answers(opened, "Hi") == ["hello"]
    (place(folder) / "hi.json").write_text(text("Hey"))
    assert (answers(opened, "Hi"), answers(opened, "Hey")) == ([], ["hello"])


def test_an_edit_that_no_clock_tells_is_noticed(
    library: Open, folder: Path, cache: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of the same size, in the same inode, within one tick of the clock.
    path = place(folder) / "hi.json"
    path.write_text(text("Hi"))
    stat = path.stat()
    monkeypatch.setattr("wiretape.library.recording_file.time.time_ns", lambda: stat.st_mtime_ns)
    opened = library(cache)
    assert answers(opened, "Hi") == ["hello"]
    path.write_text(text("Hy"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    assert (answers(opened, "Hi"), answers(opened, "Hy")) == ([], ["hello"])


def test_an_edit_between_runs_is_noticed(library: Open, folder: Path, cache: Path | None) -> None:
    library(cache).close()
    (place(folder) / "hi.json").write_text(text("Hey"))
    opened = library(cache)
    assert (answers(opened, "Hi"), answers(opened, "Hey")) == ([], ["hello"])


def test_a_file_that_becomes_bad_is_told_and_a_good_one_again_is_good(
    library: Open, folder: Path, cache: Path | None
) -> None:
    opened = library(cache)
    told: list[lookup.SkippedFile] = []
    opened.notify = told.append
    (place(folder) / "hi.json").write_text("{")
    assert answers(opened, "Hi") == []
    name = f"{HOST}/v1-chat-completions/hi.json"
    assert [fault.name for fault in told] == [name]
    assert opened.faults == told
    assert "not JSON" in told[0].reason
    (place(folder) / "hi.json").write_text(text("Hi", "mended"))
    assert answers(opened, "Hi") == ["mended"]
    assert (opened.faults, len(told)) == ([], 1)


def test_a_side_file_that_is_taken_away_and_put_back_is_noticed(
    library: Open, folder: Path, cache: Path | None
) -> None:
    audio = bytes(range(256)) * 200
    request = Request("POST", "https", HOST, 443, "/v1/audio/speech", headers=JSON, body=b"{}")
    response = Response(200, (("content-type", "audio/mpeg"),), (Chunk(audio, 0.5),), True)
    opened = library(cache)
    document, files = recording_format.externalise(from_exchange(Exchange(request, response)))
    written = opened.write(document, recording_format.dumps(document), files)
    assert written is not None
    os.utime(folder / written.name, LONG_AGO)
    opened.check()
    (side,) = folder.rglob("*.bin")
    content = side.read_bytes()
    side.unlink()
    opened.check()
    assert [fault.name for fault in opened.faults] == [written.name]
    side.write_bytes(content)
    opened.check()
    assert opened.faults == []
    assert opened.takes(written.key)[0].name == written.name


def test_a_folder_that_comes_later_is_found(tmp_path: Path) -> None:
    opens = Open(tmp_path / "recordings")
    opened = opens()
    assert len(opened) == 0
    place(tmp_path / "recordings").mkdir(parents=True)
    (place(tmp_path / "recordings") / "a.json").write_text(text("Hi"))
    assert answers(opened, "Hi") == ["hello"]
    opened.close()


def test_two_files_of_one_key_and_take_are_both_kept_by_name(
    library: Open, folder: Path, cache: Path | None
) -> None:
    (place(folder) / "hi-copy.json").write_text(text("Hi", "copy"))
    assert answers(library(cache), "Hi") == ["copy", "hello"]


def test_a_pipe_is_not_waited_for(library: Open, folder: Path) -> None:
    os.mkfifo(place(folder) / "pipe.json")
    (fault,) = library().faults
    assert (fault.name.rpartition("/")[2], "not read" in fault.reason) == ("pipe.json", True)


# ------------------------------------------------------------------ the cache


def test_nothing_is_read_again_in_the_next_run(
    library: Open, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "LARGE", 1)
    library(tmp_path / "index").close()
    seen: list[object] = []

    class Counting(Matcher):
        def canonical(self, request: Document) -> Canonical:
            seen.append(request)
            return super().canonical(request)

    again = Library(folder, Counting(built_in()), state=LocalState(tmp_path, "f"))
    again.load()
    assert (len(again), seen) == (2, [])
    again.close()


def test_a_small_folder_leaves_no_cache(library: Open, tmp_path: Path) -> None:
    assert len(library(tmp_path / "index")) == 2
    assert not (tmp_path / "index").exists()


def test_a_cache_under_another_fingerprint_is_not_asked(
    tmp_path: Path, folder: Path, library: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "LARGE", 1)
    library(tmp_path / "index").close()
    rules = Matcher(built_in(), headers=["content-type"])
    other = Library(folder, rules, state=LocalState(tmp_path, "g"))
    other.load()
    assert len(other.takes(rules.canonical(form("Hi")).key)) == 1
    other.close()
    assert len(list((tmp_path / "index").glob("*.sqlite"))) == 2


def test_a_cache_deleted_while_it_is_used_does_no_harm(
    library: Open, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "LARGE", 1)
    opened = library(tmp_path / "index")
    for path in (tmp_path / "index").iterdir():
        path.unlink()
    (place(folder) / "new.json").write_text(text("New"))
    assert (answers(opened, "New"), answers(opened, "Hi")) == (["hello"], ["hello"])
    assert len(library(tmp_path / "index")) == 3


@pytest.mark.parametrize("damage", ["garbage", "cut", "other", "folder", "locked"])
def test_a_cache_that_cannot_be_used_is_done_without(
    library: Open, tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "LARGE", 1)
    library(tmp_path / "index").close()
    (database,) = (tmp_path / "index").glob("*.sqlite")
    holder = None
    if damage == "garbage":
        database.write_bytes(b"\xff" * 9_000)
    elif damage == "cut":
        database.write_bytes(database.read_bytes()[:9_000])
    elif damage == "other":
        with sqlite3.connect(database) as other:
            other.execute("PRAGMA user_version = 999")
        other.close()
    elif damage == "folder":
        database.unlink()
        database.mkdir()
    else:
        monkeypatch.setattr("wiretape.library.index._WAIT_SECONDS", 0.01)
        holder = sqlite3.connect(database)
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
    assert answers(library(tmp_path / "index"), "Hi") == ["hello"]
    if holder is not None:
        holder.close()


def test_a_cache_damaged_under_way_does_no_harm(
    library: Open, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "LARGE", 1)
    opened = library(tmp_path / "index")
    opened._index._db.execute("DROP TABLE keys")
    assert answers(opened, "Hi") == ["hello"]
    assert answers(opened, "New") == []


def test_only_its_user_can_read_the_cache(
    library: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "LARGE", 1)
    library(tmp_path / "index")
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "index").iterdir()}
    assert (modes, (tmp_path / "index").stat().st_mode & 0o777) == ({0o600}, 0o700)


def test_several_processes_fill_one_cache(tmp_path: Path, folder: Path, library: Open) -> None:
    for number in range(300):
        (place(folder) / f"{number}.json").write_text(text(f"prompt {number}"))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from tests.library.test_lookup import *\n"
        "root = Path(sys.argv[2])\n"
        "opened = Open(root / 'recordings')(root / 'index')\n"
        "print(len(opened), len(answers(opened, 'prompt 7')), opened.faults)\n"
        "opened.close()\n"
    )
    arguments = [sys.executable, "-c", program, str(paths.ROOT), str(tmp_path)]
    runs = [subprocess.Popen(arguments, stdout=subprocess.PIPE) for _ in range(3)]
    assert [run.communicate(timeout=PATIENCE)[0] for run in runs] == [b"302 1 []\n"] * 3
    assert len(list((tmp_path / "index").glob("*.sqlite"))) == 1
    assert len(library(tmp_path / "index")) == 302


# ------------------------------------------------------------------ keys, ids, neighbours


class Stamped(Matcher):
    """Compares the ids of a request by their tokens, wherever they stand."""

    def canonical(self, request: Document) -> Canonical:
        spelled = json.dumps(request.get("body"))
        for one, token in request.get("ids", {}).items():
            spelled = spelled.replace(one, f"\\u0000{token}")
        return super().canonical({**request, "body": json.loads(spelled)})


def stamped(folder: Path, prompt: str, ids: dict[str, str], answer: str) -> None:
    document = from_exchange(exchange(prompt, answer))
    document["request"]["ids"] = ids
    (place(folder) / f"{answer}.json").write_text(recording_format.dumps(document))


def test_a_recording_is_found_by_where_its_ids_came_from_and_by_their_spelling(
    folder: Path,
) -> None:
    stamped(folder, "about resp_1", {"resp_1": "aaaaaaaaaaaa#0"}, "by-id")
    opened = Library(folder, Stamped(built_in()), state=LocalState(folder.parent))
    opened.load()
    live = opened.keys(form("about resp_9", {"resp_9": "aaaaaaaaaaaa#0"}))
    assert [len(opened.takes(one.key)) for one in live] == [1, 0]
    spelled = opened.keys(form("about resp_1"))
    assert [len(opened.takes(one.key)) for one in spelled] == [1]
    assert len(opened) == 3
    opened.close()


def test_a_request_is_answered_by_one_sequence_however_its_ids_are_told(folder: Path) -> None:
    stamped(folder, "about resp_1", {"resp_1": "aaaaaaaaaaaa#0"}, "by-id")
    (place(folder) / "plain.json").write_text(text("about resp_1", "plain"))
    opened = Library(folder, Stamped(built_in()), state=LocalState(folder.parent))
    opened.load()
    spelled = opened.takes(opened.keys(form("about resp_1"))[0].key)
    assert sorted(entry.name.rpartition("/")[2] for entry in spelled) == [
        "by-id.json",
        "plain.json",
    ]
    live = opened.keys(form("about resp_1", {"resp_1": "aaaaaaaaaaaa#0"}))
    assert [e.name for e in opened.answering([form.key for form in live])] == [
        e.name for e in spelled
    ]
    opened.close()


def test_the_ids_an_answer_gives_are_known_by_the_recordings_name(
    library: Open, folder: Path
) -> None:
    opened = library()
    assert opened.ids(f"{HOST}/v1-chat-completions/hi.json") == (AnswerId("id-hello", "created"),)
    assert opened.ids("nothing.json") == ()


def test_a_token_is_what_the_files_name_says_or_else_the_key(library: Open, folder: Path) -> None:
    (place(folder) / "0123456789ab.7.json").write_text(text("named"))
    opened = library()
    (named,) = opened.takes(opened.keys(form("named"))[0].key)
    (other,) = opened.takes(opened.keys(form("Hi"))[0].key)
    assert (named.token, other.token) == ("0123456789ab.7", other.key[:12])


def test_the_nearest_recording_comes_first(library: Open, folder: Path) -> None:
    for number in range(30):
        (place(folder) / f"{number}.json").write_text(text(f"what is {number} to {number * 7}?"))
    opened = library()
    (asked,) = opened.keys(form("what is 8 to 56, pray?"))
    names = [name.rpartition("/")[2] for name, _ in opened.nearest(asked, 5)]
    assert (names[0], len(names)) == ("8.json", 5)
    assert opened.nearest(asked, 1)[0][1] == opened.keys(form("what is 8 to 56?"))[0]
    assert opened.count(asked.endpoint) == 32
    assert opened.count(("together", "GET", "/v1/models")) == 0


@pytest.mark.parametrize("change", ["added", "edited", "removed", "by another process"])
def test_the_nearest_is_told_anew_once_recordings_change(
    library: Open, folder: Path, cache: Path, change: str
) -> None:
    paths = [place(folder) / f"{number}.json" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_text(text(f"what is {number} to {number * 7}?"))
    opened = library(cache)
    (asked,) = opened.keys(form("what is 1 to 7, pray?"))
    assert opened.nearest(asked, 1)[0][0].endswith("1.json")
    before = opened.count(asked.endpoint)
    if change in ("added", "by another process"):
        (place(folder) / "4.json").write_text(text("what is 1 to 7, pray? ?"))
    elif change == "edited":
        paths[2].write_text(text("what is 1 to 7, pray? ?"))
    else:
        paths[1].unlink()
    if change == "by another process":  # whose index is the same file
        library(cache)
    opened.check()
    nearest = opened.nearest(asked, 1)[0][0]
    if change == "removed":
        assert not nearest.endswith("1.json")
    else:
        assert nearest.endswith("2.json" if change == "edited" else "4.json")
    number = {"edited": 0, "removed": -1}.get(change, 1)
    assert opened.count(asked.endpoint) == before + number


def test_what_stood_at_the_start_is_told_from_what_came_after(
    library: Open, folder: Path, cache: Path | None
) -> None:
    opened = library(cache)
    (place(folder) / "new.json").write_text(text("New"))
    opened.check()
    assert answers(opened, "New") == ["hello"]
    keys = {prompt: opened.keys(form(prompt))[0].key for prompt in ("Hi", "New", "None")}
    assert {prompt: opened.known_at_start(opened.takes(key)) for prompt, key in keys.items()} == {
        "Hi": True,
        "New": False,
        "None": False,
    }
    (place(folder) / "hi.json").write_text(text("Hi", "edited"))
    assert answers(opened, "Hi") == ["edited"]
    assert opened.known_at_start(opened.takes(keys["Hi"]))


def test_the_stored_request_is_to_be_had(library: Open) -> None:
    opened = library()
    name = f"{HOST}/v1-chat-completions/hi.json"
    assert opened.request(name) == form("Hi")
    assert opened.recorded(name) == opened.keys(form("Hi"))
    assert name in opened.names()


def test_the_requests_of_a_recording_are_had_as_rules_see_them(library: Open, folder: Path) -> None:
    opened = library()
    names = {name: stat for name, stat, _ in opened.endpoints()}
    assert list(names) == opened.names()
    for name, stat in names.items():
        assert list(opened.requests(name, stat)) == [(name, opened.request(name))]


def test_the_messages_of_a_websocket_are_requests_too(tmp_path: Path) -> None:
    opening = Request("GET", "https", HOST, 443, "/v1/live?m=1")
    messages = (
        Message(b'{"a":1}', 0.1, "client"),
        Message(b'{"b":1}', 0.2, "server"),
        Message(b"plain", 0.3, "client"),
    )
    socket = WebSocket(101, (), messages, streaming=True, close=Close("client", 1000))
    (tmp_path / "a.json").write_text(
        recording_format.dumps(from_exchange(Exchange(opening, socket, None)))
    )
    opened = Library(tmp_path, Matcher(built_in()), state=LocalState(tmp_path.parent))
    opened.load()
    ((name, stat, endpoint),) = opened.endpoints()
    requests = list(opened.requests(name, stat))
    assert endpoint == ("together", "GET", "/v1/live")
    assert [part for part, _ in requests] == ["a.json", "a.json #1", "a.json #2"]
    assert [document.get("body", document.get("body_text")) for _, document in requests] == [
        None,
        {"a": 1},
        "plain",
    ]
    keys = {opened.matched(document).endpoint for _, document in requests}
    assert keys == {endpoint}


def test_a_llama_stack_file_has_all_requests_that_it_answers(tmp_path: Path) -> None:
    seed = next(iter(sorted(paths.RECORDINGS.rglob("*.json"))))
    (tmp_path / "a.json").write_bytes(seed.read_bytes())
    opened = Library(tmp_path, Matcher(built_in()), state=LocalState(tmp_path.parent))
    opened.load()
    stats = {name: stat for name, stat, _ in opened.endpoints()}
    (stat,) = stats.values()
    keys = {opened.matched(document).key for _, document in opened.requests("a.json", stat)}
    assert keys
    assert all(opened.takes(key) for key in keys)


def test_requests_of_a_file_that_changed_are_refused(library: Open, folder: Path) -> None:
    opened = library()
    name, stat, _ = opened.endpoints()[0]
    (folder / name).write_text(text("something longer than it was"))
    with pytest.raises(StoreError, match="changed"):
        list(opened.requests(name, stat))


def test_a_link_to_a_folder_is_not_followed(library: Open, folder: Path) -> None:
    (folder / "link.example").symlink_to(place(folder))
    (folder / HOST / "link.json").symlink_to(place(folder))
    opened = library()
    assert len(opened) == 2
    reason = "a link to a folder, which is not followed: put the folder itself here"
    assert [(fault.name, fault.reason) for fault in opened.faults] == [
        (f"{HOST}/link.json", reason),
        ("link.example", reason),
    ]


def test_what_recordings_hold_in_redacted_form_is_read_once(
    library: Open, folder: Path, cache: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the index, which a later run begins with; of a folder that grows only what is new."""
    file = place(folder) / "hi.json"
    file.write_text(text("Hi", "REDACTED-secret-3f9a1c07"))
    os.utime(file, LONG_AGO)
    opened = library(cache)
    assert opened.redacted().digests == {"3f9a1c07"}
    reads: list[str] = []
    real = Path.read_bytes

    def counted(path: Path) -> bytes:
        reads.append(path.name)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    (place(folder) / "new.json").write_text(text("New", "REDACTED-secret-00000001"))
    opened.check()
    assert opened.redacted().digests == {"3f9a1c07", "00000001"}
    stored = from_exchange(exchange("Written", "REDACTED-secret-00000002"))
    opened.write(stored, recording_format.dumps(stored), {})
    assert opened.redacted().digests == {"3f9a1c07", "00000001", "00000002"}
    again = library(cache)
    assert again.redacted().digests == {"3f9a1c07", "00000001", "00000002"}
    assert not reads


SECRET = "kV8w2Qz-dT5rXn1Lp-7fQ2mXw9RtB4"


@pytest.mark.parametrize("named", [None, 0, 4, 9])
def test_files_read_in_several_processes_give_the_same_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: int | None
) -> None:
    """Also where the redactor finds a secret in one file, which changes what others are read as."""
    for number in range(10):
        stored = from_exchange(exchange(f"{number}: {SECRET}", f"a{number}"))
        if number == named:
            stored["request"]["body"]["api_key"] = SECRET
        path = tmp_path / "r" / HOST / f"{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(recording_format.dumps(stored), "utf-8")
    (tmp_path / "r" / HOST / "8.json").write_text("{}")
    for path in (tmp_path / "r" / HOST).iterdir():
        os.utime(path, LONG_AGO)
    monkeypatch.setattr(scan_folder, "_MANY", 10)
    monkeypatch.setattr(scan_folder, "_BLOCK", 2)
    in_processes = []
    monkeypatch.setattr(
        parallel,
        "processors",
        lambda: in_processes.append(1) or 2,  # type: ignore[func-returns-value]
    )
    dumps = []
    for is_parallel in (False, True):
        redactor = Redactor(RedactionRules(), remember=True)
        library = Library(tmp_path / "r", Matcher(built_in()), redactor.request)
        if is_parallel:
            library.read_in_processes(lambda redactor=redactor: redactor.remembered_ever)  # type: ignore[misc]  # mypy cannot infer a lambda's defaults
        library.load()
        lines = library._index._db.iterdump()
        # Whether a folder's time proves anything depends on when it was looked at.
        rows = [line for line in lines if '"folders"' not in line]
        dumps.append((rows, redactor.remembered))
        library.close()
    assert dumps[0] == dumps[1]
    assert bool(dumps[1][1]) is (named is not None)
    assert in_processes == [1]

"""Recordings are looked up by key, by their ids and by what is like them."""

import json
import os
from pathlib import Path

import pytest
from tests.support import paths
from tests.support.open_folder import (
    HOST,
    LONG_AGO,
    Open,
    answers,
    exchange,
    form,
    place,
    text,
)

from wiretape.config.packs import built_in
from wiretape.core.errors import StoreError
from wiretape.core.matching.canonical import Canonical
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Close, Exchange, Message, Request, WebSocket
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, from_exchange
from wiretape.core.recording.given_ids import AnswerId
from wiretape.library.library import Library, LocalState


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

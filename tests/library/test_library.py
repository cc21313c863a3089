"""Recordings on disk: found by content, written whole, never lost to another writer."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import filelock  # noqa: F401  # its import removes a file, which is not to be counted here
import pytest
from tests.support import paths
from tests.support.limits import PATIENCE

from wiretape.config.packs import built_in
from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Chunk, Close, Exchange, Message, Request, Response, WebSocket
from wiretape.core.playback.known_request import document_digest
from wiretape.core.playback.policy import RecordMode
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange, from_request
from wiretape.library import scanned_folder
from wiretape.library.library import Library, LocalState
from wiretape.library.replace_files import SUFFIX
from wiretape.library.staged_take import StagedTake
from wiretape.state_dir import state_dir

SEEDS = paths.RECORDINGS
JSON = (("content-type", "application/json"),)


def exchange(prompt: str, answer: str = "hello") -> Exchange:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}]}).encode()
    request = Request(
        "POST", "https", "api.together.xyz", 443, "/v1/chat/completions", headers=JSON, body=body
    )
    reply = json.dumps({"choices": [{"message": {"content": answer}}]}).encode()
    return Exchange(request, Response(200, JSON, (Chunk(reply, 0.1),)), "2026-11-20T17:30:00Z")


def library(
    folder: Path, session: str | None = None, record_mode: RecordMode = "replace"
) -> Library:
    made = Library(
        folder,
        Matcher(built_in()),
        session=session,
        state=LocalState(folder.parent),
        record_mode=record_mode,
    )
    made.load()
    return made


def write(into: Library, what: Exchange) -> str:
    smaller, files = recording_format.externalise(from_exchange(what))
    entry = into.write(smaller, recording_format.dumps(smaller), files)
    return entry.name if entry else "not written"


def key(of: Library, what: Exchange) -> str:
    return of.matched(from_request(what.request)).key


def answers(of: Library, what: Exchange) -> list[str]:
    found = [of.read(entry.name).response.body for entry in of.takes(key(of, what))]
    return [json.loads(body)["choices"][0]["message"]["content"] for body in found]


def test_who_names_no_place_for_the_lock_is_excluded_by_a_run_that_records(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    listed = folder / f".ab12cd34{SUFFIX}"
    write(library(folder), exchange("Hi"))
    by_default = Library(folder, Matcher(built_in()))
    by_default.load()
    listed.write_text("{}")
    with LocalState(state_dir()).lock(folder):
        by_default.check()
        assert listed.exists(), "its writer, which holds the lock, may still need it"
    listed.with_stem(".ab12cd35").write_text("{}")
    by_default.check()
    assert not listed.exists()


def test_a_recording_is_found_by_its_request_and_read_back_whole(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    name = write(library(folder), exchange("Hi"))
    assert name.startswith("api.together.xyz/v1-chat-completions/")
    again = library(folder)
    assert len(again) == 1
    (entry,) = again.takes(key(again, exchange("Hi")))
    assert (entry.name, again.read(entry.name)) == (name, exchange("Hi"))


def test_a_missing_or_empty_folder_is_an_empty_library(tmp_path: Path) -> None:
    assert len(library(tmp_path / "nowhere")) == 0
    (tmp_path / "empty").mkdir()
    assert len(library(tmp_path / "empty")) == 0


def test_a_file_in_place_of_the_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    place = tmp_path / "recordings"
    place.write_text("x")
    with pytest.raises(StoreError, match=r"recordings: not a folder"):
        library(place)


def test_a_folder_that_cannot_be_read_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recordings").mkdir()

    def denied(path: str) -> None:
        # Root, as in a container, is denied nothing: so the system's answer is given for it.
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(StoreError, match="recordings: cannot be read: Permission denied"):
        library(tmp_path / "recordings")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b'{"wiretape": 1, "request": {', "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"name": "package", "version": "1.0"}', "has no request and response"),
        (b'{"wiretape": 99, "request": {}, "response": {}}', "update wiretape"),
        (b'{"wiretape": 1, "request": {"url": 5}, "response": {}}', "request.url"),
        (b"[" * 5000 + b"]" * 5000, "nested"),
    ],
)
def test_a_file_that_is_no_recording_is_named_and_skipped(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    folder = tmp_path / "recordings"
    write(library(folder), exchange("Hi"))
    (folder / "broken.json").write_bytes(content)
    again = library(folder)
    (fault,) = again.faults
    assert fault.name == "broken.json"
    assert reason in fault.reason
    assert answers(again, exchange("Hi")) == ["hello"]


def test_recording_again_in_one_run_adds_takes_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    into = library(folder)
    first, second = write(into, exchange("Hi", "one")), write(into, exchange("Hi", "two"))
    assert second == first.removesuffix(".json") + ".2.json"
    assert answers(into, exchange("Hi")) == ["one", "two"]
    assert answers(library(folder), exchange("Hi")) == ["one", "two"]


def test_the_tenth_take_follows_the_ninth(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    into = library(folder)
    for number in range(12):
        write(into, exchange("Hi", str(number)))
    assert answers(library(folder), exchange("Hi")) == [str(number) for number in range(12)]


def test_recording_in_a_later_run_replaces_all_takes_of_the_key_alone(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    into = library(folder)
    for answer in ("one", "two", "three"):
        write(into, exchange("Hi", answer))
    write(into, exchange("Other", "other"))
    later = library(folder)
    write(later, exchange("Hi", "new"))
    assert answers(later, exchange("Hi")) == ["new"]
    again = library(folder)
    assert answers(again, exchange("Hi")) == ["new"]
    assert answers(again, exchange("Other")) == ["other"]
    assert len(list(folder.rglob("*.json"))) == len(again) == 2


def test_what_another_writer_recorded_meanwhile_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    write(library(folder), exchange("Hi", "old"))
    one, two = library(folder), library(folder)
    write(one, exchange("Hi", "from one"))
    write(two, exchange("Hi", "from two"))
    assert sorted(answers(library(folder), exchange("Hi"))) == ["from one", "from two"]


def test_two_runs_at_once_lose_nothing_of_one_another(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    write(library(folder), exchange("Hi", "of an earlier run"))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from tests.library.test_library import *\n"
        "folder = Path(sys.argv[2])\n"
        "into = Library(folder, Matcher(built_in()), state=LocalState(folder.parent))\n"
        "into.join(); into.load()\n"
        "for n in range(25): write(into, exchange('Hi', f'{sys.argv[3]}-{n}'))\n"
        "print('written', flush=True); sys.stdin.read(); into.leave()\n"
    )
    arguments = [sys.executable, "-c", program, str(paths.ROOT), str(folder)]
    pipe = subprocess.PIPE
    # The second begins when the first has written, and while it still runs.
    first = subprocess.Popen([*arguments, "a"], stdin=pipe, stdout=pipe)
    assert first.stdout is not None
    assert first.stdout.readline() == b"written\n"
    second = subprocess.Popen([*arguments, "b"], stdin=pipe, stdout=pipe)
    for writer in (second, first):
        writer.communicate(timeout=PATIENCE)
        assert writer.returncode == 0
    wanted = sorted(f"{name}-{n}" for name in ("a", "b") for n in range(25))
    assert sorted(answers(library(folder), exchange("Hi"))) == wanted
    assert list(tmp_path.glob("*.run")) == []


def test_what_a_dead_run_left_behind_does_not_count(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(timeout=PATIENCE)
    one = library(folder)
    one.join()
    (marker,) = tmp_path.glob("*.run")
    marker.rename(str(marker).replace(f".{os.getpid()}.", f".{dead.pid}."))
    write(one, exchange("Hi", "old"))
    later = Library(folder, Matcher(built_in()), state=LocalState(tmp_path))
    later.join()
    later.load()
    write(later, exchange("Hi", "new"))
    assert answers(library(folder), exchange("Hi")) == ["new"]


def talk(answer: str, *said: str) -> Exchange:
    """A WebSocket on which the client says something and is answered each time."""
    opening = Request("GET", "https", "api.openai.com", 443, "/v1/responses")
    messages = [
        message
        for text in said
        for message in (
            Message(json.dumps({"input": text}).encode(), 0.1, "client"),
            Message(json.dumps({"output": answer}).encode(), 0.2, "server"),
        )
    ]
    socket = WebSocket(
        status=101, chunks=tuple(messages), streaming=True, end="complete", close=Close("client")
    )
    return Exchange(opening, socket, "2026-11-20T17:30:00Z")


def talks(of: Library) -> list[tuple[str, str]]:
    """What was said first and answered, in each recording."""
    found = []
    for name in of.names():
        chunks = of.read(name).response.chunks
        texts = [next(iter(json.loads(chunk.data).values())) for chunk in chunks[:2]]
        found.append((texts[0], texts[1]))
    return sorted(found)


def test_a_websocket_replaces_those_on_which_the_client_said_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    first = library(folder)
    write(first, talk("old", "otters"))
    write(first, talk("old", "badgers", "more"))
    write(first, talk("old", "badgers", "less"))
    second = library(folder)
    write(second, talk("new", "llamas"))
    write(second, talk("new", "badgers", "more"))
    write(second, talk("newer", "badgers", "more"))
    assert talks(library(folder)) == [
        ("badgers", "new"),
        ("badgers", "newer"),
        ("badgers", "old"),
        ("llamas", "new"),
        ("otters", "old"),
    ]


def test_only_a_websocket_on_which_the_client_said_the_same_is_not_missing(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    write(library(folder), talk("old", "otters"))
    later = library(folder, record_mode="missing-only")
    assert write(later, talk("new", "otters")) == "not written"
    assert write(later, talk("new", "badgers")) != "not written"


def test_what_is_large_and_binary_on_a_websocket_is_compared_too(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    for number in (1, 2, 1):
        spoken = Message(bytes([number]) * 100_000, 0.1, "client", binary=True)
        spoken_on = replace(talk("x", "hi").response, chunks=(spoken,))
        write(library(folder), replace(talk("x"), response=spoken_on))
    assert len(library(folder)) == 2


def test_llama_stacks_recordings_answer_and_are_never_touched(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    seed = folder / "6730dcde0b73.json"
    seed.write_bytes((SEEDS / "6730dcde0b73.json").read_bytes())
    into = library(folder)
    (name,) = into.names()
    (entry, *_) = into.takes(into.recorded(name)[0].key)
    assert entry.foreign
    recorded = into.read(entry.name)
    # A recording of our own of the same request goes before it.
    write(into, Exchange(recorded.request, Response(500), None))
    again = library(folder)
    assert [again.read(e.name).response.status for e in again.takes(entry.key)] == [500]
    assert seed.read_bytes() == (SEEDS / "6730dcde0b73.json").read_bytes()


def test_a_session_is_a_folder_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    write(library(folder), exchange("Hi", "plain"))
    write(library(folder, "test_one"), exchange("Hi", "in session"))
    assert (folder / "test_one" / "api.together.xyz").is_dir()
    assert answers(library(folder), exchange("Hi")) == ["plain"]
    assert answers(library(folder, "test_one"), exchange("Hi")) == ["in session"]


@pytest.mark.parametrize(
    "name", ["..", "a/", "/a", "a//b", "a/../b", "a.b", "-x", "x" * 101, "a b"]
)
def test_a_session_name_that_is_no_plain_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="expected letters, digits"):
        library(tmp_path, name)


def test_a_large_binary_body_lies_in_a_side_file_named_by_its_content(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    audio = bytes(range(256)) * 200
    request = Request(
        "POST", "https", "api.openai.com", 443, "/v1/audio/speech", headers=JSON, body=b"{}"
    )
    response = Response(200, (("content-type", "audio/mpeg"),), (Chunk(audio, 0.5),), True)
    name = write(library(folder), Exchange(request, response))
    (side,) = folder.rglob("*.bin")
    assert side.read_bytes() == audio
    assert (folder / name).stat().st_size < 1000
    assert library(folder).read(name).response.body == audio


@pytest.mark.parametrize("name", ["../../secret.bin", "/etc/passwd", "x.bin", "0" * 64 + ".bin"])
def test_a_recording_cannot_name_a_side_file_elsewhere(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "recordings"
    into = library(folder)
    place = folder / write(into, exchange("Hi"))
    document = json.loads(place.read_text())
    document["response"]["body"] = {"file": name}
    place.write_text(json.dumps(document))
    again = library(folder)
    assert "side file" in again.faults[0].reason
    with pytest.raises(FormatError, match="side file"):
        again.read(place.relative_to(folder).as_posix())


def test_a_side_file_that_was_changed_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    audio = bytes(range(256)) * 200
    request = Request(
        "POST", "https", "api.openai.com", 443, "/v1/audio/speech", headers=JSON, body=b"{}"
    )
    response = Response(200, (("content-type", "audio/mpeg"),), (Chunk(audio, 0.5),), True)
    write(library(folder), Exchange(request, response))
    (side,) = folder.rglob("*.bin")
    side.write_bytes(audio + b"x")
    assert "its content is not what its name says" in library(folder).faults[0].reason


def test_a_write_that_fails_leaves_the_old_recording_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "recordings"
    write(library(folder), exchange("Hi", "old"))
    later = library(folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="cannot be written: No space left on device"):
        write(later, exchange("Hi", "new"))
    monkeypatch.undo()
    assert answers(library(folder), exchange("Hi")) == ["old"]
    assert [path.name for path in folder.rglob("*") if path.suffix == ".tmp"] == []


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    into = library(folder)
    folder.write_text("in the way")
    with pytest.raises(StoreError, match="recordings"):
        write(into, exchange("Hi"))


def test_files_are_readable_by_others_as_the_umask_says(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    name = write(library(folder), exchange("Hi"))
    mask = os.umask(0)
    os.umask(mask)
    assert (folder / name).stat().st_mode & 0o777 == 0o644 & ~mask


def test_recording_the_same_answer_twice_gives_the_same_file(tmp_path: Path) -> None:
    texts = []
    for run in ("one", "two"):
        folder = tmp_path / run / "recordings"
        texts.append((folder / write(library(folder), exchange("Hi"))).read_bytes())
    assert texts[0] == texts[1]


def test_append_adds_to_the_takes_that_were_there(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    write(library(folder), exchange("Hi", "old"))
    later = library(folder, record_mode="append")
    write(later, exchange("Hi", "new"))
    write(later, exchange("Hi", "newer"))
    assert answers(later, exchange("Hi")) == ["old", "new", "newer"]
    assert answers(library(folder), exchange("Hi")) == ["old", "new", "newer"]


def test_missing_only_keeps_what_was_there_and_adds_what_was_not(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    write(library(folder), exchange("Hi", "old"))
    later = library(folder, record_mode="missing-only")
    assert write(later, exchange("Hi", "new")) == "not written"
    write(later, exchange("Ho", "one"))
    write(later, exchange("Ho", "two"))
    again = library(folder)
    assert answers(again, exchange("Hi")) == ["old"]
    assert answers(again, exchange("Ho")) == ["one", "two"]


def test_a_hand_edited_recording_is_replaced_wherever_it_lies(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    name = write(library(folder), exchange("Hi", "old"))
    moved = folder / "api.together.xyz" / "by-hand.json"
    (folder / name).rename(moved)
    assert answers(library(folder), exchange("Hi")) == ["old"]
    later = library(folder)
    assert write(later, exchange("Hi", "new")) == name
    assert not moved.exists()
    assert answers(later, exchange("Hi")) == ["new"]


def test_a_file_edited_while_the_run_lasts_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    name = write(library(folder), exchange("Hi", "old"))
    later = library(folder)
    other = recording_format.dumps(from_exchange(exchange("Hi", "edited")))
    (folder / name).write_text(other)
    write(later, exchange("Hi", "new"))
    assert answers(library(folder), exchange("Hi")) == ["edited", "new"]


def test_a_file_that_was_only_touched_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    name = write(library(folder), exchange("Hi", "old"))
    later = library(folder)
    os.utime(folder / name, (1_700_000_000, 1_700_000_000))
    write(later, exchange("Hi", "new"))
    assert answers(library(folder), exchange("Hi")) == ["new"]


def test_a_write_that_fails_does_not_count_as_the_keys_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "recordings"
    into = library(folder)
    write(into, exchange("Hi", "one"))
    write(into, exchange("Hi", "two"))
    later = library(folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        write(later, exchange("Hi", "new"))
    monkeypatch.undo()
    assert answers(later, exchange("Hi")) == ["one", "two"]
    write(later, exchange("Hi", "new"))
    assert answers(library(folder), exchange("Hi")) == ["new"]


IN_ANOTHER_PROCESS = """
import os, shutil, sys; sys.path.insert(0, sys.argv[1])
from tests.library.test_library import *
from tests.support.dying import die_at
"""
KILLED = f"""{IN_ANOTHER_PROCESS}
folder, call, step = Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
later = library(folder)
die_at(step, call)
write(later, exchange("Hi", "new"))
"""


@pytest.mark.parametrize(
    ("call", "step", "left"),
    [
        ("replace", 1, ["one", "two", "three"]),  # before the list is there
        ("replace", 2, ["one", "two", "three"]),  # before the new recording is
        ("unlink", 1, ["new"]),  # before the first old one goes
        ("unlink", 2, ["new"]),
        ("unlink", 3, ["new"]),  # before the list goes
    ],
)
def test_a_run_killed_while_it_replaces_takes_leaves_the_old_or_the_new(
    tmp_path: Path, call: str, step: int, left: list[str]
) -> None:
    folder = tmp_path / "recordings"
    into = library(folder)
    for answer in ("one", "two", "three"):
        write(into, exchange("Hi", answer))
    arguments = [str(paths.ROOT), str(folder), call, str(step)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], check=False, timeout=PATIENCE
    )
    assert killed.returncode == 9
    later = library(folder)
    assert answers(later, exchange("Hi")) == left
    assert len(later) == len(list(folder.rglob("*.json"))) == len(left)
    assert list(folder.rglob("*.void")) == []


def test_what_a_killed_run_left_is_finished_by_one_that_already_runs(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    into = library(folder)
    for answer in ("one", "two", "three"):
        write(into, exchange("Hi", answer))
    running = library(folder)
    arguments = [str(paths.ROOT), str(folder), "unlink", "1"]
    subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, timeout=PATIENCE)
    running.check()
    assert answers(running, exchange("Hi")) == ["new"]
    assert list(folder.rglob("*.void")) == []


def test_void_takes_that_cannot_be_removed_do_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "recordings"
    into = library(folder)
    for answer in ("one", "two"):
        write(into, exchange("Hi", answer))
    arguments = [str(paths.ROOT), str(folder), "unlink", "1"]
    subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, timeout=PATIENCE)

    def denied(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "unlink", denied)
    later = library(folder)
    assert (answers(later, exchange("Hi")), len(later)) == (["new"], 1)


def spoken(audio: bytes) -> Exchange:
    request = Request(
        "POST", "https", "api.openai.com", 443, "/v1/audio/speech", headers=JSON, body=b"{}"
    )
    response = Response(200, (("content-type", "audio/mpeg"),), (Chunk(audio, 0.5),), True)
    return Exchange(request, response)


def test_side_files_that_nobody_needs_any_more_go_with_their_recordings(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    one, two = bytes(range(256)) * 200, bytes(range(255)) * 200
    write(library(folder), spoken(one))
    write(library(folder), spoken(two))
    (side,) = folder.rglob("*.bin")
    assert side.read_bytes() == two


def test_a_side_file_that_another_recording_needs_stays(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    one, two = bytes(range(256)) * 200, bytes(range(255)) * 200
    name = write(library(folder), spoken(one))
    later = library(folder)
    # Somebody copies the recording while the run lasts.
    other = json.loads((folder / name).read_text())
    other["request"]["body"] = {"other": True}
    (folder / name).with_name("copy.json").write_text(json.dumps(other))
    write(later, spoken(two))
    assert len(list(folder.rglob("*.bin"))) == 2
    assert library(folder).faults == []


@pytest.mark.parametrize("linked", ["api.together.xyz", "api.together.xyz/v1-chat-completions"])
def test_nothing_is_written_through_a_link_to_a_folder(tmp_path: Path, linked: str) -> None:
    """Nobody would read it there."""
    folder, elsewhere = tmp_path / "r", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / linked).parent.mkdir(parents=True)
    (folder / linked).symlink_to(elsewhere)
    into = library(folder)
    with pytest.raises(StoreError, match="a link to a folder, which is not followed"):
        write(into, exchange("Hi"))
    assert list(elsewhere.iterdir()) == []


def test_a_folder_that_became_a_link_is_read_no_more(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    write(library(folder), exchange("Hi"))
    opened = library(folder)
    (folder / "api.together.xyz").rename(tmp_path / "moved")
    (folder / "api.together.xyz").symlink_to(tmp_path / "moved")
    opened.check()
    assert (len(opened), answers(opened, exchange("Hi"))) == (0, [])


@pytest.mark.parametrize("session", [None, "mine"])
def test_git_is_told_to_leave_recordings_as_they_are(tmp_path: Path, session: str | None) -> None:
    folder = tmp_path / "r"
    write(library(folder, session), exchange("Hi"))
    attributes = folder / ".gitattributes"
    lines = attributes.read_text().splitlines()
    assert lines[1:] == ["*.json text eol=lf linguist-generated", "*.bin -text"]
    # What stands there stays, and what somebody removed is not put back by the same run.
    attributes.write_text("mine\n")
    write(library(folder, session), exchange("Ho"))
    assert attributes.read_text() == "mine\n"


def test_what_replaces_is_on_disk_before_what_it_replaces_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault injection: each act on the disk is written down, and a crash may come after any."""
    folder = tmp_path / "r"
    first = library(folder)
    names = [write(first, exchange("Hi", answer)) for answer in ("one", "two", "three")]
    acts: list[str] = []
    real = {name: getattr(os, name) for name in ("fsync", "replace", "unlink")}

    def sync(handle: int) -> None:
        path = os.readlink(f"/proc/self/fd/{handle}")
        acts.append("sync folder" if os.path.isdir(path) else f"sync {Path(path).suffix}")
        real["fsync"](handle)

    def swap(source: Any, target: Any) -> None:
        acts.append(f"rename to {Path(target).suffix}")
        real["replace"](source, target)

    def unlink(path: Any, **options: Any) -> None:
        acts.append(f"remove {Path(path).suffix}")
        real["unlink"](path, **options)

    second = library(folder)
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", swap)
    monkeypatch.setattr(os, "unlink", unlink)
    assert write(second, exchange("Hi", "new")) == names[0]
    written = ["sync .tmp", "rename to .json", "sync folder"]
    assert acts == [
        "sync .tmp",
        "rename to .void",
        "sync folder",
        *written,
        "remove .json",
        "remove .json",
        "remove .void",
    ]


def stage(into: Library, what: Exchange) -> StagedTake:
    smaller, files = recording_format.externalise(from_exchange(what))
    take = into.stage(smaller, recording_format.dumps(smaller), files)
    assert take is not None
    return take


def test_what_is_staged_is_written_together_each_as_it_would_be_by_itself(tmp_path: Path) -> None:
    """Takes of one key, of others, over old ones, with side files: the same names and contents."""
    heard = spoken(bytes(range(256)) * 400)
    batch = [exchange("Hi", "1"), exchange("Ho", "2"), heard, exchange("Hi", "3"), exchange("Ha")]

    def files(folder: Path) -> dict[str, bytes]:
        found = [path for path in folder.rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}

    for way in ("one", "together"):
        first = library(tmp_path / way)
        for old in ("old", "older"):
            write(first, exchange("Hi", old))
        later = library(tmp_path / way)
        if way == "one":
            for what in batch:
                write(later, what)
            continue
        before = files(tmp_path / way)
        takes = [stage(later, what) for what in batch]
        assert files(tmp_path / way).keys() == before.keys()
        later.commit()
        assert [take.error for take in takes] == [None] * 5
        assert [later.read(take.entry.name).response.body for take in takes] == [
            what.response.body for what in batch
        ]
        assert answers(later, exchange("Hi")) == ["1", "3"]
    assert files(tmp_path / "one") == files(tmp_path / "together")
    assert len(library(tmp_path / "together")) == 5


def test_a_batch_is_synced_before_the_first_of_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    into = library(tmp_path / "r")
    write(into, exchange("Hi", "old"))
    acts: list[str] = []
    real = {name: getattr(os, name) for name in ("fsync", "replace")}

    def sync(handle: int) -> None:
        path = os.readlink(f"/proc/self/fd/{handle}")
        acts.append("sync folder" if os.path.isdir(path) else "sync")
        real["fsync"](handle)

    def swap(source: Any, target: Any) -> None:
        acts.append("rename")
        real["replace"](source, target)

    later = library(tmp_path / "r")
    takes = [stage(later, exchange(prompt)) for prompt in ("Hi", "Ho", "Ha")]
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", swap)
    later.commit()
    assert acts == [*["sync"] * 3, *["rename"] * 3, "sync folder"]
    assert [take.error for take in takes] == [None] * 3


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("failing", [1, 2, 3])
def test_one_that_cannot_be_written_leaves_the_others_of_its_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, failing: int
) -> None:
    """Also the one that was to replace the older takes: the next of its key does that then."""
    first = library(tmp_path / "r")
    for answer in ("one", "two"):
        write(first, exchange("Hi", answer))
    write(first, exchange("Ho", "old"))
    later = library(tmp_path / "r")
    takes = [stage(later, exchange("Ho", answer)) for answer in ("new", "newer", "newest")]
    takes.append(stage(later, exchange("Hi", "new")))
    real, calls = getattr(os, call), 0

    def full(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise OSError(28, "No space left on device")
        real(*arguments)

    monkeypatch.setattr(os, call, full)
    later.commit()
    monkeypatch.undo()
    assert [take.error is not None for take in takes] == [n == failing - 1 for n in range(4)]
    assert "No space left" in str(takes[failing - 1].error)
    expected = ["new", "newer", "newest"]
    del expected[failing - 1]
    for opened in (later, library(tmp_path / "r")):
        assert answers(opened, exchange("Ho")) == expected
        assert answers(opened, exchange("Hi")) == ["new"]
    assert [path for path in (tmp_path / "r").rglob(".*") if path.suffix in (".tmp", ".void")] == []
    # What names its source names no other: a name that was given is not given again.
    names = [take.entry.name for take in takes]
    assert len({*names, stage(later, exchange("Ho")).entry.name}) == 5
    later.commit()


BATCH_KILLED = f"""{IN_ANOTHER_PROCESS}
root = Path(sys.argv[2])
def batch(folder, step):
    later = library(folder)
    for prompt in ("Hi", "Ho", "Ha"):
        stage(later, exchange(prompt, "new"))
    die_at(step, "fsync", "replace", "unlink", "open")
    later.commit()
first = library(root / "before")
for prompt in ("Hi", "Hi", "Ho"):
    write(first, exchange(prompt, "old"))
for step in range(1, 100):
    folder = root / str(step)
    shutil.copytree(root / "before", folder)
    child = os.fork()
    if child == 0:
        batch(folder, step)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
"""


def test_a_batch_that_is_killed_at_any_step_leaves_each_old_or_new(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BATCH_KILLED, str(paths.ROOT), str(tmp_path)]
    subprocess.run(command, check=True, timeout=PATIENCE)
    steps = [path for path in tmp_path.iterdir() if path.name.isdecimal()]
    steps.sort(key=lambda path: int(path.name))
    assert len(steps) > 12
    seen = []
    for folder in steps:
        after = library(folder)
        seen.append([answers(after, exchange(prompt)) for prompt in ("Hi", "Ho", "Ha")])
        assert seen[-1][0] in (["old", "old"], ["new"])
        assert seen[-1][1] in (["old"], ["new"])
        assert seen[-1][2] in ([], ["new"])
        assert after.faults == []
        assert list(folder.rglob("*.void")) == []
    assert seen[0] == [["old", "old"], ["old"], []]
    assert seen[-1] == [["new"], ["new"], ["new"]]


@pytest.mark.parametrize("kept", [False, True])
def test_a_run_that_only_records_keeps_no_answers_in_an_index_that_goes_with_it(
    tmp_path: Path, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kept index is another run's, too: that has to find there what a reading would give."""
    (tmp_path / "r").mkdir()
    if kept:
        monkeypatch.setattr(scanned_folder, "LARGE", 0)
    state = LocalState(tmp_path, "fingerprint" if kept else "")
    request = from_request(exchange("Hi").request)
    digest = document_digest(request, request)
    assert digest is not None

    def opened() -> Library:
        made = Library(tmp_path / "r", Matcher(built_in()), state=state)
        made.load()
        return made

    recorder = opened()
    recorder.is_asked = False
    write(recorder, exchange("Hi"))
    assert answers(recorder, exchange("Hi")) == ["hello"]
    again = Library(tmp_path / "r", Matcher(built_in()), state=LocalState(tmp_path))
    again.load()
    assert again.known(digest) is not None
    assert sketches(again) != [(b"",)]
    is_known = recorder.known(digest) is not None
    assert [is_known, sketches(recorder) == sketches(again)] == [kept, kept]


def sketches(of: Library) -> list[tuple[bytes]]:
    return of._query(lambda index: index._db.execute("SELECT sketch FROM sketches").fetchall())

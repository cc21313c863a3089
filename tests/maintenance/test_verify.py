"""What `verify` finds in recordings, each fault by itself."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support import paths
from tests.support.stored import CHAT, document, key12, put

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.recording.text import side_file_name
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.maintenance.inventory import sessions
from wiretape.maintenance.verify import FileProblem, Keys, Verified, verify

SEEDS = paths.RECORDINGS


def look(folder: Path) -> Verified:
    redactor = Redactor(RedactionRules())
    (files, *_) = sessions(folder)
    return verify(files, Keys(Matcher(built_in()), redactor), redactor, lambda name: name)


def rules(folder: Path) -> list[tuple[str, str]]:
    return [(one.rule, one.name) for one in look(folder).findings]


def with_side_file(data: bytes = b"\0\xff" * 10_000) -> tuple[dict[str, Any], str]:
    stored = document("Hi")
    del stored["request"]["body"]
    name = side_file_name(data)
    stored["request"]["headers"] = {"content-type": "application/octet-stream"}
    stored["request"]["body_file"] = name
    return stored, name


def test_a_recording_as_wiretape_writes_it_is_well(tmp_path: Path) -> None:
    put(tmp_path, document("Hi"))
    assert look(tmp_path).findings == ()


def test_llamastacks_own_recordings_are_well() -> None:
    assert look(SEEDS).findings == ()


def test_a_file_that_is_no_recording_is_told_and_why(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text("{}")
    assert look(tmp_path).findings == (
        FileProblem(
            "package.json",
            "no-recording",
            "has no request and response objects: not a recording",
            "record it anew, or delete it",
        ),
    )


def test_a_recording_that_does_not_replay_is_told(tmp_path: Path) -> None:
    stored = document("Hi")
    stored["response"]["status"] = 99
    path = put(tmp_path, stored)
    (found,) = look(tmp_path).findings
    assert (found.name, found.rule) == (path.relative_to(tmp_path).as_posix(), "no-recording")
    assert found.text == "response.status: expected an HTTP status, got 99"


def test_an_edited_request_no_longer_fits_the_name(tmp_path: Path) -> None:
    stored = document("Hello")
    path = put(tmp_path, stored, f"{CHAT}/{key12(document('Hi'))}.json")
    (found,) = look(tmp_path).findings
    assert (found.rule, found.fixable) == ("name", True)
    assert found.text == (
        f"named {path.stem!r}, but its key begins with {key12(stored)}: it was edited, or rules"
        " changed (it answers all the same)"
    )


def test_a_name_of_another_kind_is_told(tmp_path: Path) -> None:
    put(tmp_path, document("Hi"), "weather.json")
    assert rules(tmp_path) == [("name", "weather.json")]


def test_one_take_twice_is_told_of_the_second(tmp_path: Path) -> None:
    stored = document("Hi")
    first = f"a.example/e/{key12(stored)}.json"
    second = f"b.example/e/{key12(stored)}.json"
    put(tmp_path, stored, first)
    put(tmp_path, stored, second)
    (found,) = look(tmp_path).findings
    assert (found.name, found.rule, found.fixable) == (second, "same-take", True)
    assert found.text.startswith(f"the same key and take 1 as {first};")


def test_takes_of_one_key_are_well(tmp_path: Path) -> None:
    stored = document("Hi")
    put(tmp_path, stored)
    put(tmp_path, stored, f"{CHAT}/{key12(stored)}.2.json")
    assert rules(tmp_path) == []


def test_another_layout_is_told_and_rewritten_as_the_same_document(tmp_path: Path) -> None:
    path = put(tmp_path, document("Hi"))
    text = path.read_text()
    path.write_text(json.dumps(json.loads(text), indent=4))
    found = look(tmp_path)
    name = path.relative_to(tmp_path).as_posix()
    assert [(one.rule, one.fixable) for one in found.findings] == [("layout", True)]
    assert found.rewrites == {name: text}


def test_a_member_named_twice_is_not_rewritten(tmp_path: Path) -> None:
    path = put(tmp_path, document("Hi"))
    path.write_text(path.read_text().replace('"model": "m"', '"model": "x", "model": "m"', 1))
    found = look(tmp_path)
    assert [(one.rule, one.fixable) for one in found.findings] == [("layout", False)]
    assert found.findings[0].text == "names a member twice; only the last counts"
    assert found.rewrites == {}


def test_a_true_side_file_is_well(tmp_path: Path) -> None:
    stored, side = with_side_file()
    path = put(tmp_path, stored)
    path.with_name(side).write_bytes(b"\0\xff" * 10_000)
    assert rules(tmp_path) == []


def test_a_side_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    stored, side = with_side_file()
    put(tmp_path, stored)
    (found,) = look(tmp_path).findings
    assert found.text == f"side file {side}: No such file or directory"


def test_a_side_file_that_is_not_true_is_told(tmp_path: Path) -> None:
    stored, side = with_side_file()
    put(tmp_path, stored).with_name(side).write_bytes(b"something else")
    (found,) = look(tmp_path).findings
    assert found.text == f"side file {side}: its content is not what its name says"


def test_a_side_file_that_nobody_names_is_told(tmp_path: Path) -> None:
    side = side_file_name(b"left")
    put(tmp_path, document("Hi")).with_name(side).write_bytes(b"left")
    assert rules(tmp_path) == [("orphan", f"{CHAT}/{side}")]


def test_a_secret_is_told_by_its_line_and_not_shown(tmp_path: Path) -> None:
    key = "tgp_v1_" + "0123456789abcdefghijklmnopqrstuvwxyzABCDEF_"
    path = put(tmp_path, document(f"my key is {key}"))
    name = path.relative_to(tmp_path).as_posix()
    found = [one for one in look(tmp_path).findings if one.rule == "secret"]
    assert found
    assert {one.remedy for one in found} == {f"wiretape redact {name}"}
    assert key not in str(found)


def test_a_secret_in_a_side_file_is_told(tmp_path: Path) -> None:
    data = b"my key is tgp_v1_" + b"0123456789abcdefghijklmnopqrstuvwxyzABCDEF_" + b"\n" * 20_000
    stored, side = with_side_file(data)
    put(tmp_path, stored).with_name(side).write_bytes(data)
    assert ("secret", f"{CHAT}/{side}") in rules(tmp_path)


def test_an_id_of_a_recording_that_is_not_here_is_told(tmp_path: Path) -> None:
    stored = document("Hi")
    stored["request"]["ids"] = {"resp_1": "0123456789ab#0"}
    path = put(tmp_path, stored)
    name = path.relative_to(tmp_path).as_posix()
    assert ("origin", name) in rules(tmp_path)


def test_ids_that_are_no_texts_are_told(tmp_path: Path) -> None:
    stored = document("Hi")
    stored["request"]["ids"] = {"resp_1": 3}
    put(tmp_path, stored, "x.json")
    assert "no-recording" in [rule for rule, _ in rules(tmp_path)]


@pytest.mark.parametrize("data", [b"", b"\xff", b"[", b'{"request": {}, "response": {}}'])
def test_no_bytes_end_in_a_traceback(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.json").write_bytes(data)
    assert rules(tmp_path) == [("no-recording", "x.json")]


@pytest.mark.parametrize("status", [100, 101, 103, 150, 199])
def test_an_interim_answer_is_refused(tmp_path: Path, status: int) -> None:
    stored = document("Hi")
    stored["response"]["status"] = status
    put(tmp_path, stored)
    (found,) = look(tmp_path).findings
    assert (found.rule, found.text) == (
        "no-recording",
        f"response.status: expected the status of a final answer (200 to 599), got {status}",
    )


def test_line_ends_that_a_checkout_changed_are_well(tmp_path: Path) -> None:
    path = put(tmp_path, document("Hi"))
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert look(tmp_path).findings == ()


def test_a_byte_order_mark_is_a_matter_of_layout(tmp_path: Path) -> None:
    path = put(tmp_path, document("Hi"))
    whole = path.read_text()
    path.write_text("\ufeff" + whole)
    found = look(tmp_path)
    assert [(one.rule, one.fixable) for one in found.findings] == [("layout", True)]
    assert list(found.rewrites.values()) == [whole]


def test_a_git_conflict_is_named(tmp_path: Path) -> None:
    path = put(tmp_path, document("Hi"))
    path.write_text("<<<<<<< HEAD\n" + path.read_text())
    (found,) = look(tmp_path).findings
    assert found.text.startswith("a git conflict is not resolved (line 1): take one side whole")


def test_a_link_to_a_folder_is_named(tmp_path: Path) -> None:
    path = put(tmp_path / "real", document("Hi"))
    host = path.parents[1]
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / host.name).symlink_to(host)
    (found,) = look(tmp_path / "r").findings
    assert (found.name, found.rule) == (host.name, "unreadable")
    assert "a link to a folder, which is not followed" in found.text

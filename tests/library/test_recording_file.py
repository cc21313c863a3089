"""One file: read whole, or refused with the reason; and what an index keeps of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.stored import CHAT, document, exchange, key12, put

from wiretape.config.packs import built_in
from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Request
from wiretape.core.recording.document import Document
from wiretape.library.recording_file import (
    MTIME_GRANULARITY_NS,
    Facts,
    MatchKind,
    Same,
    StoredRequest,
    answered,
    facts,
    is_settled,
    links_of,
    load,
    load_requests,
    recorded_us,
    side_files,
    stat_of,
    token_of,
)

SIDE = "0" * 64 + ".bin"
MATCHER = Matcher(built_in())


def examine(request: Document, /, read: Request | None = None) -> StoredRequest:
    return StoredRequest((MATCHER.canonical(request),))


def test_a_recording_is_loaded_with_its_exchange(tmp_path: Path) -> None:
    loaded = load(put(tmp_path, document("Hi")))
    assert loaded.exchange == exchange("Hi")
    assert (loaded.foreign, loaded.also) == (False, ())
    assert loaded.stat == stat_of(tmp_path / CHAT / f"{key12(document('Hi'))}.json")


def test_what_is_not_a_recording_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(FormatError):
        load(tmp_path / "x.json")
    kept = facts(tmp_path, "x.json", examine)
    assert isinstance(kept, Facts)
    assert kept.fault is not None
    assert not kept.awaits_side_file


def test_an_index_keeps_the_keys_the_take_and_the_token(tmp_path: Path) -> None:
    stored = document("Hi")
    key = MATCHER.canonical(stored["request"]).key
    put(tmp_path, stored, f"h/{key[:12]}.3.json")
    kept = facts(tmp_path, f"h/{key[:12]}.3.json", examine)
    assert isinstance(kept, Facts)
    assert [(each.key, each.match_kind) for each in kept.keys] == [(key, MatchKind.EXACT)]
    assert (kept.take, kept.token) == (3, f"{key[:12]}.3")
    assert kept.recorded == recorded_us(stored) > 0


def test_a_file_that_is_the_same_is_said_to_be(tmp_path: Path) -> None:
    put(tmp_path, document("Hi"), "x.json")
    kept = facts(tmp_path, "x.json", examine)
    assert isinstance(kept, Facts)
    assert isinstance(facts(tmp_path, "x.json", examine, kept.content), Same)
    put(tmp_path, document("Ho"), "x.json")
    assert isinstance(facts(tmp_path, "x.json", examine, kept.content), Facts)
    (tmp_path / "x.json").unlink()
    assert facts(tmp_path, "x.json", examine, kept.content) is None


def test_a_recording_without_its_side_file_waits_for_it(tmp_path: Path) -> None:
    stored = document("Hi")
    stored["response"]["body"] = {"file": SIDE}
    put(tmp_path, stored, "x.json")
    kept = facts(tmp_path, "x.json", examine)
    assert isinstance(kept, Facts)
    assert (kept.awaits_side_file, kept.sides) == (True, (SIDE,))
    (tmp_path / SIDE).write_bytes(b"other")
    kept = facts(tmp_path, "x.json", examine)
    assert isinstance(kept, Facts)
    assert "its content is not what its name says" in (kept.fault or "")


@pytest.mark.parametrize("name", ["../x.bin", "/etc/passwd", "x.bin", SIDE.upper()])
def test_a_side_file_cannot_be_any_other_file(tmp_path: Path, name: str) -> None:
    stored = document("Hi")
    stored["response"]["body"] = {"file": name}
    put(tmp_path, stored, "x.json")
    with pytest.raises(FormatError):
        load(tmp_path / "x.json")


def test_requests_are_read_without_the_answer(tmp_path: Path) -> None:
    stored = document("Hi")
    path = put(tmp_path, stored)
    assert load_requests(path) == (stored["request"],)
    with pytest.raises(StoreError, match="changed since it was looked at"):
        load_requests(path, (0, 0, 0))


def test_a_change_shows_unless_it_is_within_a_tick_of_the_clock() -> None:
    now = 10**18
    assert not is_settled(now, now)
    assert not is_settled(now - MTIME_GRANULARITY_NS, now)
    assert is_settled(now - MTIME_GRANULARITY_NS - 1, now)
    assert is_settled(now + MTIME_GRANULARITY_NS + 1, now)


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("h/0123456789ab.json", "0123456789ab"),
        ("h/0123456789ab.2.json", "0123456789ab.2"),
        ("h/mine.json", "f" * 12),
        ("h/0123456789AB.json", "f" * 12),
    ],
)
def test_a_token_is_the_files_name_or_its_key(name: str, token: str) -> None:
    assert token_of(name, "f" * 64) == token


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00.000001", 1),
        (None, 0),
        ("yesterday", 0),
        (5, 0),
    ],
)
def test_when_it_was_recorded_is_in_microseconds(value: Any, expected: int) -> None:
    assert recorded_us({"recorded_at": value}) == expected


def test_tokens_of_ids_are_texts() -> None:
    links: Any = {"request": {"ids": {"resp_1": "0123456789ab#0", "x": 1}}}
    assert links_of(links) == {"resp_1": "0123456789ab#0"}
    assert links_of({"request": {"ids": [1]}}) == {}


def test_side_files_are_named_once() -> None:
    other = "1" * 64 + ".bin"
    items = [{"file": SIDE}, {"file": SIDE}, {"file": "../x"}, "text"]
    stored: Any = {"request": {"body_file": other}, "response": {"body": items}}
    assert side_files(stored) == [SIDE, other]


def test_a_form_with_the_ids_spelled_out_comes_after_its_own() -> None:
    first, second = (MATCHER.canonical(document(prompt)["request"]) for prompt in ("Hi", "Ho"))
    kinds = [each.match_kind for each in answered([first, second], [first])]
    assert kinds == [MatchKind.EXACT, MatchKind.WITH_IDS]
    kinds = [each.match_kind for each in answered([first, second], foreign=True)]
    assert kinds == [MatchKind.LLAMA_STACK] * 2
    assert json.dumps(kinds) == "[2, 2]"

"""The requests that are sent again: each once, with all takes that answered it."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.parts import settings_in
from tests.support.stored import CHAT, document, key12, put

from wiretape.core.errors import ConfigError
from wiretape.core.redaction.redactor import Redactor
from wiretape.drift.targets import ChosenRecordings, Target, targets


def chosen(folder: Path, **choice: Any) -> tuple[list[Target], list[str]]:
    config = settings_in(folder, "replay").config
    redactor = Redactor(config.redaction)
    return targets(folder / "r", ChosenRecordings(**choice), config, redactor)


def names(folder: Path, **choice: Any) -> list[tuple[str, ...]]:
    return [target.names for target in chosen(folder, **choice)[0]]


def test_takes_of_one_request_are_one_target(tmp_path: Path) -> None:
    first, second = document("Hi"), document("Ho")
    for name in (f"{key12(first)}.json", f"{key12(first)}.2.json"):
        put(tmp_path / "r", first, f"{CHAT}/{name}")
    put(tmp_path / "r", second)
    (one, two), faults = chosen(tmp_path)
    assert {len(one.takes), len(two.takes)} == {1, 2}
    assert (one.provider_name, one.model, one.skipped) == ("together", "m", None)
    assert faults == []


def test_equal_requests_of_two_sessions_are_two_targets(tmp_path: Path) -> None:
    put(tmp_path / "r", document("Hi"))
    put(tmp_path / "r" / "one", document("Hi"))
    found, _ = chosen(tmp_path)
    assert {target.session for target in found} == {None, "one"}
    assert [target.session for target in chosen(tmp_path, session="one")[0]] == ["one"]
    assert [target.session for target in chosen(tmp_path, without_session="one")[0]] == [None]


def test_a_name_a_path_or_a_number_chooses(tmp_path: Path) -> None:
    stored = [document(prompt) for prompt in ("Hi", "Ho", "Hey")]
    for each in stored:
        put(tmp_path / "r", each)
    assert len(names(tmp_path, names=(key12(stored[1]),))) == 1
    assert len(names(tmp_path, only=("/v1/chat/*",))) == 3
    assert len(names(tmp_path, sample=2)) == 2
    assert len(names(tmp_path, sample=9)) == 3


def test_a_choice_of_nothing_is_wrong_use(tmp_path: Path) -> None:
    put(tmp_path / "r", document("Hi"))
    with pytest.raises(ConfigError, match="no recording that is chosen; `wiretape ls` lists them"):
        chosen(tmp_path, only=("/v1/nothing",))
    with pytest.raises(ConfigError, match="--only "):
        chosen(tmp_path, only=("nonsense",))
    with pytest.raises(ConfigError, match="ffffff"):
        chosen(tmp_path, names=("ffffff",))


def test_a_file_that_is_not_a_recording_is_named(tmp_path: Path) -> None:
    put(tmp_path / "r", document("Hi"))
    (tmp_path / "r" / CHAT / "x.json").write_text("{")
    found, faults = chosen(tmp_path)
    assert len(found) == 1
    assert faults[0].startswith("x.json: ") or "x" in faults[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"edited": {}}, "its answer was edited by hand"),
        ({"status": 503}, "its answer is a 503, which depends on the moment"),
        ({"end": "cut"}, "its answer was not recorded whole (cut)"),
    ],
)
def test_an_answer_that_says_nothing_of_its_provider_is_skipped(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    stored = document("Hi")
    (stored if "edited" in change else stored["response"]).update(change)
    put(tmp_path / "r", stored)
    (target,), _ = chosen(tmp_path)
    assert (target.skipped, target.takes) == (reason, ())


def test_what_may_change_something_there_is_sent_only_where_that_is_wanted(tmp_path: Path) -> None:
    stored = document("Hi")
    stored["request"]["url"] = "https://api.together.xyz/v1/fine-tunes"
    stored["request"]["endpoint"] = "/v1/fine-tunes"
    put(tmp_path / "r", stored, "api.together.xyz/v1-fine-tunes/x.json")
    (target,), _ = chosen(tmp_path)
    assert target.skipped is not None
    (target,), _ = chosen(tmp_path, unsafe=True)
    assert target.skipped is None

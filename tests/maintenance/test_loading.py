"""Recordings loaded by name, compared, and cleared for sharing."""

import re
from pathlib import Path

import pytest
from tests.support.page_recordings import KEY, recording, write

from wiretape.config.load import load
from wiretape.core.errors import StoreError
from wiretape.core.redaction.redactor import Redactor
from wiretape.maintenance.loading import (
    SHARED_CHUNKS,
    check_shareable,
    compare_recordings,
    load_named,
)

CONFIG = load(None, {})
OPENAI_KEY = "sk-proj-" + "T3BlbkFJ9aX2mB5nTc8vLj4hGs6pYa1eUoZbNi0KwMx7Rz"


def test_a_file_that_is_no_recording_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(StoreError, match=re.escape("a.json: ")):
        load_named(tmp_path, "a.json")


def test_two_takes_are_compared_by_what_they_ask_and_answer(tmp_path: Path) -> None:
    write(tmp_path, "a.json", recording(["Hi"]))
    write(tmp_path, "b.json", recording(["Ho"]))
    a, b = (load_named(tmp_path, name)[1] for name in ("a.json", "b.json"))
    result = compare_recordings(a, b, CONFIG.matcher, Redactor(CONFIG.redaction))
    assert [(d.path, d.a, d.b) for d in result.answer] == [("answer.text", "Hi", "Ho")]
    assert not result.request
    assert result.facts["chunks"] == (2, 2)


@pytest.mark.parametrize("place", ["prompt", "answer", "header"])
def test_what_holds_a_secret_is_not_shared(tmp_path: Path, place: str) -> None:
    document = recording([OPENAI_KEY] if place == "answer" else ["Hi"])
    if place == "prompt":
        document["request"]["body"]["messages"][0]["content"] = f"use {OPENAI_KEY}"
    if place == "header":
        document["request"]["headers"]["x-key"] = OPENAI_KEY
    write(tmp_path, "a.json", document)
    named, loaded = load_named(tmp_path, "a.json")
    with pytest.raises(StoreError, match="holds a secret") as caught:
        check_shareable(named, loaded, (), Redactor(CONFIG.redaction))
    assert OPENAI_KEY not in str(caught.value)
    assert "wiretape redact" in str(caught.value)


def test_what_is_shown_of_later_chunks_is_searched_too(tmp_path: Path) -> None:
    write(tmp_path, "a.json", recording([*["word "] * SHARED_CHUNKS, OPENAI_KEY]))
    named, loaded = load_named(tmp_path, "a.json")
    with pytest.raises(StoreError, match="holds a secret"):
        check_shareable(named, loaded, [f"word {OPENAI_KEY}"], Redactor(CONFIG.redaction))


def test_what_is_redacted_is_shared(tmp_path: Path) -> None:
    write(tmp_path, "a.json", recording(["Hi ", KEY], prompt=f"use {KEY}"))
    named, loaded = load_named(tmp_path, "a.json")
    check_shareable(named, loaded, ["Hi " + KEY], Redactor(CONFIG.redaction))

"""`--set KEY.PART=TEXT` changes an answer for one run, and no file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.stored import JSON, document, exchange, key12, put

from wiretape.core.errors import ConfigError
from wiretape.core.model import Chunk, Response
from wiretape.core.recording.document import from_exchange
from wiretape.run.edits import PartEdit, edited_exchanges, parse_edit


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3f2a.text=Hello", ("3f2a", "text", "Hello")),
        ("3f2a.2.text=", ("3f2a.2", "text", "")),
        ("3f2a.text=a=b.c", ("3f2a", "text", "a=b.c")),
    ],
)
def test_an_edit_is_read(value: str, expected: tuple[str, str, str]) -> None:
    assert parse_edit(value) == PartEdit(*expected)


@pytest.mark.parametrize("value", ["", "3f2a", "3f2a.text", "3f2a=Hello", ".text=Hello", "3f2a.=x"])
def test_what_is_not_an_edit_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"expected KEY\.PART=TEXT, such as 3f2a\.text=Hello"):
        parse_edit(value)


def chat(prompt: str, reply: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": reply}}
    body = json.dumps({"id": "c", "object": "chat.completion", "choices": [choice]}).encode()
    answered = replace(exchange(prompt), response=Response(200, JSON, (Chunk(body, 0.1),)))
    return from_exchange(answered)


def test_an_answer_says_the_new_text_and_its_file_the_old_one(tmp_path: Path) -> None:
    stored = chat("Hi", "Hello")
    path = put(tmp_path, stored)
    before = path.read_bytes()
    edits = [PartEdit(key12(stored), "text", "Goodbye")]
    ((edited_path, edited),) = edited_exchanges(tmp_path, None, edits).items()
    assert edited_path == path.resolve()
    assert b'"Goodbye"' in edited.response.body
    assert b'"Hello"' not in edited.response.body
    assert path.read_bytes() == before


def test_a_part_that_the_answer_does_not_have_is_named(tmp_path: Path) -> None:
    stored = chat("Hi", "Hello")
    put(tmp_path, stored)
    with pytest.raises(ConfigError, match=f"--set {key12(stored)}: "):
        edited_exchanges(tmp_path, None, [PartEdit(key12(stored), "nothing", "x")])


def test_a_recording_that_is_not_there_is_named(tmp_path: Path) -> None:
    put(tmp_path, document("Hi"))
    with pytest.raises(ConfigError, match="ffffffff"):
        edited_exchanges(tmp_path, None, [PartEdit("ffffffff", "text", "x")])

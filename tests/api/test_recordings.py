"""Recordings as objects."""

from pathlib import Path

import pytest
from tests.support import paths, stored

import wiretape


def test_recordings_are_gone_through(recorded: Path) -> None:
    first, second = wiretape.open(recorded)
    assert (first.session, second.session) == (None, "checkout")
    assert first.request.url == "https://api.together.xyz/v1/chat/completions"
    assert (first.model, first.endpoint) == ("m", "/v1/chat/completions")
    assert b'"Hi"' in first.request.body
    assert first.response.status == 200
    assert [(chunk.at, chunk.data[:8]) for chunk in first.response.chunks] == [(0.1, b'{"id": "')]
    assert first.recorded_at is not None
    assert first.recorded_at.isoformat() == "2026-11-20T17:30:00+00:00"
    assert first.path.read_bytes()
    assert first.document["wiretape"] == 1
    assert [r.session for r in wiretape.open(recorded, session="checkout")] == ["checkout"]
    assert len(wiretape.open(recorded)) == 2


def test_redactions_are_counted(tmp_path: Path) -> None:
    stored.put(tmp_path, stored.document("REDACTED-openai-key-3f9a1c07 and REDACTED-secret"))
    (recording,) = wiretape.open(tmp_path)
    assert recording.redactions == {"REDACTED-openai-key-3f9a1c07": 1, "REDACTED-secret": 1}


def test_llama_stacks_recordings_are_read_too() -> None:
    found = list(wiretape.open(paths.ROOT / "recordings"))
    assert [recording.response.streaming for recording in found] == [True] * 4
    assert {len(recording.response.chunks) for recording in found} == {21, 25, 26, 51}


def test_a_file_that_is_no_recording_is_told_or_skipped(recorded: Path) -> None:
    bad = recorded / "bad.json"
    bad.write_text("{")
    with pytest.raises(wiretape.FormatError, match=r"bad\.json: "):
        list(wiretape.open(recorded))
    recordings = wiretape.open(recorded, on_fault="skip")
    assert len(list(recordings)) == 2
    assert list(recordings.faults) == [bad]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(wiretape.ConfigError, match="no such folder"):
        wiretape.open(tmp_path / "none")

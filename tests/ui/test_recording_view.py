"""What the page shows of a recording: all that matters, and never without bounds."""

import base64
from pathlib import Path
from typing import Any

import pytest
from tests.support.page_recordings import KEY, PNG, loaded, recording

from wiretape.config.load import load
from wiretape.ui.recording_view import EVENTS, RecordingView, at_event, recording_view


def view(folder: Path, document: dict[str, Any], **more: Any) -> RecordingView:
    return recording_view("a.json", "recordings/a.json", loaded(folder, document), **more)


def image(data: str, kind: str = "image/png") -> list[dict[str, Any]]:
    return [{"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}]


def test_a_conversation_has_both_sides(tmp_path: Path) -> None:
    seen = view(tmp_path, recording(["Hel", "lo"]))
    assert [(turn.role, [part.text for part in turn.parts]) for turn in seen.turns] == [
        ("user", ["Say it"]),
        ("assistant", ["Hello"]),
    ]
    assert (seen.method, seen.status, seen.chunks, seen.first, seen.total) == (
        *("POST", 200, 3, 0.2, 0.4),
    )


def test_a_cost_is_told_where_a_price_is_known_and_never_guessed(tmp_path: Path) -> None:
    config = load(None, {})
    document = recording(["Hi"])
    assert view(tmp_path, document, config=config).cost is None
    document["request"]["body"]["model"] = "gpt-4.1"
    assert str(view(tmp_path, document, config=config).cost).endswith(" USD")


def test_words_and_moments_go_together(tmp_path: Path) -> None:
    line = view(tmp_path, recording(["Hel", "lo"])).timeline
    assert line is not None
    assert line.words == ["Hel", "lo", ""]
    assert line.data == {"at": [0.2, 0.3, 0.4], "length": [3, 5, 5], "end": 0.4}


def test_the_texts_are_all_that_is_shown_of_an_answer(tmp_path: Path) -> None:
    seen = view(tmp_path, recording([*["word " * 100] * 120, "la", "st"]))
    assert len(seen.turns[1].parts[0].text) == 50_000
    assert "last" in seen.texts[-1]


def test_redactions_are_listed_with_rule_and_places(tmp_path: Path) -> None:
    seen = view(tmp_path, recording(["Hi"], prompt=f"use {KEY}"))
    assert seen.redactions == [(KEY, "openai-key", ["request.body.messages[0].content"])]


def test_an_image_is_shown_if_its_bytes_are_of_a_safe_type(tmp_path: Path) -> None:
    (part,) = view(tmp_path, recording(["Hi"], prompt=image(PNG))).turns[0].parts
    assert part.image == f"data:image/png;base64,{PNG}"


@pytest.mark.parametrize(
    "data", [b"<svg onload=alert(1)>", b"RIFF\0\0\0\0WAVEfmt ", b"<html>", b""]
)
def test_another_image_is_only_described(tmp_path: Path, data: bytes) -> None:
    prompt = image(base64.b64encode(data).decode(), "image/svg+xml")
    (part,) = view(tmp_path, recording(["Hi"], prompt=prompt)).turns[0].parts
    assert part.image == ""
    assert part.text.startswith("[image")


def test_an_image_that_is_not_base64_is_only_described(tmp_path: Path) -> None:
    prompt = image(f'{PNG}" onerror="alert(1)')
    (part,) = view(tmp_path, recording(["Hi"], prompt=prompt)).turns[0].parts
    assert part.image == ""


def test_a_sound_can_be_saved(tmp_path: Path) -> None:
    data = base64.b64encode(b"RIFF\0\0\0\0WAVEfmt ").decode()
    prompt = [{"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}]
    (part,) = view(tmp_path, recording(["Hi"], prompt=prompt)).turns[0].parts
    assert (part.sound, part.image) == (f"data:audio/wav;base64,{data}", "")


def test_a_long_text_is_cut_and_says_so(tmp_path: Path) -> None:
    (part,) = view(tmp_path, recording(["Hi"], prompt="x" * 70_000)).turns[0].parts
    assert (len(part.text), part.more) == (50_000, 20_000)


def test_many_turns_are_bounded_and_counted(tmp_path: Path) -> None:
    document = recording(["Hi"])
    document["request"]["body"]["messages"] *= 3_000
    seen = view(tmp_path, document)
    assert sum(len(turn.parts) for turn in seen.turns) == 2_000
    assert seen.more_parts == 1_001


def test_events_come_by_the_page(tmp_path: Path) -> None:
    document = recording([f"{number} " for number in range(EVENTS + 5)])
    first = view(tmp_path, document)
    second = at_event(first, loaded(tmp_path, document), EVENTS)
    assert [event.number for event in first.events] == list(range(1, EVENTS + 1))
    assert [event.number for event in second.events] == list(range(EVENTS + 1, EVENTS + 7))
    assert first.events[0].gap is None
    assert round(second.events[0].gap or 0, 3) == 0.1
    assert at_event(first, loaded(tmp_path, document), 10_000).events == []


def test_the_raw_bytes_of_an_event_have_their_line_ends_drawn(tmp_path: Path) -> None:
    event = view(tmp_path, recording(["Hi"])).events[0]
    assert event.raw.startswith("data: {")
    assert event.raw.endswith("}␊\n␊\n")
    assert event.brief.startswith('{"choices"')


def test_bytes_that_are_not_text_are_drawn_in_hexadecimal(tmp_path: Path) -> None:
    document = recording([])
    document["response"] |= {
        "headers": {"content-type": "application/octet-stream"},
        "body": [{"base64": base64.b64encode(bytes(range(256)) * 40).decode(), "at": 0.1}],
    }
    event = view(tmp_path, document).events[0]
    assert event.raw.startswith("000000  00 01 02")
    assert event.raw.endswith("more")
    assert (event.name, event.brief) == ("binary", "10 kB that are not text")


def test_a_text_cut_within_a_character_is_still_text(tmp_path: Path) -> None:
    document = recording([])
    text = "é" * 9_000
    document["response"] |= {"headers": {"content-type": "text/plain"}, "body": [{"text": text}]}
    for lead in ("", "x"):
        document["response"]["body"][0]["text"] = lead + text
        assert view(tmp_path, document).events[0].raw.startswith(lead + "éé")


def test_an_answer_in_one_piece_has_no_timeline(tmp_path: Path) -> None:
    document = recording([])
    document["response"] |= {"is_streaming": False, "body": {"__data__": {}, "at": 0.1}}
    assert view(tmp_path, document).timeline is None


def test_the_command_that_asks_again_is_safe_to_paste(tmp_path: Path) -> None:
    document = recording(["Hi"])
    document["request"]["url"] = "https://api.openai.com/v1/x?a='$(rm)'"
    curl = view(tmp_path, document).curl
    assert """'https://api.openai.com/v1/x?a='"'"'$(rm)'"'"''""" in curl
    assert "$KEY" in curl

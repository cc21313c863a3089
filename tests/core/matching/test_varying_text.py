"""What varied between two texts is named, found by its line, and taken out whole."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.matching.body_changes import changed_text
from wiretape.core.matching.varying_text import VaryingPiece, varying_pieces
from wiretape.core.text.regex import Linear

CASES = {
    ("session: 5f3a9c now", "session: 99bc01 now"): ("id", "session: "),
    ("id ses_a8f3k2", "id ses_b9x111"): ("id", "id "),
    ("Today is Sunday, November 29, 2026.", "Today is Monday, November 30, 2026."): (
        "date",
        "Today is ",
    ),
    ("<date>2026-11-29T14:03:22.12Z</date>", "<date>2026-11-29T14:03:23.9Z</date>"): (
        "date",
        "<date>",
    ),
    ("now 14:03:22, go", "now 14:05:01, go"): ("time", "now "),
    ("Ran 3 tests in 0.012s\nOK", "Ran 3 tests in 0.3s\nOK"): ("duration", "Ran 3 tests in "),
    ("took 5 ms", "took 15 ms"): ("duration", "took "),
    ("real 0m1.5s", "real 2m0.25s"): ("duration", "real "),
    ("object at 0x7f3a>", "object at 0x7fff>"): ("address", "object at "),
    ("on http://localhost:5432/x", "on http://localhost:81/x"): ("port", "on http://"),
    ("pid 33 is", "pid 4444 is"): ("number", "pid "),
    ('{"process":33,', '{"process":4444,'): ("number", '{"process":'),
}


def of_run(pieces: list[VaryingPiece]) -> list[bool]:
    return [piece.is_of_run() for piece in pieces]


@pytest.mark.parametrize(("texts", "expected"), CASES.items())
def test_a_piece_is_named_with_what_announces_it(
    texts: tuple[str, str], expected: tuple[str, str]
) -> None:
    (piece,) = varying_pieces(*texts)
    assert (piece.kind, piece.before) == expected
    assert piece.is_of_run()
    left = {changed_text(text, [piece.change(None)]) for text in texts}
    assert len(left) == 1
    assert f"{expected[1]}{{{expected[0]}}}" in left.pop()
    assert Linear(piece.change(None).pattern)


@pytest.mark.parametrize(
    ("got", "recorded"),
    [
        ("book room 37", "book room 39"),
        ("add 0x7f and 1", "add 0x80 and 1"),
        ("decode a8f3k2x9", "decode b9x1112z"),
        ("a train goes 30 min far", "a train goes 45 min far"),
        ("What is 14:03 in Tokyo?", "What is 14:05 in Tokyo?"),
        ("hello", "goodbye"),
        ("abc", "abc def"),
        ("", "x"),
    ],
)
def test_what_may_be_the_question_is_not_of_the_run(got: str, recorded: str) -> None:
    assert of_run(varying_pieces(got, recorded)) == [False]


def test_a_tool_puts_out_times_and_addresses_but_no_plain_numbers() -> None:
    (clock,) = varying_pieces("-rw-r--r-- 14:03 a", "-rw-r--r-- 14:09 a")
    (degrees,) = varying_pieces("it has 17 degrees", "it has 19 degrees")
    assert (clock.is_of_run(), clock.is_of_run(is_tool_output=True)) == (False, True)
    assert not degrees.is_of_run(is_tool_output=True)


def test_an_id_that_a_system_text_sets_is_of_the_run() -> None:
    (piece,) = varying_pieces("cc_version=2; cch=e0e67;", "cc_version=2; cch=0ac74;")
    assert (piece.is_of_run(), piece.is_of_run(is_system=True)) == (False, True)
    (number,) = varying_pieces("say n=3;", "say n=4;")
    assert not number.is_of_run(is_system=True)


def test_a_placeholder_is_no_text_to_find_a_value_by() -> None:
    key = "REDACTED-secret-0a1b2c3d"
    (piece,) = varying_pieces(f"{key} run 5f3a", f"{key} run 99bc")
    assert piece.before == " run "


def test_the_text_around_a_value_begins_and_ends_with_whole_words() -> None:
    (piece,) = varying_pieces(
        "they lie in {cwd}, home {home}, run 5f3a of the sessions of {cwd}",
        "they lie in {cwd}, home {home}, run 99bc of the sessions of {cwd}",
    )
    assert piece.before == "{cwd}, home {home}, run "
    assert piece.after == " of the sessions of {cwd}"


TEXT = st.text(st.sampled_from("ab1 2:.-\n_é{(\\"), max_size=24)


@given(TEXT, TEXT)
def test_pieces_are_what_differs_and_nothing_is_lost(got: str, recorded: str) -> None:
    pieces = varying_pieces(got, recorded)
    assert (pieces == []) == (got == recorded)
    for number in (0, 1):
        text = (got, recorded)[number]
        at = 0
        for piece in pieces:
            at = text.index(piece.values[number], at) + len(piece.values[number])
    for piece in pieces:
        if piece.kind:
            assert all(re.fullmatch(piece.pattern, value) for value in piece.values)
            Linear(piece.change(None).pattern)

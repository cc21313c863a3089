"""Nothing of a text steers the terminal that it is printed on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.text.printable import count, escaped, printable, size


@given(st.text())
def test_what_is_printed_is_printable(text: str) -> None:
    assert printable(text).replace("\n", "").isprintable()
    assert printable(text, one_line=True).isprintable()
    assert escaped(text).isprintable()


@given(st.text(), st.characters())
def test_each_character_is_judged_by_itself(text: str, character: str) -> None:
    for shorter in (text, text + character):
        one_line = [printable(each, one_line=True) for each in shorter]
        assert printable(shorter, one_line=True) == "".join(one_line)
        assert printable(shorter) == "".join(map(printable, shorter))
        assert escaped(shorter) == "".join(map(escaped, shorter))


@given(st.characters())
def test_what_is_printable_stays(character: str) -> None:
    if character.isprintable():
        assert printable(character) == escaped(character) == character


def test_line_ends_stay_where_there_may_be_lines() -> None:
    assert printable("a\nb\r") == "a\nb\N{REPLACEMENT CHARACTER}"
    assert printable("a\nb", one_line=True) == "a\N{REPLACEMENT CHARACTER}b"
    assert escaped("a\nb\udcff") == "a\\nb\\udcff"


@pytest.mark.parametrize(("number", "text"), [(0, "0 files"), (1, "1 file"), (2, "2 files")])
def test_a_number_has_its_noun(number: int, text: str) -> None:
    assert count(number, "file") == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (12_345, "12 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (1_234_567, "1.2 MB"),
    ],
)
def test_bytes_have_a_unit(number: int, text: str) -> None:
    assert size(number) == text

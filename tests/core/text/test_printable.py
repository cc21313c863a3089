"""Nothing of a text steers the terminal that it is printed on."""

from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.text.printable import escaped, printable


@given(st.text())
def test_what_is_printed_is_printable(text: str) -> None:
    assert printable(text).replace("\n", "").isprintable()
    assert printable(text, one_line=True).isprintable()
    assert escaped(text).isprintable()


@given(st.text())
def test_what_is_printable_stays(text: str) -> None:
    if text.isprintable():
        assert printable(text) == printable(text, one_line=True) == escaped(text) == text


def test_line_ends_stay_where_there_may_be_lines() -> None:
    assert printable("a\nb\r") == "a\nb\N{REPLACEMENT CHARACTER}"
    assert printable("a\nb", one_line=True) == "a\N{REPLACEMENT CHARACTER}b"
    assert escaped("a\nb\udcff") == "a\\nb\\udcff"

"""Edits by spans: their places are those of the text as it was."""

from wiretape.core.text.spans import Edit, Span


def test_later_spans_are_told_in_the_first_text() -> None:
    edit = Edit("one two three four")
    edit.put([Span(4, 7, "SECOND", "a")])
    edit.put([Span(0, 3, "1", "b"), Span(11, 16, "3", "c")])
    assert edit.text == "1 SECOND 3 four"
    assert edit.spans == [Span(0, 3, "1", "b"), Span(4, 7, "SECOND", "a"), Span(8, 13, "3", "c")]


def test_a_span_that_holds_an_earlier_one_takes_its_place() -> None:
    edit = Edit("one two three four")
    edit.put([Span(4, 7, "SECOND", "a"), Span(14, 18, "4", "a")])
    edit.put([Span(2, 12, "-", "b")])
    assert edit.text == "on-hree 4"
    assert edit.spans == [Span(2, 9, "-", "b"), Span(14, 18, "4", "a")]


def test_nothing_to_put_changes_nothing() -> None:
    edit = Edit("one")
    edit.put([])
    assert (edit.text, edit.spans) == ("one", [])


def test_gaps_are_what_lies_beside_what_was_replaced() -> None:
    edit = Edit("one KEY two KEY")
    assert edit.gaps() == []
    edit.put([Span(4, 7, "X", "r"), Span(12, 15, "LONGER", "r")])
    assert edit.text == "one X two LONGER"
    assert [edit.text[start:end] for start, end in edit.gaps()] == ["one ", " two "]

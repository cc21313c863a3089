"""How one difference is worded."""

import pytest

from wiretape.core.matching.canonical import ABSENT, Difference
from wiretape.core.matching.diff_text import describe, difference, is_redaction, sides, word_diff
from wiretape.core.matching.structural_diff import Differing


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (Difference("body.a", ABSENT, 1), "body.a: got nothing, recorded 1"),
        (Difference("body.a", {"b": [1]}, None), 'body.a: got {"b": [1]}, recorded null'),
        (Difference("body.a", "é", "e"), 'body.a: got "é", recorded "e"'),
        (
            Difference("body.a", "x" * 500 + " Paris is big", "x" * 500 + " Rome is big"),
            f"body.a: …{'x' * 23} [-Rome-]{{+Paris+}} is big",
        ),
        (
            Difference("body.a", "Which planet do humans live on? Tell me. " * 2, "What is it?"),
            f'body.a: got "{"Which planet do humans live on? Tell me. " * 2}", recorded'
            ' "What is it?"',
        ),
        (Difference("body.a", [0] * 200, 1), f"body.a: got {str([0] * 200)[:159]}…, recorded 1"),
    ],
)
def test_a_difference_is_one_short_line(told: Difference, text: str) -> None:
    assert describe(told) == text


def test_of_long_texts_the_part_that_differs_is_kept() -> None:
    words = "word " * 20_000
    one = difference(
        Differing(("body", "json", "a"), f"{words}red {words}", f"{words}brown {words}")
    )
    assert describe(one) == "body.a: … word word word word [-brown-]{+red+} word word word word …"
    assert one.got == f"…{'word ' * 40}red{' word' * 40}…"


def test_of_long_texts_with_nothing_in_common_the_start_is_kept() -> None:
    one = difference(Differing(("a",), "word " * 20_000, "term " * 20_000))
    assert len(one.got) == len(one.recorded) == 4_000


def test_a_difference_is_a_word_diff_or_has_two_sides() -> None:
    assert word_diff(Difference("a", "x", "y")) is None
    assert sides(Difference("a", "x", ABSENT)) == ('got "x"', "recorded nothing")


@pytest.mark.parametrize(
    ("got", "recorded", "fits"),
    [
        ("a REDACTED-x b REDACTED-y c", "a 1 b 2 c", True),
        ("a 1 b 2 c", "a REDACTED-x b REDACTED-y c", True),
        ("a REDACTED-x b", "a REDACTED-other-name b", True),
        ("a REDACTED-x b", "a 1 c", False),
        ("a REDACTED-x bb", "a 1 b", False),
        ("a REDACTED-x b REDACTED-y c", "a 1 d 2 c", False),
        ("a", "b", False),
        ("REDACTED-x", 1, False),
    ],
)
def test_texts_that_could_be_one_with_other_values_redacted(
    got: str, recorded: object, fits: bool
) -> None:
    assert is_redaction(Differing(("a",), got, recorded)) is fits

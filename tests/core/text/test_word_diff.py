"""How one text became another, word by word."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.text.word_diff import Run, in_brackets, likeness, runs, shown

LONG = "It was in the year that the old man of the sea had told everybody of. "


def shown_line(old: str, new: str) -> str:
    return in_brackets(shown(runs(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("the quick brown fox", "the quick red fox", "the quick [-brown-]{+red+} fox"),
        ("", "new", "{+new+}"),
        ("old", "", "[-old-]"),
        ("same", "same", "same"),
        ("say it", "see it", "[-say-]{+see+} it"),
        ("run 12", "run 123", "run [-12-]{+123+}"),
        ("one two\nthree", "one two three", "one two[-\\n-]{+ +}three"),
        ("東京は日本の首都です", "東京は中国の首都です", "東京は[-日本-]{+中国+}の首都です"),
        (
            "What is the capital of France?",
            "Name the rivers of Spain.",
            "[-What is-]{+Name+} the [-capital-]{+rivers+} of [-France?-]{+Spain.+}",
        ),
        (
            LONG * 9 + "A brown fox. " + LONG * 9,
            LONG * 9 + "A red fox. " + LONG * 9,
            "… told everybody of. A [-brown-]{+red+} fox. It was in the …",
        ),
        ("x" * 500 + "Rome", "x" * 500 + "Oslo", f"…{'x' * 24}[-Rome-]{{+Oslo+}}"),
    ],
)
def test_what_changed_stands_in_what_did_not(old: str, new: str, text: str) -> None:
    assert shown_line(old, new) == text


def test_runs_are_values() -> None:
    assert runs("a b", "a c") == [Run("same", "a "), Run("removed", "b"), Run("added", "c")]


@given(*[st.lists(st.sampled_from(["a", "b ", "\n", "foo", " bar", "東", "-"])).map("".join)] * 2)
def test_runs_hold_both_texts(old: str, new: str) -> None:
    diff = runs(old, new)
    assert "".join(run.text for run in diff if run.kind in ("same", "removed")) == old
    assert "".join(run.text for run in diff if run.kind in ("same", "added")) == new


def test_runs_of_many_words_hold_both_texts() -> None:
    source = random.Random(7)
    old = [source.choice("abcdefghij") + str(source.randrange(400)) for _ in range(1_500)]
    new = [word for word in old if source.random() < 0.9] + ["end"]
    diff = runs(" ".join(old), " ".join(new))
    assert "".join(run.text for run in diff if run.kind in ("same", "removed")) == " ".join(old)
    assert "".join(run.text for run in diff if run.kind in ("same", "added")) == " ".join(new)


def test_a_long_change_and_many_changes_are_cut_short() -> None:
    assert len(shown_line("a " * 9_000, "b " * 9_000)) < 700
    many = shown_line(
        " ".join(f"{n} a b c d e f" for n in range(900)),
        " ".join(f"{n} a b c d e g" for n in range(900)),
    )
    assert many.endswith("…")
    assert len(many) < 1_500


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            " ".join(str(n) for n in range(160_000)),
            " ".join(str(n + n % 2) for n in range(160_000)),
        ),
        ("ab " * 300_000, "ba " * 300_000),
        ("a" * 1_000_000, "a" * 500_000 + "b" + "a" * 499_999),
        (" " * 1_000_000, "\n" * 1_000_000),
    ],
    ids=["many words", "two words", "one word", "no word"],
)
def test_a_megabyte_does_not_take_the_square_of_its_length(old: str, new: str) -> None:
    assert shown_line(old, new)


def test_likeness_counts_words() -> None:
    assert likeness("the same text", "the same text") == 1.0
    assert likeness("What is the capital of France?", "What is the capital of Spain?") == 12 / 14
    assert likeness("one", "two") == 0.0
    assert likeness("", "") == 1.0

"""What makes two bodies equal is the smallest that does, and changes neither."""

import copy
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.matching.body_changes import (
    _DATE_AND_TIME,
    BodyChange,
    _announced_dates,
    are_equal,
    changes_for,
    json_path,
    spread,
)
from wiretape.core.matching.canonical import ABSENT
from wiretape.core.matching.structural_diff import Differing, Steps
from wiretape.core.matching.text_context import text_before

UUID = "0b0e7b5a-7c1e-4b8e-9c5d-%012d"


def changes(got: Any, recorded: Any, *steps: str | int) -> tuple[BodyChange, ...]:
    return changes_for(Differing(("body", "json", *(steps or ("metadata", "note"))), got, recorded))


@pytest.mark.parametrize(
    ("got", "recorded", "kinds"),
    [
        (UUID % 1, UUID % 2, ["uuids"]),
        ("on 2026-01-02", "on 2026-01-03", ["dates"]),
        (f"{UUID % 1} on 2026-01-02", f"{UUID % 2} on 2026-01-03", ["uuids", "dates"]),
        ("try 3 of 4", "try 12 of 4", ["regex"]),
        (0.1 + 0.2, 0.3, ["round"]),
        ("a", "b", [None]),
        (1, ABSENT, [None]),
    ],
)
def test_the_smallest_change_is_chosen(got: Any, recorded: Any, kinds: list[str | None]) -> None:
    chosen = changes(got, recorded)
    assert [change.kind for change in chosen] == kinds
    assert {change.path for change in chosen} == {"$.metadata.note"}


ANNOUNCED = re.compile(
    r"(?<![^\n])([^\n]*?)((?i:date|today|time|now)[^\n0-9]{0,16})" + _DATE_AND_TIME
)
WORDS = ["date", "Today", "TIME ", "now", " is ", "x" * 20, "x" * 33, "é", "\t", "\n"]
DATES = ["2026-01-02", "2026-01-02T10:00:00Z", "2026-1-2", "2026"]


@given(st.lists(st.sampled_from(WORDS + DATES), max_size=12).map("".join))
def test_the_first_date_on_a_line_that_words_announce_is_found(text: str) -> None:
    """As one pattern says it, which is slow in a long line."""
    announced = [match.groups() for match in ANNOUNCED.finditer(text) if match[2].isprintable()]
    assert _announced_dates(text) == [text_before(line, 32) + words for line, words in announced]


def test_what_announces_a_date_holds_no_placeholder_nor_a_part_of_one() -> None:
    key = "REDACTED-together-key-0a1b2c3d"
    assert _announced_dates(f"{key} and today is 2026-01-02") == [" and today is "]
    assert _announced_dates("work in {cwd}, where all the files lie: date 2026-01-02") == [
        "{cwd}, where all the files lie: date "
    ]


def test_a_name_that_no_path_can_spell_is_not_changed() -> None:
    assert changes("a", "b", "it's") == ()
    assert json_path(("a", 0, "b c")) == "$.a[0]['b c']"


def test_bodies_are_compared_as_the_changes_leave_them() -> None:
    got: dict[str, Any] = {"run": "a", "metadata": {"note": f"x {UUID % 1}"}}
    recorded: dict[str, Any] = {"run": "b", "metadata": {"note": f"x {UUID % 2}"}}
    before = copy.deepcopy((got, recorded))
    both = (BodyChange("$.run"), BodyChange("$.metadata.note", "uuids"))
    assert are_equal(got, recorded, both)
    assert not are_equal(got, recorded, both[:1])
    assert (got, recorded) == before


def test_many_items_of_a_list_have_one_path() -> None:
    got, recorded = ({"items": [{"n": n + off} for n in range(3)]} for off in (0, 9))
    steps: list[Steps] = [("items", n, "n") for n in range(3)]
    single = tuple(BodyChange(json_path(path)) for path in steps)
    assert spread(got, recorded, single) == (BodyChange("$.items[*].n"),)
    assert spread(got, recorded, single[:2]) == single[:2]

"""Dates and times are found in the ways in which they are written, and moved to another day."""

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cases import in_one_test

from wiretape.core.text.moments import FORMS, form_of, moments, on_another_day
from wiretape.core.text.regex import Linear

DAY, OTHER = date(2026, 11, 29), date(2026, 12, 8)

SPELLED = {
    "2026-11-29": "2026-12-08",
    "2026/11/29": "2026/12/08",
    "2026-11-29T14:03:22.123Z": "2026-12-08T14:03:22.123Z",
    "2026-11-29 14:03:22 +01:00": "2026-12-08 14:03:22 +01:00",
    "11/29/2026": "12/08/2026",
    "29.11.2026, 14:03": "08.12.2026, 14:03",
    "November 29, 2026": "December 8, 2026",
    "Nov 29 2026": "Dec 8 2026",
    "29 November 2026": "8 December 2026",
    "Sunday, November 29, 2026": "Tuesday, December 8, 2026",
    "Sunday, November 29": "Tuesday, December 8",
    "Sun Nov 29 2026 14:03:22 GMT+0100": "Tue Dec 8 2026 14:03:22 GMT+0100",
    "Sun Nov 29 14:03:22 UTC 2026": "Tue Dec 8 14:03:22 UTC 2026",
}


@in_one_test("text", [*SPELLED, "14:03", "2:03 PM", "14:03:22.5 UTC"])
def test_a_moment_is_found_whole(text: str) -> None:
    line = f"Today: {text}; so"
    assert [line[start:end] for start, end in moments(line)] == [text]


@pytest.mark.parametrize("text", ["gpt-4o-2024-08-06", "1.2.3", "a:10:b", "localhost:54321"])
def test_what_is_no_moment_is_not_taken_for_one(text: str) -> None:
    assert moments(text) == []


@pytest.mark.parametrize(("text", "moved"), SPELLED.items())
def test_a_day_is_moved_as_it_is_spelled(text: str, moved: str) -> None:
    # Where the day of the month has one digit, some write a blank before it and some do not.
    assert " ".join(on_another_day(f"<{text}>", DAY, OTHER).split()) == f"<{moved}>"
    assert form_of(text, moved) is not None


def test_another_day_and_a_longer_number_stay() -> None:
    text = "2026-11-28, 2026-11-290, v2026-11-29"
    assert on_another_day(text, DAY, OTHER) == text


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.dates(date(1990, 1, 1), date(2090, 1, 1)))
def test_any_day_is_moved_to_any_other(day: date, other: date) -> None:
    for form in ("{:%Y-%m-%d}", "on {:%A, %B %d, %Y}, say"):
        text = form.format(day).replace(" 0", " ")
        assert on_another_day(text, day, other) == form.format(other).replace(" 0", " ")


@pytest.mark.parametrize("form", FORMS)
def test_a_rule_can_be_made_of_each_form(form: str) -> None:
    assert Linear(form).pattern == re.compile(form).pattern

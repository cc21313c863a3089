"""An age as people write it."""

import re
from datetime import timedelta

import pytest

from wiretape.core.text.age import parse_age


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("90d", timedelta(days=90)),
        ("older-than:12h", timedelta(hours=12)),
        ("older-than=2w", timedelta(weeks=2)),
        ("30m", timedelta(minutes=30)),
        ("5s", timedelta(seconds=5)),
    ],
)
def test_an_age_is_read(text: str, age: timedelta) -> None:
    assert parse_age(text) == age


@pytest.mark.parametrize("text", ["", "d", "90", "90 d", "-1d", "90y", "999999d"])
def test_what_is_no_age_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{text!r}: expected an age such as 90d")):
        parse_age(text)

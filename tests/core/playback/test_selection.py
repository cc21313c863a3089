import re
from datetime import timedelta

import pytest

from wiretape.core.matching.canonical import Canonical
from wiretape.core.playback.selection import Selection, parse_age

CHAT = Canonical(
    ("openai", "POST", "/v1/chat/completions"), {}, "k", rules=("openai/tool-call-ids",)
)


def chosen(*texts: str) -> Selection:
    return Selection.parse(texts, ["openai/tool-call-ids", "mine"])


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


@pytest.mark.parametrize(
    ("texts", "age", "selected"),
    [
        ((), None, True),
        (("/v1/chat/*",), None, True),
        (("/v1/embeddings",), None, False),
        (("*/completions",), None, True),
        (("openai/tool-call-ids",), None, True),
        (("mine",), None, False),
        (("90d",), timedelta(days=91), True),
        (("90d",), timedelta(days=89), False),
        (("90d",), None, False),
        (("90d", "/v1/chat/*"), timedelta(days=1), True),
        (("mine", "/v1/embeddings"), timedelta(days=1), False),
    ],
)
def test_a_recording_is_selected_if_one_thing_fits(
    texts: tuple[str, ...], age: timedelta | None, selected: bool
) -> None:
    assert chosen(*texts)(CHAT, age) is selected


def test_only_an_age_asks_for_an_age() -> None:
    assert chosen("90d").by_age
    assert not chosen("/v1/*").by_age


def test_what_selects_nothing_that_is_known_is_told() -> None:
    with pytest.raises(ValueError, match="'yours': expected a path"):
        chosen("yours")

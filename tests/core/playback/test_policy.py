"""What becomes of a miss, and which recordings a refresh selects."""

from datetime import timedelta

import pytest

from wiretape.core.matching.canonical import Canonical
from wiretape.core.playback.policy import OnMiss, Selection

CHAT = Canonical(
    endpoint=("openai", "POST", "/v1/chat/completions"),
    value={},
    key="k",
    rules=("openai/tool-call-ids",),
)


def chosen(*texts: str) -> Selection:
    return Selection.parse(texts, ["openai/tool-call-ids", "mine"])


@pytest.mark.parametrize(
    ("host", "port", "passes"),
    [
        ("api.example.com", 443, True),
        ("API.Example.com.", 443, True),
        ("api.example.com", 8443, True),
        ("localhost", 8000, True),
        ("localhost", 8001, False),
        ("a.models.example.com", 443, True),
        ("models.example.com", 443, False),
        ("example.com", 443, False),
        ("api.example.com.evil.example", 443, False),
    ],
)
def test_a_miss_passes_to_named_hosts_alone(host: str, port: int, passes: bool) -> None:
    policy = OnMiss("passthrough", ("api.example.com", "localhost:8000", "*.models.example.com"))
    assert policy.passes(host, port) is passes


def test_nothing_passes_where_a_miss_fails_or_is_recorded() -> None:
    assert not OnMiss("fail", ("a.example.com",)).passes("a.example.com")
    assert not OnMiss("record", ("a.example.com",)).passes("a.example.com")


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

"""A miss passes through to the hosts that are named, and to no others."""

import pytest

from wiretape.core.playback.policy import OnMiss


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

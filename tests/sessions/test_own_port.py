"""What a request to wiretape's own port is for."""

import json

import pytest

from wiretape.core.providers.base_url import Destination
from wiretape.core.providers.registry import Provider, Providers
from wiretape.sessions.control import LocalNames
from wiretape.sessions.own_port import ForControl, Refusal, purpose_of

PROVIDERS = Providers((Provider("p", ("api.openai.com",)),))
HEADERS = {"host": "127.0.0.1:8899"}


def purpose(
    target: str, headers: dict[str, str] = HEADERS, *, has_control: bool = True
) -> ForControl | Destination | Refusal:
    return purpose_of(target, headers, LocalNames(), PROVIDERS, has_control=has_control)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/wiretape/sessions/a", ForControl()),
        ("/api.openai.com/v1/x?a", Destination("https", "api.openai.com", 443, "/v1/x?a")),
        ("http://api.openai.com/v1", Destination("http", "api.openai.com", 80, "/v1")),
    ],
)
def test_control_or_a_provider(target: str, expected: object) -> None:
    assert purpose(target) == expected


@pytest.mark.parametrize("target", ["/wiretape/sessions/a", "/api.openai.com/v1/x"])
@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {**HEADERS, "origin": "https://evil.example"},
        {**HEADERS, "sec-fetch-site": "cross-site"},
    ],
)
def test_another_sites_page_gets_neither(target: str, headers: dict[str, str]) -> None:
    assert isinstance(purpose(target, headers), Refusal)


def test_an_unknown_host_is_named_with_what_to_do() -> None:
    refusal = purpose("/example.com:8443/v1")
    assert isinstance(refusal, Refusal)
    assert refusal.other_host == ("example.com", 8443)
    assert "under `providers`" in refusal.message


@pytest.mark.parametrize("target", ["/", "nonsense"])
def test_a_target_that_names_no_host_is_refused(target: str) -> None:
    refusal = purpose(target)
    assert isinstance(refusal, Refusal)
    assert refusal.other_host is None


def test_a_port_without_control_has_no_endpoint_of_it() -> None:
    assert isinstance(purpose("/wiretape/sessions/a", has_control=False), Refusal)


def test_a_refusal_reads_as_the_error_of_an_sdk() -> None:
    error = json.loads(Refusal("no", code="c").body())["error"]
    assert (error["message"], error["code"]) == ("wiretape: no", "c")

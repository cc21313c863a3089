"""A recorded request for another model, or below another base URL."""

import pytest

from wiretape.core.model import Request
from wiretape.core.providers.registry import Provider, Providers
from wiretape.drift.other_model import changing, for_base_url, for_model


def request(target: str, body: bytes = b"") -> Request:
    return Request("POST", "https", "api.openai.com", 443, target, body=body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"a","n":1.0}', b'{"model":"b","n":1.0}'),
        (b'{"n": 1}', b'{"n": 1}'),
        (b"[1]", b"[1]"),
        (b"model=a", b"model=a"),
    ],
)
def test_the_model_alone_is_changed(body: bytes, expected: bytes) -> None:
    assert for_model(request("/v1/x", body), "b").body == expected


def test_a_model_in_the_path_is_changed() -> None:
    target = "/v1beta/models/gemini-2.0-flash:generateContent?alt=sse"
    changed = for_model(request(target), "gemini-3")
    assert changed.target == "/v1beta/models/gemini-3:generateContent?alt=sse"


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("http://localhost:8000/api/v1", "http://localhost:8000/api/v1/chat?a=1"),
        ("http://localhost:8000", "http://localhost:8000/v1/chat?a=1"),
        ("https://h/v2/", "https://h/v2/chat?a=1"),
    ],
)
def test_a_base_url_takes_the_place_of_the_providers(base_url: str, url: str) -> None:
    assert for_base_url(request("/v1/chat?a=1"), base_url, None).url == url


def test_both_at_once_and_the_new_host_is_known() -> None:
    providers = Providers((Provider("p", ("api.openai.com",)),))
    change = changing(providers, "b", "http://localhost:8000/v1")
    changed = change(request("/v1/x", b'{"model": "a"}'))
    assert (changed.url, changed.body) == ("http://localhost:8000/v1/x", b'{"model": "b"}')
    assert providers.find("localhost", 8000) is not None
    same = request("/v1/x")
    assert changing(providers, None, None)(same) is same

"""A recorded request gets the key that redaction took out, and never one in the clear."""

from dataclasses import replace

import pytest
from tests.support.stored import exchange

from wiretape.config.packs import DUMMY_KEY, built_in, dummy_keys
from wiretape.core.model import Request, header
from wiretape.drift.credentials import NoKey, with_credentials
from wiretape.drift.targets import Target

KEY = "tgp_v1_3kD9fWq7RzX2mB5nTc8vLj4hGs6pYa1eUoZbNi0KwMx"
QUERY = frozenset(("key",))


def target(request: Request) -> Target:
    provider = built_in().find(request.host, request.port)
    return Target(
        names=("a",),
        session=None,
        provider=provider,
        provider_name=provider.name if provider else request.authority,
        request=request,
        model="m",
    )


def google(path: str) -> Request:
    host = "generativelanguage.googleapis.com"
    return Request("POST", "https", host, 443, path, headers=(), body=b"{}")


def test_a_key_goes_where_the_provider_reads_it() -> None:
    request = with_credentials(target(exchange("Hi").request), QUERY, {"TOGETHER_API_KEY": KEY})
    assert header(request.headers, "authorization") == f"Bearer {KEY}"
    request = with_credentials(target(google("/v1beta/models/m:x")), QUERY, {"GEMINI_API_KEY": KEY})
    assert header(request.headers, "x-goog-api-key") == KEY
    request = with_credentials(target(google("/v1beta/openai/x")), QUERY, {"GEMINI_API_KEY": KEY})
    assert header(request.headers, "authorization") == f"Bearer {KEY}"


def test_a_key_in_the_query_takes_the_place_of_its_placeholder() -> None:
    request = google("/v1beta/models/m:x?alt=sse&key=REDACTED-secret")
    sent = with_credentials(target(request), QUERY, {"GEMINI_API_KEY": "a key/&"})
    assert sent.target == "/v1beta/models/m:x?alt=sse&key=a%20key%2F%26"
    assert header(sent.headers, "x-goog-api-key") is None


@pytest.mark.parametrize("key", ["", "  ", "the dummy"])
def test_without_a_key_nothing_is_sent_and_the_variable_is_named(key: str) -> None:
    dummies = {dummy.name: dummy.value for dummy in dummy_keys([])}
    dummies |= {dummy.name: dummy.value for dummy in dummy_keys(built_in().key_names)}
    for name, request, reason in (
        ("TOGETHER_API_KEY", exchange("Hi").request, "no key for together: set TOGETHER_API_KEY"),
        ("GEMINI_API_KEY", google("/x"), "set GEMINI_API_KEY or GOOGLE_API_KEY"),
        ("GEMINI_API_KEY", google("/x?key=REDACTED-secret"), "set GEMINI_API_KEY or"),
    ):
        value = dummies[name] if key == "the dummy" else key
        with pytest.raises(NoKey, match=reason):
            with_credentials(target(request), QUERY, {name: value})


def test_a_key_is_not_sent_without_tls() -> None:
    request = replace(exchange("Hi").request, scheme="http", port=80)
    provider = built_in().find("api.together.xyz", 443)
    with pytest.raises(NoKey, match="is asked without TLS"):
        with_credentials(
            replace(target(request), provider=provider), QUERY, {"TOGETHER_API_KEY": KEY}
        )


def test_a_server_on_this_machine_needs_no_key() -> None:
    request = Request("POST", "http", "127.0.0.1", 8000, "/v1/chat", headers=(), body=b"{}")
    sent = with_credentials(target(request), QUERY, {})
    assert sent.headers == (("content-type", "application/json"),)


def test_headers_with_placeholders_stay_behind() -> None:
    request = exchange("Hi").request
    headers = (*request.headers, ("x-api-token", "REDACTED-secret-0a1b2c3d"))
    sent = with_credentials(
        target(replace(request, headers=headers)), QUERY, {"TOGETHER_API_KEY": KEY}
    )
    assert [name for name, _ in sent.headers] == ["content-type", "authorization"]
    assert DUMMY_KEY not in str(sent.headers)


def test_anthropic_is_told_which_version_is_spoken() -> None:
    request = Request("POST", "https", "api.anthropic.com", 443, "/v1/messages", body=b"{}")
    sent = with_credentials(target(request), QUERY, {"ANTHROPIC_API_KEY": KEY})
    assert header(sent.headers, "anthropic-version") == "2023-06-01"
    assert header(sent.headers, "x-api-key") == KEY

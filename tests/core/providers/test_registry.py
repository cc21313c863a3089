"""Hosts are found in the table of providers, and errors have the shape their SDKs read."""

import json

import pytest

from wiretape.config.packs import built_in, providers
from wiretape.core.providers.registry import (
    ErrorShape,
    Provider,
    Providers,
    error_body,
    error_shape,
)

KNOWN = built_in()
OWN = Providers(
    (
        Provider("local", ("Localhost:8000", "models.example.com")),
        Provider("other", ("localhost:9000",)),
        Provider("any-port", ("127.0.0.1",)),
        Provider("six", ("[::1]:8001", "[2001:db8:0::5]")),
        Provider("farm", ("*.farm.example.com", "*.cloud.example.com:8443")),
    )
)


def name_at(providers: Providers, host: str, port: int | None = None) -> str | None:
    provider = providers.find(host, port)
    return provider.name if provider else None


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("api.together.xyz", "together"),
        ("api.together.ai", "together"),
        ("api-inference.together.ai", "together"),
        ("API.OpenAI.com", "openai"),
        ("api.openai.com.", "openai"),
        ("generativelanguage.googleapis.com", "google"),
        ("aiplatform.googleapis.com", "google"),
        ("europe-west1-aiplatform.googleapis.com", "google"),
        ("mine.openai.azure.com", "azure"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock"),
    ],
)
def test_a_providers_host_is_found(host: str, name: str) -> None:
    assert name_at(KNOWN, host, 443) == name


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "openai.com",
        "api.openai.com.evil.example",
        "notapi.openai.com",
        "openai.azure.com",
        "s3.us-east-1.amazonaws.com",
        "",
    ],
)
def test_other_hosts_are_nobodys(host: str) -> None:
    assert name_at(KNOWN, host, 443) is None


@pytest.mark.parametrize(
    ("host", "port", "name"),
    [
        ("localhost", 8000, "local"),
        ("LOCALHOST", 9000, "other"),
        ("localhost", 80, None),
        ("localhost", None, None),
        ("127.0.0.1", 5, "any-port"),
        ("127.0.0.1", None, "any-port"),
        ("a.farm.example.com", 443, "farm"),
        ("a.farm.example.com", 8080, "farm"),
        ("a.cloud.example.com", 8443, "farm"),
        ("a.cloud.example.com", 443, None),
    ],
)
def test_a_host_with_a_port_is_that_port_alone(
    host: str, port: int | None, name: str | None
) -> None:
    assert name_at(OWN, host, port) == name


def test_a_host_by_name_goes_before_a_pattern() -> None:
    both = Providers(
        (Provider("pattern", ("*.example.com",)), Provider("name", ("api.example.com",)))
    )
    assert name_at(both, "api.example.com") == "name"


@pytest.mark.parametrize(
    ("providers", "host", "port", "host_key"),
    [
        (KNOWN, "api.together.ai", 443, "together"),
        (KNOWN, "api.together.xyz", 443, "together"),
        (KNOWN, "API.together.xyz.", 443, "together"),
        (KNOWN, "mine.openai.azure.com", 443, "mine.openai.azure.com"),
        (KNOWN, "yours.openai.azure.com", 443, "yours.openai.azure.com"),
        (KNOWN, "example.com", 80, "example.com"),
        (KNOWN, "example.com", None, "example.com"),
        (KNOWN, "example.com", 8080, "example.com:8080"),
        (OWN, "localhost", 8000, "local"),
        (OWN, "localhost", 9000, "other"),
        (OWN, "localhost", 9001, "localhost:9001"),
        (OWN, "models.example.com", 443, "local"),
        (OWN, "127.0.0.1", 4, "any-port"),
        (OWN, "127.0.0.1", 5, "any-port"),
    ],
)
def test_aliases_are_one_place_and_other_hosts_their_own(
    providers: Providers, host: str, port: int | None, host_key: str
) -> None:
    assert providers.host_key(host, port) == host_key


def test_members_that_hold_ids_are_a_providers_own_and_elsewhere_anybodys() -> None:
    providers = Providers((Provider("a", ("a",), ids=("x",)), Provider("b", ("b",), ids=("y",))))
    assert providers.id_names("a", 443) == {"x"}
    assert providers.id_names("nobody", 443) == {"x", "y"}


def test_no_host_is_in_the_table_twice() -> None:
    assert len(set(KNOWN.hosts)) == len(KNOWN.hosts)


def test_no_name_is_in_the_table_twice() -> None:
    assert len({provider.name for provider in providers()}) == len(providers())


def test_the_variables_of_all_providers_are_named_once() -> None:
    assert "TOGETHER_API_KEY" in KNOWN.key_names
    providers = Providers((Provider("a", (), ("X", "Y")), Provider("b", (), ("Y",))))
    assert providers.key_names == ("X", "Y")


ERRORS: dict[ErrorShape, object] = {
    "openai": {
        "error": {"message": "no “x”", "type": "wiretape_error", "param": None, "code": "miss"}
    },
    "anthropic": {"type": "error", "error": {"type": "miss", "message": "no “x”"}},
    "google": {"error": {"code": 404, "message": "no “x”", "status": "MISS"}},
    "ollama": {"error": "no “x”"},
}


@pytest.mark.parametrize("shape", ERRORS)
def test_an_error_has_the_providers_shape(shape: ErrorShape) -> None:
    assert json.loads(error_body(shape, 404, "no “x”", "miss")) == ERRORS[shape]


@pytest.mark.parametrize(
    ("host", "port", "name"),
    [
        ("::1", 8001, "six"),
        ("0:0:0:0:0:0:0:1", 8001, "six"),
        ("[::1]", 8001, "six"),
        ("::1", 8002, None),
        ("2001:DB8::5", 443, "six"),
        ("2001:db8::5", 8443, "six"),
        ("2001:db8::6", 443, None),
    ],
)
def test_an_ipv6_address_is_found_however_it_is_spelled(
    host: str, port: int, name: str | None
) -> None:
    assert name_at(OWN, host, port) == name


# ------------------------------------------------------------------ hosts of nobody


@pytest.mark.parametrize(
    ("added", "host", "port"),
    [
        ("localhost:8000", "localhost", 8000),
        ("localhost:8000", "LocalHost.", 8000),
        ("llm.example", "llm.example", 443),
        ("llm.example", "llm.example", 8443),
        ("*.llm.example", "a.llm.example", 443),
        ("[::1]:8001", "::1", 8001),
        ("[::1]:8001", "0:0:0:0:0:0:0:1", 8001),
    ],
)
def test_a_host_that_is_added_is_found(added: str, host: str, port: int) -> None:
    providers = Providers(())
    assert providers.find(host, port) is None
    before = providers.host_key(host, port), providers.id_names(host, port)
    providers.add_host(added)
    assert providers.find(host, port) is not None
    # Nothing that counts in a key is another than without it.
    assert (providers.host_key(host, port), providers.id_names(host, port)) == before


@pytest.mark.parametrize(
    ("host", "port"),
    [("localhost", 8000), ("0.0.0.0", 11434), ("api.example.com", 443), ("h", 80), ("::1", 8001)],
)
def test_the_place_of_a_recording_is_answered_for(host: str, port: int) -> None:
    providers = Providers((Provider("openai", ("api.openai.com",), ids=("container",)),))
    ids = providers.id_names(host, port)
    providers.add_host_keys([providers.host_key(host, port)])
    assert providers.find(host, port) is not None
    assert providers.find(host, 9) is None
    assert providers.find("other.example", port) is None
    assert providers.id_names(host, port) == ids


def test_a_place_that_is_a_provider_or_none_adds_nothing() -> None:
    providers = Providers((Provider("openai", ("api.openai.com",)),))
    providers.add_host_keys(["openai", "*"])
    assert providers.nameless_hosts == ()
    assert providers.find("openai", 443) is None


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/chat/completions", "openai"),
        ("/v1/messages", "anthropic"),
        ("/anthropic/v1/messages/count_tokens", "anthropic"),
        ("/v1/messagesx", "openai"),
        ("/v1beta/models/m:streamGenerateContent", "google"),
        ("/v1/projects/p/models/m:generateContent", "google"),
        ("/api/chat", "ollama"),
        ("/api/generate", "ollama"),
        ("/chat/completions", "openai"),
        ("/", "openai"),
    ],
)
def test_the_dialect_of_a_nameless_host_is_what_it_speaks(path: str, shape: str) -> None:
    providers = Providers(())
    providers.add_host("localhost:8000")
    for provider in (None, providers.find("localhost", 8000)):
        assert error_shape(provider, path) == shape
    assert error_shape(Provider("x", ()), path) == "openai"

"""Hosts are found in the table of providers, and errors have the shape their SDKs read."""

import json

import pytest

from wiretape.config.packs import built_in, providers
from wiretape.core.providers.registry import (
    ERROR_SHAPES,
    ErrorShape,
    Provider,
    Providers,
    error_body,
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


def found(providers: Providers, host: str, port: int | None = None) -> str | None:
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
    assert found(KNOWN, host, 443) == name


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
    assert found(KNOWN, host, 443) is None


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
    assert found(OWN, host, port) == name


def test_a_host_by_name_goes_before_a_pattern() -> None:
    both = Providers(
        (Provider("pattern", ("*.example.com",)), Provider("name", ("api.example.com",)))
    )
    assert found(both, "api.example.com") == "name"


@pytest.mark.parametrize(
    ("providers", "host", "port", "place"),
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
    providers: Providers, host: str, port: int | None, place: str
) -> None:
    assert providers.place(host, port) == place


def test_members_that_hold_ids_are_a_providers_own_and_elsewhere_anybodys() -> None:
    two = Providers((Provider("a", ("a",), ids=("x",)), Provider("b", ("b",), ids=("y",))))
    assert two.id_names("a", 443) == {"x"}
    assert two.id_names("nobody", 443) == {"x", "y"}


def test_no_host_is_in_the_table_twice() -> None:
    assert len(set(KNOWN.hosts)) == len(KNOWN.hosts)


def test_no_name_is_in_the_table_twice() -> None:
    assert len({provider.name for provider in providers()}) == len(providers())


def test_the_variables_of_all_providers_are_named_once() -> None:
    assert "TOGETHER_API_KEY" in KNOWN.key_names
    two = Providers((Provider("a", (), ("X", "Y")), Provider("b", (), ("Y",))))
    assert two.key_names == ("X", "Y")


ERRORS: dict[ErrorShape, object] = {
    "openai": {
        "error": {"message": "no “x”", "type": "wiretape_error", "param": None, "code": "miss"}
    },
    "anthropic": {"type": "error", "error": {"type": "miss", "message": "no “x”"}},
    "google": {"error": {"code": 404, "message": "no “x”", "status": "MISS"}},
    "ollama": {"error": "no “x”"},
}


@pytest.mark.parametrize("shape", ERROR_SHAPES)
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
    assert found(OWN, host, port) == name

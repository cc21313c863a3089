"""Which hosts are hinted at as providers."""

import pytest

from wiretape.core.providers.lookalikes import looks_like_provider


@pytest.mark.parametrize(
    "address",
    [
        *("api.perplexity.ai", "API.Perplexity.AI", "llm.corp.example", "my-llm-gateway.example"),
        *("api.replicate.com", "eu-aiplatform.googleapis.com", "inference.example:8443"),
        *("localhost:11434", "127.0.0.1:8000", "[::1]:8080", "0.0.0.0:1234", "vllm:9000"),
    ],
)
def test_a_likely_host(address: str) -> None:
    assert looks_like_provider(address)


@pytest.mark.parametrize(
    "address",
    [
        *("example.com", "api.stripe.com", "pypi.example", "fail.example", "air.example"),
        *("localhost:5432", "localhost", "127.0.0.1", "[::1]:5432", "[2001:db8::1]", ""),
    ],
)
def test_another_host(address: str) -> None:
    assert not looks_like_provider(address)

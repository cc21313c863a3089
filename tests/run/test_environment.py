"""All variables that CMD gets: those of clients, and where the proxy's own ports are."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.parts import settings_in

from wiretape.run.environment import environment_for
from wiretape.run.serving import ServingProxy
from wiretape.tls.authority import Authority


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    config = settings_in(tmp_path, "replay").config
    authority = Authority.load_or_create(tmp_path / "home")

    def of(environ: dict[str, str], base_url_port: int = 4001, **options: Any) -> dict[str, str]:
        serving = ServingProxy(
            mode="replay", port=4000, base_url_port=base_url_port, token="the-token"
        )
        return environment_for(environ, serving, config, authority, **options)

    return of


def test_the_proxy_and_its_own_ports_are_named(environment: Any) -> None:
    given = environment({"PATH": "/bin"})
    assert given["HTTPS_PROXY"] == "http://127.0.0.1:4000"
    assert given["WIRETAPE_BASE_URL"] == "http://127.0.0.1:4001"
    assert given["WIRETAPE_TOKEN"] == "the-token"
    assert given["PATH"] == "/bin"


def test_the_files_that_are_named_are_there(environment: Any) -> None:
    given = environment({})
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
        assert "BEGIN CERTIFICATE" in Path(given[name]).read_text()
    assert (Path(given["PYTHONPATH"].split(":")[0]) / "sitecustomize.py").exists()


def test_without_a_base_url_port_clients_are_not_told_of_one(environment: Any) -> None:
    given = environment({}, base_url_port=0)
    assert not {"WIRETAPE_BASE_URL", "WIRETAPE_TOKEN"} & given.keys()


def test_keys_are_dummies_where_that_is_wanted(environment: Any) -> None:
    own = {"OPENAI_API_KEY": "sk-of-the-user"}
    assert environment(own)["OPENAI_API_KEY"] == "sk-of-the-user"
    assert environment(own, dummies=True)["OPENAI_API_KEY"] != "sk-of-the-user"
    kept = environment(own, dummies=True, keep_keys=True)
    assert kept["OPENAI_API_KEY"] == "sk-of-the-user"
    assert "wiretape" in kept["TOGETHER_API_KEY"].lower()


def test_base_urls_of_sdks_lead_to_the_port_where_that_is_wanted(environment: Any) -> None:
    assert "OPENAI_BASE_URL" not in environment({})
    given = environment({}, base_urls=True)
    assert given["OPENAI_BASE_URL"] == "http://127.0.0.1:4001/api.openai.com/v1"

"""What is said of a client that went past the proxy names it: its CA file, its library, its URL."""

from pathlib import Path

import pytest

from wiretape.run.client_hints import (
    base_url_example,
    ca_option,
    ignoring_clients,
    trust_remedy,
)


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["curl", "--cacert", "corp.pem", "https://x"], "--cacert corp.pem"),
        (["wget", "--ca-certificate=corp.pem"], "--ca-certificate=corp.pem"),
        (["sh", "-c", "aws --ca-bundle 'my corp.pem' x"], "--ca-bundle my corp.pem"),
        (["openssl", "s_client", "-CAfile", "c.pem"], "-CAfile c.pem"),
        (["env", "NODE_EXTRA_CA_CERTS=corp.pem", "node"], "NODE_EXTRA_CA_CERTS=corp.pem"),
        (["sh", "-c", "REQUESTS_CA_BUNDLE=c.pem python x.py"], "REQUESTS_CA_BUNDLE=c.pem"),
        (["sh", "-c", "echo it's"], None),
        (["curl", "--cacert"], None),
        (["curl", "https://x?--cacert=1"], None),
        ([], None),
    ],
)
def test_the_ca_file_that_cmd_is_given_is_found(command: list[str], option: str | None) -> None:
    assert ca_option(command) == option


def test_the_remedy_names_what_can_be_done() -> None:
    assert "leave it out" in trust_remedy(["curl", "--cacert", "corp.pem"], "replay")
    assert "CMD is given --cacert corp.pem" in trust_remedy(
        ["curl", "--cacert", "corp.pem"], "replay"
    )
    assert "$WIRETAPE_BASE_URL/HOST" in trust_remedy(["python", "ask.py"], "replay")
    assert trust_remedy([], "record").startswith("start it with `wiretape record -- CMD`")


@pytest.mark.parametrize(
    ("command", "named", "other"),
    [
        (["python3.12", "ask.py"], "httpx with a transport=", "axios"),
        (["/usr/bin/node", "ask.mjs"], "axios", "httpx"),
        (["sh", "-c", "cd x && go run ."], "http.Transport without Proxy", "httpx"),
        (["sh", "-c", "pytest; npx jest"], "axios", "Netty"),
        (["./mvnw", "test"], "Netty", "httpx"),
        (["curl", "x"], ".curlrc", "httpx"),
    ],
)
def test_the_clients_of_cmds_language_are_named(command: list[str], named: str, other: str) -> None:
    assert named in ignoring_clients(command)
    assert other not in ignoring_clients(command)


def test_of_an_unknown_program_those_of_each_language_are_named() -> None:
    text = ignoring_clients(["./agent"])
    assert all(name in text for name in ("httpx", "axios", "Netty", "http.Transport"))


URLS = {"OPENAI_BASE_URL": "https://api.openai.com/v1", "A_URL": "https://api.a.example"}


@pytest.mark.parametrize(
    ("hosts", "example"),
    [
        ({}, "$WIRETAPE_BASE_URL/HOST/… (`--base-url` sets the variables of the known SDKs)"),
        (
            {"llm.example": 3, "api.openai.com": 1},
            "OPENAI_BASE_URL=$WIRETAPE_BASE_URL/api.openai.com/v1 (`--base-url` sets it)",
        ),
        (
            {"api.openai.com": 1, "api.a.example": 2},
            "A_URL=$WIRETAPE_BASE_URL/api.a.example (`--base-url` sets it)",
        ),
        ({"llm.example": 1, "l2.example": 2}, "$WIRETAPE_BASE_URL/l2.example/…"),
        ({"nightly": 9}, "$WIRETAPE_BASE_URL/HOST/… (`--base-url` sets the variables of"),
    ],
)
def test_the_base_url_is_that_of_what_is_recorded(
    tmp_path: Path, hosts: dict[str, int], example: str
) -> None:
    for host, count in hosts.items():
        for number in range(count):
            (tmp_path / host / f"v{number}").mkdir(parents=True)
    assert base_url_example(tmp_path, URLS).startswith(example)
    assert base_url_example(tmp_path / "none", URLS).startswith("$WIRETAPE_BASE_URL/HOST")

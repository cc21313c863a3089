"""Credentials that browsers send among a WebSocket's subprotocols become headers."""

import pytest

from wiretape.core.model import Request
from wiretape.core.redaction.subprotocols import credentials_as_headers

SECRET = "kV8w2Qz-T5rXn1LpkV8w"


def opening(*protocols: str) -> Request:
    headers = [("Upgrade", "websocket"), ("Connection", "Upgrade")]
    headers += [("Sec-WebSocket-Protocol", value) for value in protocols]
    return Request("GET", "wss", "h", 443, "/v1/realtime", headers=tuple(headers))


@pytest.mark.parametrize(
    ("protocols", "public", "credentials"),
    [
        (
            f"realtime, openai-insecure-api-key.{SECRET}",
            "realtime, openai-insecure-api-key",
            [("authorization", f"Bearer {SECRET}")],
        ),
        (
            "realtime, openai-project.p1",
            "realtime, openai-project",
            [("openai-project", "p1")],
        ),
        ("bearer, short", "bearer", [("authorization", "Bearer short")]),
        (f"auth.{SECRET}", "auth", [("authorization", f"Bearer {SECRET}")]),
        ("realtime, json", "realtime, json", []),
    ],
)
def test_a_credential_becomes_a_header(
    protocols: str, public: str, credentials: list[tuple[str, str]]
) -> None:
    headers = credentials_as_headers(opening(protocols)).headers
    assert headers[2:] == (("sec-websocket-protocol", public), *credentials)


def test_several_lines_are_one_list() -> None:
    headers = credentials_as_headers(opening("token", SECRET)).headers
    assert headers[2:] == (
        ("sec-websocket-protocol", "token"),
        ("authorization", f"Bearer {SECRET}"),
    )


def test_other_requests_stay_themselves() -> None:
    headers = (("sec-websocket-protocol", SECRET),)
    request = Request("GET", "https", "h", 443, "/", headers=headers)
    assert credentials_as_headers(request) is request
    plain = opening()
    assert credentials_as_headers(plain) is plain

"""The 502 of a provider that was not reached has the shape of the provider's errors."""

import json

from wiretape.config.packs import built_in
from wiretape.core.model import Request
from wiretape_mitm.patches.error_answers import answer_error, make_error_response

OPENAI = Request("POST", "https", "api.openai.com", 443, "/v1/chat/completions")
ANTHROPIC = Request("POST", "https", "api.anthropic.com", 443, "/v1/messages")


def parts(response: bytes) -> tuple[bytes, bytes]:
    head, _, body = response.partition(b"\r\n\r\n")
    return head, body


def test_the_body_waits_for_the_message_that_mitmproxy_shows() -> None:
    expected = answer_error("Server connection to x failed", "no route", OPENAI, built_in())
    head, body = parts(make_error_response(502, "Server connection to x failed"))
    assert body == expected
    assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    message = json.loads(body)["error"]["message"]
    assert message.startswith("wiretape: api.openai.com could not be reached: no route.")


def test_each_request_has_the_shape_of_its_own_provider() -> None:
    answer_error("failed", "no route", ANTHROPIC, built_in())
    answer_error("failed", "no route", OPENAI, built_in())
    first, second = (json.loads(parts(make_error_response(502, "failed"))[1]) for _ in range(2))
    assert (first["type"], "type" in second) == ("error", False)


def test_any_other_error_is_mitmproxys() -> None:
    answer_error("failed", "no route", OPENAI, built_in())
    assert b"<html>" in make_error_response(400, "another message")
    make_error_response(502, "failed")
    assert b"<html>" in make_error_response(502, "failed"), "it is given once"


def test_what_nobody_fetches_is_bounded() -> None:
    for number in range(150):
        answer_error("never shown", str(number), OPENAI, built_in())
    body = parts(make_error_response(502, "never shown"))[1]
    assert "could not be reached: 50." in json.loads(body)["error"]["message"]
    for _ in range(99):
        make_error_response(502, "never shown")
    assert b"<html>" in make_error_response(502, "never shown")

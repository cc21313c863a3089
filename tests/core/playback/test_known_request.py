"""Which recordings stand for the bytes of live requests. That both ways to a key agree is tested
where they meet, in `tests/engine/test_request_reader.py`.
"""

import base64
import gzip
from typing import Any

import pytest

from wiretape.core.model import Request
from wiretape.core.playback.known_request import (
    digest_of,
    document_digest,
    is_free_of,
    kept_headers,
    text_of_head,
)
from wiretape.core.recording.document import from_request, to_request
from wiretape.core.redaction.known_values import Secrets

KEY = "kV8w2Qz-T5rXn1Lp"


def request(body: bytes = b'{"input":"hi"}', **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    pairs = {"content-type": "application/json", **named}.items()
    return Request("POST", "https", "llm.example", 443, "/v1/ask", headers=tuple(pairs), body=body)


def digest(live: Request) -> bytes | None:
    headers = kept_headers(live, lambda name: name in ("accept", "content-type"))
    return None if headers is None else digest_of(live, headers)


def document(body: bytes = b'{"input":"hi"}', **more: Any) -> dict[str, Any]:
    return {**from_request(request(body)), **more}


def test_the_digest_of_a_recording_is_that_of_its_bytes() -> None:
    part = document()
    assert document_digest(part, part) == digest(request(user_agent="a", authorization="b"))
    others = [request(b'{"input": "hi"}'), request(accept="*/*"), request(content_type="text/x")]
    others += [Request("PUT", *("https", "llm.example", 443, "/v1/ask"), headers=(), body=b"")]
    assert len({digest(live) for live in (request(), *others)}) == 5
    assert digest(request(content_encoding="gzip")) is None


def test_a_request_that_was_read_already_is_not_read_again() -> None:
    part = document(b'{"top":[1.0,"hi"],"more":1e0}')
    read = to_request(part)
    assert document_digest(part, part, read) == document_digest(part, part) == digest(read)
    # What redaction changed has another request.
    fewer = {**part, "headers": {}}
    assert document_digest(part, fewer, read) == document_digest(part, fewer) != digest(read)


def test_headers_are_not_taken_for_one_another() -> None:
    plain = request()
    pairs = [(("a", "b"),), (("a", "b"), ("c", "d")), (("a", "b', 'c"),), ()]
    assert len({digest_of(plain, headers) for headers in pairs}) == 4


PADDED = base64.b64encode(b"x" + KEY.encode()).decode()
HIDING = {
    "base64": PADDED,
    "base64 of base64": base64.b64encode(PADDED.encode()).decode(),
    "hexadecimal digits": KEY.encode().hex(),
    "UTF-16": base64.b64encode(KEY.encode("utf-16-le")).decode(),
    "UTF-32": base64.b64encode(KEY.encode("utf-32-be")).decode(),
    "gzip": base64.b64encode(gzip.compress(KEY.encode())).decode(),
    "percent": "kV8w2Qz%2DT5rXn1Lp",
    "a backslash": "C:\\\\u002d",
    "zeros": "\\u0000".join(KEY),
    "a placeholder": "REDACTED-secret-3f9a1c07",
    "escaped ASCII": "kV8w2Qz\\u002dT5rXn1Lp",
}


@pytest.mark.parametrize("name", HIDING)
def test_what_could_hide_a_value_has_no_digest(name: str) -> None:
    part = document(b'{"input":"%b"}' % HIDING[name].encode())
    assert document_digest(part, part) is None


@pytest.mark.parametrize("body", [b'{"context":[1,2]}', b'{"input":"\\"tokens\\": [[\\"1"}'])
def test_lists_of_token_ids_have_no_digest(body: bytes) -> None:
    part = document(body)
    assert document_digest(part, part) is None


@pytest.mark.parametrize(
    "text",
    ["meta-llama/Llama-3.3-70B-Instruct-Turbo", "é", 'say \\"hi\\"\\n', "0b0e7b5a-7c1e-4b8e-9c5d"],
)
def test_what_prompts_usually_hold_hides_nothing(text: str) -> None:
    part = document(b'{"input":"%b"}' % text.encode())
    assert document_digest(part, part) is not None


@pytest.mark.parametrize(
    "more",
    [
        {"carried": []},
        {"endpoint": "/v1/other"},
        {"model": "other"},
        {"body_json": "spaced"},
        {"body_file": "0" * 64 + ".bin"},
        {"method": "no method"},
        {"note": "added by hand"},
        {"url": "https://LLM.example:443/v1/ask"},
    ],
)
def test_a_part_that_its_bytes_do_not_give_has_no_digest(more: dict[str, Any]) -> None:
    part = document(**more)
    if more.keys() == {"body_json"}:
        assert document_digest(part, part) == digest(request(b'{"input": "hi"}'))
    else:
        assert document_digest(part, part) is None


def test_what_was_redacted_has_no_digest() -> None:
    part = document()
    assert document_digest(part, {**part, "url": part["url"] + "?x"}) is None
    assert document_digest(part, {**part, "headers": {}}) is not None
    assert document_digest(part, {**part, "headers": {"content-type": "text/x"}}) is None
    assert document_digest(part, {**part, "ids": {"resp_1": "a#0"}}) is not None


def test_a_value_is_found_in_all_that_is_recorded() -> None:
    secrets, kept = Secrets([("authorization", KEY)]), (("accept", f"a/{KEY}"),)
    head = text_of_head(request(), ())
    assert is_free_of(secrets, head, request().body)
    assert is_free_of(Secrets(), head, KEY.encode())
    assert not is_free_of(secrets, head, f'{{"a":"{KEY}"}}'.encode())
    assert not is_free_of(secrets, text_of_head(request(), kept), b"")
    url = Request("GET", "https", "llm.example", 443, f"/{KEY}")
    assert not is_free_of(secrets, text_of_head(url, ()), b"")
    assert not is_free_of(Secrets([("authorization", "schlüssel-9Zx81Qm77")]), head, b"")

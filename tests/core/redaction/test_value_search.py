"""Documents are searched member by member; what says how to read them stays."""

import base64
from typing import Any

import pytest

from wiretape.core.redaction.key_patterns import PATTERNS
from wiretape.core.redaction.known_values import Secrets
from wiretape.core.redaction.rules import Finding
from wiretape.core.redaction.secret_shapes import Shapes
from wiretape.core.redaction.value_search import Search, public_values

pytestmark = pytest.mark.usefixtures("looks_at_short_texts")
KNOWN = "a/known+value-5f2e?8d1c~"
SHAPED = "tgp_v1_" + "aB3dEfG9hIjK2mNoP4qRsT6uVwX8yZ0-_cD5eF7g"


class Searched:
    """A part of a document without its secrets, and where they were found."""

    def __init__(self, kind: str, part: dict[str, Any]) -> None:
        findings: list[Finding] = []
        self.search = Search(Shapes(PATTERNS), Secrets([("env", KNOWN)]), findings)
        self.part = getattr(self.search, kind)(part)
        self.where = [finding.where for finding in findings]
        self.text = repr(self.part)


def request(**members: Any) -> dict[str, Any]:
    plain = {"method": "POST", "url": "https://h.example/v1", "endpoint": "/v1", "headers": {}}
    return {**plain, **members}


@pytest.mark.parametrize(
    "part",
    [
        request(url=f"https://h.example/v1/{SHAPED}?a={SHAPED}", endpoint=f"/v1/{SHAPED}"),
        request(url=f"https://{SHAPED}.example/v1"),
        request(headers={"x-a": SHAPED, "x-b": [SHAPED]}),
        request(headers={"content-type": f"text/plain; boundary={SHAPED}"}),
        request(body={"a": [SHAPED, {"b": f"x {SHAPED}"}]}),
        request(body={SHAPED: 1}),
        request(body_text=f"key: {SHAPED}"),
        request(body_base64=base64.b64encode(f"\xff {SHAPED}".encode("latin-1")).decode()),
    ],
)
def test_a_secret_is_found_in_every_member_of_a_request(part: dict[str, Any]) -> None:
    searched = Searched("request", part)
    assert SHAPED not in searched.text
    assert all(where.startswith("request.") for where in map(str, searched.where))
    assert searched.where
    assert set(searched.part) == set(part)


@pytest.mark.parametrize(
    "part",
    [
        {"status": 200, "headers": {"x-a": SHAPED}},
        {"status": 200, "trailers": {"x-a": SHAPED}},
        {"status": 200, "body": {"__data__": {"a": SHAPED}, "at": 0.5}},
        {"status": 200, "body": [{"text": f"data: {SHAPED}", "at": 0.5}]},
        {"status": 200, "body": {"base64": base64.b64encode(SHAPED.encode()).decode()}},
    ],
)
def test_a_secret_is_found_in_every_member_of_a_response(part: dict[str, Any]) -> None:
    searched = Searched("response", part)
    assert SHAPED not in searched.text
    assert base64.b64encode(SHAPED.encode()).decode() not in searched.text
    assert searched.where


def test_a_part_without_secrets_comes_back_itself() -> None:
    part = request(body={"a": "plain"})
    searched = Searched("request", part)
    assert searched.part is part
    assert searched.search.replaced == []


def test_what_says_how_to_read_a_document_stays() -> None:
    chunk = {"text": SHAPED, "charset": SHAPED, "at": 0.5}
    part = {"status": 200, "framing": SHAPED, "body": [chunk]}
    searched = Searched("response", part).part
    assert (searched["framing"], searched["body"][0]["charset"]) == (SHAPED, SHAPED)
    media = request(headers={"content-type": "application/json"}, body={"a": SHAPED})
    assert Searched("request", media).part["headers"] == media["headers"]


def test_a_url_keeps_its_form() -> None:
    url = Searched("request", request(url=f"https://h.example:8443/{SHAPED}/x?y=1")).part["url"]
    assert url.startswith("https://h.example:8443/REDACTED-together-key-")
    assert url.endswith("/x?y=1")


def test_names_that_become_equal_lose_no_member() -> None:
    body = {"hunter-hunter-1": 1, KNOWN: 2, f"{KNOWN} ": 3}
    redacted = Searched("request", request(body=body)).part["body"]
    assert sorted(redacted.values()) == [1, 2, 3]


def test_what_a_member_names_as_a_credential_is_replaced() -> None:
    searched = Searched("request", request(body={"api_key": "kV8w2QzT5rXn1LpYb4"}))
    assert "kV8w2" not in searched.text
    assert [rule for rule, _ in searched.search.replaced] != []


def test_a_value_that_was_replaced_is_given_with_its_rule() -> None:
    searched = Searched("request", request(body={"a": KNOWN}))
    assert searched.search.replaced[0] == ("env", KNOWN)


def test_the_model_and_the_host_are_public_unless_they_look_like_keys() -> None:
    url = "https://h.example:8443/v1beta/models/gemini-x:generateContent"
    public = list(public_values({"url": url, "model": "gpt-x"}))
    assert public == ["h.example:8443", "h.example", "gpt-x", "gemini-x"]
    assert SHAPED not in list(public_values({"url": "https://h.example/", "model": SHAPED}))


def test_an_endpoint_that_is_no_text_is_searched_as_any_value() -> None:
    assert Searched("request", request(endpoint=[SHAPED], model=SHAPED)).text.count(SHAPED) == 0
    assert Searched("request", request(endpoint=None, model=SHAPED)).part["endpoint"] is None

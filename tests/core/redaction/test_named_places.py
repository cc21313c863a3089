"""Redaction by place: query, form, multipart, a URL's user, JSON paths."""

import base64
from typing import Any

import pytest

from wiretape.config.rule_entry import finder
from wiretape.core.redaction.named_places import NamedPlaces, each_chunk, url_parts
from wiretape.core.redaction.rules import Finding, JsonRule, RedactionRules

FORM = {"content-type": "application/x-www-form-urlencoded"}
MULTIPART = {"content-type": "multipart/form-data; boundary=b"}


def places(*paths: str) -> tuple[NamedPlaces, list[Finding]]:
    findings: list[Finding] = []
    rules = RedactionRules(json=tuple(JsonRule(f"json-{path}", finder(path)) for path in paths))
    return NamedPlaces(rules, findings, lambda value: f"REDACTED-{len(value):08x}"), findings


def request(url: str = "https://h/v1", **members: Any) -> dict[str, Any]:
    return {"method": "POST", "url": url, **members}


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://a:b@h:1/p?q#f", ("https:", "//", "a:b@", "h:1", "/p", "?q#f")),
        ("/p?q", ("", "", "", "", "/p", "?q")),
    ],
)
def test_a_urls_parts_joined_are_the_url(url: str, parts: tuple[str, ...]) -> None:
    assert url_parts(url) == parts
    assert "".join(parts) == url


@pytest.mark.parametrize(
    ("url", "redacted", "rule"),
    [
        ("https://h/?a=1&KEY=secret", "https://h/?a=1&KEY=REDACTED-00000006", "query-key"),
        ("https://h/#token=secret", "https://h/#token=REDACTED-00000006", "query-token"),
        ("https://u:secret@h/p", "https://REDACTED-00000008@h/p", None),
    ],
)
def test_a_urls_secrets_are_replaced(url: str, redacted: str, rule: str | None) -> None:
    named, findings = places()
    assert named.request(request(url))["url"] == redacted
    assert [each.where for each in findings] == ["request.url"]
    assert rule in (None, findings[0].rule)


def test_a_part_without_secrets_comes_back_itself() -> None:
    named, findings = places("$.user")
    part = request("https://h/?a=1", body={"model": "m", "n": 1}, headers={})
    answer = {"headers": {"location": "/next"}, "body": [{"data": "{}"}]}
    assert named.request(part) is part
    assert named.response(answer) is answer
    assert findings == []


def test_code_is_secret_in_a_form_with_a_grant_alone() -> None:
    named, _ = places()
    plain = request(headers=FORM, body_text="code=DE&client_secret=s%21")
    assert named.request(plain)["body_text"] == "code=DE&client_secret=REDACTED-00000002"
    grant = request(headers=FORM, body_text="grant_type=authorization_code&code=abc")
    assert named.request(grant)["body_text"].endswith("&code=REDACTED-00000003")
    assert ("form-client_secret", "s!") in named.carried


@pytest.mark.parametrize("name", ["body_text", "body_base64"])
def test_a_secret_field_of_a_multipart_body_is_replaced(name: str) -> None:
    text = '--b\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n--b--\r\n'
    expected = text.replace("hunter2", "REDACTED-00000007")
    if name == "body_base64":
        text, expected = (base64.b64encode(each.encode()).decode() for each in (text, expected))
    named, _ = places()
    assert named.request(request(headers=MULTIPART, **{name: text}))[name] == expected


def test_strings_at_and_below_a_json_path_are_replaced() -> None:
    named, findings = places("$.model", "$.meta")
    body = {"model": "mine", "meta": {"a": ["xy", 7, None]}, "rest": "xy"}
    result = named.request(request(body=body, model="mine"))
    assert result["body"] == {
        "model": "REDACTED-00000004",
        "meta": {"a": ["REDACTED-00000002", 7, None]},
        "rest": "xy",
    }
    assert result["model"] == "REDACTED-00000004"
    assert [each.where for each in findings] == ["request.body.model", "request.body.meta.a[0]"]
    assert named.carried == []
    assert [value for _, value in named.named] == ["mine", "xy"]


def test_chunks_links_and_json_in_a_text_are_redacted() -> None:
    named, findings = places("$.id")
    result = named.response(
        {
            "headers": {"link": '<https://h/?sig=secret>; rel="next"'},
            "body": [{"__data__": {"id": "ab"}, "at": 1}, {"data": ' {"id": "abc"}', "at": 2}],
        }
    )
    assert result["headers"]["link"] == '<https://h/?sig=REDACTED-00000006>; rel="next"'
    assert result["body"][0] == {"__data__": {"id": "REDACTED-00000002"}, "at": 1}
    assert "REDACTED-00000003" in result["body"][1]["data"]
    assert [each.where for each in findings][1:] == [
        "response.body[0].__data__.id",
        "response.body[1].data.id",
    ]


def test_a_placeholder_stays() -> None:
    named, findings = places()
    url = "https://h/?key=REDACTED-query-key-0a1b2c3d"
    assert named.request(request(url))["url"] == url
    assert findings == []


def test_each_chunk_gets_its_number_and_a_whole_body_none() -> None:
    def note(chunk: dict[str, Any], where: tuple[str | int, ...]) -> dict[str, Any]:
        return {**chunk, "where": where}

    assert each_chunk(note, [{}, {}], ("b",)) == [{"where": ("b", 0)}, {"where": ("b", 1)}]
    assert each_chunk(note, {"a": 1}, ("b",)) == {"a": 1, "where": ("b",)}
    assert each_chunk(note, None, ("b",)) is None

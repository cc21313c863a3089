"""A miss names the reason, the nearest recording, what differs and what would make it match."""

import json
from typing import Any

import pytest

from wiretape.document import from_request
from wiretape.match import ABSENT, Canonical, Difference, Matcher
from wiretape.miss import Miss, describe, explain
from wiretape.model import Request
from wiretape.providers import Providers

URL = "https://api.together.xyz/v1/chat/completions"
MATCHER = Matcher(Providers(), ["anthropic-beta"])


def request(body: Any, target: str = "/v1/chat/completions", **headers: str) -> Canonical:
    fields = (("content-type", "application/json"), *headers.items())
    raw = json.dumps(body).encode()
    made = Request("POST", "https", "api.together.xyz", 443, target, fields, raw)
    return MATCHER.canonical(from_request(made))


def test_without_recordings_the_reason_says_so() -> None:
    miss = explain(request({}), URL, [], 0)
    assert miss.reason == "no-recordings"
    assert miss.message == (
        f"no recording answers POST {URL}: there are no recordings."
        " Record it: wiretape record -- CMD"
    )


def test_without_one_of_the_endpoint_the_reason_says_so() -> None:
    miss = explain(request({}), URL, [], 7)
    assert miss.reason == "no-endpoint"
    assert "none of the 7 recordings is of this endpoint" in miss.message


def test_the_nearest_is_the_one_that_differs_least_and_its_fields_are_told() -> None:
    body = {"model": "m", "temperature": 0.7, "messages": [{"role": "user", "content": "Hi you"}]}
    near = {**body, "temperature": 0.2}
    far = {"model": "other", "temperature": 0.7, "messages": []}
    miss = explain(
        request(body), URL, [("far.json", request(far)), ("near.json", request(near))], 2
    )
    assert miss == Miss(
        "POST", URL, "differs", "near.json", (Difference("body.temperature", 0.7, 0.2),), 2
    )
    assert miss.message == (
        f"no recording answers POST {URL}; nearest is near.json, which differs in\n"
        "  body.temperature: got 0.7, recorded 0.2\n"
        'If that should not count, add to match.rules: {name: my-rule, ignore: ["$.temperature"]}\n'
        "Else record it: wiretape record -- CMD"
    )


def test_a_similar_text_is_nearer_than_another_one() -> None:
    wanted = request({"prompt": "What is the capital of France?"})
    others = [
        ("a.json", request({"prompt": "zzz"})),
        ("b.json", request({"prompt": "What is the capital of Spain?"})),
    ]
    assert explain(wanted, URL, others, 2).nearest == "b.json"


def test_the_rule_fits_the_place_of_the_difference() -> None:
    base = request({"a": 1})
    cases = {
        '{name: my-rule, ignore: ["$.a"]}': request({"a": 2}),
        '{name: my-rule, ignore_query: ["trace"]}': request(
            {"a": 1}, "/v1/chat/completions?trace=5"
        ),
        '{name: my-rule, ignore_headers: ["anthropic-beta"]}': request(
            {"a": 1}, **{"anthropic-beta": "x"}
        ),
    }
    for rule, other in cases.items():
        assert explain(other, URL, [("r.json", base)], 1).rule == rule


def test_more_differences_than_are_shown_are_counted() -> None:
    one = request({str(n): 1 for n in range(9)})
    two = request({str(n): 2 for n in range(9)})
    assert "\n  … and 4 more\n" in explain(one, URL, [("r.json", two)], 1).message


def test_used_up_takes_are_told() -> None:
    miss = Miss("POST", URL, "takes-used", "r.2.json")
    assert miss.message == (
        f"no recording answers POST {URL}: all takes of r.2.json have been given"
        " (replay.repeat: miss)"
    )


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        (Difference("body.a", ABSENT, 1), "body.a: got nothing, recorded 1"),
        (Difference("body.a", {"b": [1]}, None), 'body.a: got {"b": [1]}, recorded null'),
        (Difference("body.a", "é", "e"), 'body.a: got "é", recorded "e"'),
        (
            Difference("body.a", "x" * 500 + "Paris" + "y" * 500, "x" * 500 + "Rome"),
            f'body.a: got "…{"x" * 20}Paris{"y" * 55}…", recorded "…{"x" * 20}Rome"',
        ),
        (Difference("body.a", [0] * 200, 1), f"body.a: got {str([0] * 200)[:159]}…, recorded 1"),
    ],
)
def test_a_difference_is_one_short_line(difference: Difference, text: str) -> None:
    assert describe(difference) == text


def test_the_report_holds_the_whole_values() -> None:
    miss = explain(request({"a": "x" * 900}), URL, [("r.json", request({}))], 1)
    assert miss.as_json() == {
        "reason": "differs",
        "method": "POST",
        "url": URL,
        "nearest": "r.json",
        "differences": [{"path": "body.a", "got": "x" * 900, "recorded": None}],
        "rule": '{name: my-rule, ignore: ["$.a"]}',
    }

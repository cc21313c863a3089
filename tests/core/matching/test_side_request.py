"""What an agent asks beside its user is told by its body."""

import json
from typing import Any

from tests.support.cases import in_one_test
from tests.support.request_document import request

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.side_request import RequestKind, request_kind


def kind(body: Any) -> RequestKind:
    return request_kind(Matcher(built_in()).canonical(request(json.dumps(body))))


TITLE = "Please write a short Title for this conversation"


@in_one_test(
    "body, expected",
    [
        ({"generate": False}, RequestKind(warms_up=True)),
        ({"generate": True}, RequestKind()),
        ({"generate": 0}, RequestKind()),
        ({"max_tokens": 1}, RequestKind(asks_for_one_token=True)),
        ({"max_output_tokens": 1}, RequestKind(asks_for_one_token=True)),
        ({"max_tokens": 2}, RequestKind()),
        ({"system": TITLE}, RequestKind(makes_title=True)),
        ({"system": [{"text": "x"}, {"text": TITLE}]}, RequestKind(makes_title=True)),
        ({"systemInstruction": {"parts": [{"text": TITLE}]}}, RequestKind(makes_title=True)),
        ({"instructions": TITLE, "tools": []}, RequestKind(makes_title=True)),
        ({"instructions": TITLE, "tools": [{"name": "f"}]}, RequestKind()),
        ({"instructions": "x" * 200 + TITLE}, RequestKind()),
        ({"messages": [{"role": "system", "content": TITLE}]}, RequestKind(makes_title=True)),
        ({"messages": [{"role": "user", "content": TITLE}]}, RequestKind()),
        ({"messages": "x"}, RequestKind()),
        ({"system": 7}, RequestKind()),
        ([1], RequestKind()),
    ],
)
def test_kinds(body: Any, expected: RequestKind) -> None:
    assert kind(body) == expected
    assert expected.is_aside is (expected != RequestKind())


def test_the_distance_counts_what_differs() -> None:
    plain, warm = RequestKind(), RequestKind(warms_up=True)
    assert plain.distance(plain) == 0
    assert plain.distance(warm) == warm.distance(plain) == 1
    assert warm.distance(RequestKind(asks_for_one_token=True, makes_title=True)) == 3


def test_a_body_that_is_not_json_is_what_a_user_asked() -> None:
    form = Matcher(built_in()).canonical(request("a=1", "application/x-www-form-urlencoded"))
    assert request_kind(form) == RequestKind()

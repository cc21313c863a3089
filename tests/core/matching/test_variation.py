"""Each variation has the smallest change there is for it, or says why there is none."""

from typing import Any

import pytest

from wiretape.config.packs import built_in
from wiretape.core.matching.canonical import Canonical
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.structural_diff import differing
from wiretape.core.matching.variation import Variation, variation
from wiretape.core.model import Request
from wiretape.core.recording.document import from_request

UUID = "0b0e7b5a-7c1e-4b8e-9c5d-%012d"


def canonical(body: Any, target: str = "/v1/x", **headers: str) -> Canonical:
    import json

    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    kind = "text/plain" if isinstance(body, str) else "application/json"
    fields = (("content-type", kind), *headers.items())
    matcher = Matcher(built_in(), ["anthropic-beta"])
    live = Request("POST", "https", "api.openai.com", 443, target, headers=fields, body=data)
    return matcher.canonical(from_request(live))


def only(got: Canonical, recorded: Canonical) -> Variation:
    (difference,) = differing(got.value, recorded.value)
    return variation(difference, got)


def at(path: str, got: Any, recorded: Any) -> Variation:
    """The variation of a member, or of the content of a message: "user", "tool", …"""
    if path in ("user", "tool", "system", "assistant"):
        bodies = [{"messages": [{"role": path, "content": value}]} for value in (got, recorded)]
    else:
        bodies = [{path: value} for value in (got, recorded)]
    return only(*map(canonical, bodies))


@pytest.mark.parametrize(
    ("place", "got", "recorded", "kinds", "path"),
    [
        ("run_id", "a1", "b2", ["ids"], "$.run_id"),
        ("run_id", 1, 2, [None], "$.run_id"),
        ("score", 0.1 + 0.2, 0.3, ["round"], "$.score"),
        ("metadata", {"n": f"x {UUID % 1}"}, {"n": f"x {UUID % 2}"}, ["uuids"], "$.metadata.n"),
        ("metadata", {"n": "try no 3"}, {"n": "try no 4"}, ["regex"], "$.metadata.n"),
        ("metadata", {"n": "a b"}, {"n": "a c"}, [None], "$.metadata.n"),
        ("system", "id: 5f3a", "id: 99bc", ["regex"], "$.messages[0].content"),
        ("system", f"x {UUID % 1}", f"x {UUID % 2}", ["uuids"], "$.messages[0].content"),
        ("tool", "at 14:03", "at 15:11", ["regex"], "$.messages[?@.role=='tool'].content"),
    ],
)
def test_the_smallest_change_is_chosen(
    place: str, got: Any, recorded: Any, kinds: list[str | None], path: str
) -> None:
    varied = at(place, got, recorded)
    assert varied.is_tamed
    assert [change.kind for change in varied.changes] == kinds
    assert {change.path for change in varied.changes} == {path}


@pytest.mark.parametrize(
    ("place", "got", "recorded"),
    [
        ("model", "gpt-4o-1", "gpt-4o-2"),
        ("stream", True, False),
        ("generate", True, False),
        ("user", "add 3", "add 4"),
        ("user", "hi", "ho"),
        ("system", "be brief", "be kind"),
        ("tool", "17 degrees", "19 degrees"),
        ("tools", [{"n": "a1"}], [{"n": "b2"}]),
        ("utterance", "book room 1", "book room 2"),
        ("it's", "a1", "b2"),
    ],
)
def test_the_question_is_never_taken_out(place: str, got: Any, recorded: Any) -> None:
    varied = at(place, got, recorded)
    assert varied.reason
    assert (varied.changes, varied.query, varied.header) == ((), "", "")


def test_an_earlier_answer_that_differs_is_told_apart() -> None:
    varied = at("assistant", "it is 3", "it is 4")
    assert (varied.is_answer, varied.is_tamed) == (True, False)


def test_the_output_of_a_tool_is_found_wherever_it_stands() -> None:
    def body(clock: str) -> Any:
        result = {"type": "tool_result", "tool_use_id": "t", "content": f"at {clock}"}
        return {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, result]}]}

    varied = only(*(canonical(body(clock)) for clock in ("14:03", "15:11")))
    (change,) = varied.changes
    assert change.path == "$.messages[*].content[?@.type=='tool_result'].content"


def test_parameters_and_headers() -> None:
    varied = only(canonical({}, "/v1/x?trace=a1"), canonical({}, "/v1/x?trace=b2"))
    assert (varied.query, varied.is_tamed) == ("trace", True)
    varied = only(canonical({}, "/v1/x?model=a1"), canonical({}, "/v1/x?model=b2"))
    assert not varied.is_tamed
    betas = [canonical({}, **{"anthropic-beta": name}) for name in ("a1", "b2")]
    assert only(*betas).header == "anthropic-beta"
    assert only(canonical({}, Range="bytes=0-1"), canonical({}, Range="bytes=1-2")).reason


def test_a_body_that_is_no_json_loses_only_what_has_a_name() -> None:
    varied = only(canonical(f"go {UUID % 1}"), canonical(f"go {UUID % 2}"))
    assert [change.kind for change in varied.changes] == ["uuids"]
    assert only(canonical("go 1"), canonical("go 2")).reason

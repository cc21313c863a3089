"""What rules take out of a request's parts, and the note of it; test_matcher has whole requests."""

from typing import Any

import pytest

from wiretape.config.rule_entry import rule
from wiretape.core.matching.applied_rules import NOT_COMPARED, AppliedRules
from wiretape.core.matching.rule import Rule


def own(**entry: Any) -> Rule:
    return rule({"name": "own", **entry})


def built_in(**entry: Any) -> Rule:
    return rule({"name": "pack/x", **entry}, own=False)


@pytest.fixture
def applied() -> AppliedRules:
    return AppliedRules({"resp_1": "3f2a#0"}, frozenset())


def test_a_query_parameter_is_left_out_whatever_its_case(applied: AppliedRules) -> None:
    query: dict[str, list[Any]] = {"Run": ["1"], "q": ["x", "resp_1"]}
    left = applied.query(query, [own(ignore_query=["run"])])
    assert list(left) == ["q"]
    assert left["q"][0] == "x"
    assert left["q"][1] != "resp_1", "an id that an answer gave counts by its token"
    assert applied.ignored == {"query.Run": ("own", ["1"])}


def test_what_a_built_in_rule_takes_out_is_named_and_not_reported(applied: AppliedRules) -> None:
    headers = applied.headers({"user-agent": "a", "x-b": "1"}, frozenset(), [
        built_in(ignore_headers=["user-*"])])  # fmt: skip
    assert headers == {"x-b": "1"}
    assert (applied.ignored, list(applied.names)) == ({}, ["pack/x"])


def test_a_header_that_the_user_named_is_left_to_his_own_rules(applied: AppliedRules) -> None:
    named = frozenset(("x-b",))
    rules = [built_in(ignore_headers=["x-b"])]
    assert applied.headers({"x-b": "1"}, named, rules) == {"x-b": "1"}
    assert applied.headers({"x-b": "1"}, named, [own(ignore_headers=["x-b"])]) == {}


def test_the_boundary_of_a_multipart_body_says_nothing(applied: AppliedRules) -> None:
    kept = applied.headers({"content-type": "multipart/form-data; boundary=1"}, frozenset(), [])
    assert kept == {"content-type": "multipart/form-data"}


def test_all_paths_are_found_before_any_value_goes(applied: AppliedRules) -> None:
    body = {"messages": ["a", "b", "c"], "seed": 1}
    rules = [own(ignore=["$.messages[0]", "$.messages[1]", "$.seed"])]
    assert applied.body("json", body, rules) == {"messages": ["c"]}
    assert applied.ignored["body.messages[1]"] == ("own", "b")


def test_only_what_is_named_counts(applied: AppliedRules) -> None:
    body = {"model": "m", "run": 1}
    assert applied.body("json", body, [own(only=["$.model"])]) == {"model": "m"}
    assert applied.ignored == {"body.run": ("own", 1)}


def test_the_digest_of_a_binary_body_is_left_alone(applied: AppliedRules) -> None:
    assert applied.body("sha256", "00ff", [own(normalise=["uuids"])]) == "00ff"
    assert list(applied.names) == []


@pytest.mark.parametrize(
    ("on", "left"),
    [
        (["method", "path"], {"provider": NOT_COMPARED, "query": {}, "headers": {}, "body": None}),
        (["provider"], {"method": NOT_COMPARED, "path": NOT_COMPARED, "query": {}, "body": None}),
        (["host"], {"provider": "api.example"}),
    ],
)
def test_parts_that_do_not_count_are_left_out(
    applied: AppliedRules, on: list[str], left: dict[str, Any]
) -> None:
    value: dict[str, Any] = {
        "method": "POST",
        "provider": "openai",
        "path": "/v1",
        "query": {"q": ["1"]},
        "headers": {"x-b": "1"},
        "body": {"json": {"a": 1}},
    }
    path = applied.leave_out(value, own(on=on), "api.example", "/v1")
    assert {name: value[name] for name in left} == left
    assert path == ("/v1" if "path" in on else NOT_COMPARED)
    assert applied.ignored.get("body") == ("own", {"a": 1})

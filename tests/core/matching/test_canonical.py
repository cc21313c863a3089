"""What rules kept from being compared is compared here: a stale pass is told."""

import json
from typing import Any

from wiretape.config.rule_entry import rule as rule_of
from wiretape.core.matching.canonical import (
    ABSENT,
    Canonical,
    Change,
    Difference,
    changed,
    differences,
)
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.rule import Rule
from wiretape.core.providers.registry import Provider, Providers

PROVIDERS = Providers([Provider("together", ("api.together.xyz",))])
UUIDS = [f"{digit * 8}-1111-4111-8111-111111111111" for digit in "ab"]


def written(**entry: Any) -> Rule:
    """A rule as config.yaml says it."""
    return rule_of({"name": "r", **entry})


def canonical(body: Any, *rules: Rule, ids: dict[str, str] | None = None) -> Canonical:
    url = "https://api.together.xyz/v1/x"
    document = {"method": "POST", "url": url, "headers": {}, "body": body, "ids": ids or {}}
    return Matcher(PROVIDERS, rules=rules).canonical(document)


def changes(rule: Rule, one: str, two: str) -> list[Change]:
    """What the guard tells of two bodies that have one key."""
    first, second = (canonical(json.loads(text), rule) for text in (one, two))
    assert first.key == second.key
    return list(changed(first, second))


def test_what_was_ignored_and_has_changed_is_told_by_its_place() -> None:
    rule = written(ignore=["$.metadata", "$.seed"])
    one = '{"metadata":{"a":1,"b":[2,3]},"x":1}'
    two = '{"metadata":{"a":1.0,"b":[2,4]},"x":1,"seed":5}'
    assert changes(rule, one, two) == [
        Change("body.metadata.b[1]", "r", 3, 4),
        Change("body.seed", "r", ABSENT, 5),
    ]


def test_nothing_is_told_of_requests_without_rules() -> None:
    assert changed(canonical({"a": 1}), canonical({"a": 1})) == ()


def test_a_normalised_text_that_has_changed_is_told_as_it_was() -> None:
    rule = written(normalise=["uuids"])
    one, two = (f'{{"a":"run {uuid}","b":1}}' for uuid in UUIDS)
    assert changes(rule, one, two) == [Change("body.a", "r", f"run {UUIDS[0]}", f"run {UUIDS[1]}")]


def test_a_number_that_had_not_to_be_rounded_is_still_compared() -> None:
    rule = written(normalise=[{"round": 1, "at": ["$.t"]}])
    assert changes(rule, '{"t":0.7}', '{"t":0.71}') == [Change("body.t", "r", 0.7, 0.71)]


def test_parts_that_do_not_count_are_compared_by_the_guard() -> None:
    rule = written(on=["method", "provider", "path"])
    assert changes(rule, '{"a":1}', '{"a":2}') == [Change("body.a", "r", 1, 2)]


def test_numbered_ids_the_order_of_sets_and_nulls_are_no_change() -> None:
    rule = written(
        normalise=[{"with": "ids", "at": ["$.id"]}, {"sorted": ["$.set"]}], null_is_absent=True
    )
    assert changes(rule, '{"id":"a","set":[1,2],"n":null}', '{"id":"b","set":[2,1]}') == []


def test_the_digest_of_a_placeholder_is_no_change() -> None:
    rule = written(ignore=["$.a"])
    one, two = (f'{{"a":["REDACTED-key-{digit * 8}"]}}' for digit in "12")
    assert changes(rule, one, two) == []
    assert changes(rule, one, '{"a":["REDACTED-other"]}') == [
        Change("body.a[0]", "r", "REDACTED-key", "REDACTED-other")
    ]


def test_an_id_of_known_origin_is_shown_with_it() -> None:
    one, two = (canonical({"id": "a"}, ids={"a": token}) for token in ("3f2a#0", "0a1b.2#3"))
    assert differences(one.value, two.value) == [Difference("body.id", "3f2a#0", "0a1b.2#3")]
    assert differences(one.value, canonical({"id": "b"}).value) == [
        Difference("body.id", "<id 0 of 3f2a>", "b")
    ]


def test_a_numbered_name_is_shown_as_a_reader_sees_it() -> None:
    rule = written(normalise=["uuids"])
    one, two = (canonical({"a": text}, rule) for text in (f"run {UUIDS[0]}", "b"))
    assert differences(one.value, two.value) == [Difference("body.a", "run <uuid-1>", "b")]

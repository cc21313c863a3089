"""A rule is tried on a whole folder: what it makes equal is named, and nothing is changed."""

import copy
from typing import Any

from tests.support.request_document import CHAT, request

from wiretape.config.packs import built_in, rules
from wiretape.config.rule_entry import rule
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.rule_trial import RuleTrial, try_rules
from wiretape.core.recording.document import Document

PROVIDERS = built_in()
MATCHER = Matcher(PROVIDERS, ["x-tenant"], tuple(rules(PROVIDERS.all)), distinct=["email"])


def ignoring(*paths: str, **more: Any) -> Any:
    return rule({"name": "tried", "ignore": list(paths), **more})


def asks(prompt: str, run: int, url: str = CHAT) -> Document:
    return request(f'{{"prompt": "{prompt}", "run": {run}}}', url=url)


FOLDER = [("a", asks("hi", 1)), ("b", asks("bye", 2)), ("c", asks("ciao", 3))]


def test_a_rule_that_leaves_all_apart_is_safe() -> None:
    trial = try_rules(MATCHER, [ignoring("$.run")], FOLDER, asks("bye", 9))
    assert trial == RuleTrial(3, (), ("b",))
    assert trial.is_safe


def test_recordings_that_a_rule_makes_equal_are_named() -> None:
    folder = [*FOLDER, ("d", asks("hi", 7)), ("e", asks("bye", 7))]
    trial = try_rules(MATCHER, [ignoring("$.run")], folder, asks("ciao", 9))
    assert trial == RuleTrial(5, (("a", "d"), ("b", "e")), ("c",))
    assert not trial.is_safe


def test_takes_of_one_request_were_equal_before() -> None:
    folder = [*FOLDER, ("a2", asks("hi", 1))]
    trial = try_rules(MATCHER, [ignoring("$.run")], folder, asks("hi", 9))
    assert trial == RuleTrial(4, (), ("a", "a2"))


def test_a_request_that_no_rule_lets_match_is_answered_by_nothing() -> None:
    assert try_rules(MATCHER, [ignoring("$.run")], FOLDER, asks("hey", 1)).answering == ()
    assert try_rules(MATCHER, [ignoring("$.run")], FOLDER).answering == ()


def test_rules_are_tried_together() -> None:
    one, two = ignoring("$.run"), rule({"name": "other", "ignore": ["$.prompt"]})
    assert try_rules(MATCHER, [one], FOLDER).merged == ()
    assert try_rules(MATCHER, [two], FOLDER).merged == ()
    assert try_rules(MATCHER, [one, two], FOLDER).merged == (("a", "b", "c"),)


def test_a_rule_is_tried_beside_those_in_effect() -> None:
    matcher = Matcher(PROVIDERS, rules=[rule({"name": "mine", "ignore": ["$.run"]})])
    assert try_rules(matcher, [ignoring("$.prompt")], FOLDER).merged == (("a", "b", "c"),)


def test_ids_are_tried_by_their_tokens_and_as_they_are_spelled() -> None:
    def links(text: str, token: str) -> Document:
        return {**request(f'{{"previous_response_id": "{text}"}}'), "ids": {text: token}}

    folder = [("a", links("resp_1", "aa#0")), ("b", links("resp_2", "bb#0"))]
    assert try_rules(MATCHER, [ignoring("$.x")], folder, links("resp_9", "aa#0")).answering == (
        "a",
    )
    assert try_rules(MATCHER, [ignoring("$.x")], folder, links("resp_2", "cc#0")).answering == (
        "b",
    )
    trial = try_rules(MATCHER, [ignoring("$.previous_response_id")], folder)
    assert trial.merged == (("a", "b"),)


def test_to_try_changes_neither_recordings_nor_request() -> None:
    folder, live = copy.deepcopy(FOLDER), asks("room 37", 4)
    before = copy.deepcopy(live)
    normalising = rule(
        {"name": "tried", "normalise": [{"regex": "[a-z]+", "replace": "x", "at": ["$.prompt"]}]}
    )
    assert try_rules(MATCHER, [normalising, ignoring("$.run")], folder, live).merged
    assert (folder, live) == (FOLDER, before)
    assert MATCHER.canonical(live).key == MATCHER.canonical(before).key


def test_further_rules_change_nothing_else_of_a_matcher() -> None:
    """Headers, placeholders and the rules of packs count as before."""
    live = request(
        '{"a": "REDACTED-email-0123abcd"}', headers=(("X-Tenant", "t"), ("Idempotency-Key", "k"))
    )
    assert MATCHER.with_rules([]).canonical(live) == MATCHER.canonical(live)
    with_one = MATCHER.with_rules([ignoring("$.a")])
    assert with_one.rules[0].name == "tried"
    own = with_one.with_rules([ignoring("$.b")]).rules[:2]
    assert [each.ignore == () for each in own] == [False, False]

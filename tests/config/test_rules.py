"""The rules in effect: config.yaml's own first, then the packs' that are not taken out."""

from typing import Any

import pytest

from wiretape.config.packs import built_in
from wiretape.config.rules import Wrong, host_key, rules
from wiretape.config.schema import check
from wiretape.core.matching.rule import Rule
from wiretape.core.text.located_yaml import parse


def collected(text: str) -> tuple[tuple[Rule, ...], tuple[Rule, ...], list[Wrong]]:
    tree = parse(text.encode())
    file, problems = check(tree)
    assert problems == []
    wrong: list[Wrong] = []
    return *rules(file, tree, "config.yaml", built_in(), wrong), wrong


def faults(text: str) -> list[tuple[Any, str]]:
    return collected(text)[2]


def test_own_rules_go_first_and_say_where_they_stand() -> None:
    own = "match:\n  rules:\n    - {name: seed, ignore: [$.seed]}\n"
    in_effect, removed, wrong = collected(own)
    assert (in_effect[0].name, in_effect[0].origin) == ("seed", "config.yaml:3")
    assert in_effect[1].name.startswith("common/")
    assert (removed, wrong) == ((), [])


def test_a_rule_of_a_pack_is_taken_out_by_name() -> None:
    in_effect, removed, wrong = collected("match: {without: [common/user-agent]}\n")
    assert [rule.name for rule in removed] == ["common/user-agent"]
    assert "common/user-agent" not in [rule.name for rule in in_effect]
    assert wrong == []


def test_one_that_no_pack_has_is_a_fault_with_a_hint() -> None:
    ((location, text),) = faults("match: {without: [common/user-agnet]}\n")
    assert location == ("match", "without", 0)
    assert text.startswith("no built-in rule is called common/user-agnet")
    assert '(did you mean "common/user-agent"?)' in text


TWO = "match:\n  rules:\n    - {%s}\n    - {%s}\n"


@pytest.mark.parametrize(
    ("first", "second", "key", "text"),
    [
        ("name: a, ignore: [$.x]", "name: a, ignore: [$.y]", "name", "a is the rule in line 3 too"),
        (
            "name: a, only: [$.x]",
            "name: b, only: [$.y]",
            "only",
            "a (line 3) says only for the same requests",
        ),
        (
            "name: a, ignore: [$.x]",
            "name: b, only: [$.x]",
            "only",
            "a (line 3) has $.x in ignore for the same requests; keep one",
        ),
        (
            "name: a, ignore: [$.x]",
            "name: common/user-agent, ignore: [$.y]",
            "name",
            "common/user-agent is a built-in rule; take that out with match.without",
        ),
    ],
)
def test_rules_that_contradict_one_another_are_named(
    first: str, second: str, key: str, text: str
) -> None:
    ((location, message),) = faults(TWO % (first, second))
    assert location == ("match", "rules", 1, key)
    assert message.startswith(text)


def test_rules_for_other_requests_contradict_nobody() -> None:
    second = "name: b, only: [$.y], when: {path: /v1/x}"
    assert faults(TWO % ("name: a, only: [$.x]", second)) == []


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("openai", "openai"),
        ("api.openai.com", "openai"),
        ("unknown.example", "unknown.example"),
        ("localhost:8000", "localhost:8000"),
    ],
)
def test_a_provider_is_named_by_its_name_or_a_host(name: str, key: str) -> None:
    wrong: list[Wrong] = []
    assert host_key(name, built_in(), ("x",), wrong, is_any_host=True) == key
    assert wrong == []


@pytest.mark.parametrize(("name", "is_any_host"), [("opanai", True), ("unknown.example", False)])
def test_a_provider_that_nobody_knows_is_a_fault(name: str, is_any_host: bool) -> None:
    wrong: list[Wrong] = []
    host_key(name, built_in(), ("faults", 0), wrong, is_any_host=is_any_host)
    ((location, text),) = wrong
    assert location == ("faults", 0)
    assert text.startswith("unknown provider, expected a host or one of: ")


def test_a_rule_may_name_a_host_that_no_provider_has_yet() -> None:
    """`--host` may add it."""
    entry = "name: a, ignore: [$.x], when: {provider: 'later.example'}"
    in_effect, _, wrong = collected(f"match:\n  rules:\n    - {{{entry}}}\n")
    assert (in_effect[0].provider, wrong) == ("later.example", [])

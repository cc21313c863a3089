"""What an entry of `faults` says becomes a fault for the requests it is for."""

import re
from typing import Any

import pytest

from wiretape.config.faults import fault, faults
from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Request
from wiretape.core.playback.faults import Fault, Faults
from wiretape.core.text.located import Location

REQUEST = Request("POST", "https", "api.openai.com", 443, "/v1/chat/completions")
BODY = {"model": "gpt-x", "stream": True}


def provider(name: str, place: Location) -> str:
    return f"{name} of {place}"


def chosen(*entries: dict[str, Any]) -> Fault | None:
    """The fault of a request of openai's."""
    document = {"method": "POST", "url": REQUEST.url, "headers": {}, "body": BODY}
    canonical = Matcher(built_in()).canonical(document)
    made = Faults(faults(entries, lambda name, place: name, []))
    return made.choose(["openai"], REQUEST, canonical)


def test_an_entry_says_a_fault_with_its_chance() -> None:
    entry = {"name": "busy", "rate_limit": 30, "probability": 0.5, "seed": 7}
    assert fault(entry) == Fault("busy", rate_limit=30, probability=0.5, seed=7)


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({}, "expected one of status, delay, cut, reset, stall, malformed, rate_limit"),
        ({"cut": 1, "reset": 2}, "cut and reset exclude each other"),
        ({"status": 200}, "status: expected a number from 400 to 599"),
    ],
)
def test_an_entry_that_says_none_is_told_so(members: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        fault({"name": "f", **members})


@pytest.mark.parametrize(
    "when",
    [
        {},
        {"provider": "openai"},
        {"method": "post"},
        {"host": "*.openai.com"},
        {"path": "/v1/*"},
        {"body": {"$.model": "gpt-*"}},
    ],
)
def test_conditions_are_those_of_rules(when: dict[str, Any]) -> None:
    assert chosen({"name": "f", "when": when, "cut": 1}) == Fault("f", cut=1)


@pytest.mark.parametrize("when", [{"provider": "groq"}, {"path": "/v1"}, {"body": "$.tools"}])
def test_a_condition_that_is_not_met_keeps_the_fault_away(when: dict[str, Any]) -> None:
    assert chosen({"name": "f", "when": when, "cut": 1}) is None


def test_the_first_that_fits_strikes() -> None:
    only = {"name": "a", "when": {"path": "/v2/*"}, "cut": 1}
    assert chosen(only, {"name": "b", "cut": 2}, {"name": "c", "cut": 3}) == Fault("b", cut=2)


def test_a_provider_is_known_by_what_matchers_call_it() -> None:
    entry = {"name": "f", "when": {"provider": "mine.example"}, "cut": 1}
    (made,) = faults([entry], provider, [])
    assert made.rule.provider == "mine.example of ('faults', 0, 'when', 'provider')"


def test_a_name_is_one_faults() -> None:
    wrong: list[tuple[Location, str]] = []
    faults([{"name": "a", "cut": 1}, {"name": "a", "cut": 2}], provider, wrong)
    text = "a is the name of an earlier fault too; a name is one fault's"
    assert wrong == [(("faults", 1, "name"), text)]

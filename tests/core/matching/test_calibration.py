"""Rules that calibrate proposes make two runs equal, and any other prompt still misses."""

import random
import uuid
from datetime import date
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wiretape.config.packs import built_in
from wiretape.config.packs import rules as pack_rules
from wiretape.config.rule_entry import rule
from wiretape.core.matching.calibration import (
    CalibratedRule,
    Calibration,
    calibrate,
    moved_pairs,
    prove,
)
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.request_pairs import RequestPair, SentRequest, pair_up
from wiretape.core.matching.suggested_rule import RuleParts, suggestion_of

PROVIDERS = built_in()
MATCHER = Matcher(PROVIDERS, (), tuple(pack_rules(PROVIDERS.all)))
DAY = date(2026, 11, 29)


def sent(name: str, body: Any, target: str = "/v1/chat/completions") -> SentRequest:
    url = f"https://api.openai.com{target}"
    return SentRequest(name, {"method": "POST", "url": url, "endpoint": target, "body": body})


def an_agent(seed: int, question: str = "what is there?", turns: int = 3) -> list[SentRequest]:
    """The requests of an agent that says all that agents say of a run."""
    chance = random.Random(seed)
    session = f"ses_{chance.getrandbits(40):010x}"
    system = (
        "You are an agent.\nToday's date: Sunday, November 29, 2026\n"
        f"Started at 14:{chance.randrange(10, 60)}:22\nSession id: {session}\n"
        f"Trace {uuid.UUID(int=chance.getrandbits(128))}"
    )
    messages: list[Any] = [{"role": "system", "content": system}]
    messages += [{"role": "user", "content": question}]
    requests = []
    for turn in range(turns):
        body = {
            "model": "m",
            "stream": True,
            "messages": list(messages),
            "metadata": {"run_id": session, "note": f"attempt {chance.randrange(999)} of it"},
            "counter": chance.randrange(10**6),
        }
        requests.append(sent(f"{seed}-{turn}", body))
        call = {"id": f"call_{turn}", "function": {"name": "test", "arguments": "{}"}}
        messages += [{"role": "assistant", "content": None, "tool_calls": [call]}]
        output = (
            f"Ran 3 tests in 0.{chance.randrange(100, 999)}s, object at"
            f" 0x{chance.getrandbits(32):x}, in /tmp/tmp{chance.getrandbits(30):x}/log"
        )
        messages += [{"role": "tool", "tool_call_id": f"call_{turn}", "content": output}]
    return requests


def pairs(first: list[SentRequest], second: list[SentRequest]) -> list[RequestPair]:
    return pair_up(first, second, MATCHER).pairs


def under(calibration: Calibration) -> Matcher:
    """The rules as a user has them: by their YAML."""
    text = "rules:\n" + "\n".join(each.suggestion.yaml for each in calibration.rules)
    return MATCHER.with_rules([rule(entry) for entry in yaml.safe_load(text)["rules"] or ()])


@pytest.fixture(scope="module")
def agent() -> Calibration:
    first = an_agent(1)
    return calibrate([*pairs(first, an_agent(2)), *moved_pairs(first, [DAY])], MATCHER)


def test_one_rule_for_the_endpoint_has_only_patterns_in_what_was_asked(agent: Calibration) -> None:
    (rule,) = agent.rules
    assert agent.untamed == ()
    ignored = [change.path for change in rule.parts.changes if change.kind is None]
    assert ignored == ["$.counter"]
    assert [c.path for c in rule.parts.changes if c.kind == "ids"] == ["$.metadata.run_id"]
    hides = "\n".join(rule.hides)
    for text in ("Started at {time}", "Session id: {id}", "date: {date}", "in {duration}"):
        assert text in hides
    assert "$.messages[?@.role=='tool'].content" in hides
    assert "all of $.counter, and whether it is there" in rule.hides


def test_further_runs_on_other_days_replay_by_the_rules_as_they_are_written(
    agent: Calibration,
) -> None:
    matcher = under(agent)
    recorded = [matcher.canonical(request.document).key for request in an_agent(1, turns=5)]
    for seed in (3, 4):
        again = an_agent(seed, turns=5)  # more turns than were calibrated with
        moved = [pair.second for pair in moved_pairs(again, [DAY])]
        for requests in (again, moved):
            keys = [matcher.canonical(request.document).key for request in requests]
            assert keys == recorded


@given(st.text(max_size=40), st.sampled_from(["question", "system", "tool", "model"]))
def test_any_other_prompt_misses(agent: Calibration, text: str, place: str) -> None:
    matcher = under(agent)
    request = an_agent(5)[1]
    key = matcher.canonical(request.document).key
    body = request.document["body"]
    member = {"system": 0, "question": 1, "tool": 3}.get(place)
    if member is None:
        body["model"] += text
    else:
        message = body["messages"][member]
        message["content"] = f"{text}{message['content']}" if len(text) % 2 else text
    was = an_agent(5)[1].document["body"]
    assert (matcher.canonical(request.document).key == key) == (body == was)


def test_the_proof_holds_and_counts(agent: Calibration) -> None:
    proof = prove(agent, an_agent(1), MATCHER)
    assert proof.holds
    assert (proof.pairs, proof.replayed) == (6, 6)
    assert proof.prompts > 10


def test_what_is_hidden_is_named_by_its_kind_and_not_by_a_folder_before_it() -> None:
    text = "In {cwd}, home {home}. Today's date: Sun Nov 29 2026"
    body = {"model": "m", "messages": [{"role": "system", "content": text}]}
    (rule,) = calibrate(moved_pairs([sent("a", body)], [DAY]), MATCHER).rules
    (hides,) = rule.hides
    assert "{home}" in hides
    assert "the date of" in hides


def test_a_rule_that_hides_a_prompt_or_is_not_needed_fails_the_proof(agent: Calibration) -> None:
    from wiretape.core.matching.body_changes import BodyChange

    (rule,) = agent.rules
    endpoint = rule.variations[0].endpoint
    for path, fault in (("$.messages[1]", "hidden"), ("$.nothing", "unneeded")):
        parts = RuleParts((*rule.parts.changes, BodyChange(path)))
        bad = CalibratedRule(suggestion_of(endpoint, parts, {}), parts, rule.variations)
        calibration = Calibration((bad,), (), tamed=agent.tamed)
        proof = prove(calibration, an_agent(1), MATCHER)
        assert not proof.holds
        assert getattr(proof, fault)


def test_what_was_asked_is_left_and_named_and_makes_no_rule() -> None:
    first, second = an_agent(1, "add 3 and 4", 1), an_agent(2, "add 5 and 4", 1)
    calibration = calibrate(pairs(first, second), MATCHER)
    assert calibration.rules == ()
    (varied,) = calibration.untamed
    assert varied.shown.path == "body.messages[1].content"
    assert "asked" in varied.reason


def test_a_conversation_that_went_another_way_waits_for_the_next_run() -> None:
    def turn(name: str, answer: str, run: str) -> SentRequest:
        messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": answer}]
        return sent(name, {"messages": messages, "run_id": run})

    calibration = calibrate(pairs([turn("a", "yes", "x1")], [turn("b", "no", "y2")]), MATCHER)
    assert calibration.answers_differ
    assert (calibration.rules, calibration.untamed) == ((), ())


def test_each_endpoint_has_a_rule_and_names_are_new() -> None:
    first = [sent("a", {"id": "a1"}), sent("b", {"id": "a2"}, "/v1/embeddings")]
    second = [sent("a", {"id": "b1"}), sent("b", {"id": "b2"}, "/v1/embeddings")]
    taken = calibrate(pairs(first, second), MATCHER).rules[0].suggestion.rule.name
    rules = calibrate(pairs(first, second), MATCHER, {taken: ""}).rules
    names = [each.suggestion.rule.name for each in rules]
    assert len({*names, taken}) == 3
    assert [each.suggestion.rule.path for each in rules] == [
        "/v1/chat/completions",
        "/v1/embeddings",
    ]


def test_a_request_that_names_no_day_is_the_same_on_another() -> None:
    assert moved_pairs([sent("a", {"n": 1, "t": "2026-11-28"})], [DAY]) == []


def test_what_varies_in_many_items_of_one_list_is_for_all_of_that_list_alone() -> None:
    def asks(run: str) -> SentRequest:
        batch = [{"meta": [{"run": f"{run}{n}"}, {"run": "fixed"}]} for n in range(4)]
        return sent(run, {"model": "m", "batch": batch})

    calibration = calibrate([RequestPair(asks("5f3a9c"), asks("99bc01"))], MATCHER)
    (rule,) = calibration.rules
    assert [change.path for change in rule.parts.changes] == ["$.batch[*].meta[0].run"]


def test_what_varies_in_few_items_is_for_these_alone() -> None:
    def asks(run: str) -> SentRequest:
        batch = [{"run": f"{run}{n}" if n < 2 else "fixed"} for n in range(4)]
        return sent(run, {"model": "m", "batch": batch})

    calibration = calibrate([RequestPair(asks("5f3a9c"), asks("99bc01"))], MATCHER)
    (rule,) = calibration.rules
    paths = {change.path for change in rule.parts.changes}
    assert paths == {"$.batch[0].run", "$.batch[1].run"}

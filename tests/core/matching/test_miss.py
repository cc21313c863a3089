"""A miss names the reason, the nearest recording, what differs and what would make it match."""

import json
import re
from typing import Any

import pytest

from wiretape.config.packs import built_in
from wiretape.config.rule_entry import rule
from wiretape.core.matching.canonical import ABSENT, Canonical, Difference
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.miss import MESSAGE_LENGTH, FolderState, Miss, RuleNames, miss_for
from wiretape.core.matching.rule import Rule
from wiretape.core.matching.rule_trial import RuleTrial
from wiretape.core.matching.suggested_rule import Suggestion
from wiretape.core.model import Request
from wiretape.core.recording.document import from_request
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.library.library import SkippedFile

URL = "https://api.together.xyz/v1/chat/completions"
MATCHER = Matcher(built_in(), ["anthropic-beta"])
WHEN = '      when: {provider: "together", method: POST, path: "/v1/chat/completions"}\n'


def request(body: Any, matcher: Matcher = MATCHER, **more: Any) -> Canonical:
    fields = (("content-type", "application/json"),)
    raw = json.dumps(body).encode()
    made = Request(
        "POST", "https", "api.together.xyz", 443, "/v1/chat/completions", headers=fields, body=raw
    )
    return matcher.canonical(from_request(made) | more)


def named(miss: Miss) -> str:
    """The name of the rule that a miss suggests; it follows from what the rule does."""
    assert miss.suggestion is not None
    found = re.match("    - name: (rule-[0-9a-f]{6})\n", miss.suggestion.yaml)
    assert found is not None
    return found[1]


def harmless(rule: Rule) -> RuleTrial:
    """The trial of a rule on a folder where it does no harm."""
    return RuleTrial(1, (), ("r.json",))


def explain(
    request: Canonical, url: str, candidates: list[tuple[str, Canonical]], total: int, **more: Any
) -> Miss:
    return miss_for(
        request, url, candidates, FolderState(total=total, **{"try_rule": harmless, **more})
    )


def miss_of(got: Any, recorded: Any, matcher: Matcher = MATCHER) -> Miss:
    return explain(request(got, matcher), URL, [("r.json", request(recorded, matcher))], total=1)


def test_without_recordings_the_reason_says_so() -> None:
    miss = explain(request({}), URL, [], total=0)
    assert miss.reason == "no-recordings"
    assert miss.message == (
        f"no recording answers POST {URL}: there are no recordings."
        " Record it: wiretape record -- CMD"
    )


def test_without_one_of_the_endpoint_the_reason_says_so() -> None:
    miss = explain(request({}), URL, [], total=7)
    assert miss.reason == "no-endpoint"
    assert "none of the 7 recordings is of this endpoint" in miss.message
    assert "the one recording is not of this endpoint" in explain(request({}), URL, [], 1).message


def test_an_empty_session_is_named() -> None:
    miss = explain(request({}), URL, [], total=0, session="nightly")
    assert miss.reason == "session"
    assert miss.message == (
        f"no recording answers POST {URL}: session nightly has no recordings."
        " Record it: wiretape record -- CMD"
    )
    assert miss.as_json()["session"] == "nightly"


def test_a_file_that_should_answer_and_is_corrupt_is_named() -> None:
    wanted = request({})
    faults = [
        SkippedFile("h/v1/000000000000.json", "empty"),
        SkippedFile(f"h/v1/{wanted.key[:12]}.2.json", "x"),
    ]
    miss = explain(wanted, URL, [("r.json", request({"a": 1}))], total=1, faults=faults)
    assert miss.reason == "corrupt"
    assert miss.message == (
        f"no recording answers POST {URL}: the file that should cannot be used. Mend it, or delete"
        f" it and record it again\n  h/v1/{wanted.key[:12]}.2.json: x"
    )


def test_files_that_cannot_be_used_are_told_where_there_is_nothing_else() -> None:
    faults = [SkippedFile(f"{n}.json", "not JSON") for n in range(5)]
    miss = explain(request({}), URL, [], total=0, faults=faults)
    assert miss.reason == "no-recordings"
    assert miss.message.endswith(
        "\n  0.json: not JSON\n  1.json: not JSON\n  2.json: not JSON"
        "\n  … and 2 more files cannot be used"
    )


def test_recordings_of_the_endpoint_that_cannot_be_read_are_not_told_to_be_none() -> None:
    miss = explain(request({}), URL, [], total=3, of_endpoint=2)
    assert miss.reason == "corrupt"
    assert "the recordings of this endpoint cannot be read" in miss.message


def test_the_nearest_is_the_one_that_differs_least_and_its_fields_are_told() -> None:
    body = {"model": "m", "temperature": 0.7, "messages": [{"role": "user", "content": "Hi you"}]}
    near = {**body, "temperature": 0.2}
    far = {"model": "other", "temperature": 0.7, "messages": []}
    miss = explain(
        request(body), URL, [("far.json", request(far)), ("near.json", request(near))], total=2
    )
    assert (miss.reason, miss.nearest, miss.recordings) == ("differs", "near.json", 2)
    assert miss.differences == (Difference("body.temperature", 0.7, 0.2),)
    assert miss.message == (
        f"no recording answers POST {URL}; nearest is near.json, which differs in\n"
        "  body.temperature: got 0.7, recorded 0.2\n"
        "If that should not count, add under match.rules in config.yaml:\n"
        f'    - name: {named(miss)}\n{WHEN}      ignore: ["$.temperature"]\n'
        "Warning: an answer depends on $.temperature, and other values would get this answer too.\n"
        "Else record it: wiretape record -- CMD"
    )


def test_of_two_that_are_as_near_the_first_by_name_is_told() -> None:
    same = request({"a": 1})
    miss = explain(request({"a": 2}), URL, [("b.json", same), ("a.json", same)], total=2)
    assert miss.nearest == "a.json"


def test_a_similar_text_is_nearer_than_another_one() -> None:
    wanted = request({"prompt": "What is the capital of France?"})
    others = [
        ("a.json", request({"prompt": "zzz"})),
        ("b.json", request({"prompt": "What is the capital of Spain?"})),
    ]
    assert explain(wanted, URL, others, total=2).nearest == "b.json"


def test_a_message_put_in_front_is_one_difference() -> None:
    talk = [{"role": "user", "content": f"Question {n}"} for n in range(5)]
    system = {"role": "system", "content": "Be brief."}
    miss = miss_of({"messages": [system, *talk]}, {"messages": talk})
    assert miss.differences == (Difference("body.messages[0]", system, ABSENT),)


def test_more_differences_than_are_shown_are_counted() -> None:
    miss = miss_of({str(n): 1 for n in range(9)}, {str(n): 2 for n in range(9)})
    assert "\n  … and 4 more\n" in miss.message


def test_streamed_and_not_streamed_is_a_reason_of_its_own() -> None:
    miss = miss_of({"a": 1, "stream": True, "stream_options": {"include_usage": True}}, {"a": 1})
    assert miss.reason == "streaming"
    assert "which differs only in whether the answer is streamed:\n  body.stream: got true" in (
        miss.message
    )
    assert miss_of({"a": 1, "stream": True}, {"a": 2}).reason == "differs"


SECRET = "tgp_v1_" + "Xq7" * 14 + "z"


@pytest.mark.parametrize(
    ("got", "recorded"),
    [
        ("mail REDACTED-email-0a1b2c3d now", f"mail {SECRET} now"),
        (f"mail {SECRET} now", "mail REDACTED-email-0a1b2c3d now"),
        ("REDACTED-a and REDACTED-b", f"{SECRET} and {SECRET}"),
    ],
)
def test_what_one_side_has_redacted_is_told_and_not_shown(got: str, recorded: str) -> None:
    miss = miss_of({"user": got}, {"user": recorded})
    assert miss.reason == "redaction"
    assert "The redaction rules have changed since it was recorded" in miss.message
    assert miss.suggestion is None
    assert SECRET not in miss.message + json.dumps(miss.as_json())


def test_another_text_beside_a_placeholder_is_no_matter_of_redaction() -> None:
    assert miss_of({"user": "REDACTED-email a"}, {"user": "me b"}).reason == "differs"


def test_what_a_normaliser_changed_is_told_with_the_rule() -> None:
    ids = ["0b0e7b5a-7c1e-4b8e-9c5d-000000000001", "0b0e7b5a-7c1e-4b8e-9c5d-000000000002"]
    matcher = Matcher(built_in(), rules=[rule({"name": "runs", "normalise": ["uuids"]})])
    miss = miss_of({"a": [ids[0], ids[0]]}, {"a": ids}, matcher)
    assert (miss.reason, miss.rules) == ("normalised", ("runs",))
    assert miss.differences == (Difference("body.a[1]", "<uuid-1>", "<uuid-2>"),)
    assert "only in what a rule has changed before comparing (runs):" in miss.message


def test_an_id_is_told_by_where_it_came_from() -> None:
    body = {"previous_response_id": "resp_1"}
    got = request(body, ids={"resp_1": "aaaaaaaaaaaa#0"})
    recorded = request(body, ids={"resp_1": "bbbbbbbbbbbb#1"})
    miss = explain(got, URL, [("r.json", recorded)], total=1)
    assert miss.differences == (
        Difference("body.previous_response_id", "<id 0 of aaaaaaaaaaaa>", "<id 1 of bbbbbbbbbbbb>"),
    )


def test_no_secret_of_the_request_stands_in_a_miss() -> None:
    raw = json.dumps({"prompt": f"my key is {SECRET}", "n": 1}).encode()
    fields = (("authorization", f"Bearer {SECRET}"), ("content-type", "application/json"))
    live = Request(
        "POST", "https", "api.together.xyz", 443, f"/v1/x?key={SECRET}", headers=fields, body=raw
    )
    redactor = Redactor(RedactionRules())
    asked = redactor.request(from_request(live), redactor.secrets(live))
    other = asked | {"body": {"prompt": "another prompt that is long enough for a word diff " * 3}}
    canonical = MATCHER.canonical(asked)
    miss = explain(canonical, asked["url"], [("r.json", MATCHER.canonical(other))], total=1)
    assert "REDACTED-" in miss.message
    assert SECRET not in miss.message + json.dumps(miss.as_json())


def test_a_message_is_bounded_and_keeps_its_rule() -> None:
    words = " ".join(f"w{n}" for n in range(5_000))
    got = {f"member-{'x' * 150}-{n}": words for n in range(9)}
    recorded = {"metadata": {name: words.replace("7", "seven") for name in got}}
    url = f"{URL}?{'y' * 9_000}"
    miss = explain(request({"metadata": got}), url, [("r.json", request(recorded))], total=1)
    assert len(miss.message) <= MESSAGE_LENGTH
    assert miss.message.endswith("Else record it: wiretape record -- CMD")
    assert "A rule that would ignore it is in the file of --report." in miss.message
    assert miss.rule is not None


def test_used_up_takes_are_told() -> None:
    miss = Miss("POST", URL, "takes-used", nearest="r.2.json")
    assert miss.message == (
        f"no recording answers POST {URL}: all takes of r.2.json have been given"
        " (replay.repeat: miss)"
    )


def test_the_report_holds_long_values_and_the_rule() -> None:
    miss = miss_of({"metadata": {"a": "x" * 900, "b": "y" * 9_000}}, {"metadata": {"b": ""}})
    assert miss.as_json() == {
        "reason": "differs",
        "method": "POST",
        "url": URL,
        "nearest": "r.json",
        "differences": [
            {"path": "body.metadata.a", "got": "x" * 900, "recorded": None},
            {"path": "body.metadata.b", "got": "y" * 3_999 + "…", "recorded": ""},
        ],
        "rule": f'    - name: {named(miss)}\n{WHEN}      ignore: ["$.metadata.a", "$.metadata.b"]',
        "message": miss.message,
    }


def test_what_utf_8_cannot_write_is_replaced() -> None:
    miss = miss_of({"a\ud800": "\udfff", "b": ["\ud800"]}, {"b": None})
    told = miss.message + json.dumps(miss.as_json(), ensure_ascii=False)
    assert "\ufffd" in told.encode().decode()


def test_the_report_holds_warnings_and_faults() -> None:
    miss = Miss(
        "GET",
        URL,
        "corrupt",
        suggestion=Suggestion("rule", ("careful",), rule=Rule("r")),
        faults=("a.json: x",),
    )
    assert miss.as_json()["warnings"] == ["careful"]
    assert miss.as_json()["faults"] == ["a.json: x"]


MODEL = {"model": "m"}
QUESTION = {**MODEL, "input": [{"role": "user", "content": "hi there"}], "tools": [{"name": "f"}]}
TITLE = {
    **MODEL,
    "instructions": "Generate a short title for what follows.",
    "input": [{"role": "user", "content": "hi there"}],
}
SIDE_REQUESTS = {
    "a warm-up": {**QUESTION, "generate": False},
    "a quota check": {**QUESTION, "max_tokens": 1},
    "a title": TITLE,
    "a title by a message": {
        **MODEL,
        "input": [
            {"role": "system", "content": [{"text": "You are a title generator."}]},
            {"role": "user", "content": "hi there"},
        ],
    },
}


@pytest.mark.parametrize("name", SIDE_REQUESTS)
def test_what_an_agent_asks_aside_is_not_the_nearest_of_a_question(name: str) -> None:
    aside = request(SIDE_REQUESTS[name])
    far = request({**MODEL, "x": 1, "y": 2, "messages": [{"role": "user", "content": "else"}]})
    question = request(QUESTION)
    assert explain(question, URL, [("a.json", aside), ("b.json", far)], 2).nearest == "b.json"
    assert explain(question, URL, [("a.json", aside), ("b.json", far)], 2).reason == "differs"
    assert explain(aside, URL, [("a.json", question), ("b.json", aside)], 2).nearest == "b.json"


@pytest.mark.parametrize("name", SIDE_REQUESTS)
def test_where_only_another_kind_is_recorded_nothing_is_nearest_and_no_rule_is_suggested(
    name: str,
) -> None:
    question, aside = request(QUESTION), request(SIDE_REQUESTS[name])
    for got, recorded in ((question, aside), (aside, question)):
        miss = explain(got, URL, [("a.json", recorded)], total=1)
        assert (miss.reason, miss.differences, miss.suggestion) == ("side-request", (), None)
        assert "what is recorded there is of another kind" in miss.message
        assert "such as a.json. Record it: wiretape record -- CMD" in miss.message


def test_a_rule_that_makes_recordings_equal_is_not_suggested() -> None:
    merging = RuleTrial(9, (("a.json", "b.json"),), ("a.json", "b.json"))
    candidates = [("a.json", request({"a": 1}))]
    miss = explain(request({"a": 2}), URL, candidates, total=9, try_rule=lambda rule: merging)
    assert miss.suggestion is None
    assert miss.message.endswith(
        "No rule is suggested: recordings that differ would become equal by it (a.json, b.json)."
        "\nRecord it: wiretape record -- CMD"
    )
    assert miss.as_json()["no_rule"].startswith("recordings that differ would become equal")


def test_a_rule_that_was_not_tried_on_all_recordings_is_not_suggested() -> None:
    candidates = [("a.json", request({"a": 1}))]
    miss = explain(request({"a": 2}), URL, candidates, total=9, try_rule=lambda rule: None)
    assert (miss.suggestion, miss.rule) == (None, None)
    assert "No rule is suggested: it was not tried on all recordings" in miss.message
    untried = explain(request({"a": 2}), URL, candidates, total=9, try_rule=None)
    assert untried.suggestion is None


def test_a_rule_by_which_nothing_answers_is_not_suggested() -> None:
    candidates = [("a.json", request({"a": 1}))]
    nothing = RuleTrial(9)
    miss = explain(request({"a": 2}), URL, candidates, total=9, try_rule=lambda rule: nothing)
    assert (miss.suggestion, miss.withheld) == (None, "")


def test_what_a_rule_would_hide_is_named() -> None:
    miss = miss_of({"model": "a", "run": 1}, {"model": "b", "run": 2})
    assert "No rule is suggested: it would hide what was asked (body.model)." in miss.message


def test_a_rule_that_was_suggested_before_is_referred_to() -> None:
    names = RuleNames()
    messages = [
        explain(request({"a": n}), URL, [("r.json", request({"a": 0}))], 1, rule_names=names)
        for n in (1, 2)
    ]
    name = named(messages[0])
    assert f"    - name: {name}\n" in messages[0].message
    assert f"If that should not count: {name}, suggested before, covers it too." in (
        messages[1].message
    )
    assert "- name:" not in messages[1].message
    assert messages[1].rule == messages[0].rule


def test_a_rule_of_another_content_does_not_take_a_name_that_is_configured() -> None:
    name = named(miss_of({"a": 1}, {"a": 2}))
    names = RuleNames([name, f"{name}-2"])
    miss = explain(request({"a": 1}), URL, [("r.json", request({"a": 2}))], 1, rule_names=names)
    assert f"    - name: {name}-3\n" in miss.message


def test_a_request_that_reads_the_same_has_no_reason_of_its_own() -> None:
    """Its ids come from elsewhere, or its headers differ in a way that no form shows."""
    same = request({"a": 1})
    miss = explain(same, URL, [("r.json", same)], total=1)
    assert (miss.reason, miss.differences, miss.suggestion) == ("differs", (), None)
    assert "r.json reads the same, but is another request" in miss.message

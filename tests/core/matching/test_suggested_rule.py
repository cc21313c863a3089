"""The rule that a miss suggests is one that works: it is loaded as a user would and tried."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.cases import in_one_test
from tests.support.request_document import request

from wiretape.config.packs import built_in
from wiretape.config.rule_entry import rule
from wiretape.core.matching.canonical import Canonical
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.structural_diff import differing
from wiretape.core.matching.suggested_rule import NoRule, Suggestion, suggest
from wiretape.core.model import Request
from wiretape.core.recording.document import from_request

TALK = [
    {"role": "user", "content": "What is the capital of France?"},
    {"role": "assistant", "content": "Paris."},
    {"role": "user", "content": "And of Spain?"},
]
NOTE = (
    "Work in /tmp/pytest-of-me/pytest-%d/x on 2026-0%d-02, id 0b0e7b5a-7c1e-4b8e-9c5d-00000000000%d"
)
PLAIN = Matcher(built_in(), ["anthropic-beta"])


def document(
    body: Any, target: str = "/v1/chat/completions", host: str = "api.together.xyz", **fields: str
) -> dict[str, Any]:
    form = isinstance(body, str)
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    raw = body.encode() if form else json.dumps(body).encode()
    headers = (("content-type", kind), *fields.items())
    return from_request(Request("POST", "https", host, 443, target, headers=headers, body=raw))


def asked(got: dict[str, Any], recorded: dict[str, Any]) -> Suggestion | NoRule:
    live, stored = PLAIN.canonical(got), PLAIN.canonical(recorded)
    assert live.key != stored.key
    return suggest(live, stored, differing(live.value, stored.value))


def suggested(got: dict[str, Any], recorded: dict[str, Any]) -> Suggestion | None:
    suggestion = asked(got, recorded)
    return suggestion if isinstance(suggestion, Suggestion) else None


def under(suggestion: Suggestion, *documents: dict[str, Any]) -> list[Canonical]:
    entries = yaml.safe_load("rules:\n" + suggestion.yaml)["rules"]
    matcher = Matcher(built_in(), ["anthropic-beta"], [rule(entry) for entry in entries])
    return [matcher.canonical(document) for document in documents]


CASES = {
    "a member": (
        document({"a": 1, "b": {"c": 1}}),
        document({"a": 1, "b": {"c": 2}}),
        'ignore: ["$.b.c"]',
    ),
    "a member that one lacks": (document({"a": 1}), document({}), 'ignore: ["$.a"]'),
    "an odd name": (
        document({"x-y z": {"é": 1}}),
        document({"x-y z": {"é": 2}}),
        "ignore: [\"$['x-y z']['é']\"]",
    ),
    "a parameter": (
        document({}, "/v1/models?trace=1"),
        document({}, "/v1/models?trace=2"),
        'ignore_query: ["trace"]',
    ),
    "a header": (
        document({}, **{"anthropic-beta": "x"}),
        document({}),
        'ignore_headers: ["anthropic-beta"]',
    ),
    "everything": (
        document({"a": 1}, "/v1/x?t=1&T2=1", **{"anthropic-beta": "x"}),
        document({"a": 2}, "/v1/x?t=2"),
        'ignore: ["$.a"]\n      ignore_query: ["t2", "t"]\n'
        '      ignore_headers: ["anthropic-beta"]',
    ),
    "many items": (
        document({"messages": [{**one, "ts": n} for n, one in enumerate(TALK)]}),
        document({"messages": [{**one, "ts": n + 7} for n, one in enumerate(TALK)]}),
        'ignore: ["$.messages[*].ts"]',
    ),
    "a whole list": (
        document({"metadata": {"list": [1, 2, 3]}}),
        document({"metadata": {"list": [2, 3, 4, 5]}}),
        'ignore: ["$.metadata.list"]',
    ),
    "a UUID": (
        document({"metadata": {"note": NOTE % (1, 1, 1)}}),
        document({"metadata": {"note": NOTE % (1, 1, 2)}}),
        'normalise:\n        - {with: uuids, at: ["$.metadata.note"]}',
    ),
    "a UUID, a date and a path": (
        document({"metadata": {"note": NOTE % (1, 1, 1)}}),
        document({"metadata": {"note": NOTE % (2, 2, 2)}}),
        'normalise:\n        - {with: uuids, at: ["$.metadata.note"]}\n'
        '        - {with: dates, at: ["$.metadata.note"]}\n'
        '        - {with: temporary-paths, at: ["$.metadata.note"]}',
    ),
    "numbers in a text": (
        document({"metadata": {"note": "attempt 3 of 4"}}),
        document({"metadata": {"note": "attempt 12 of 4"}}),
        'normalise:\n        - {regex: "[0-9]+", replace: "0", at: ["$.metadata.note"]}',
    ),
    "a number's last digits": (
        document({"score": 0.1 + 0.2}),
        document({"score": 0.3}),
        'normalise:\n        - {round: 9, at: ["$.score"]}',
    ),
    "a date in a form": (
        document("day=2026-01-02&x=1"),
        document("day=2026-01-03&x=1"),
        "normalise:\n        - dates",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_smallest_rule_that_does_is_told_and_does(case: str) -> None:
    got, recorded, does = CASES[case]
    suggestion = suggested(got, recorded)
    assert suggestion is not None
    head, _, rest = suggestion.yaml.partition("}\n      ")
    path = got["endpoint"]
    name, _, when = head.partition("\n")
    assert re.fullmatch("    - name: rule-[0-9a-f]{6}", name)
    assert when == f'      when: {{provider: "together", method: POST, path: "{path}"'
    assert rest == does
    one, two = under(suggestion, got, recorded)
    assert one.key == two.key


def test_the_rule_is_one_that_the_configuration_takes(tmp_path: Path) -> None:
    from wiretape.config import load

    for number, (got, recorded, _) in enumerate(CASES.values()):
        suggestion = suggested(got, recorded)
        assert suggestion is not None
        path = tmp_path / f"{number}.yaml"
        path.write_text(
            "match:\n  headers: [anthropic-beta]\n  rules:\n" + suggestion.yaml + "\n", "utf-8"
        )
        matcher = load.load(path, {}).matcher
        assert matcher.canonical(got).key == matcher.canonical(recorded).key


def test_the_rule_is_for_this_endpoint_alone() -> None:
    got, recorded, _ = CASES["a member"]
    suggestion = suggested(got, recorded)
    assert suggestion is not None
    elsewhere = [{**one, "url": one["url"].replace("/v1/", "/v2/")} for one in (got, recorded)]
    one, two = under(suggestion, *elsewhere)
    assert one.key != two.key


def test_a_host_that_is_no_provider_s_is_named() -> None:
    got, recorded = (document({"a": n}, host="llm.example.org") for n in (1, 2))
    suggestion = suggested(got, recorded)
    assert suggestion is not None
    assert 'provider: "llm.example.org"' in suggestion.yaml
    one, two = under(suggestion, got, recorded)
    assert one.key == two.key


@pytest.mark.parametrize(
    ("got", "recorded"),
    [
        (document([1]), document({"a": 1})),
        (document("a=1"), document("a=2")),
        (document({"a'b": 1}), document({"a'b": 2})),
        (document({"\ud800": 1}), document({"\ud800": 2})),
        (document({"a": 1}), document("a=1")),
        (request(b"\xff\x01", "application/pdf"), request(b"\xff\x02", "application/pdf")),
    ],
    ids=[
        "the whole body",
        "a form's field",
        "a quote",
        "a lone surrogate",
        "another kind",
        "bytes",
    ],
)
def test_where_no_rule_can_none_is_told(got: dict[str, Any], recorded: dict[str, Any]) -> None:
    assert isinstance(asked(got, recorded), NoRule)


def says(text: str) -> dict[str, str]:
    return {"role": "user", "content": f"what of {text}"}


def tool_call(arguments: Any) -> dict[str, Any]:
    content = [{"type": "tool_use", "id": "t", "name": "delete", "input": arguments}]
    return {"messages": [{"role": "assistant", "content": content}]}


UUIDS = [f"0b0e7b5a-7c1e-4b8e-9c5d-00000000000{n}" for n in range(2)]

QUESTIONS: dict[str, tuple[Any, Any]] = {
    "the last message": ({"messages": [*TALK, says("a")]}, {"messages": [*TALK, says("b")]}),
    "a message more": ({"messages": [*TALK, says("a")]}, {"messages": TALK}),
    "a number in it": ({"messages": [says("1")]}, {"messages": [says("2")]}),
    "a day in it": ({"messages": [says("2026-01-02")]}, {"messages": [says("2026-01-03")]}),
    "a prompt": ({"prompt": "write a poem on tax law"}, {"prompt": "hi"}),
    "input": ({"input": [{"content": "hi"}]}, {"input": [{"content": "ho"}]}),
    "a system text": ({"system": [{"text": "Be brief."}]}, {"system": [{"text": "Be long."}]}),
    "instructions": ({"instructions": "a"}, {"instructions": "b"}),
    "the model": ({"model": "a"}, {"model": "b"}),
    "stream": ({"stream": True}, {"stream": False}),
    "no stream": ({"stream": True}, {}),
    "stream further in": ({"a": {"stream": 1}}, {"a": {"stream": 2}}),
    "generate": ({"generate": False}, {}),
    "generate, a number": ({"generate": 1}, {"generate": 2}),
    "tools": ({"tools": [{"name": "f"}]}, {"tools": [{"name": "g"}]}),
    "an id among tools": ({"tools": [{"id": "f1"}]}, {"tools": [{"id": "g1"}]}),
    "the form of the answer": ({"response_format": {"n": 1}}, {"response_format": {"n": 2}}),
    "an id that a tool is called with": (tool_call({"id": "a1"}), tool_call({"id": "b1"})),
    "a flag": ({"think": True}, {"think": False}),
    "an option that is a word": ({"reasoning_effort": "low"}, {"reasoning_effort": "high"}),
    "an option with digits": ({"voice": "v1"}, {"voice": "v2"}),
    "a realtime message": (
        {"item": {"content": [{"text": "hi room 1"}]}},
        {"item": {"content": [{"text": "hi room 2"}]}},
    ),
    "words at an unknown place": ({"utterance": "hi there"}, {"utterance": "bye now"}),
    "one word at an unknown place": ({"utterance": "hi"}, {"utterance": "bye"}),
    "a number in words there": ({"utterance": "book room 1"}, {"utterance": "book room 2"}),
    "a day in words there": ({"u": "news of 2026-01-02"}, {"u": "news of 2026-01-03"}),
    "words within a whole list": ({"list": [{"u": "hi there"}]}, {"list": [1]}),
    "one of several": ({"stream": True, "run": 1}, {"stream": False, "run": 2}),
}


@in_one_test("name", QUESTIONS)
def test_no_rule_gives_one_question_the_answer_of_another(name: str) -> None:
    got, recorded = QUESTIONS[name]
    suggestion = asked(document(got), document(recorded))
    assert isinstance(suggestion, NoRule)
    assert suggestion.hidden


@pytest.mark.parametrize(
    ("got", "recorded"),
    [
        ("/v1/x?alt=sse", "/v1/x?alt=json"),
        ("/v1/x?page=1", "/v1/x?page=2"),
        ("/v1/x?model=m1", "/v1/x?model=m2"),
        ("/v1/x?sort=asc", "/v1/x?sort=desc"),
    ],
)
def test_no_rule_ignores_a_parameter_that_says_what_is_asked_for(got: str, recorded: str) -> None:
    suggestion = asked(document({}, got), document({}, recorded))
    assert isinstance(suggestion, NoRule)
    assert suggestion.hidden[0].startswith("query.")


def test_no_rule_ignores_a_header_that_decides_the_answer() -> None:
    suggestion = asked(document({}, range="bytes=1-"), document({}, range="bytes=2-"))
    assert suggestion == NoRule(("headers.range",))
    language = asked(
        document({}, **{"accept-language": "de"}), document({}, **{"accept-language": "fr"})
    )
    assert isinstance(language, Suggestion)


ANNOUNCED = {
    "in words": "You help. Today's date is %s. Be brief.",
    "in an element": "<env>\n  <current_date>%s</current_date>\n</env>",
    "with special signs": "Be brief.\n(current time) [now]: %s",
}


@pytest.mark.parametrize("name", ANNOUNCED)
def test_a_date_that_a_text_announces_is_taken_out_with_what_announces_it(name: str) -> None:
    def says_on(day: str, more: str = "") -> dict[str, Any]:
        return document({"messages": [{"role": "user", "content": ANNOUNCED[name] % day + more}]})

    got, recorded = says_on("2026-01-02"), says_on("2026-11-29")
    suggestion = suggested(got, recorded)
    assert suggestion is not None
    assert suggestion.warnings == ()
    live, stored, other, of_day = under(
        suggestion,
        got,
        recorded,
        says_on("2026-01-02", " What?"),
        document({"messages": [{"role": "user", "content": "news of 2026-01-02"}]}),
    )
    assert live.key == stored.key
    assert live.key != other.key
    assert "2026-01-02" in json.dumps(of_day.value)


def test_a_pattern_within_a_question_comes_with_a_warning() -> None:
    suggestion = suggested(*(document({"prompt": f"delete {uuid}"}) for uuid in UUIDS))
    assert suggestion is not None
    assert suggestion.warnings == (
        "a question that differs only in uuids of $.prompt gets this answer too",
    )


def test_the_rule_does_what_its_yaml_does() -> None:
    for got, recorded, _ in CASES.values():
        suggestion = suggested(got, recorded)
        assert suggestion is not None
        (loaded,) = yaml.safe_load("rules:\n" + suggestion.yaml)["rules"]
        matchers = [
            Matcher(built_in(), ["anthropic-beta"], [each])
            for each in (suggestion.rule, rule(loaded))
        ]
        for part in (got, recorded):
            own, configured = (matcher.canonical(part) for matcher in matchers)
            assert own == configured
            assert own.ignored == configured.ignored


def test_to_try_a_rule_changes_nothing() -> None:
    one, two = (
        PLAIN.canonical(document({"metadata": {"note": f"hi room {number}"}}))
        for number in (39, 37)
    )
    values = copy.deepcopy((one.value, two.value))
    assert suggest(one, two, differing(one.value, two.value)) is not None
    assert (one.value, two.value) == values


def test_two_rules_have_two_names() -> None:
    first = suggested(document({"a": 1}), document({"a": 2}))
    second = suggested(document({"b": 1}), document({"b": 2}))
    assert first is not None
    assert second is not None
    assert first.yaml.splitlines()[0] != second.yaml.splitlines()[0]


@pytest.mark.parametrize(
    ("got", "recorded", "warning"),
    [
        (
            {"temperature": 1},
            {"temperature": 0},
            "an answer depends on $.temperature, and other values would get this answer too",
        ),
        (
            dict.fromkeys(("seed", "stop", "top_p", "voice"), 1),
            dict.fromkeys(("seed", "stop", "top_p", "voice"), 2),
            "an answer depends on $.seed, $.stop, $.top_p and 1 more, and other values would"
            " get this answer too",
        ),
    ],
)
def test_a_rule_that_ignores_what_matters_comes_with_a_warning(
    got: Any, recorded: Any, warning: str
) -> None:
    suggestion = suggested(document(got), document(recorded))
    assert suggestion is not None
    assert suggestion.warnings == (warning,)


@pytest.mark.parametrize(
    ("got", "recorded"),
    [
        ({"metadata": {"run": "a"}}, {"metadata": {"run": "b"}}),
        ({"messages": [{"id": "a"}]}, {"messages": [{"id": "b"}]}),
        ({"metadata": {"a": NOTE % (1, 1, 1)}}, {"metadata": {"a": NOTE % (2, 2, 2)}}),
    ],
)
def test_a_rule_that_ignores_what_does_not_matter_has_none(got: Any, recorded: Any) -> None:
    suggestion = suggested(document(got), document(recorded))
    assert suggestion is not None
    assert suggestion.warnings == ()

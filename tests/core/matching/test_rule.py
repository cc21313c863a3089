"""Rules, as they are written, take out of requests what they say and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.request_document import CHAT, FORM, JSON, request

from wiretape.config.packs import built_in
from wiretape.config.rule_entry import rule as rule_of
from wiretape.core.matching.canonical import Canonical, changed
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.rule import Rule
from wiretape.core.recording.document import Document

PROVIDERS = built_in()
UUID_1, UUID_2 = (f"{digit * 8}-1111-4111-8111-111111111111" for digit in "ab")


def written(**entry: Any) -> Rule:
    """A rule as config.yaml says it."""
    return rule_of({"name": "r", **entry})


def canonical(document: Document, *rules: Rule) -> Canonical:
    return Matcher(PROVIDERS, ["X-Version"], rules).canonical(document)


def key(document: Document, *rules: Rule) -> str:
    return canonical(document, *rules).key


def differ(rule: Rule, one: str, two: str) -> bool:
    """Whether two bodies differ under a rule."""
    return key(request(one), rule) != key(request(two), rule)


# ------------------------------------------------------------------ when


@pytest.mark.parametrize(
    ("body", "applies"),
    [
        ("$.model", True),
        ("$.missing", False),
        ("$.messages[?@.role == 'user']", True),
        ("$..role", True),
        ({"$.model": "gpt-*"}, True),
        ({"$.model": "claude-*"}, False),
        ({"$.model": ["claude-*", "gpt-4?"]}, True),
        ({"$.n": 1.0}, True),
        ({"$.n": True}, False),
        ({"$.n": "1"}, False),
        ({"$.stop": None}, True),
        ({"$.missing": None}, False),
        ({"$.model": "gpt-*", "$.n": 2}, False),
        ({"$.messages[*].role": "user"}, True),
    ],
)
def test_a_rule_is_for_the_bodies_it_says(body: Any, applies: bool) -> None:
    rule = written(when={"body": body}, ignore=["$.x"])
    value = {"model": "gpt-4o", "n": 1, "stop": None}
    value["messages"] = [{"role": "system"}, {"role": "user"}]
    one, two = (json.dumps({**value, "x": x}) for x in (1, 2))
    assert differ(rule, one, two) is not applies


def test_a_rule_for_certain_bodies_is_for_no_body_that_is_not_json() -> None:
    rule = written(when={"body": "$.a"}, ignore_query=["q"])
    assert key(request("a=1", FORM, CHAT + "?q=1"), rule) != key(request("a=1", FORM), rule)


@pytest.mark.parametrize(
    ("host", "applies"),
    [("api.together.xyz", True), ("*.xyz", True), ("*.ai", False), ("api.together.xyz:443", True)],
)
def test_a_rule_is_for_the_hosts_it_says(host: str, applies: bool) -> None:
    rule = written(when={"host": host}, ignore=["$.x"])
    assert differ(rule, '{"x":1}', '{"x":2}') is not applies


# ------------------------------------------------------------------ what counts


def test_of_the_parts_only_those_on_the_list_count() -> None:
    rule = written(on=["path"])
    one = request('{"a":1}', url=CHAT + "?a=1", headers=(("x-version", "1"),))
    other = request("", url=CHAT.replace("together.xyz", "openai.com"), method="GET")
    assert canonical(one, rule) == canonical(other, rule)
    assert canonical(one, rule).endpoint == ("*", "*", "/v1/chat/completions")
    assert key(one, rule) != key(request(url=CHAT + "/x"), rule)


def test_hosts_of_one_provider_differ_where_the_host_counts() -> None:
    rule = written(on=["host", "path", "body"])
    made = canonical(request(), rule)
    assert made.endpoint == ("api.together.xyz", "*", "/v1/chat/completions")
    assert made.key != key(request(url=CHAT.replace(".xyz", ".ai")), rule)


def test_the_path_may_be_left_out() -> None:
    rule = written(on=["provider", "method", "body"])
    one, two = canonical(request("{}"), rule), canonical(request("{}", url=CHAT + "/2"), rule)
    assert one == two
    assert one.endpoint == ("together", "POST", "*")


def test_only_what_is_named_counts() -> None:
    rule = written(only=["$.model", "$.messages[*].content"])
    one = '{"model":"m","messages":[{"role":"user","content":"a"}],"seed":1}'
    assert not differ(rule, one, one.replace("user", "system").replace('"seed":1', '"n":{"a":2}'))
    assert differ(rule, one, one.replace('"m"', '"n"'))
    assert differ(rule, one, one.replace('"a"', '"b"'))


def test_what_one_of_two_rules_names_counts() -> None:
    rules = written(only=["$.a"]), written(name="s", only=["$.b"])
    assert key(request('{"a":1,"b":1,"c":1}'), *rules) == key(request('{"a":1,"b":1}'), *rules)
    assert key(request('{"a":1,"b":1}'), *rules) != key(request('{"a":1,"b":2}'), *rules)


def test_null_is_absent_only_where_a_rule_says_so() -> None:
    everywhere, there = written(null_is_absent=True), written(null_is_absent=["$.a"])
    assert differ(Rule("none"), '{"a":{"b":null}}', '{"a":{}}')
    assert not differ(everywhere, '{"a":{"b":null}}', '{"a":{}}')
    assert differ(everywhere, '{"a":[null]}', '{"a":[]}')
    assert differ(everywhere, '{"a":0}', "{}")
    assert not differ(there, '{"a":{"c":null},"b":1}', '{"a":{},"b":1}')
    assert differ(there, '{"b":null}', "{}")


# ------------------------------------------------------------------ what is compared otherwise


@pytest.mark.parametrize(
    ("media", "text"), [(JSON, '{"a":"%s"}'), ("text/plain", "run %s"), (FORM, "a=%s")]
)
def test_changes_without_places_are_for_all_bodies_that_are_text(media: str, text: str) -> None:
    rule = written(normalise=["uuids"])
    one, two = (request(text % uuid, media) for uuid in (UUID_1, UUID_2))
    assert key(one, rule) == key(two, rule)
    assert key(one) != key(two)


def test_changes_are_for_the_parts_of_multipart_bodies_too() -> None:
    def upload(uuid: str) -> Document:
        head = f'Content-Disposition: form-data; name="file"; filename="{uuid}"'
        return request(
            f"--b\r\n{head}\r\n\r\n{uuid}\r\n--b--\r\n", "multipart/form-data; boundary=b"
        )

    rule = written(normalise=["uuids"])
    assert key(upload(UUID_1), rule) == key(upload(UUID_2), rule)
    assert key(upload(UUID_1)) != key(upload(UUID_2))


def test_one_id_twice_is_not_two_ids() -> None:
    rule = written(normalise=["uuids"])
    assert differ(rule, f'["{UUID_1}","{UUID_1}"]', f'["{UUID_1}","{UUID_2}"]')
    assert not differ(rule, f'["{UUID_1}","{UUID_2}"]', f'["{UUID_2}","{UUID_1}"]')


def test_a_text_that_reads_like_a_numbered_name_is_none() -> None:
    rule = written(normalise=["uuids"])
    for text in ("<uuid-1>", "uuid-1", "\\u0000uuid-1"):
        assert differ(rule, f'["{UUID_1}"]', f'["{text}"]')


def test_what_is_ignored_takes_no_number() -> None:
    rule = written(ignore=["$.a"], normalise=["uuids"])
    assert not differ(rule, f'{{"a":"{UUID_1}","b":"{UUID_2}"}}', f'{{"b":"{UUID_1}"}}')


def test_an_id_that_is_numbered_is_not_compared_by_where_it_came_from() -> None:
    rule = written(normalise=[{"with": "ids", "at": ["$.messages[*].tool_call_id"]}])
    plain = request('{"messages":[{"tool_call_id":"call_1"}]}')
    assert key({**plain, "ids": {"call_1": "3f2a00112233#0"}}, rule) == key(plain, rule)


def test_other_changes_leave_ids_of_known_origin_alone() -> None:
    document = {**request(f'{{"id":"{UUID_1}"}}'), "ids": {UUID_1: "3f2a00112233#0"}}
    made = canonical(document, written(normalise=["uuids", {"regex": "[0-9a-f]+", "replace": "N"}]))
    assert made.value["body"] == {"json": {"id": {"\0id": "3f2a00112233#0"}}}


def test_an_id_that_two_rules_number_has_one_number() -> None:
    at = {"with": "ids", "at": ["$.a"]}
    made = canonical(request('{"a":"x"}'), written(normalise=[at]), written(normalise=[at]))
    assert made.value["body"] == {"json": {"a": "\0id-1\0"}}


def test_rules_reach_as_deep_as_a_body_is_json() -> None:
    rule = written(normalise=["uuids"], null_is_absent=True, ignore=["$..x"])

    def deep(inner: str) -> str:
        return '{"a":' * 198 + inner + "}" * 198

    one, two = f'{{"x":1,"u":"{UUID_1}","n":null}}', f'{{"x":2,"u":"{UUID_2}"}}'
    assert not differ(rule, deep(one), deep(two))


def test_rules_take_their_time_in_proportion_to_a_large_body() -> None:
    rule = written(normalise=["uuids", "dates", "temporary-paths", "ids"], ignore=["$.run"])
    text = "/tmp 2026-11 aaaaaaaa-1111-4111- some words of a prompt, and no id. " * 80_000
    one, two = (json.dumps({"run": n, "messages": [{"content": text}]}) for n in (1, 2))
    assert not differ(rule, one, two)


EVERYTHING = written(
    when={"body": {"$.a": ["*", 1, None]}},
    ignore=["$..x"],
    normalise=["ids", "uuids", "dates", {"round": 1, "at": ["$.a"]}, {"sorted": ["$.b"]}],
    null_is_absent=["$.c"],
)
MEMBERS = st.sampled_from(["a", "b", "c", "id", "x", "file_ids"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0.25, 1, UUID_1, UUID_2, "2026-11-20", "call_1", "REDACTED-a-0a1b2c3d"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=4),
    max_leaves=10,
)


def turned(value: Any) -> Any:
    """The same value with its members in another order."""
    if isinstance(value, dict):
        return {name: turned(item) for name, item in reversed(value.items())}
    return [turned(item) for item in value] if isinstance(value, list) else value


@given(VALUES)
def test_whatever_rules_do_the_order_of_members_does_not_count(value: Any) -> None:
    one, two = (canonical(request(json.dumps(item)), EVERYTHING) for item in (value, turned(value)))
    assert one == two
    assert dict(one.ignored) == dict(two.ignored)
    assert changed(one, two) == ()


@given(VALUES)
def test_matching_changes_no_document(value: Any) -> None:
    document = {"method": "POST", "url": CHAT, "headers": {}, "body": value, "ids": {"call_1": "K"}}
    before = json.dumps(document)
    canonical(document, EVERYTHING)
    assert json.dumps(document) == before


# ------------------------------------------------------------------ headers


@pytest.mark.parametrize(
    ("names", "headers", "expected"),
    [
        (["x-*"], {"x-a": "1", "y": "2"}, {"x-a": "1"}),
        (["*"], {"x-a": "1", "y": "2"}, {"x-a": "1", "y": "2"}),
        (["*"], {"user-agent": "1", "x-stainless-os": "2"}, {}),
        (["*", "user-agent"], {"user-agent": "1", "x-stainless-os": "2"}, {"user-agent": "1"}),
        (["y", "x-*"], {"y": "2"}, {"y": "2"}),
    ],
)
def test_headers_may_be_named_by_how_they_begin(
    names: list[str], headers: dict[str, str], expected: dict[str, str]
) -> None:
    pack = Rule("p", ignore_headers=frozenset({"user-agent", "x-stainless-*"}), own=False)
    made = Matcher(PROVIDERS, names, [pack]).canonical(
        {"method": "GET", "url": CHAT, "headers": headers}
    )
    assert made.value["headers"] == expected
    assert made.ignored == {}


def test_a_rule_of_ones_own_takes_out_a_header_that_is_named_in_full() -> None:
    rule = Rule("r", ignore_headers=frozenset({"x-*"}))
    assert key(request(headers=(("x-version", "1"),)), rule) == key(request(), rule)


def test_a_boundary_in_a_header_that_counts_does_not() -> None:
    matcher = Matcher(PROVIDERS, ["content-type"])
    one, two = (
        request(f"--{mark}--\r\n", f"multipart/form-data; boundary={mark}") for mark in "ab"
    )
    assert matcher.canonical(one).key == matcher.canonical(two).key


# ------------------------------------------------------------------ what is told of them


def test_a_rule_says_that_it_found_something_only_where_it_did() -> None:
    rule = written(normalise=["uuids"], ignore=["$.x"])
    assert canonical(request('{"a":"b"}'), rule).rules == ()
    assert canonical(request(f'{{"a":"{UUID_1}"}}'), rule).rules == ("r",)


def test_what_rules_left_out_or_changed_is_kept_with_its_raw_value() -> None:
    rules = (
        written(ignore=["$.metadata"], ignore_query=["trace"], ignore_headers=["x-version"]),
        written(name="u", normalise=["uuids", {"round": 1, "at": ["$.t"]}]),
    )
    body = {"metadata": {"run": 1}, "t": 0.72, "a": [UUID_1]}
    url, headers = CHAT + "?trace=5", (("x-version", "1"),)
    made = canonical(request(json.dumps(body), url=url, headers=headers), *rules)
    assert made.ignored == {
        "query.trace": ("r", ["5"]),
        "headers.x-version": ("r", "1"),
        "body.metadata": ("r", {"run": 1}),
        "body.a[0]": ("u", UUID_1),
        "body.t": ("u", 0.72),
    }
    assert made.rules == ("r", "u")


def test_what_is_not_among_the_only_places_is_kept_too() -> None:
    made = canonical(request('{"a":{"b":1,"c":2},"d":[3]}'), written(only=["$.a.b"]))
    assert made.ignored == {"body.a.c": ("r", 2), "body.d": ("r", [3])}


def test_rules_of_many_hosts_are_not_remembered_for_ever() -> None:
    matcher = Matcher(PROVIDERS, rules=[written(ignore=["$.x"])])
    keys = {matcher.canonical(request('{"x":1}', url=f"https://h{n}/")).key for n in range(1500)}
    assert len(keys) == 1500
    assert len(matcher._chosen) <= 1000

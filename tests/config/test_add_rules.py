"""Rules are added to a config.yaml, and all else of it stays as it is written."""

import pytest

from wiretape.config.add_rules import add_rules
from wiretape.core.errors import ConfigError
from wiretape.core.text.located_yaml import parse

RULES = [
    '    - name: one\n      when: {path: "/v1"}\n      ignore: ["$.a"]',
    '    - name: two\n      normalise:\n        - {regex: "\\\\.[0-9]", replace: "{x}"}',
]

FILES = {
    "nothing": "",
    "a comment": "# ours\n",
    "no match": "# ours\npace: instant # so\n",
    "no newline at the end": "pace: instant",
    "an empty match": "match:\npace: instant\n",
    "no rules": "match:\n    # mine\n    headers: [x-a]   # so\npace: instant\n",
    "empty rules": "match:\n  rules:\n  headers: [x-a]\n",
    "rules": "match:\n  rules:\n    # the first\n    - name: b\n      ignore: ['$.b']\n\n# end\n",
    "rules without an indent": "match:\n  rules: # r\n  - name: b\n    ignore: ['$.b']\n",
    "wide rules": "match:\n      rules:\n          -   name: b\n              ignore: ['$.b']\n",
    "CRLF": "match:\r\n  rules:\r\n    - name: b\r\n      ignore: ['$.b']\r\n",
    "a byte order mark": "\ufeff# x\nmatch:\n  rules:\n    - name: b\n      ignore: ['$.b']\n",
    "quoted keys": "\"match\":\n  'rules':\n    - name: b\n      ignore: ['$.b']\n",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_lines_are_added_and_none_is_changed(text: str) -> None:
    before = text.splitlines(keepends=True)
    after = add_rules(text.encode(), RULES, "config.yaml").decode()
    lines = after.splitlines(keepends=True)
    left = iter(lines)
    assert all(any(line.rstrip() == other.rstrip() for other in left) for line in before)
    names = [rule["name"] for rule in parse(after.encode()).value["match"]["rules"]]
    assert names == ["one", "two", *(["b"] if "name: b" in text else [])]
    if "\r\n" in text:
        assert all(line.endswith("\r\n") for line in lines)


@pytest.mark.parametrize(
    "text",
    [
        "# ours\nmatch: {headers: [x-a]} # so\npace: instant\n",
        "match:\n  # mine\n  rules: [{name: b, ignore: ['$.b']}] # so\n",
        "{pace: instant, match: {rules: []}} # so\n",
        "match:\n  rules: []\n",
        "match:\n  # mine\n  rules: ~ # so\n",
    ],
)
def test_what_is_written_in_braces_keeps_its_comments(text: str) -> None:
    after = add_rules(text.encode(), RULES, "config.yaml").decode()
    rules = parse(after.encode()).value["match"]["rules"]
    assert [rule["name"] for rule in rules][:2] == ["one", "two"]
    assert all(comment in after for comment in ("# ours", "# so", "# mine") if comment in text)


@pytest.mark.parametrize(
    "text",
    [
        "a: &r\n  - name: b\nmatch:\n  rules: *r\n",
        "match: 3\n",
        "match: null # so\n",
        "match:\n  rules: 3\n",
        "- a\n",
        "pace: instant\n...\n",
        "a: [",
    ],
)
def test_a_file_that_this_cannot_be_done_to_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml: .*nothing was changed"):
        add_rules(text.encode(), RULES, "config.yaml")


def test_no_rules_change_nothing() -> None:
    assert add_rules(b"a: [", [], "config.yaml") == b"a: ["

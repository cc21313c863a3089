"""The `redact` section: which values, places and patterns are secret, and what is wrong with it."""

from pathlib import Path

import pytest
from tests.support.config_file import faults, read

from wiretape.core.redaction.key_patterns import PATTERNS
from wiretape.core.redaction.rules import RedactionRules


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_redaction_is_added_to_what_is_built_in() -> None:
    config = read(
        """
        redact:
          headers: [X-Tenant-Token, Accept]
          query: [Session]
          patterns: [{name: badge, regex: "EMP-[0-9]{6}"}]
          keep_request_headers: [User-Agent, x-example-*]
          keep_response_headers: [X-Request-Id, "CF-*"]
          drop_response_headers: ["X-RateLimit-*"]
        """
    )
    defaults, rules = RedactionRules(), config.redaction
    assert rules.secret_headers == defaults.secret_headers | {"x-tenant-token", "accept"}
    assert rules.secret_query == defaults.secret_query | {"session"}
    assert rules.keep_request_headers == defaults.keep_request_headers - {"accept"} | {
        "user-agent",
        "x-example-*",
    }
    assert rules.keep_response_headers == {"x-request-id", "cf-*"}
    assert rules.drop_response_headers == defaults.drop_response_headers | {"x-ratelimit-*"}
    assert rules.patterns[:-1] == PATTERNS
    assert (rules.patterns[-1].name, rules.patterns[-1].regex.pattern) == ("badge", "EMP-[0-9]{6}")


def test_json_places_are_found() -> None:
    config = read('redact: {json: ["$.user.eMail", {name: account, path: "$..id"}, "$[0]"]}')
    rules = config.redaction.json
    assert [rule.name for rule in rules] == ["user-email", "account", "json"]
    body = {"user": {"eMail": "a@example.com"}, "items": [{"id": 1}]}
    assert [list(rule.find(body)) for rule in rules] == [
        [("user", "eMail")],
        [("items", 0, "id")],
        [],
    ]


@pytest.mark.parametrize("name", ["HOUSE_API_KEY", "GH_TOKEN", "DB_PASSWORD", "APP_SECRET"])
def test_values_of_variables_named_as_keys_are_secret(name: str) -> None:
    environ = {name: "kV8w2Qz-T5rXn1Lp", "HOME": "/home/of/somebody", "MAX_TOKENS": "100000"}
    assert read("{}", environ).redaction.values == ((name, "kV8w2Qz-T5rXn1Lp"),)


def test_variables_may_be_named_by_a_pattern() -> None:
    environ = {"HOUSE_A": "first value 123", "HOUSE_B": "second value 456", "OTHER": "third"}
    assert read("redact: {env: ['HOUSE_*']}", environ).redaction.values == (
        ("HOUSE_A", "first value 123"),
        ("HOUSE_B", "second value 456"),
    )


def test_an_empty_variable_is_no_secret() -> None:
    config = read("redact: {env: [EMPTY]}", {"EMPTY": "", "X_API_KEY": "  "})
    assert (config.redaction.values, config.notices) == ((), ())


@pytest.mark.parametrize("value", ["x", "password", "12345678901234", "test-key-here"])
def test_a_named_variable_whose_value_is_weak_is_told_without_it(value: str) -> None:
    (notice,) = read("redact: {env: [DB_PW]}", {"DB_PW": value, "GH_TOKEN": "test"}).notices
    assert notice.startswith("redact.env: the value of DB_PW is too short or plain to be looked")
    assert value not in notice.replace("places", "")


def test_variables_are_read_from_files_the_process_goes_first() -> None:
    Path(".env").write_text(
        "# keys\nexport A_API_KEY='from the file 1'\nB_TOKEN=\"line\\nend 22\"\nPLAIN=visible\n"
    )
    config = read("redact: {dotenv: [.env, none.env]}", {"B_TOKEN": "of the process"})
    assert config.redaction.values == (
        ("A_API_KEY", "from the file 1"),
        ("B_TOKEN", "of the process"),
    )


def test_a_file_of_variables_that_cannot_be_read_is_a_fault_without_its_text() -> None:
    Path("broken.env").write_text("A=1\n'hunter2 no name\n")
    Path("latin.env").write_bytes(b"A=\xe9")
    Path("dir.env").mkdir()
    assert faults("redact: {dotenv: [broken.env, latin.env, dir.env]}") == [
        "1: redact.dotenv[0]: broken.env:2: expected NAME=value",
        "1: redact.dotenv[1]: latin.env: cannot be read: not UTF-8 text",
        "1: redact.dotenv[2]: dir.env: cannot be read: Is a directory",
    ]


def test_the_gate_refuses_or_warns() -> None:
    assert read("{}").redaction.gate == "refuse"
    assert read("redact: {gate: warn}").redaction.gate == "warn"


@pytest.mark.parametrize("value", ["off", "'off'", "false"])
def test_the_gate_cannot_be_off(value: str) -> None:
    assert faults(f"redact: {{gate: {value}}}") == [
        "1: redact.gate: cannot be off, since secrets would be written unseen: warn writes what"
        " still holds one and says so"
    ]


def test_the_gate_is_nothing_else() -> None:
    assert faults("redact: {gate: maybe}") == [
        "1: redact.gate: expected refuse or warn, got 'maybe'"
    ]


def test_what_cannot_be_searched_is_named() -> None:
    config = read("redact: {unsearched: [large, X-Odd]}")
    assert config.redaction.unsearched == {"large", "x-odd"}


@pytest.mark.parametrize("regex", ["(?<=a)secret", r"(a)\1"])
def test_an_expression_that_may_take_forever_is_a_fault(regex: str) -> None:
    (fault,) = faults(f"redact: {{patterns: [{{name: a, regex: '{regex}'}}]}}")
    assert fault.startswith(
        "1: redact.patterns[0].regex: not a regular expression of RE2, which bounds its time:"
    )
    assert fault.endswith("; RE2 has no look-around and no backreferences")


def test_values_of_variables_are_secret() -> None:
    text = "{redact: {env: [DATABASE, UNSET, BLANK]}, providers: {x: {hosts: [x], key_env: [X]}}}"
    environ = {"DATABASE": " pass\n", "BLANK": " ", "X": "x-key", "TOGETHER_API_KEY": "t", "Y": "y"}
    config = read(text, environ)
    assert config.redaction.values == (
        ("DATABASE", "pass"),
        ("TOGETHER_API_KEY", "t"),
        ("X", "x-key"),
    )

"""`wiretape rules` lists what is in effect, where it stands and what it does."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wiretape.cli.rules import rules

CONFIG = """\
match:
  without: [together/tool-call-ids]
  rules:
    - name: mine
      when: {provider: together, body: {"$.model": "gpt-*"}}
      on: [method, path, body]
      normalise: [uuids, {round: 2, at: ["$.temperature"]}]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CONFIG)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(rules, arguments)


def test_each_rule_is_told_with_its_place_and_what_it_does() -> None:
    lines = run("-c", "c.yaml", "--provider", "together").output.splitlines()
    assert lines[:4] == [
        "mine  (c.yaml:4)",
        '    when {provider: together, body: {"$.model": "gpt-*"}}',
        "    on [method, path, body]",
        '    normalise [uuids, {round: 2, at: ["$.temperature"]}]',
    ]
    assert "together/tool-call-ids  (pack openai, removed)" in lines
    assert "common/user-agent  (pack common)" in lines
    assert not any(line.startswith("anthropic/") for line in lines)


def test_json_says_which_are_in_effect() -> None:
    document = json.loads(run("-c", "c.yaml", "--json").output)
    assert document["wiretape_rules"] == 1
    effect = {rule["name"]: rule["in_effect"] for rule in document["rules"]}
    assert (effect["mine"], effect["together/tool-call-ids"]) == (True, False)
    assert effect["openai/tool-call-ids"] is True
    mine = document["rules"][0]
    assert mine == {
        "name": "mine",
        "origin": "c.yaml:4",
        "in_effect": True,
        "when": {"provider": "together", "body": {"$.model": "gpt-*"}},
        "on": ["method", "path", "body"],
        "normalise": ["uuids", {"round": 2, "at": ["$.temperature"]}],
    }


def test_output_that_is_no_terminal_has_no_colours() -> None:
    assert "\x1b" not in run("-c", "c.yaml").output


def test_an_unknown_provider_is_refused() -> None:
    result = run("--provider", "togeter")
    assert result.exit_code == 2
    assert result.stderr.startswith("wiretape: --provider togeter: expected one of: together, ")

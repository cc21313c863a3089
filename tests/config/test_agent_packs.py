"""Two runs of an agent with one prompt are one request; another prompt is another one."""

from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.agent_runs import MADE, RUNS, claude, codex, git_state

import wiretape
from wiretape.config.packs import AGENTS, built_in, packs, providers, rules
from wiretape.core.matching.matcher import Matcher
from wiretape.core.text.located_yaml import parse

MATCHER: Final = Matcher(built_in(), [], tuple(rules(providers())))
PLAIN: Final = Matcher(built_in(), [], ())
NEVER: Final = ("stream", "model", "generate", "temperature", "tools", "instructions")


AGENT = pytest.mark.parametrize("agent", AGENTS)
PROMPTS: Final = (
    "hi",
    "Today's date is 2026-11-29.",
    "Sun Nov 29 2026",
    "<current_date>2026-11-29</current_date>",
    "cch=12345; ses_1234 /.gemini/tmp/shop Context from: ../shop/.qwen/",
)


def key(agent: str, body: Any, matcher: Matcher = MATCHER, method: str = "POST") -> str:
    request = {"method": method, "url": MADE[agent][0], "headers": {}, "body": deepcopy(body)}
    return matcher.canonical(request).key


@AGENT
@pytest.mark.parametrize("prompt", PROMPTS)
def test_another_run_with_the_same_prompt_is_the_same_request(agent: str, prompt: str) -> None:
    one, two = (MADE[agent][1](run, prompt) for run in RUNS)
    assert key(agent, one, PLAIN) != key(agent, two, PLAIN)
    assert key(agent, one) == key(agent, two)


@AGENT
def test_each_rule_is_needed_and_tells_nobody_that_it_changed_something(agent: str) -> None:
    one, two = (MADE[agent][1](run, "hi") for run in RUNS)
    every = tuple(rules(providers()))
    own = [rule for rule in every if rule.name.startswith(f"{agent}/") and not rule.never_recorded]
    for left in own:
        without = Matcher(built_in(), [], tuple(rule for rule in every if rule is not left))
        assert key(agent, one, without) != key(agent, two, without), left.name
    request = {"method": "POST", "url": MADE[agent][0], "headers": {}, "body": one}
    canonical = MATCHER.canonical(request)
    assert {rule.name for rule in own} <= set(canonical.rules)
    assert not canonical.ignored


@AGENT
@pytest.mark.parametrize("other", [*PROMPTS[1:], "hi 2026-12-08", "cch=12346;", "write a poem"])
def test_another_prompt_is_another_request(agent: str, other: str) -> None:
    _, made = MADE[agent]
    assert key(agent, made(RUNS[0], "hi")) != key(agent, made(RUNS[1], other))


@AGENT
@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Today's date is 2026-11-29.", "Today's date is 2026-12-08."),
        ("Sun Nov 29 2026", "Tue Dec 08 2026"),
        ("<current_date>2026-11-29</current_date>", "<current_date>2026-12-08</current_date>"),
        ("cch=12345;", "cch=54321;"),
        ("see ../shop/.qwen/a", "see ../w2/.qwen/a"),
        ("- Current date: 2026-11-29\n", "- Current date: 2026-12-08\n"),
        (
            "Chunk ID: 0a0a0a\nWall time: 0.1 seconds\n",
            "Chunk ID: 0a0a0a\nWall time: 9.9 seconds\n",
        ),
        ("Exit code: 0\nWall time: 0 seconds\n", "Exit code: 0\nWall time: 1 seconds\n"),
        ("\nProcess Group PGID: 12", "\nProcess Group PGID: 13"),
        ("\nduration_ms: 12</usage>", "\nduration_ms: 13</usage>"),
        (git_state("shop"), git_state("w2")),
    ],
)
def test_what_varies_in_an_agents_own_text_counts_in_a_prompt(
    agent: str, one: str, two: str
) -> None:
    _, made = MADE[agent]
    assert key(agent, made(RUNS[0], one)) != key(agent, made(RUNS[1], two))


WITH_TOOLS: Final = ("claude-code", "codex", "gemini-cli", "qwen-code")


@pytest.mark.parametrize("agent", WITH_TOOLS)
@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("12 files", "13 files"),
        (
            "a\nChunk ID: 0a0a0a\nWall time: 1.0 seconds\n",
            "a\nChunk ID: 0a0a0b\nWall time: 1.0 seconds\n",
        ),
        ("a\nWall time: 1.0 seconds\n", "a\nWall time: 2.0 seconds\n"),
        ("a\nProcess Group PGID: 12\nb", "a\nProcess Group PGID: 13\nb"),
        ("a\nduration_ms: 12</usage>\nb", "a\nduration_ms: 13</usage>\nb"),
        (git_state("shop"), git_state("w2")),
    ],
)
def test_what_a_tool_printed_counts(agent: str, one: str, two: str) -> None:
    make = MADE[agent][1]
    assert key(agent, make(RUNS[0], "hi", one)) != key(agent, make(RUNS[1], "hi", two))
    assert key(agent, make(RUNS[0], "hi", one)) == key(agent, make(RUNS[1], "hi", one))


@pytest.mark.parametrize(
    "after", ["\n\nAnswer in French.", "\n0123456 x\n\nAnswer in French.", "\nAnswer in French."]
)
def test_what_a_user_adds_to_the_system_prompt_counts_beside_the_state_of_git(after: str) -> None:
    plain, other = claude(RUNS[0], "hi"), claude(RUNS[1], "hi")
    other["system"][2]["text"] += after
    assert key("claude-code", plain) != key("claude-code", other)
    before = claude(RUNS[1], "hi")
    before["system"][2]["text"] = after + before["system"][2]["text"]
    assert key("claude-code", plain) != key("claude-code", before)


@AGENT
@pytest.mark.parametrize(
    "change",
    [{"model": "another"}, {"stream": "no"}, {"generate": True}, {"tools": [{"name": "other"}]}],
    ids=lambda change: next(iter(change)),
)
def test_another_model_tool_or_parameter_is_another_request(
    agent: str, change: dict[str, Any]
) -> None:
    one, two = (MADE[agent][1](run, "hi") for run in RUNS)
    assert key(agent, one) != key(agent, {**two, **change})


@AGENT
def test_a_body_that_is_not_the_agents_is_left_as_it_is(agent: str) -> None:
    texts = (
        f"Today's date is {day} (formatted according to the user's locale).\n"
        for day in ("Sunday, November 29, 2026", "Tuesday, December 8, 2026")
    )
    one, two = (
        {"model": "m", "messages": [{"role": "user", "content": text}], "prompt_cache_key": "mine"}
        for text in texts
    )
    assert key(agent, one) != key(agent, two)
    assert key(agent, one) != key(agent, {**one, "prompt_cache_key": "yours"})


def test_a_message_of_codex_over_a_websocket_is_matched_as_its_request_is() -> None:
    one, two = (codex(run, "hi") for run in RUNS)
    assert key("codex", one, method="GET") == key("codex", two, method="GET")
    assert key("codex", one, method="GET") != key("codex", codex(RUNS[1], "ho"), method="GET")


@pytest.mark.parametrize(
    ("method", "url", "rule"),
    [
        ("GET", "https://api.anthropic.com/api/claude_code/settings", "settings"),
        ("GET", "https://api.anthropic.com/mcp-registry/v0/servers?limit=100", "mcp-registry"),
        # What it is told there goes into prompts.
        ("GET", "https://api.anthropic.com/api/claude_code/memory", None),
        ("GET", "https://api.anthropic.com/v1/models", None),
        ("POST", "https://api.anthropic.com/api/claude_code/settings", None),
        ("GET", "https://llm.example.com/api/claude_code/settings", None),
    ],
)
def test_what_claude_code_asks_only_in_a_new_home_is_not_recorded(
    method: str, url: str, rule: str | None
) -> None:
    canonical = MATCHER.canonical({"method": method, "url": url, "headers": {}})
    assert canonical.never_recorded == (f"claude-code/{rule}" if rule else "")


def test_an_agents_version_counts() -> None:
    newer = claude(RUNS[1], "hi")
    newer["system"][0]["text"] = newer["system"][0]["text"].replace("2.1.197", "2.1.198")
    assert key("claude-code", claude(RUNS[0], "hi")) != key("claude-code", newer)


@AGENT
def test_an_agents_rules_say_whom_they_are_for_and_where(agent: str) -> None:
    file = Path(wiretape.__file__).parent / "config" / "packs" / f"{agent}.yaml"
    tested = parse(file.read_bytes()).value["tested"]
    assert tested.replace(".", "").isdecimal()
    assert packs()[agent].provider is None
    for entry in packs()[agent].rules:
        assert set(entry) <= {"name", "when", "normalise", "ignore", "record"}
        assert entry["when"].get("body") or entry["when"]["path"]
        places = [*entry.get("ignore", ())]
        for change in entry.get("normalise", ()):
            assert change.get("with") == "ids" or "regex" in change
            places += change["at"]
        for place in places:
            assert not place.removeprefix("$.").startswith(NEVER)

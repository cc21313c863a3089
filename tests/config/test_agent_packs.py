"""Two runs of an agent with one prompt are one request; another prompt is another one."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest

import wiretape
from wiretape.config.packs import AGENTS, built_in, packs, providers, rules
from wiretape.core.matching.matcher import Matcher
from wiretape.core.text.located_yaml import parse

MATCHER: Final = Matcher(built_in(), [], tuple(rules(providers())))
PLAIN: Final = Matcher(built_in(), [], ())
NEVER: Final = ("stream", "model", "generate", "temperature", "tools", "instructions")

type Run = tuple[str, str, str, str]
"""What a run has of its own: an id, a date as 2026-11-29, a long date, a name of a folder."""

RUNS: Final[tuple[Run, Run]] = (
    ("3f9c1d52-0a7b-4c11-8e55-0d6a1b2c3d4e", "2026-11-29", "Sunday, November 29, 2026", "shop"),
    ("a0b1c2d3-e4f5-4a6b-9c8d-7e6f5a4b3c2d", "2026-12-08", "Tuesday, December 8, 2026", "w2"),
)
SHORT: Final = {"2026-11-29": "Sun Nov 29 2026", "2026-12-08": "Tue Dec 08 2026"}


def claude(run: Run, prompt: str) -> Any:
    uuid, day, _, name = run
    user = {"device_id": uuid.replace("-", ""), "account_uuid": "", "session_id": uuid}
    version = f"cc_version=2.1.197.{uuid[:3]}; cc_entrypoint=sdk-cli; cch={uuid[:5]};"
    system = (
        "Environment:\n - Primary working directory: {cwd}\n - Is a git repository: false\n"
        f" - Platform: linux\n - Shell: bash\n - OS Version: Linux 6.{len(name)}\n - You are Claude"
    )
    reminder = (
        "<system-reminder>\nuse the following context:\n# currentDate\n"
        f"Today's date is {day}.\n\n</system-reminder>"
    )
    texts = [f"x-anthropic-billing-header: {version}", system]
    return {
        "model": "claude",
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": text} for text in (reminder, prompt)],
            }
        ],
        "system": [{"type": "text", "text": text} for text in texts],
        "metadata": {"user_id": json.dumps(user, separators=(",", ":"))},
        "tools": [{"name": "Bash"}],
        "stream": True,
    }


def codex(run: Run, prompt: str) -> Any:
    uuid, day, _, name = run
    zone = "Europe/Berlin" if name == "w2" else "Etc/UTC"
    context = (
        "<environment_context>\n  <cwd>{cwd}</cwd>\n  <shell>bash</shell>\n"
        f"  <current_date>{day}</current_date>\n  <timezone>{zone}</timezone>\n"
        "</environment_context>"
    )
    return {
        "type": "response.create",
        "model": "gpt-4o",
        "stream": True,
        "generate": False,
        "tools": [{"type": "function", "name": "exec_command"}],
        "input": [
            {
                "type": "message",
                "id": f"msg_{uuid}-{number}",
                "role": "user",
                "content": [{"type": "input_text", "text": text}],
                "internal_chat_message_metadata_passthrough": {
                    "turn_id": uuid,
                    "create_time": 1795965553.5 + len(name),
                },
            }
            for number, text in enumerate((context, prompt))
        ],
        "prompt_cache_key": uuid,
        "client_metadata": {
            "x-codex-window-id": f"{uuid}:0",
            "session_id": uuid,
            "x-codex-ws-stream-request-start-ms": f"17959655536{len(name)}",
        },
    }


def gemini(run: Run, prompt: str) -> Any:
    _, _, day, name = run
    folder = f"{{home}}/.gemini/tmp/{name}"
    context = (
        "<session_context>\nThis is the Gemini CLI. We are setting up the context for our chat.\n"
        f"Today's date is {day} (formatted according to the user's locale).\n"
        f"My operating system is: {'linux' if name == 'w2' else 'darwin'}\n"
        f"The project's temporary directory is: {folder}\n</session_context>"
    )
    system = (
        f"<location>/opt/{name}/node_modules/@google/gemini-cli/bundle/x.md</location>\n"
        f"(`{folder}/memory/MEMORY.md`)"
    )
    return {
        "model": "gemini",
        "contents": [{"role": "user", "parts": [{"text": context}, {"text": prompt}]}],
        "systemInstruction": {"parts": [{"text": system}]},
        "tools": [{"functionDeclarations": [{"name": "update_topic"}]}],
    }


def qwen(run: Run, prompt: str) -> Any:
    _, _, day, name = run
    system = f"You are Qwen Code.\n--- Context from: ../{name}/.qwen/output-language.md ---\n"
    context = (
        "This is the Qwen Code. We are setting up the context for our chat.\n"
        f"Today's date is {day} (formatted according to the user's locale).\n"
        f"My operating system is: {'linux' if name == 'w2' else 'darwin'}\nI'm in {{cwd}}"
    )
    return {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": [{"type": "text", "text": context}]},
            {"role": "user", "content": [{"type": "text", "text": prompt}]},
        ],
        "tools": [{"type": "function", "function": {"name": "tool_search"}}],
        "stream": True,
    }


def opencode(run: Run, prompt: str) -> Any:
    uuid, day, _, name = run
    system = (
        "You are opencode, an agent\n<env>\n  Working directory: {cwd}\n"
        f"  Platform: {'linux' if name == 'w2' else 'darwin'}\n"
        f"  Today's date: {SHORT[day]}\n</env>\nSkills"
    )
    return {
        "model": "gpt-4o",
        "input": [
            {"role": "system", "content": system},
            {"role": "user", "content": [{"type": "input_text", "text": prompt}]},
        ],
        "prompt_cache_key": f"ses_{uuid[:8]}",
        "tools": [{"type": "function", "name": "bash"}],
        "stream": True,
    }


def aider(run: Run, prompt: str) -> Any:
    system = (
        f"Act as an expert software developer.\n- Platform: Linux-6.{len(run[3])}\n"
        "- Shell: SHELL=/bin/bash\n- Language: English\n"
        f"- Current date: {run[1]}\n- The user is operating inside a git repository\n"
    )
    return {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": prompt}],
        "tools": [],
        "stream": True,
    }


def openai_agents(run: Run, prompt: str) -> Any:
    return {
        "model": "gpt-4o",
        "input": [{"role": "user", "content": prompt}],
        "prompt_cache_key": f"agents-sdk:run:{run[0].replace('-', '')}",
        "tools": [],
    }


MADE: Final[dict[str, tuple[str, Callable[[Run, str], Any]]]] = {
    "claude-code": ("https://api.anthropic.com/v1/messages", claude),
    "codex": ("https://api.openai.com/v1/responses", codex),
    "gemini-cli": ("https://generativelanguage.googleapis.com/v1beta/models/g:x", gemini),
    "qwen-code": ("https://api.openai.com/v1/chat/completions", qwen),
    "opencode": ("https://api.openai.com/v1/responses", opencode),
    "aider": ("https://api.openai.com/v1/chat/completions", aider),
    "openai-agents": ("https://api.openai.com/v1/responses", openai_agents),
}
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
    ],
)
def test_what_varies_in_an_agents_own_text_counts_in_a_prompt(
    agent: str, one: str, two: str
) -> None:
    _, made = MADE[agent]
    assert key(agent, made(RUNS[0], one)) != key(agent, made(RUNS[1], two))


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

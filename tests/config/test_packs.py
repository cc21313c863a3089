"""Packs are what they say, and take out nothing that matters."""

import json
from pathlib import Path
from typing import Any

import pytest

import wiretape
from wiretape.config.packs import (
    AGENTS,
    NAMES,
    built_in,
    drift_rules,
    packs,
    providers,
    rules,
)
from wiretape.core.drift.rules import FoundChange, judged
from wiretape.core.matching.matcher import Matcher
from wiretape.core.recording.document import Document

FILES = sorted((Path(wiretape.__file__).parent / "config" / "packs").glob("*.yaml"))
MATCHER = Matcher(built_in(), ["anthropic-beta", "x-*"], tuple(rules(providers())))
URLS = {
    "together": "https://api.together.ai/v1/chat/completions",
    "openai": "https://api.openai.com/v1/responses",
    "anthropic": "https://api.anthropic.com/v1/messages",
    "google": "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent",
    "azure": "https://mine.openai.azure.com/openai/deployments/m/chat/completions",
    "bedrock": "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse",
    "mistral": "https://api.mistral.ai/v1/chat/completions",
    "cohere": "https://api.cohere.com/v2/chat",
    "ollama": "http://localhost:11434/v1/chat/completions",
}


def request(provider: str, body: Any, **headers: str) -> Document:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"method": "POST", "url": URLS[provider], "headers": names, "body": body}


def key(provider: str, body: Any, **headers: str) -> str:
    return MATCHER.canonical(request(provider, body, **headers)).key


def test_every_file_is_a_pack() -> None:
    assert sorted(NAMES) == sorted(file.stem for file in FILES) == sorted(packs())


def test_every_provider_of_the_issue_has_a_pack() -> None:
    assert set(packs()) == {
        *("common", "together", "openai", "anthropic", "google", "azure", "bedrock", "mistral"),
        *("groq", "xai", "openrouter", "fireworks", "cerebras", "deepseek", "cohere", "ollama"),
        *("vllm", "llamacpp", "litellm", "mcp"),
        *AGENTS,
    }


def test_every_rule_has_a_name_of_its_own() -> None:
    names = [rule.name for rule in rules(providers())]
    assert len(set(names)) == len(names)
    assert {"openai/tool-call-ids", "anthropic/tool-use-ids", "common/user-agent"} <= set(names)


def test_a_host_on_a_port_that_may_be_anybodys_is_nobodys() -> None:
    known = built_in()
    assert known.find("localhost", 8000) is None
    assert known.find("localhost", 8080) is None
    assert known.find("localhost", 11434) is not None


def test_rules_are_pure_data_and_never_name_a_prompt_a_tool_or_a_parameter() -> None:
    for pack in (pack for name, pack in packs().items() if name not in (*AGENTS, "mcp")):
        for entry in pack.rules:
            assert set(entry) <= {"name", "when", "normalise", "ignore_headers"}
            for change in entry.get("normalise", ()):
                assert change["with"] == "ids"
                last = [path.rpartition(".")[2] for path in change["at"]]
                assert set(last) <= {
                    *("id", "call_id", "tool_call_id", "tool_use_id", "toolUseId"),
                    "approval_request_id",
                }


def chat(one: str, two: str, answers: str) -> Any:
    calls = [
        {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for name in (one, two)
    ]
    answer = {"role": "tool", "tool_call_id": answers, "content": "5"}
    return {"model": "m", "messages": [{"role": "assistant", "tool_calls": calls}, answer]}


@pytest.mark.parametrize("provider", ["together", "azure", "mistral", "cohere", "ollama"])
def test_tool_calls_of_a_chat_are_told_by_their_order(provider: str) -> None:
    first = key(provider, chat("call_a", "call_b", "call_a"))
    assert first == key(provider, chat("call_1", "call_2", "call_1"))
    assert first != key(provider, chat("call_1", "call_2", "call_2"))
    assert first != key(provider, chat("call_1", "call_1", "call_1"))


def test_tool_uses_of_anthropic_are_told_by_their_order() -> None:
    def made(one: str, result: str) -> str:
        use = {"type": "tool_use", "id": one, "name": "f", "input": {"id": "kept"}}
        answer = {"type": "tool_result", "tool_use_id": result, "content": "5"}
        return key("anthropic", {"messages": [{"content": [use]}, {"content": [answer]}]})

    assert made("toolu_1", "toolu_1") == made("toolu_2", "toolu_2")
    assert made("toolu_1", "toolu_1") != made("toolu_1", "toolu_2")


def test_function_calls_of_gemini_are_told_by_their_order() -> None:
    def made(one: str, result: str) -> str:
        call = {"functionCall": {"id": one, "name": "f", "args": {"id": "kept"}}}
        answer = {"functionResponse": {"id": result, "name": "f", "response": {}}}
        return key("google", {"contents": [{"parts": [call]}, {"parts": [answer]}]})

    assert made("a", "a") == made("b", "b")
    assert made("a", "a") != made("a", "b")


def test_tool_uses_of_converse_are_told_by_their_order() -> None:
    def made(one: str, result: str) -> str:
        content = [{"toolUse": {"toolUseId": one}}, {"toolResult": {"toolUseId": result}}]
        return key("bedrock", {"messages": [{"content": content}]})

    assert made("a", "a") == made("b", "b")
    assert made("a", "a") != made("a", "b")


def test_items_of_a_responses_history_are_numbered_and_references_are_not() -> None:
    def made(item: str, call: str, reference: str = "msg_0", previous: str = "resp_0") -> str:
        items = [
            {"type": "function_call", "id": item, "call_id": call, "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": call, "output": "5"},
            {"type": "item_reference", "id": reference},
        ]
        return key("openai", {"input": items, "previous_response_id": previous})

    assert made("fc_1", "call_1") == made("fc_2", "call_2")
    assert made("fc_1", "call_1", "msg_1") != made("fc_1", "call_1", "msg_2")
    assert made("fc_1", "call_1", previous="resp_1") != made("fc_1", "call_1", previous="resp_2")


def test_what_a_tool_is_given_counts_whatever_it_is_called() -> None:
    assert key("anthropic", {"messages": [{"content": [{"input": {"id": "a"}}]}]}) != key(
        "anthropic", {"messages": [{"content": [{"input": {"id": "b"}}]}]}
    )


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("x_stainless_retry_count", False),
        ("x_request_id", False),
        ("x_goog_api_client", False),
        ("x_datadog_trace_id", False),
        ("x_tenant", True),
        ("anthropic_beta", True),
    ],
)
def test_of_headers_a_pattern_brings_in_telemetry_does_not_count(name: str, counts: bool) -> None:
    keys = {key("openai", {}, **{name: value}) for value in "12"}
    assert (len(keys) == 2) is counts


def test_a_header_that_is_named_in_full_counts_whatever_packs_say() -> None:
    matcher = Matcher(built_in(), ["User-Agent"], tuple(rules(providers())))
    one, two = (matcher.canonical(request("openai", {}, user_agent=text)).key for text in "12")
    assert one != two


BODY = {
    "model": "m",
    "temperature": 0.7,
    "stream": True,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"id": 1}}}],
    "messages": [{"role": "user", "content": "call_1 at 2026-11-20", "name": "n"}],
}


@pytest.mark.parametrize("provider", URLS)
def test_the_rest_of_a_request_is_left_as_it_is(provider: str) -> None:
    made = MATCHER.canonical(request(provider, BODY))
    assert made.value["body"] == {"json": json.loads(json.dumps(BODY))}
    assert (made.ignored, made.rules) == ({}, ())


@pytest.mark.parametrize(("provider", "verdict"), [("openai", "benign"), ("together", "new")])
def test_a_pack_says_what_a_change_of_its_providers_answers_is(provider: str, verdict: str) -> None:
    change = FoundChange(tier="shape", change="member-came", path="response.created.obfuscation")
    [change_judged] = judged([change], drift_rules(), provider)
    assert change_judged.verdict == verdict
    for name in ("system_fingerprint", "service_tier"):
        went = FoundChange(tier="shape", change="member-went", path=f"chat.completion.{name}")
        assert judged([went], drift_rules(), provider)[0].verdict == "benign"

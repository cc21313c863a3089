"""Answers that were edited, given to stock SDKs; and an agent's run that is left at a step."""

import json
import sys
from pathlib import Path

from tests.support import drifted_answers as answers
from tests.support.commands import Wiretape
from tests.support.sdk import documents, record_options
from tests.support.upstream import Answer, Upstream

from wiretape.core.recording.document import to_exchange
from wiretape.demo.local_provider import LocalProvider

KEYS = {
    "OPENAI_API_KEY": "sk-" + "Vq4" * 12,
    "ANTHROPIC_API_KEY": "sk-ant-api03-" + "Vq4" * 20,
    "TOGETHER_API_KEY": "tgp_v1_" + "Vq4" * 15,
}
SDKS = """
import anthropic, openai, together
ask = [{"role": "user", "content": "hi"}]
for client in (openai.OpenAI(), together.Together()):
    chunks = list(client.chat.completions.create(model="m", messages=ask, stream=True))
    text = "".join((c.choices[0].delta.content or "") if c.choices else "" for c in chunks)
    print(text, chunks[-1].usage.completion_tokens)
with anthropic.Anthropic().messages.stream(model="c", max_tokens=99, messages=ask) as stream:
    print("".join(stream.text_stream), stream.get_final_message().usage.output_tokens)
"""
AGENT = """
import json, os, urllib.request
messages = []
for step in range(5):
    messages.append({"role": "user", "content": f"step {step}"})
    body = json.dumps({"model": "m", "messages": messages}).encode()
    request = urllib.request.Request(
        "https://api.together.xyz/v1/chat/completions", body,
        {"content-type": "application/json", "authorization": "Bearer " + os.environ["TOGETHER_API_KEY"]},
    )
    answer = json.load(urllib.request.urlopen(request))["choices"][0]["message"]
    messages.append({"role": "assistant", "content": answer["content"]})
    print(answer["content"])
"""  # noqa: E501


def test_three_sdks_read_what_was_edited(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    for path, document in (
        ("/v1/chat/completions", answers.chat()),
        ("/v1/messages", answers.message()),
    ):
        response = to_exchange(document).response
        chunks = [chunk.data for chunk in response.chunks]
        upstream.script(path, Answer(headers=response.headers, chunks=chunks))
    folder = tmp_path / "recordings"
    routes = record_options(upstream, folder)
    for host in ("api.anthropic.com", "api-inference.together.ai"):
        routes += ["--map", f"{host}={upstream.url}"]
    ask = ("--", sys.executable, "-c", SDKS)
    live = wiretape("record", *routes, *ask, env=KEYS)
    assert live.stdout.splitlines() == [f"{answers.WORDS} 30"] * 3, live.stderr
    names = list(documents(folder))
    assert len(names) == 3
    words = "Nobody\nknows."
    for name in names[:2]:
        edit = wiretape("edit", name, "--set", f"text={words}")
        assert edit.returncode == 0, edit.stderr
        assert "30 tokens became 6" in edit.stderr
    edits = ("--set", f"{names[2]}.text={words}")
    replayed = wiretape("replay", "-r", folder, *edits, *ask, env=KEYS)
    assert replayed.stdout == f"{words} 6\n" * 3, replayed.stderr
    assert replayed.returncode == 0
    assert wiretape("ls").stdout.count("200 edited") == 2
    assert wiretape("verify").returncode == 0


def rude(answer: dict[str, object]) -> dict[str, object]:
    """Another version of the provider, which says something else."""
    return json.loads(json.dumps(answer).replace("You said", "You claimed"))  # type: ignore[no-any-return]


def test_a_run_is_left_at_its_third_step_and_lined_up(wiretape: Wiretape, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    ask = ("--", sys.executable, "-c", AGENT)

    def routed(url: str) -> tuple[str, ...]:
        return ("--map", f"api.together.xyz={url}")

    with LocalProvider.in_thread(token_delay=0) as provider:
        command = ("record", "--session", "nightly", *routed(provider.url), *ask)
        first = wiretape(*command, env=KEYS)
        assert first.returncode == 0, first.stderr
    nightly = {
        path.name: path.read_bytes() for path in sorted((folder / "nightly").rglob("*.json"))
    }
    order = sorted(nightly, key=lambda name: json.loads(nightly[name])["recorded_at"])
    where = ("--after", order[1].removesuffix(".json"))
    with LocalProvider.in_thread(token_delay=0, version=rude) as provider:
        branch = ("auto", "--session", "nightly", *where, "--branch", "b1", *routed(provider.url))
        left = wiretape(*branch, *ask, env=KEYS)
        assert left.returncode == 0, left.stderr
        assert provider.requests == 3
        again = wiretape(*branch, *ask, env=KEYS)
        assert (again.returncode, "b1: it is there already" in again.stderr) == (2, True)
    assert left.stdout.splitlines()[:2] == first.stdout.splitlines()[:2]
    assert left.stdout.count("You claimed") == 3
    assert {
        path.name: path.read_bytes() for path in (folder / "nightly").rglob("*.json")
    } == nightly
    copies = {path.name: path.read_bytes() for path in (folder / "b1").rglob("*.json")}
    assert len(copies) == 5
    assert [copies.get(name) == nightly[name] for name in order] == [
        True,
        True,
        False,
        False,
        False,
    ]
    lined_up = wiretape("diff", "--sessions", "nightly", "b1", "--json")
    result = json.loads(lined_up.stdout)
    assert (lined_up.returncode, result["first_difference"]) == (1, 3)
    outcomes = [step["outcome"] for step in result["steps"]]
    assert outcomes == ["same", "same", "answers differ", "asks differ", "asks differ"]
    shown = wiretape("diff", "--sessions", "nightly", "b1")
    assert "the first step that differs is 3: answers differ" in shown.stderr
    assert "[-said-]{+claimed+}" in shown.stdout
    replayed = wiretape("replay", "--session", "b1", *ask, env=KEYS)
    assert (replayed.returncode, replayed.stdout) == (0, left.stdout), replayed.stderr
    assert wiretape("diff", "--sessions", "b1", "b1").returncode == 0


def test_a_branch_that_is_never_reached_is_said(wiretape: Wiretape, tmp_path: Path) -> None:
    with LocalProvider.in_thread(token_delay=0) as provider:
        route = ("--map", f"api.together.xyz={provider.url}")
        ask = ("--", sys.executable, "-c", AGENT)
        assert wiretape("record", *route, *ask, env=KEYS).returncode == 0
        left = wiretape("auto", "--live-from", "9", "--branch", "b", *route, *ask, env=KEYS)
        assert "--live-from 9: only 5 requests came" in left.stderr
        assert provider.requests == 5
    in_ci = wiretape("auto", "--live-from", "2", *ask, env={**KEYS, "CI": "true"})
    assert (in_ci.returncode, "--live lets it" in in_ci.stderr) == (2, True)
    assert wiretape("auto", "--branch", "b", *ask).returncode == 2
    old = wiretape("replay", "--max-age", "0s", *ask, env=KEYS)
    assert "5 recordings that answered are older than 0s" in old.stderr
    new = wiretape("replay", "--max-age", "9w", *ask, env=KEYS)
    assert "older than" not in new.stderr

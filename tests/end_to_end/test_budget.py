"""A run with a budget: live until it is spent, then misses; recordings replay all the same."""

import json
from pathlib import Path

from tests.support.commands import Wiretape
from tests.support.sdk import documents, post, record_options, shell
from tests.support.upstream import Answer, Upstream

CHAT = "/v1/chat/completions"


def ask(text: str, model: str = "m") -> list[str]:
    return post(CHAT, {"model": model, "messages": [{"role": "user", "content": text}]})


def test_a_run_stops_going_live_when_its_budget_is_spent(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    answer = {"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 10}}
    upstream.script(CHAT, Answer.json(answer))
    config = tmp_path / "config.yaml"
    config.write_text("prices: [{model: m, input: 0, output: 100000}]")  # ten cents a token
    options = [*record_options(upstream, tmp_path / "r"), "-c", config, "--budget", "2USD"]
    four = shell(ask("one"), ask("two"), ask("three"), ask("four", "unknown"))
    report = tmp_path / "report.json"
    done = wiretape("record", *options, "--report", report, "--", *four)
    assert done.returncode == 3
    assert len(upstream.requests) == len(documents(tmp_path / "r")) == 2
    *_, third, fourth = [json.loads(line) for line in done.stdout.splitlines()]
    assert "the budget of 2.00 USD is spent (2.00 USD)" in third["error"]["message"]
    assert "unknown (openai) has none" in fourth["error"]["message"]
    assert third["error"]["code"] == "wiretape_budget"
    assert "wiretape: recorded 2 answers: 28 tokens, 2.00 USD spent" in done.stderr
    assert "2 recorded, 2 missed; 2.00 USD spent of a budget of 2.00 USD" in done.stderr
    assert json.loads(report.read_text())["budget"]["refused"] == 2

    again = shell(ask("one"), ask("two"), ask("five"))
    options[-1] = "0.50USD"
    done = wiretape("auto", "--live", *options, "--", *again)
    assert "replayed 2 answers: 28 tokens, 2.00 USD not spent" in done.stderr
    assert "1 recorded" in done.stderr
    assert done.returncode == 0


def test_an_amount_that_is_none_starts_nothing(wiretape: Wiretape, tmp_path: Path) -> None:
    for amount, reason in (
        ("2", "expected an amount above 0 with its currency"),
        ("-1USD", "expected an amount above 0"),
        ("2XXX", "--budget 2.00 XXX: no price is in XXX; give it in USD"),
    ):
        done = wiretape("record", "-r", tmp_path / "r", "--budget", amount, "--", "true")
        assert done.returncode == 2
        assert reason in done.stderr

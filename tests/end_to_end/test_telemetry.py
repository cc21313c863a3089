"""A run with metrics and traces: a scrape while it runs, and spans at a real collector."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.collector import Collector
from tests.support.commands import Wiretape
from tests.support.sdk import post, record_options, shell
from tests.support.upstream import Answer, Upstream

CHAT = "/v1/chat/completions"
ASK = post(CHAT, {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]})


@pytest.mark.parametrize("mode", ["record", "replay"])
def test_a_run_is_scraped_and_traced(
    mode: str, wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    chunk: dict[str, Any] = {"model": "m-1", "choices": [{"delta": {"content": "Hello"}}]}
    last = {"choices": [{"finish_reason": "stop", "delta": {}}]}
    upstream.script(CHAT, Answer.sse([chunk, last]))
    config = tmp_path / "config.yaml"
    config.write_text("telemetry: {metrics: true, traces: true}")
    live = [*record_options(upstream, tmp_path / "r"), "-c", config]
    # What was recorded is counted a moment after its client has it.
    scrape = (
        "until curl -sS --noproxy '*' $WIRETAPE_BASE_URL/metrics >m"
        " && grep -q wiretape_exchanges_total{ m; do :; done; cat m"
    )
    command = [*shell(ASK)[:2], f"{shell(ASK)[2]}; {scrape}"]
    with Collector() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        done = wiretape("record", *live, "--", *command, env=variables, cwd=tmp_path)
        if mode == "replay":
            options: list[str | Path] = ["-r", tmp_path / "r", "-c", config]
            done = wiretape(
                *("replay", *options, "--pace", "recorded", "--", *command),
                env=variables,
                cwd=tmp_path,
            )
    assert done.returncode == 0, done.stderr
    text = "# HELP" + done.stdout.partition("# HELP")[2]
    samples = {
        (sample.name, sample.labels.get("outcome")): sample.value
        for family in text_string_to_metric_families(text.strip() + "\n")
        for sample in family.samples
    }
    outcome = "recorded" if mode == "record" else "replayed"
    assert samples["wiretape_exchanges_total", outcome] == 1
    assert samples["wiretape_chunks_total", outcome] == 3
    late = samples["wiretape_chunk_lateness_seconds_count", None]
    assert late == (3 if mode == "replay" else 0)
    span = collector.spans[-1]
    assert (span["name"], span["wiretape.outcome"]) == ("chat m", outcome)
    assert span["gen_ai.response.model"] == "m-1"
    assert span["gen_ai.response.finish_reasons"] == ["stop"]
    assert span["wiretape.usage.estimated"] is True
    assert "gen_ai.input.messages" not in span


def test_off_there_is_neither(wiretape: Wiretape, tmp_path: Path) -> None:
    with Collector() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        scrape = "curl -sS --noproxy '*' $WIRETAPE_BASE_URL/metrics"
        done = wiretape(
            "replay", "-r", tmp_path, "--allow-none", "--", "sh", "-c", scrape, env=variables
        )
    assert "telemetry: {metrics: true}" in done.stdout
    assert collector.spans == []


def test_a_collector_that_is_none_starts_nothing(wiretape: Wiretape, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("telemetry: {traces: true}")
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}
    done = wiretape("record", "-r", tmp_path / "r", "-c", config, "--", "true", env=variables)
    assert done.returncode == 2
    assert "OTEL_EXPORTER_OTLP_ENDPOINT: expected the URL of a collector" in done.stderr

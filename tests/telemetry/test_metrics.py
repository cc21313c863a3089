"""What a scrape gets is what Prometheus's own parser reads."""

import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from wiretape.core.cost.usage import Usage
from wiretape.core.errors import ConfigError
from wiretape.report.report import Report, Row
from wiretape.telemetry.metrics import Metrics


def samples(text: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_a_scrape_has_the_numbers_of_the_run() -> None:
    report = Report("auto")
    metrics = Metrics(report, lambda: 3)
    report.open_streams = lambda: 2
    usage = Usage(10, 4)
    for outcome, chunks in (("replayed", 5), ("replayed", None), ("missed", None)):
        report.add(Row(outcome, "openai", "POST", "/v1", "m", chunks=chunks, usage=usage))  # type: ignore[arg-type]  # a list of outcomes
    report.redactions.update({"authorization": 2, 'odd "rule"\n': 1})
    assert report.lateness is not None
    for seconds in (0.0004, 0.003, 7.0):
        report.lateness(seconds)
    found = samples(metrics.text())
    assert found["wiretape_exchanges_total", ("replayed", "openai")] == 2
    assert found["wiretape_exchanges_total", ("missed", "openai")] == 1
    assert found["wiretape_chunks_total", ("replayed",)] == 5
    assert found["wiretape_tokens_total", ("in", "replayed")] == 20
    assert found["wiretape_redactions_total", ("authorization",)] == 2
    assert found["wiretape_redactions_total", ('odd "rule"\n',)] == 1
    assert found["wiretape_open_streams", ()] == 2
    assert found["wiretape_recorder_backlog", ()] == 3
    assert found["wiretape_chunk_lateness_seconds_count", ()] == 3
    assert found["wiretape_chunk_lateness_seconds_bucket", ("0.005",)] == 2


def test_metrics_without_their_library_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigError, match=r"pip install 'wiretape\[otel\]'"):
        Metrics(Report("replay"))

"""Metrics and traces are there where config.yaml asks for them, and only there."""

from pathlib import Path

import pytest
from tests.support.parts import settings_in

from wiretape.core.errors import ConfigError
from wiretape.report.report import Report
from wiretape.run.telemetry import metrics_of, traces_of

TRACES = "telemetry: {traces: true}\n"


def test_nothing_is_measured_that_nobody_asked_for(tmp_path: Path) -> None:
    settings, report = settings_in(tmp_path, "replay"), Report("replay")
    assert metrics_of(settings, report, None) is None
    assert traces_of(settings, report) is None


def test_metrics_are_a_text_of_prometheus(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, "replay", "telemetry: {metrics: true}\n")
    text = metrics_of(settings, Report("replay"), None)
    assert text is not None
    assert b"# TYPE wiretape_" in text()


def test_opentelemetrys_own_switch_turns_traces_off(tmp_path: Path) -> None:
    off = settings_in(tmp_path, "replay", TRACES, environ={"OTEL_SDK_DISABLED": "TRUE"})
    assert traces_of(off, Report("replay")) is None


@pytest.mark.parametrize("isolated", [False, True])
def test_an_isolated_run_is_told_that_its_spans_stay_here(tmp_path: Path, isolated: bool) -> None:
    pytest.importorskip("opentelemetry.sdk")
    report = Report("replay")
    report.isolated = isolated
    traces = traces_of(settings_in(tmp_path, "replay", TRACES), report)
    assert traces is not None
    traces.close()
    assert any("loopback only" in notice for notice in report.notices) is isolated


def test_a_variable_that_cannot_be_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk")
    environ = {"OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"}
    with pytest.raises(ConfigError, match="OTEL_EXPORTER_OTLP_PROTOCOL"):
        traces_of(settings_in(tmp_path, "replay", TRACES, environ=environ), Report("replay"))

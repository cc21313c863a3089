"""The metrics and traces of a run, where config.yaml asks for them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from wiretape.core.redaction.redactor import Redactor
from wiretape.report.report import Report

from .settings import Settings

if TYPE_CHECKING:
    from wiretape.intake.intake import Intake
    from wiretape.telemetry.traces import Traces


def metrics_of(
    settings: Settings, report: Report, intake: "Intake | None"
) -> Callable[[], bytes] | None:
    """What gives the text of `GET /metrics`; None where it is not asked for."""
    if not settings.config.metrics:
        return None
    from wiretape.telemetry.metrics import Metrics

    return Metrics(report, (lambda: intake.backlog) if intake is not None else lambda: 0).text


def traces_of(settings: Settings, report: Report) -> "Traces | None":
    """What sends the spans of a run; None where it is not asked for."""
    config, environ = settings.config, settings.environ
    if not config.traces or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    from wiretape.telemetry.traces import Traces, check_environment

    check_environment(environ)
    if report.isolated:
        report.notice(
            "this run has a network with loopback only, so a collector on another machine gets no"
            " spans; --no-isolate gives it the machine's network"
        )
    return Traces(
        report,
        settings.recordings,
        content=config.trace_content,
        redact=Redactor(config.redaction).text,
    )

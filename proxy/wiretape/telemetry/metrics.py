"""The numbers of a run as Prometheus reads them (its text format 0.0.4), for `GET /metrics`."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from wiretape.core.errors import ConfigError
from wiretape.report.report import Report, Row, RowOutcome

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
"""Seconds."""


class Metrics:
    """Counts the rows of a report; `text` is what a scrape gets.

    Most numbers are the report's own, read when they are asked for. ConfigError without
    prometheus_client.
    """

    def __init__(self, report: Report, backlog: Callable[[], int] = lambda: 0) -> None:
        try:
            from prometheus_client import CollectorRegistry, Histogram
        except ImportError:
            raise ConfigError(
                "telemetry.metrics needs prometheus_client: pip install 'wiretape[otel]'"
            ) from None
        self._report = report
        self._backlog = backlog
        self._exchanges: Counter[tuple[RowOutcome, str]] = Counter()
        self._chunks: Counter[RowOutcome] = Counter()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        lateness = Histogram(
            "wiretape_chunk_lateness_seconds",
            "How much later than its time a replayed chunk left.",
            buckets=_BUCKETS,
            registry=self._registry,
        )
        report.lateness = lateness.observe
        report.observers.append(self._observe)

    def _observe(self, row: Row) -> None:
        self._exchanges[row.outcome, row.provider] += 1
        self._chunks[row.outcome] += row.chunks or 0

    def text(self) -> bytes:
        """All numbers, as they are now."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)

    def collect(self) -> "Iterator[Metric]":
        """What prometheus_client asks for at each scrape."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        exchanges = CounterMetricFamily(
            "wiretape_exchanges",
            "Exchanges that are over; replayed are hits, missed are misses.",
            labels=["outcome", "provider"],
        )
        for (outcome, provider), number in self._exchanges.items():
            exchanges.add_metric([outcome, provider], number)
        yield exchanges
        chunks = CounterMetricFamily("wiretape_chunks", "Chunks of answers.", labels=["outcome"])
        for outcome, number in self._chunks.items():
            chunks.add_metric([outcome], number)
        yield chunks
        tokens = CounterMetricFamily(
            "wiretape_tokens", "Tokens, paid or not.", labels=["outcome", "direction"]
        )
        for outcome, spending in self._report.spending.items():
            tokens.add_metric([outcome, "in"], spending.tokens_in)
            tokens.add_metric([outcome, "out"], spending.tokens_out)
        yield tokens
        redactions = CounterMetricFamily(
            "wiretape_redactions", "Values redacted, by rule.", labels=["rule"]
        )
        for rule, number in self._report.redactions.items():
            redactions.add_metric([rule], number)
        yield redactions
        for name, text, value in (
            ("wiretape_open_streams", "Answers under way.", self._report.open_streams()),
            ("wiretape_recorder_backlog", "Exchanges still to be written.", self._backlog()),
        ):
            yield GaugeMetricFamily(name, text, value=value)

"""Metrics for Prometheus and traces for OpenTelemetry, of a run that asks for them.

Both take what the report is told, so nothing is paid where they are off; their libraries come with
`wiretape[otel]` and are imported when they are used. Begin with `metrics.py` or `traces.py`.
"""

"""Metrics for Prometheus and traces for OpenTelemetry, of a run that asks for them.

Both listen to the report, so they cost nothing when they are off; their libraries come with
`wiretape[otel]` and are imported when they are used. Begin with `metrics.py` or `traces.py`.
"""

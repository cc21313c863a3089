"""A span for each exchange, over OTLP, by OpenTelemetry's conventions for generative AI
(https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/).

What a span says beyond the report's row is read from the recording, which is redacted, on a thread
of its own: neither a client nor its answer waits, and a collector that is down breaks nothing.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from wiretape import __version__
from wiretape.core.conversation.conversation import (
    Conversation,
    answering_model,
    conversation,
    read,
)
from wiretape.core.errors import ConfigError, WiretapeError
from wiretape.core.model import split_url
from wiretape.core.recording.document import Document
from wiretape.library.recording_file import load
from wiretape.report.report import Report, Row

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

_MOST_WAITING: Final = 10_000
_TIMEOUT: Final = 3.0
"""Seconds that a collector has, also at the end of a run."""

_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
_OPERATIONS: Final = (
    ("embed", "embeddings"),
    ("generateContent", "generate_content"),
    ("streamGenerateContent", "generate_content"),
    ("/chat/completions", "chat"),
    ("/responses", "chat"),
    ("/messages", "chat"),
    ("/chat", "chat"),
    ("/converse", "chat"),
    ("/invoke", "chat"),
    ("/completions", "text_completion"),
    ("/generate", "text_completion"),
)
"""The end of a path, or a part of it, and the operation that it is."""


def check_environment(environ: Mapping[str, str]) -> None:
    """ConfigError where OpenTelemetry's own variables name no collector that can be used."""
    for name in ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        try:
            split_url(environ.get(name) or "http://localhost:4318")
        except ValueError:
            raise ConfigError(
                f"{name}: expected the URL of a collector, such as http://localhost:4318"
            ) from None
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if environ.get(name) not in (None, "", "http/protobuf"):
            raise ConfigError(f"{name}: expected http/protobuf, the only one that wiretape speaks")


class Traces:
    """Sends a span for each row of a report, until `close`.

    `recordings` is the folder that the rows' recordings lie in; with `content` spans have what was
    asked and answered, as it is in the recording. ConfigError without OpenTelemetry.
    """

    def __init__(
        self,
        report: Report,
        recordings: Path,
        *,
        content: bool = False,
        redact: Callable[[str], str] = str,
        exporter: "SpanExporter | None" = None,
    ) -> None:
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor

            exporter = exporter or _exporter(report)
        except ImportError:
            raise ConfigError(
                "telemetry.traces needs OpenTelemetry: pip install 'wiretape[otel]'"
            ) from None
        self._report = report
        self._recordings = recordings
        self._content = content
        self._redact = redact
        self._document = lru_cache(256)(_loaded)
        resource = Resource.create()  # OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
        if str(resource.attributes["service.name"]).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": "wiretape"}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("wiretape", __version__)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="wiretape-traces")
        # Each is counted by one thread alone.
        self._put_in, self._done, self._dropped = 0, 0, 0
        self._late: list[tuple[Row, int]] = []
        report.observers.append(self._observe)

    def _observe(self, row: Row) -> None:
        if self._put_in - self._done + len(self._late) >= _MOST_WAITING:
            self._dropped += 1
        elif row.outcome == "recorded":
            # What becomes known as a secret later is taken out of it when the run ends.
            self._late.append((row, time.time_ns()))
        else:
            self._put(row, time.time_ns())

    def _put(self, row: Row, ended: int) -> None:
        self._put_in += 1
        self._worker.submit(self._send, row, ended)

    def _send(self, row: Row, ended: int) -> None:
        try:
            self._span(row, ended)
        except Exception:
            logging.getLogger(__name__).debug("a span could not be made", exc_info=True)
        finally:
            self._done += 1

    def close(self) -> None:
        """Send what is left; the run is over, and its recordings are as they stay."""
        for row, ended in self._late:
            # A recording that is elsewhere now held a secret, perhaps in the path that names it.
            is_there = row.recording is not None and self._path(row).exists()
            self._put(row if is_there else replace(row, recording=None, path="/"), ended)
        self._worker.shutdown(wait=True)
        self._provider.shutdown()
        if self._dropped:
            self._report.notice(f"{self._dropped} spans were not sent: too many waited")

    def _span(self, row: Row, ended: int) -> None:
        from opentelemetry.trace import SpanKind, StatusCode

        operation = _operation(row.path) if row.method == "POST" else None
        name = f"{operation} {row.model or ''}".strip() if operation else f"{row.method} {row.path}"
        attributes = dict(_of_row(row, self._report.mode, operation))
        if row.recording is not None:
            document = self._document(self._path(row))
            if document is not None:
                attributes |= dict(self._of_document(document))
        started = ended - int((row.duration or 0) * 1e9)
        span = self._tracer.start_span(
            name, kind=SpanKind.CLIENT, attributes=attributes, start_time=started
        )
        if "error.type" in attributes:
            span.set_status(StatusCode.ERROR)
        span.end(ended)

    def _path(self, row: Row) -> Path:
        folder = self._recordings / row.session if row.session else self._recordings
        return folder / (row.recording or "")

    def _of_document(self, document: Document) -> Iterator[tuple[str, Any]]:
        values = read(document["response"]).values
        seen = conversation(document)
        if model := answering_model(values):
            yield "gen_ai.response.model", model
        if reasons := [turn.finish for turn in seen.answer if turn.finish]:
            yield "gen_ai.response.finish_reasons", reasons
        if self._content:
            for name, turns in zip(("input", "output"), _messages(seen), strict=True):
                text = json.dumps(turns, ensure_ascii=False)
                yield f"gen_ai.{name}.messages", self._redact(text)


def _loaded(path: Path) -> Document | None:
    try:
        return load(path).document
    except WiretapeError:
        return None


def _operation(path: str) -> str | None:
    path = path.partition("?")[0]
    return next((name for part, name in _OPERATIONS if part in path), None)


def _of_row(row: Row, mode: str, operation: str | None) -> Iterator[tuple[str, Any]]:
    facts: dict[str, Any] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": _PROVIDERS.get(row.provider, row.provider),
        "gen_ai.request.model": row.model,
        "gen_ai.response.time_to_first_chunk": row.first_chunk,
        "http.request.method": row.method,
        "http.response.status_code": row.status,
        "url.path": row.path,
        "wiretape.mode": mode,
        "wiretape.outcome": row.outcome,
        "wiretape.recording": row.recording,
        "wiretape.session": row.session,
        "wiretape.take": row.take,
        "wiretape.chunks": row.chunks,
        "wiretape.fault": row.fault,
    }
    if row.usage is not None:
        facts |= {
            "gen_ai.usage.input_tokens": row.usage.tokens_in,
            "gen_ai.usage.output_tokens": row.usage.tokens_out,
            "gen_ai.usage.cache_read.input_tokens": row.usage.cached or None,
            "gen_ai.usage.cache_creation.input_tokens": row.usage.cache_write or None,
            "wiretape.usage.estimated": row.usage.estimated or None,
        }
    if row.outcome in ("missed", "refused", "failed"):
        facts["error.type"] = f"wiretape_{row.outcome}"
    elif row.status is not None and row.status >= 400:
        facts["error.type"] = str(row.status)
    return ((name, value) for name, value in facts.items() if value is not None)


def _messages(seen: Conversation) -> tuple[list[Any], list[Any]]:
    """Both sides in the conventions' shape of messages."""

    def message(role: str, turn: Any) -> dict[str, Any]:
        parts = [
            {"type": "tool_call", "id": part.id, "name": part.name, "arguments": part.text}
            if part.kind == "call"
            else {"type": "tool_call_response", "id": part.id, "response": part.text}
            if part.kind == "result"
            else {"type": "reasoning" if part.kind == "reasoning" else "text", "content": part.text}
            for part in turn.parts
        ]
        finish = {"finish_reason": turn.finish} if turn.finish else {}
        return {"role": role, "parts": parts, **finish}

    request = [message(turn.role, turn) for turn in seen.request]
    return request, [message("assistant", turn) for turn in seen.answer]


def _exporter(report: Report) -> "SpanExporter":
    """The exporter that OpenTelemetry's variables describe; its first failure is reported."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    # They would report each try; only the first failure is reported here.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)

    class Told(SpanExporter):
        def __init__(self) -> None:
            self._exporter = OTLPSpanExporter(timeout=_TIMEOUT)

        def export(self, spans: "Sequence[ReadableSpan]") -> SpanExportResult:
            try:
                result = self._exporter.export(spans)
            except Exception:
                result = SpanExportResult.FAILURE
            if result is not SpanExportResult.SUCCESS:
                report.notice(
                    "the collector of OTEL_EXPORTER_OTLP_ENDPOINT (default http://localhost:4318)"
                    " did not take the spans of this run; the run goes on without them"
                )
            return result

        def shutdown(self) -> None:
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # theirs

    return Told()

"""Spans, as a collector that reads OTLP gets them."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.collector import Collector
from tests.support.ports import unused_port
from tests.support.stored import put

from wiretape.core.cost.usage import Usage
from wiretape.core.errors import ConfigError
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording.document import from_exchange
from wiretape.report.report import Report, Row
from wiretape.telemetry.traces import Traces, check_environment

CHAT = "/v1/chat/completions"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Collector() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        yield receiver


def recorded(folder: Path, question: str = "Say hello") -> str:
    """The name of a recording of a chat."""
    body = {"model": "m", "messages": [{"role": "user", "content": question}]}
    answer = {
        "model": "m-2026-01-01",
        "choices": [{"message": {"content": "Hello."}, "finish_reason": "stop"}],
    }
    request = Request("POST", "https", "h", 443, CHAT, body=json.dumps(body).encode())
    head = (("content-type", "application/json"),)
    exchange = Exchange(request, Response(200, head, (Chunk(json.dumps(answer).encode()),)))
    return put(folder, from_exchange(exchange), "a.json").name


def chat(outcome: Any = "replayed", **facts: Any) -> Row:
    return Row(outcome, "google", "POST", CHAT, "m", **facts)


def test_an_exchange_is_a_span_by_the_conventions(collector: Collector, tmp_path: Path) -> None:
    report = Report("replay")
    traces = Traces(report, tmp_path)
    usage = Usage(12, 3, cached=8)
    report.add(
        chat(
            status=200,
            duration=1.5,
            first_chunk=0.25,
            chunks=4,
            recording=recorded(tmp_path),
            usage=usage,
            take=2,
        )
    )
    report.add(chat("missed", status=400))
    report.add(Row("passed", "openai", "GET", "/v1/models", status=200))
    traces.close()
    hit, miss, other = collector.spans
    assert hit == {
        "name": "chat m",
        "kind": 3,  # a client's
        "seconds": 1.5,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "m",
        "gen_ai.response.model": "m-2026-01-01",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 8,
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "url.path": CHAT,
        "wiretape.mode": "replay",
        "wiretape.outcome": "replayed",
        "wiretape.recording": "a.json",
        "wiretape.take": 2,
        "wiretape.chunks": 4,
    }
    assert miss["error.type"] == "wiretape_missed"
    assert (other["name"], "gen_ai.operation.name" in other) == ("GET /v1/models", False)
    assert collector.resources[0]["service.name"] == "wiretape"
    assert "Say hello" not in str(collector.spans)


def test_content_is_sent_when_it_is_asked_for_and_of_a_recording_only_at_the_end(
    collector: Collector, tmp_path: Path
) -> None:
    report = Report("record")
    traces = Traces(report, tmp_path, content=True, redact=lambda text: text.replace("Say", "[S]"))
    name = recorded(tmp_path, "Say it with the secret")
    report.add(chat("recorded", recording=name))
    traces._worker.submit(lambda: None).result()  # what was put in is done
    recorded(tmp_path, "Say it without")  # as the run's end rewrites it
    traces.close()
    (span,) = collector.spans
    assert json.loads(span["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "[S] it without"}]}
    ]
    (message,) = json.loads(span["gen_ai.output.messages"])
    assert message["parts"] == [{"type": "text", "content": "Hello."}]


def test_a_recording_that_was_moved_at_the_end_is_not_named(
    collector: Collector, tmp_path: Path
) -> None:
    report = Report("record")
    traces = Traces(report, tmp_path)
    report.add(chat("recorded", recording="with-a-secret.json"))
    traces._worker.submit(lambda: None).result()
    assert collector.spans == []
    traces.close()
    (span,) = collector.spans
    assert (span["url.path"], "wiretape.recording" in span) == ("/", False)


def test_a_name_of_the_users_own_is_kept(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "suite")
    report = Report("replay")
    traces = Traces(report, tmp_path)
    report.add(chat(recording="gone.json"))
    traces.close()
    assert collector.resources[0]["service.name"] == "suite"
    assert collector.spans[0]["wiretape.recording"] == "gone.json"


def test_a_collector_that_is_down_is_told_once_and_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{unused_port()}")
    report = Report("replay")
    traces = Traces(report, tmp_path)
    for _ in range(3):
        report.add(chat())
    traces.close()
    (notice,) = report.notices
    assert notice.startswith("the collector of OTEL_EXPORTER_OTLP_ENDPOINT")
    assert report.exit_status == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "grpc://collector"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ],
)
def test_variables_that_name_no_collector_are_a_fault(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: expected "):
        check_environment({name: value})
    check_environment({name: ""})


def test_traces_without_their_library_are_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match=r"pip install 'wiretape\[otel\]'"):
        Traces(Report("replay"), tmp_path)

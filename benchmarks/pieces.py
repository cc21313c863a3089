"""What happens to one exchange off the wire, in this process: documents, redaction, files."""

import gc
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Final

from wiretape.config.load import load
from wiretape.core.capture.recorder import Recorder
from wiretape.core.model import Chunk, Exchange, Headers, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange, from_request, to_exchange
from wiretape.core.redaction import gate
from wiretape.core.redaction.clean_parts import CleanParts
from wiretape.core.redaction.redactor import Redactor

from . import workload
from .outcome import Goal, Measure, Section

_MEDIAN: Final = "median"
_BIG: Final = 4_000_000
_WORDS: Final = "the quick brown fox jumps over the lazy dog, says wiretape; "


def section(seconds: float) -> Section:
    """Measure each piece for some seconds."""
    gc.collect()
    gc.freeze()
    try:
        measures = tuple(_measures(seconds))
    finally:
        gc.unfreeze()
    notes = ("CPU seconds of this process",)
    return Section("In process, one exchange", (_MEDIAN,), measures, notes)


def _request(body: bytes) -> Request:
    headers: Headers = (
        ("Host", workload.HOST),
        ("Accept", "application/json"),
        ("Content-Type", "application/json"),
        ("Authorization", f"Bearer {workload.KEY}"),
        ("User-Agent", "OpenAI/Python 2.0.0"),
    )
    return Request("POST", "https", workload.HOST, 443, workload.PATH, headers=headers, body=body)


def _recorder(chunks: int) -> Recorder:
    """A stream of `chunks` chunks as it was read, one read each."""
    recorder = Recorder(_request(workload.question(1, stream=True)))
    headers = (("content-type", "text/event-stream"), ("transfer-encoding", "chunked"))
    recorder.start(200, headers, 0.1)
    for number in range(chunks - 1):
        recorder.read(workload.chunk(number % (workload.CHUNKS - 1)), 0.1 + number / 50)
    recorder.read(workload.chunk(workload.CHUNKS - 1), chunks / 50)
    return recorder


def _big() -> Exchange:
    """An exchange with a body of some 4 MB: a long text in a request, as a document is sent."""
    messages = [
        {"role": "user", "content": f"{number}: {_WORDS * 16}"} for number in range(_BIG // 1000)
    ]
    body = json.dumps({"model": workload.MODEL, "messages": messages}, separators=(",", ":"))
    response = Response(
        200, (("content-type", "application/json"),), (Chunk(workload.answer(1), 0.2),)
    )
    return Exchange(_request(body.encode()), response, "2026-11-20T17:30:00Z")


class _Recording:
    """What becomes of an exchange once it has passed, under wiretape's defaults."""

    def __init__(self) -> None:
        config = load(None, {})
        self.redactor: Final = Redactor(config.redaction)
        self.matcher: Final = config.matcher

    def text(self, exchange: Exchange) -> str:
        """The text of its file; ValueError if that would hold a secret."""
        secrets = self.redactor.secrets(exchange.request)
        clean = CleanParts()
        document, _ = self.redactor.document(from_exchange(exchange), secrets, clean)
        smaller, _ = recording_format.externalise(document)
        text = recording_format.dumps(smaller, clean.texts)
        if gate.inspect(text, self.redactor, secrets, clean):
            raise ValueError("the benchmark's own exchange holds a secret")
        return text


def _measures(seconds: float) -> Iterator[Measure]:
    recording = _Recording()
    for name, work in _pieces(recording).items():
        yield Measure(name, "ms", {_MEDIAN: _time(work, seconds) * 1000})
    big = _big()
    size = len(big.request.body) / 1e6
    yield Measure(
        f"{size:.0f} MB request: to a redacted text",
        "MB/s",
        {_MEDIAN: size / _time(lambda: recording.text(big), seconds)},
        goal=Goal(60, at_least=True),
    )
    long = _recorder(20_000)
    size = sum(len(data) for data, _ in long.reads) / 1e6
    yield Measure(
        f"{size:.0f} MB stream of 20,000 chunks: to a redacted text",
        "MB/s",
        {_MEDIAN: size / _time(lambda: recording.text(long.finish("ended", 400.0)), seconds)},
        goal=Goal(20, at_least=True),
    )


def _pieces(recording: _Recording) -> dict[str, Callable[[], object]]:
    """The pieces of recording and reading one stream, by name."""
    redactor, recorder = recording.redactor, _recorder(workload.CHUNKS)
    stream = recorder.finish("ended", 5.0, "2026-11-20T17:30:00Z")
    secrets = redactor.secrets(stream.request)
    document = from_exchange(stream)
    clean = CleanParts()
    redacted, _ = redactor.document(document, secrets, clean)
    text = recording_format.dumps(redacted)

    def side_file(name: str) -> bytes:
        raise FileNotFoundError(Path(name))

    def key() -> object:
        request = redactor.request(from_request(stream.request), secrets)
        return recording.matcher.canonical(request)

    what = f"{workload.CHUNKS} chunks"
    return {
        f"{what}: reads to exchange": lambda: recorder.finish("ended", 5.0),
        f"{what}: exchange to document": lambda: from_exchange(stream),
        f"{what}: redact": lambda: redactor.document(document, secrets, CleanParts()),
        f"{what}: document to text": lambda: recording_format.dumps(redacted),
        f"{what}: look again before writing": lambda: gate.inspect(text, redactor, secrets, clean),
        f"{what}: all of this": lambda: recording.text(recorder.finish("ended", 5.0)),
        f"{what}: text to exchange": lambda: to_exchange(recording_format.loads(text), side_file),
        "small request to key": key,
    }


def _time(work: Callable[[], object], seconds: float) -> float:
    """Median CPU seconds of a call: at least two of them, for some seconds."""
    work()
    times: list[float] = []
    deadline = time.perf_counter() + seconds
    while len(times) < 2 or time.perf_counter() < deadline:
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return median(times)

"""What holds for any bytes: of an answer, of a compressed body, of a recording file."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from wiretape.core.capture.recorder import Recorder
from wiretape.core.errors import FormatError
from wiretape.core.model import Headers, Request
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange, to_exchange
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.core.wire import aws_eventstream
from wiretape.core.wire.content_coding import decoder, encode

_LIMIT: Final = 1024 * 1024
_MEDIA: Final = (
    "text/event-stream",
    "application/x-ndjson",
    "application/vnd.amazon.eventstream",
    "application/json",
    "text/plain; charset=utf-16",
    "audio/mpeg",
    "",
)
_CODINGS: Final = ("gzip", "deflate", "br", "zstd")
_redactor: Final = Redactor(RedactionRules())


def answer(data: bytes) -> None:
    """What a recorder takes comes back from its file to the byte, redacted or not."""
    kind, coded, width, body = data[0], data[1], data[2] % 64 + 1, data[3:]
    media = _MEDIA[kind % len(_MEDIA)]
    headers: Headers = (("content-type", media), ("transfer-encoding", "chunked"))
    if coded % 8 < len(_CODINGS):
        headers = (*headers, ("content-encoding", _CODINGS[coded % 8]))
    request = Request(
        "POST", "https", "api.together.xyz", 443, "/v1/chat/completions", headers=(), body=body
    )
    recorder = Recorder(request, _LIMIT)
    recorder.start(200, headers, 0.0)
    for at in range(0, len(body), width):
        recorder.read(body[at : at + width], 0.5)
    exchange = recorder.finish("ended", 1.0)
    if recorder.unrecorded is not None:
        assert exchange.response.chunks == ()
        return
    if exchange.response.coding is None:
        assert exchange.response.body == body
    document = from_exchange(exchange)
    text = recording_format.dumps(document)
    again = to_exchange(recording_format.loads(text))
    assert [c.data for c in again.response.chunks] == [c.data for c in exchange.response.chunks]
    assert again.request.body == body
    assert recording_format.dumps(from_exchange(again)) == text
    sent = encode(again.response, "*")[1]
    assert len(sent) == len(again.response.chunks)
    redacted, _ = _redactor.document(document, _redactor.secrets(request))
    assert len(to_exchange(redacted).response.chunks) == len(exchange.response.chunks)


def coding(data: bytes) -> None:
    """A decoder gives the same whatever the reads, at most its limit, and fails as it says."""
    names = [_CODINGS[data[0] % 4]] if data[0] < 128 else [_CODINGS[data[0] % 4], "gzip"]
    whole = _decoded(names, [data[1:]])
    assert whole == _decoded(names, [data[at : at + 1] for at in range(1, len(data))])
    assert whole is None or len(whole) <= _LIMIT


def _decoded(names: list[str], reads: list[bytes]) -> bytes | None:
    undo = decoder(names, _LIMIT)
    try:
        return b"".join(undo.decode(data) for data in reads) + undo.flush()
    except ValueError:
        return None


def frames(data: bytes) -> None:
    """Frames joined are the stream, and one that is read is written again the same."""
    width = data[0] % 64 + 1
    splitter = aws_eventstream.FrameSplitter()
    found = [
        frame for at in range(1, len(data), width) for frame in splitter.feed(data[at : at + width])
    ]
    found += splitter.close()
    assert b"".join(found) == data[1:]
    for frame in found:
        read = aws_eventstream.decode(frame)
        assert read is None or aws_eventstream.encode(read) == frame


def recording(data: bytes) -> None:
    """Of a file comes an exchange that makes the same file again, or a FormatError."""

    def side_file(name: str) -> bytes:
        raise FormatError("side files are not there")

    with suppress(FormatError):
        document = recording_format.loads(data)
        if "wiretape" not in document:
            return
        exchange = to_exchange(document, side_file)
        for name, value in (*exchange.request.headers, *exchange.response.headers):
            assert not set(name + value) & set("\r\n\0")
        text = recording_format.dumps(from_exchange(exchange))
        again = to_exchange(recording_format.loads(text))
        assert again.response.body == exchange.response.body
        assert again.request.body == exchange.request.body


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "answer": answer,
    "coding": coding,
    "frames": frames,
    "recording": recording,
}


def check(data: bytes) -> None:
    """Check what the first byte chooses, given the rest."""
    if len(data) < 5:
        return
    list(TARGETS.values())[data[0] % len(TARGETS)](data[1:])

"""Put together an exchange from what passed on the wire.

The shell that tees an answer only appends its reads; all the work is done in `finish`, after the
client has had its bytes.

Memory is limited, so that no answer, however long or well compressed, can use it up. Beyond the
limits the client is served as ever, but the exchange is not recorded: `unrecorded` says why. A
recording is a text file that people read and keep in git, and more than 64 MiB cannot be searched
for secrets in reasonable time. Spilling to a file would not help: it would have to be read again to
be redacted.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import accumulate, starmap
from typing import Final, Protocol

from wiretape.core.model import (
    MAX_BODY,
    Chunk,
    End,
    Exchange,
    Framing,
    Headers,
    Outcome,
    Request,
    Response,
    header,
)
from wiretape.core.wire import aws_eventstream, jsonrpc
from wiretape.core.wire.content_coding import TooLarge, codings, decoder
from wiretape.core.wire.framing import actual_framing, declared_framing, media_type
from wiretape.core.wire.sse import EventSplitter, parse, plain_blocks

MAX_CHUNKS: Final = 250_000
"""The most reads, and the most chunks, of a recorded answer: an hour of a model's tokens."""

MAX_HEAD: Final = 1024 * 1024
"""The most bytes of an answer's headers."""

_TERMINAL_TYPES: Final = frozenset(
    ("message_stop", "response.completed", "response.failed", "response.incomplete", "error")
)
# Endpoints whose complete streams end with "[DONE]" or an event of one of the types above.
_EXPECT_TERMINAL: Final = ("/chat/completions", "/completions", "/messages", "/responses")
_NO_BODY: Final = frozenset((204, 205, 304))


class RecorderListener(Protocol):
    """Is called with what a recorder is called with, as it comes."""

    def sent(self, data: bytes) -> None: ...
    def start(self, status: int, headers: Headers, at: float) -> None: ...
    def read(self, data: bytes, at: float) -> None: ...
    def message(self, sender: str, data: bytes, at: float, *, binary: bool) -> None: ...
    def drop(self) -> None:
        """Discard the exchange: it will not be recorded."""


class Recorder:
    """Collects an exchange; times are in seconds after the request was sent.

    >>> request = Request("POST", "https", "api.openai.com", 443, "/v1/chat/completions")
    >>> recorder = Recorder(request)
    >>> recorder.start(200, (("content-type", "text/event-stream"),), 0.2)
    >>> recorder.read(b"data: {}\\n\\ndata: [DO", 0.3)
    >>> recorder.read(b"NE]\\n\\n", 0.4)
    >>> response = recorder.finish("ended", 0.5).response
    >>> [(chunk.data, chunk.at) for chunk in response.chunks], response.end
    ([(b'data: {}\\n\\n', 0.3), (b'data: [DONE]\\n\\n', 0.4)], 'complete')
    """

    def __init__(self, request: Request, max_body: int = MAX_BODY) -> None:
        self.request: Final = request
        self.reads: Final[list[tuple[bytes, float]]] = []
        self.status = 0
        self.headers: Headers = ()
        self.headers_at = 0.0
        self.trailers: Headers = ()
        self.listener: RecorderListener | None = None
        self.client_closed_at: float | None = None
        """When the client closed an answer that was read to its end without it."""
        self.first_chunk_at: float | None = None
        """When the first byte of the body came."""
        self.unrecorded: str | None = None
        """Why the exchange is too large to be recorded, as far as is known before `finish`."""
        self._max_body: Final = max_body
        self._size = 0
        self._sent: Final[list[bytes]] = []
        self._sent_size = len(request.body)
        if self._sent_size > max_body:
            self._give_up(f"a request of more than {_size(max_body)}")

    @property
    def size(self) -> int:
        """How many bytes of bodies are in memory."""
        return 0 if self.unrecorded is not None else self._size + self._sent_size

    def sent(self, data: bytes) -> None:
        """Take a read of the request's body, if that is not in `request` already."""
        self._sent_size += len(data)
        if self._sent_size > self._max_body:
            self._give_up(f"a request of more than {_size(self._max_body)}")
        elif self.unrecorded is None:
            self._sent.append(data)
            if self.listener is not None:
                self.listener.sent(data)

    def start(self, status: int, headers: Headers, at: float) -> None:
        """Take the answer's head."""
        self.status, self.headers, self.headers_at = status, headers, at
        if sum(len(name) + len(value) for name, value in headers) > MAX_HEAD:
            self.headers = ()
            self._give_up(f"headers of more than {_size(MAX_HEAD)}")
        elif self.listener is not None:
            self.listener.start(status, headers, at)

    def read(self, data: bytes, at: float) -> None:
        """Take a read of the body: without its transfer coding, with its content coding."""
        if self.first_chunk_at is None:
            self.first_chunk_at = at
        self._size += len(data)
        if self.unrecorded is not None:
            return
        self.reads.append((data, at))
        if self._size > self._max_body:
            self._give_up(f"an answer of more than {_size(self._max_body)}")
        elif len(self.reads) > MAX_CHUNKS:
            self._give_up(f"an answer of more than {MAX_CHUNKS:,} reads")
        elif self.listener is not None:
            self.listener.read(data, at)

    def _give_up(self, why: str) -> None:
        """Forget the exchange: a part of it would not replay as it was."""
        self.unrecorded = self.unrecorded or why
        self.reads.clear()
        self._sent.clear()
        if self.listener is not None:
            self.listener.drop()
            self.listener = None

    def finish(self, outcome: Outcome, at: float, recorded_at: str | None = None) -> Exchange:
        """The exchange, with how it ended by the endpoint's rules rather than the socket's.

        A body whose content coding is unknown or broken stays encoded and keeps its
        content-encoding header. One that is too large (`unrecorded`) has no chunks.
        """
        headers, coding = self.headers, None
        reads, chunks = self.reads, list[Chunk]()
        kind: Framing = "whole"
        try:
            reads, coding = _decoded(headers, reads, self._max_body)
            if coding is not None:
                headers = tuple(h for h in headers if h[0].lower() != "content-encoding")
            kind = self._kind(headers, reads)
            chunks = list(_cut(kind, reads))
        except TooLarge as error:
            self._give_up(str(error))
            chunks = []
        streaming = kind != "whole"
        end = self._end(outcome, kind, chunks)
        declared = declared_framing(headers, self.request.path)
        own = streaming and kind != ("reads" if declared == "whole" else declared)
        response = Response(
            status=self.status,
            headers=headers,
            chunks=tuple(chunks),
            streaming=streaming,
            end=end,
            headers_at=self.headers_at,
            end_at=at,
            coding=coding,
            framing=kind if own else None,
            trailers=self.trailers,
            until_close=end == "cut" and streaming and not self._is_delimited,
        )
        return Exchange(self.whole_request, response, recorded_at)

    @property
    def whole_request(self) -> Request:
        """The request with as much of its body as has come."""
        if not self._sent:
            return self.request
        return replace(self.request, body=self.request.body + b"".join(self._sent))

    def _kind(self, headers: Headers, reads: list[tuple[bytes, float]]) -> Framing:
        declared = declared_framing(headers, self.request.path)
        if header(headers, "content-encoding") is not None and codings(headers):
            return (
                "whole" if declared == "whole" else "reads"
            )  # still encoded: its content cannot be looked at
        sized = header(headers, "content-length") is not None
        return actual_framing(declared, media_type(headers), reads, sized=sized)

    def _end(self, outcome: Outcome, kind: Framing, chunks: list[Chunk]) -> End:
        if outcome == "failed":
            return outcome
        if kind in _SPLITTERS and is_terminal(kind, chunks):
            return "complete"
        # An MCP client leaves as soon as it has its answer.
        if kind == "sse" and jsonrpc.answers_all(
            self.whole_request.body, (chunk.data for chunk in chunks)
        ):
            return "complete"
        if outcome != "ended":
            return outcome
        length = header(self.headers, "content-length")
        chunked = header(self.headers, "transfer-encoding")
        if length and not chunked and self._has_body() and self._size < _number(length):
            return "cut"
        # A body that ends with the connection looks the same when it is cut.
        expected = self.request.path.endswith(_EXPECT_TERMINAL) and self.status < 400
        return "cut" if kind == "sse" and expected and not self._is_delimited else "complete"

    @property
    def _is_delimited(self) -> bool:
        """Whether the head says where the body ends (RFC 9112, section 6.3)."""
        names = ("content-length", "transfer-encoding")
        return any(header(self.headers, name) is not None for name in names)

    def _has_body(self) -> bool:
        return self.request.method != "HEAD" and self.status not in _NO_BODY


def _number(length: str) -> int:
    """A content-length as a number; 0 if it is invalid."""
    return int(length) if length.isascii() and length.isdecimal() and len(length) < 20 else 0


def _size(limit: int) -> str:
    mebi = limit / (1024 * 1024)
    return f"{mebi:g} MiB" if mebi >= 1 else f"{limit:,} bytes"


def _decoded(
    headers: Headers, reads: list[tuple[bytes, float]], limit: int
) -> tuple[list[tuple[bytes, float]], str | None]:
    """The decoded reads and their content codings; the reads as they are and None if they have
    none or cannot be decoded.
    """
    names = codings(headers)
    if not names:
        return reads, None
    result = []
    try:
        body_decoder = decoder(names, limit)
        for data, at in reads:
            result.append((body_decoder.decode(data), at))
    except TooLarge:
        raise TooLarge(f"an answer of more than {_size(limit)} when decompressed") from None
    except ValueError:
        return reads, None
    coding = ", ".join(names)
    try:
        rest = body_decoder.flush()
    except ValueError:
        # The client may have left at the last event, before the encoded data ended.
        return result, coding
    if rest and result:
        result.append((rest, result[-1][1]))
    return result, coding


# ------------------------------------------------------------------ chunks


def _cut(kind: Framing, reads: list[tuple[bytes, float]]) -> Iterator[Chunk]:
    """A body's chunks; raises TooLarge if they are too many."""
    if kind == "whole":
        body = b"".join(data for data, _ in reads)
        if body:
            yield Chunk(body, reads[-1][1])
        return
    if kind == "sse" and (events := _events(reads)) is not None:
        yield from events
        return
    all_chunks: Iterable[Chunk] = (Chunk(data, at) for data, at in reads if data)
    if kind in _SPLITTERS:
        all_chunks = _split(_SPLITTERS[kind](), reads)
    for number, chunk in enumerate(all_chunks):
        if number >= MAX_CHUNKS:
            raise TooLarge(f"an answer of more than {MAX_CHUNKS:,} chunks")
        yield chunk


_SLICE: Final = 64 * 1024
"""How many bytes are cut at a time: a read may hold as many empty lines as bytes."""


def _events(reads: list[tuple[bytes, float]]) -> list[Chunk] | None:
    """The events of a stream as nearly all are; None for another, or if they are too many."""
    pieces = [data for data, _ in reads]
    blocks = plain_blocks(pieces, MAX_CHUNKS)
    if blocks is None:
        return None
    if blocks is pieces:
        return list(starmap(Chunk, reads))
    chunks: list[Chunk] = []
    ends = zip(accumulate(map(len, pieces)), (at for _, at in reads), strict=True)
    read_end, at = 0, 0.0
    for block, end in zip(blocks, accumulate(map(len, blocks)), strict=True):
        while read_end < end:
            read_end, at = next(ends)
        # What no blank line ended is over when the stream is.
        chunks.append(Chunk(block, at if block.endswith(b"\n\n") else reads[-1][1]))
    return chunks


def _split(splitter: "_Splitter", reads: list[tuple[bytes, float]]) -> Iterator[Chunk]:
    last = 0.0
    for data, last in reads:
        for at in range(0, len(data), _SLICE):
            for block in splitter.feed(data[at : at + _SLICE]):
                yield Chunk(block, last)
    for block in splitter.close():
        yield Chunk(block, last)


class _LineSplitter:
    """Cuts a stream of bytes into lines, wherever the reads begin and end."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join((*self._rest, lines[0]))
            self._rest.clear()
        self._rest.append(rest)
        return [line + b"\n" for line in lines]

    def close(self) -> list[bytes]:
        rest = b"".join(self._rest)
        return [rest] if rest else []


type _Splitter = EventSplitter | aws_eventstream.FrameSplitter | _LineSplitter

_SPLITTERS: Final[dict[Framing, Callable[[], _Splitter]]] = {
    "sse": EventSplitter,
    "ndjson": _LineSplitter,
    "frames": aws_eventstream.FrameSplitter,
}


# ------------------------------------------------------------------ the last chunks


def is_terminal(kind: str, chunks: list[Chunk]) -> bool:
    """Whether a stream's last chunks say that the answer is complete ("[DONE]", message_stop, …) or
    that the provider ended it with an error.

    >>> is_terminal("sse", [Chunk(b"data: {}\\n\\n"), Chunk(b"data: [DONE]\\n\\n")])
    True
    """
    last = {"ndjson": _ends_lines, "frames": _ends_frames}.get(kind, _ends_events)
    return any(last(chunk.data) for chunk in chunks[-3:])


def _ends_lines(line: bytes) -> bool:
    if b'"error"' in line and _member(line, "error") is not None:
        return True
    return b'"done"' in line and _member(line, "done") is True


def _ends_events(block: bytes) -> bool:
    event = parse(block)
    if event is None or event.data is None:
        return False
    if event.data.strip() == "[DONE]" or event.event in _TERMINAL_TYPES:
        return True
    kind = _member(event.data, "type")
    return (isinstance(kind, str) and kind in _TERMINAL_TYPES) or (
        '"error"' in event.data and isinstance(_member(event.data, "error"), (dict, str))
    )


def _ends_frames(data: bytes) -> bool:
    frame = aws_eventstream.decode(data)
    if frame is None:
        return False
    if frame.headers.get(":message-type") in ("exception", "error"):
        return True
    # ConverseStream's last event has the usage; InvokeModel's is the model's own.
    return frame.headers.get(":event-type") == "metadata" or (
        b'"bytes"' in frame.payload and _stops(_member(frame.payload, "bytes"))
    )


def _stops(encoded: object) -> bool:
    # Anthropic's models end a message with this event.
    if not isinstance(encoded, str) or len(encoded) > _SLICE:
        return False
    try:
        return _member(aws_eventstream.base64_bytes(encoded), "type") == "message_stop"
    except ValueError:
        return False


def _member(text: str | bytes, name: str) -> object:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value.get(name) if isinstance(value, dict) else None

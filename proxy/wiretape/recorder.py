"""What passed on the wire, put together into one exchange.

The shell that tees an answer only appends its reads; all the work is done in `finish`, after the
client has had its bytes.
"""

import json
from typing import Final, Literal

from .content import codings, decoder, framing
from .model import Chunk, End, Exchange, Headers, Request, Response, header
from .sse import Splitter, parse

type Outcome = Literal["ended", "cut", "client-closed"]
"""What the connection did: the message ended as HTTP says; the provider's side broke; the client
left.
"""

_TERMINAL_TYPES: Final = frozenset(
    ("message_stop", "response.completed", "response.failed", "response.incomplete")
)
# What the last event of a whole answer is, by the endpoint: "[DONE]" or one of the types above.
_EXPECT_TERMINAL: Final = ("/chat/completions", "/completions", "/messages", "/responses")


class Recorder:
    """Collects one exchange; times are in seconds after the request was sent."""

    def __init__(self, request: Request) -> None:
        self.request: Final = request
        self.reads: Final[list[tuple[bytes, float]]] = []
        self.status = 0
        self.headers: Headers = ()
        self.headers_at = 0.0

    def start(self, status: int, headers: Headers, at: float) -> None:
        """The answer's head has come."""
        self.status, self.headers, self.headers_at = status, headers, at

    def read(self, data: bytes, at: float) -> None:
        """A read of the body, transfer coding undone, content coding not."""
        self.reads.append((data, at))

    @property
    def first_chunk_at(self) -> float | None:
        """When the first byte of the body came."""
        return self.reads[0][1] if self.reads else None

    def finish(self, outcome: Outcome, at: float, recorded_at: str | None = None) -> Exchange:
        """The exchange as it was, and how it ended by the endpoint's rule rather than the socket's.

        A body whose content coding is unknown or broken stays as it came and keeps its
        content-encoding header.
        """
        reads, whole = _decoded(self.headers, self.reads)
        headers = self.headers
        if whole:
            headers = tuple(h for h in headers if h[0].lower() != "content-encoding")
        kind = framing(headers, self.request.path) if whole else "whole"
        chunks = _CUTTERS[kind](reads) if kind in _CUTTERS else _joined(reads)
        if kind == "reads":
            chunks = [Chunk(data, when) for data, when in reads if data]
        response = Response(
            status=self.status,
            headers=headers,
            chunks=tuple(chunks),
            streaming=kind != "whole",
            end=self._end(outcome, kind, chunks),
            headers_at=self.headers_at,
            end_at=at,
        )
        return Exchange(self.request, response, recorded_at)

    def _end(self, outcome: Outcome, kind: str, chunks: list[Chunk]) -> End:
        terminal = kind in _CUTTERS and is_terminal(kind, chunks)
        if terminal:
            return "complete"
        if outcome != "ended":
            return outcome
        # A body that only the closing of the connection ends looks the same when it was cut.
        delimited = header(self.headers, "content-length") or header(
            self.headers, "transfer-encoding"
        )
        expected = self.request.path.endswith(_EXPECT_TERMINAL) and self.status < 400
        return "cut" if kind == "sse" and expected and not delimited else "complete"


def _decoded(
    headers: Headers, reads: list[tuple[bytes, float]]
) -> tuple[list[tuple[bytes, float]], bool]:
    names = codings(headers)
    if not names:
        return reads, True
    result = []
    try:
        undo = decoder(names)
        for data, at in reads:
            result.append((undo.decode(data), at))
    except ValueError:
        return reads, False
    try:
        rest = undo.flush()
    except ValueError:
        # The client may have left at the last event, before the coding's own end.
        return result, True
    if rest and result:
        result.append((rest, result[-1][1]))
    return result, True


def _joined(reads: list[tuple[bytes, float]]) -> list[Chunk]:
    body = b"".join(data for data, _ in reads)
    return [Chunk(body, reads[-1][1])] if body else []


def _events(reads: list[tuple[bytes, float]]) -> list[Chunk]:
    splitter = Splitter()
    chunks = [Chunk(block, at) for data, at in reads for block in splitter.feed(data)]
    last = reads[-1][1] if reads else 0.0
    return chunks + [Chunk(block, last) for block in splitter.close()]


def _lines(reads: list[tuple[bytes, float]]) -> list[Chunk]:
    chunks = []
    rest = b""
    for data, at in reads:
        *lines, rest = (rest + data).split(b"\n")
        chunks += [Chunk(line + b"\n", at) for line in lines]
    if rest:
        chunks.append(Chunk(rest, reads[-1][1]))
    return chunks


_CUTTERS: Final = {"sse": _events, "ndjson": _lines}


def is_terminal(kind: str, chunks: list[Chunk]) -> bool:
    """Whether a stream's last events say that the answer is whole ("[DONE]", message_stop, …)."""
    for chunk in chunks[-3:]:
        if kind == "ndjson":
            if b'"done"' in chunk.data and _member(chunk.data, "done") is True:
                return True
            continue
        event = parse(chunk.data)
        if event is None or event.data is None:
            continue
        if event.data.strip() == "[DONE]" or event.event in _TERMINAL_TYPES:
            return True
        if _member(event.data, "type") in _TERMINAL_TYPES:
            return True
    return False


def _member(text: str | bytes, name: str) -> object:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value.get(name) if isinstance(value, dict) else None

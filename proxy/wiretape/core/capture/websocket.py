"""Put together an exchange from the messages of a WebSocket."""

from typing import Final

from wiretape.core.model import (
    NEVER_SENT,
    NO_STATUS,
    SWITCHING,
    Close,
    End,
    Exchange,
    Message,
    Outcome,
    Request,
    Sender,
    WebSocket,
)

from .recorder import Recorder

MAX_BYTES: Final = 64 * 1024 * 1024
"""The most bytes of a connection's messages, some eight minutes of speech both ways. More could not
be searched for secrets (`encodings.MAX_DECODED`).
"""
_MESSAGE_COST: Final = 256
"""What a message costs beside its bytes: a million empty ones are a large recording."""


class WebSocketRecorder(Recorder):
    """Collects a connection or, if the upgrade was refused, the answer like any other.

    `reads` has the messages' data. A connection with more than `max_body` bytes of messages is
    forgotten, and `unrecorded` says so.
    """

    def __init__(self, request: Request, max_body: int = MAX_BYTES) -> None:
        super().__init__(request, max_body)
        self.close: Close | None = None
        self._kinds: list[tuple[Sender, bool]] = []

    @property
    def is_open(self) -> bool:
        """Whether the upgrade was granted."""
        return self.status == SWITCHING

    def message(self, sender: Sender, data: bytes, at: float, *, binary: bool) -> None:
        """Take a message; `at` is seconds after the opening request was sent."""
        if self.first_chunk_at is None and sender == "server":
            self.first_chunk_at = at
        if self.unrecorded is not None:
            return
        self._size += len(data) + _MESSAGE_COST
        if self._size > self._max_body:
            self._give_up(f"a WebSocket with more than {self._max_body >> 20} MiB of messages")
            self._kinds.clear()
            return
        self.reads.append((data, at))
        self._kinds.append((sender, binary))
        if self.listener is not None:
            self.listener.message(sender, data, at, binary=binary)

    def closed(self, sender: Sender, code: int | None, reason: str) -> Outcome:
        """End the connection, with a closing frame or (code 1006) without; gives the outcome."""
        if code is not None and code in NEVER_SENT and code != NO_STATUS:
            return "client-closed" if sender == "client" else "cut"
        self.close = Close(sender, None if code == NO_STATUS else code, reason)
        return "ended"

    def finish(self, outcome: Outcome, at: float, recorded_at: str | None = None) -> Exchange:
        """The exchange; one that is too large (`unrecorded`) has no messages."""
        if not self.is_open:
            return super().finish(outcome, at, recorded_at)
        end: End = "complete" if outcome == "ended" else outcome
        response = WebSocket(
            status=self.status,
            headers=self.headers,
            chunks=tuple(
                Message(data, when, sender, binary)
                for (data, when), (sender, binary) in zip(self.reads, self._kinds, strict=True)
            ),
            streaming=True,
            end=end,
            headers_at=self.headers_at,
            end_at=at,
            close=self.close,
        )
        return Exchange(self.request, response, recorded_at)

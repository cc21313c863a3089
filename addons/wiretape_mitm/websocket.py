"""mitmproxy's WebSocket hooks in, a recorder's calls out: what `record_flow.py` does once a
connection has been upgraded.
"""

from mitmproxy import http

from wiretape.core.capture.recorder import Recorder
from wiretape.core.capture.websocket import WebSocketRecorder
from wiretape.core.model import Outcome, Sender


def is_open(recorder: Recorder | None) -> bool:
    """Whether a flow goes on as a WebSocket after its answer's head (the `response` hook)."""
    return isinstance(recorder, WebSocketRecorder) and recorder.is_open


def take_message(flow: http.HTTPFlow, recorder: Recorder | None, at: float) -> None:
    """Record the latest message of a flow (the `websocket_message` hook); without a recorder it is
    only let go. `at` is seconds after the opening request was sent.
    """
    assert flow.websocket is not None
    message = flow.websocket.messages[-1]
    # mitmproxy would keep all of a session's messages; it has what it needs of this one.
    flow.websocket.messages.clear()
    if isinstance(recorder, WebSocketRecorder):
        sender: Sender = "client" if message.from_client else "server"
        recorder.message(sender, message.content, at, binary=not message.is_text)


def outcome_of(flow: http.HTTPFlow, recorder: Recorder) -> Outcome:
    """How a flow's connection has ended (the `websocket_end` hook)."""
    assert flow.websocket is not None
    websocket = flow.websocket
    sender: Sender = "client" if websocket.closed_by_client else "server"
    if isinstance(recorder, WebSocketRecorder):
        return recorder.closed(sender, websocket.close_code, websocket.close_reason or "")
    return "ended"

"""Record an MCP server that speaks on standard input and output: whose is a line?

Each message of the client opens a conversation: with the messages of the server that follow from
it, and the client's replies to what the server asks in it. A conversation is an exchange, recorded
like a WebSocket: the client's message is its request. Source:
https://modelcontextprotocol.io/specification/2025-11-25/basic/transports, "stdio".

What a server answers may depend on the tools that were called before. So a request says after
which call it came, in the header that names a session over HTTP: an id that the answer to the call
gives, or `FRESH`. Calls count as they are sent, whenever they are answered.
"""

from dataclasses import dataclass, field
from itertools import chain
from typing import Final, cast
from urllib.parse import quote

from wiretape.core.model import SWITCHING, Headers, Outcome, Request, Sender, WebSocket
from wiretape.core.wire import jsonrpc
from wiretape.core.wire.jsonrpc import SESSION_HEADER, STDIO_HOST, RpcMessage, spelled

from .websocket import WebSocketRecorder

type Messages = tuple[RpcMessage, ...]

FRESH: Final = "start"
"""Names the state of a server none of whose tools was called."""
_CALL: Final = "tools/call"
_ANY_TIME: Final = frozenset(("initialize", "logging/setLevel", "ping"))
"""Methods whose answers do not depend on calls."""


def request_of(target: str, line: bytes, messages: Messages, state: str) -> Request:
    """A line of the client as a request: to the server of a path and query, in a state.

    >>> line = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}'
    >>> request_of("/npx?y=@acme/files", line, jsonrpc.messages(line), FRESH).url
    'http://stdio.invalid/npx/tools/list?y=@acme/files'
    """
    headers: Headers = (("content-type", "application/json"),)
    if any(jsonrpc.is_request(item) and item["method"] not in _ANY_TIME for item in messages):
        headers += ((SESSION_HEADER, state),)
    path, mark, query = target.partition("?")
    if methods := [item["method"] for item in messages if isinstance(item.get("method"), str)]:
        path += f"/{quote(methods[0] if len(messages) == 1 else 'batch')}"
    body = line.removesuffix(b"\n")
    return Request("POST", "http", STDIO_HOST, 80, path + mark + query, headers=headers, body=body)


def is_reply(messages: Messages) -> bool:
    """Whether a line of the client answers requests of the server."""
    return bool(messages) and all(map(jsonrpc.is_answer, messages))


def is_call(messages: Messages) -> bool:
    """Whether a line of the client calls a tool, which may change the server's state."""
    return any(jsonrpc.is_request(item) and item["method"] == _CALL for item in messages)


@dataclass(slots=True, kw_only=True)
class StdioConversation:
    """A message of the client and what followed; `began` is when it was sent, in seconds of any
    clock.
    """

    recorder: WebSocketRecorder
    began: float
    waiting: set[str] = field(default_factory=set)
    """The ids of its requests that are not answered."""
    cancelled: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    asking: set[str] = field(default_factory=set)
    """The ids of the server's requests in it that the client has not replied to."""

    @property
    def is_over(self) -> bool:
        return not self.waiting and not self.asking

    def outcome(self, *, server_left: bool) -> Outcome:
        """How it ended, when one side has left or all is said."""
        if self.waiting and server_left:
            return "cut"
        if self.waiting or self.cancelled:
            return "client-closed"
        return self.recorder.closed("server", 1000, "")


def recovered_outcome(recorder: WebSocketRecorder) -> Outcome:
    """How a conversation ended of which nothing but the messages is left."""
    waiting = set(map(spelled, jsonrpc.request_ids(jsonrpc.messages(recorder.request.body))))
    for message in cast(WebSocket, recorder.finish("ended", 0.0).response).messages:
        if message.sender == "server":
            ids = jsonrpc.answer_ids(jsonrpc.messages(message.data))
            waiting.difference_update(map(spelled, ids))
    return "cut" if waiting else recorder.closed("server", 1000, "")


class StdioConversations:
    """The conversations of a server that are under way, in the order they began."""

    def __init__(self) -> None:
        self._open: list[StdioConversation] = []
        self._early: list[tuple[bytes, float]] = []
        self._cancelled: set[str] = set()

    def open(self, conversation: StdioConversation, messages: Messages, state: str) -> None:
        """Begin one with a message of the client; `state` is the id of what its call makes of the
        server, if it is one. Those that are over should have been taken.
        """
        conversation.waiting |= set(map(spelled, jsonrpc.request_ids(messages)))
        tokens = (jsonrpc.progress_token(message) for message in messages)
        conversation.tokens |= {spelled(token) for token in tokens if token is not None}
        headers = ((SESSION_HEADER, state),) if is_call(messages) else ()
        conversation.recorder.start(SWITCHING, headers, 0.0)
        self._open.append(conversation)
        for line, at in self._early:
            self._add(conversation, "server", line, at)
        self._early.clear()
        self._note_cancelled(messages)

    def take_over(self) -> list[StdioConversation]:
        """Take those that are over, as long as none before them is under way."""
        count = next((n for n, each in enumerate(self._open) if not each.is_over), len(self._open))
        over, self._open = self._open[:count], self._open[count:]
        return over

    def take_all(self) -> list[StdioConversation]:
        """Take all, when one side has left."""
        rest, self._open = self._open, []
        return rest

    def asking(self, messages: Messages) -> StdioConversation | None:
        """The conversation in which the server waits for this reply of the client."""
        if not is_reply(messages):
            return None
        ids = set(map(spelled, jsonrpc.answer_ids(messages)))
        return next((each for each in self._open if ids & each.asking), None)

    def reply(
        self, conversation: StdioConversation, line: bytes, messages: Messages, now: float
    ) -> None:
        """Add a reply of the client."""
        conversation.asking.difference_update(map(spelled, jsonrpc.answer_ids(messages)))
        self._add(conversation, "client", line, now)

    def server_line(self, line: bytes, messages: Messages, now: float) -> bool:
        """Add a line of the server; False if it answers what was not asked, which is nobody's."""
        ids = set(map(spelled, jsonrpc.answer_ids(messages))) - {spelled(None)}
        if ids and not any(ids & each.waiting for each in self._open):
            return ids <= self._cancelled  # the client has forgotten the request
        conversation = self._of(ids, messages)
        if conversation is None:
            self._early.append((line, now))
            return True
        conversation.waiting -= ids
        conversation.asking |= set(map(spelled, jsonrpc.request_ids(messages)))
        for message in messages:
            if message.get("method") == "notifications/cancelled":
                conversation.asking.discard(spelled(_params(message).get("requestId")))
        self._add(conversation, "server", line, now)
        return True

    def _of(self, ids: set[str], messages: Messages) -> StdioConversation | None:
        """Whose conversation a line of the server belongs to: by what it answers or the token of
        its progress. Else nothing says it: a request is taken for that of the first conversation
        in which the server asks nothing yet, other lines for the latest that is under way.
        """
        tokens = {
            spelled(_params(message).get("progressToken"))
            for message in messages
            if message.get("method") == "notifications/progress"
        }
        latest = self._open[::-1]
        its_own = (each for each in latest if ids & each.waiting or tokens & each.tokens)
        under_way = [each for each in latest if each.waiting]
        is_request = any(map(jsonrpc.is_request, messages))
        first = (each for each in under_way[::-1] if is_request and not each.asking)
        return next(chain(its_own, first, under_way, latest), None)

    def _note_cancelled(self, messages: Messages) -> None:
        for message in messages:
            if message.get("method") != "notifications/cancelled":
                continue
            cancelled = spelled(_params(message).get("requestId"))
            for conversation in self._open:
                if cancelled in conversation.waiting:
                    conversation.waiting.discard(cancelled)
                    conversation.cancelled.add(cancelled)
                    self._cancelled.add(cancelled)

    def _add(
        self, conversation: StdioConversation, sender: Sender, line: bytes, now: float
    ) -> None:
        data = line.removesuffix(b"\n")
        at = max(now - conversation.began, 0.0)
        conversation.recorder.message(sender, data, at, binary=not is_utf8(data))


def is_utf8(data: bytes) -> bool:
    """Whether bytes are text, which messages have to be."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _params(message: RpcMessage) -> RpcMessage:
    params = message.get("params")
    return params if isinstance(params, dict) else {}

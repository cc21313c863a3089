"""JSON-RPC 2.0 messages as the Model Context Protocol sends them: who answers whom, by id.

A client numbers its requests as it likes. Equal requests of two runs may have other ids and other
progress tokens, and an answer has to name those of the request that it answers: `Renaming` writes
them into a recorded one. Sources: https://www.jsonrpc.org/specification, sections 4 and 5;
https://modelcontextprotocol.io/specification/2025-06-18, "progress" and "transports".
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from wiretape.core.model import Headers
from wiretape.core.text import exact_json

from . import sse

type RpcMessage = dict[str, Any]

VERSION: Final = "2.0"
SESSION_HEADER: Final = "mcp-session-id"
"""The header that an answer to `initialize` gives a session's id in, and later requests send."""
STDIO_HOST: Final = "stdio.invalid"
"""The host in the URLs of servers that speak on standard input and output; no name can be its
(RFC 2606).
"""
MARKER: Final = b'"jsonrpc"'
"""A body without it holds no message."""
_SUBSCRIPTION: Final = "io.modelcontextprotocol/subscriptionId"


def is_mcp(headers: Headers) -> bool:
    """Whether a request says by its headers that it is an MCP client's.

    >>> is_mcp((("MCP-Protocol-Version", "2025-11-25"),))
    True
    """
    return any(name.lower() in (SESSION_HEADER, "mcp-protocol-version") for name, _ in headers)


def messages(text: str | bytes) -> tuple[RpcMessage, ...]:
    """The messages of a text: one, or those of a batch; none if it is anything else.

    >>> [message["method"] for message in messages('{"jsonrpc": "2.0", "id": 1, "method": "ping"}')]
    ['ping']
    """
    if (MARKER if isinstance(text, bytes) else MARKER.decode()) not in text:  # type: ignore[operator]  # of one type
        return ()
    try:
        value = exact_json.parse(text)
    except ValueError:
        return ()
    return messages_in(value)


def messages_in(value: Any) -> tuple[RpcMessage, ...]:
    """The messages of a JSON value, as `messages`."""
    items = value if isinstance(value, list) else [value]
    if not items or not all(map(is_message, items)):
        return ()
    return tuple(items)


def is_message(value: Any) -> bool:
    """Whether a JSON value is a message: a request, a notification or an answer."""
    return isinstance(value, dict) and value.get("jsonrpc") == VERSION


def is_request(message: RpcMessage) -> bool:
    """Whether a message expects an answer."""
    return isinstance(message.get("method"), str) and message.get("id") is not None


def is_answer(message: RpcMessage) -> bool:
    """Whether a message answers a request, with a result or an error."""
    return "method" not in message and ("result" in message or "error" in message)


def spelled(message_id: object) -> str:
    """An id or token as text: 1 and "1" are two."""
    return json.dumps(message_id)


def request_ids(messages: Iterable[RpcMessage]) -> list[Any]:
    """The ids of those messages that expect an answer."""
    return [message["id"] for message in messages if is_request(message)]


def answer_ids(messages: Iterable[RpcMessage]) -> list[Any]:
    """The ids that answers among some messages name."""
    return [message.get("id") for message in messages if is_answer(message)]


def addressed(error: bytes, request: bytes) -> bytes:
    """An error answer with the ids of the requests in a body; as it is where there are none.

    >>> error = b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}'
    >>> addressed(error, b'{"jsonrpc":"2.0","id":7,"method":"ping"}')
    b'{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":""}}'
    """
    ids = request_ids(messages(request))
    answers = [{**exact_json.parse(error), "id": each} for each in ids]
    if not answers:
        return error
    in_batch = request.lstrip().startswith(b"[")
    return exact_json.dumps(answers if in_batch else answers[0]).encode()


def answers_all(request: bytes, events: Iterable[bytes]) -> bool:
    """Whether the events of a stream answer all requests of a body, and there are any.

    >>> event = b'data: {"jsonrpc": "2.0", "id": 1, "result": {}}\\n\\n'
    >>> answers_all(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}', [event])
    True
    """
    waiting = set(map(spelled, request_ids(messages(request))))
    if not waiting:
        return False
    for block in events:
        event = sse.parse(block) if MARKER in block else None
        if event is not None:
            waiting.difference_update(map(spelled, answer_ids(messages(event.data or ""))))
    return not waiting


@dataclass(frozen=True, slots=True)
class Renaming:
    """Which ids and progress tokens an answer names instead of those that it was recorded with."""

    ids: Mapping[str, Any]
    tokens: Mapping[str, Any]

    @classmethod
    def between(cls, recorded: bytes, live: bytes) -> Self | None:
        """How the answer to one request body becomes that to another; None if it is the same.

        >>> old = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
        >>> renaming = Renaming.between(old, b'{"jsonrpc":"2.0","id":"a","method":"ping"}')
        >>> renaming.whole(b'{"jsonrpc":"2.0","id":1,"result":{}}')
        b'{"jsonrpc":"2.0","id":"a","result":{}}'
        """
        if recorded == live:
            return None
        pairs = list(zip(messages(recorded), messages(live), strict=False))
        ids = {
            spelled(old["id"]): new["id"]
            for old, new in pairs
            if is_request(old) and is_request(new)
        }
        tokens = {
            spelled(progress_token(old)): progress_token(new)
            for old, new in pairs
            if progress_token(old) is not None and progress_token(new) is not None
        }
        ids = {old: new for old, new in ids.items() if spelled(new) != old}
        tokens = {old: new for old, new in tokens.items() if spelled(new) != old}
        return cls(ids, tokens) if ids or tokens else None

    def whole(self, body: bytes) -> bytes:
        """A body that is JSON, with the other ids; as it is where it names none of them."""
        if MARKER not in body:
            return body
        try:
            text = body.decode()
            value, style = exact_json.read(text) or (exact_json.parse(text), "compact")
        except ValueError:
            return body
        renamed = [self.message(message) for message in messages_in(value)]
        if not any(renamed):
            return body
        return exact_json.dumps(value, style).encode()

    def event(self, block: bytes) -> bytes:
        """An event's block with the other ids."""
        if MARKER not in block:
            return block
        event = sse.parse(block)
        if event is None or event.data is None:
            return block
        before = event.data.encode()
        after = self.whole(before)
        if after == before:
            return block
        if block.count(before) == 1:
            return block.replace(before, after)
        # Its data came in several lines.
        one_line = exact_json.dumps(exact_json.parse(after))
        style = sse.spelling(block)
        return sse.encode(sse.Event(one_line, event.event, event.id, event.retry), style)

    def message(self, message: RpcMessage) -> bool:
        """Write the other ids into a message of the server's; whether there were any."""
        if is_answer(message):
            changed = _swap(message, "id", self.ids)
            return _swap(_meta(message.get("result")), _SUBSCRIPTION, self.ids) or changed
        params = message.get("params")
        if message.get("method") == "notifications/progress" and isinstance(params, dict):
            return _swap(params, "progressToken", self.tokens)
        return _swap(_meta(params), _SUBSCRIPTION, self.ids)


def _swap(members: RpcMessage, name: str, others: Mapping[str, Any]) -> bool:
    if name not in members or (old := spelled(members[name])) not in others:
        return False
    members[name] = others[old]
    return True


def _meta(value: object) -> RpcMessage:
    meta = value.get("_meta") if isinstance(value, dict) else None
    return meta if isinstance(meta, dict) else {}


def progress_token(message: RpcMessage) -> object:
    """The token that a request's progress is reported under; None without one."""
    return _meta(message.get("params")).get("progressToken")

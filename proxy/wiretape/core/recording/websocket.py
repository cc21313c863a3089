"""Turn a WebSocket (RFC 6455) into a document and back: both sides' messages, and its closing.

The conversation that follows an upgrade is the answer to its opening request: a `WebSocket` is a
`Response` with status 101 whose chunks are messages. A document has a line for each, JSON as JSON,
so redaction treats them like a stream's chunks.
"""

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import cast

from wiretape.core.model import NEVER_SENT, SENDERS, Close, Message, Sender, WebSocket
from wiretape.core.text import exact_json

from .chunks import Item
from .fields import Members, SideFile


def from_websocket(response: WebSocket) -> tuple[Item, list[Item]]:
    """The additional members of a document's `response` part, and the items of its `body`, without
    times.
    """
    parsed = [_read(message) for message in response.messages]
    styles = {sender: _common(sender, response.messages, parsed) for sender in SENDERS}
    items: list[Item] = []
    for message, json in zip(response.messages, parsed, strict=True):
        item: Item = {"from": message.sender}
        if json is not None:
            value, style = json
            if message.binary:
                item["binary"] = True
            item["__data__"] = value
            if style != styles[message.sender]:
                item["json"] = style
        elif message.binary:
            item["base64"] = base64.b64encode(message.data).decode()
        else:
            item["text"] = message.data.decode("utf-8", "surrogatepass")
        items.append(item)
    named = {"json": styles["server"], "client_json": styles["client"]}
    members: Item = {key: style for key, style in named.items() if style != "compact"}
    if response.close is not None:
        members["close"] = _from_close(response.close)
    return members, items


def _read(message: Message) -> tuple[exact_json.Json, str] | None:
    """A message's JSON object or list and its style; None if it has to be stored as it is."""
    if message.data[:1] not in (b"{", b"["):
        return None
    try:
        return exact_json.read(message.data.decode("utf-8"))
    except UnicodeDecodeError:
        return None


def _common(
    sender: Sender,
    messages: Sequence[Message],
    parsed: Iterable[tuple[exact_json.Json, str] | None],
) -> str:
    """The style of most of a side's messages."""
    styles = Counter(
        json[1]
        for message, json in zip(messages, parsed, strict=True)
        if json is not None and message.sender == sender
    )
    return max(styles, key=styles.__getitem__) if styles else "compact"


def _from_close(close: Close) -> Item:
    item: Item = {"from": close.sender}
    if close.code is not None:
        item["code"] = close.code
    if close.reason:
        item["reason"] = close.reason
    return item


def to_websocket(
    response: Members, side_file: SideFile | None = None
) -> tuple[tuple[Message, ...], Close | None]:
    """The messages and the closing frame of a document's `response` part.

    Raises FormatError, which names the wrong member.
    """
    styles = {"server": response.style("json"), "client": response.style("client_json")}
    messages = tuple(
        _to_message(item, styles, side_file)
        for item in response.objects("body", "a list of messages")
    )
    close = None
    if response.values.get("close") is not None:
        if response.values.get("end", "complete") != "complete":
            raise response.wrong("end", "no end but the closing frame's, or no `close`", show=True)
        close = _to_close(response.object("close"))
    elif response.values.get("end", "complete") == "complete":
        raise response.wrong("close", 'an object such as {"from": "client", "code": 1000}')
    return messages, close


def _sender(members: Members) -> Sender:
    sender = members.values.get("from")
    if sender not in SENDERS:
        raise members.wrong("from", "client or server", show=True)
    return cast(Sender, sender)


def _to_message(item: Members, styles: dict[str, str], side_file: SideFile | None) -> Message:
    sender = _sender(item)
    binary = item.values.get("binary", False)
    if not isinstance(binary, bool):
        raise item.wrong("binary", "true or false")
    if "__data__" in item:
        style = item.style("json", styles[sender])
        data = exact_json.dumps(item.values["__data__"], style).encode("utf-8", "surrogatepass")
    elif "text" in item:
        data = item.encoded("text")
    elif "base64" in item:
        data, binary = item.base64("base64"), True
    elif "file" in item:
        data, binary = item.file("file", side_file), True
    else:
        raise item.unlike("one of __data__, text, base64, file")
    return Message(data, item.seconds("at"), sender, binary)


def _to_close(close: Members) -> Close:
    code = close.values.get("code")
    if code is not None and (
        isinstance(code, bool)
        or not isinstance(code, int)
        or not 1000 <= code <= 4999
        or code in NEVER_SENT
    ):
        raise close.wrong("code", "a closing code from 1000 to 4999 that a frame can have")
    reason = close.text("reason") if close.values.get("reason") is not None else ""
    if reason and code is None:
        raise close.wrong("code", "a closing code, since there is a reason")
    return Close(_sender(close), code, reason)

"""WebSocket (RFC 6455) as it is recorded: messages of both sides, how it was closed, and by whom.

The conversation that follows an upgrade is the answer to its opening request: a `WebSocket` is a
`Response` with status 101 whose chunks are messages. In a document they stand one a line, JSON as
JSON, so all that redaction does with a stream's chunks is done with them too.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, cast

from wiretape.core.capture.recorder import Outcome, Recorder
from wiretape.core.model import Chunk, End, Exchange, Headers, Request, Response
from wiretape.core.redaction.placeholder import looks_like_secret
from wiretape.core.text import exact_json

from .fields import Members, SideFile

type Sender = Literal["client", "server"]
type Item = dict[str, Any]

SWITCHING: Final = 101
SENDERS: Final[tuple[Sender, ...]] = ("client", "server")
MAX_BYTES: Final = 64 * 1024 * 1024
"""The most that is kept of one connection, in bytes of messages: some eight minutes of speech both
ways. No more could be searched for secrets (`forms.MAX_DECODED`).
"""
_MESSAGE_COST: Final = 256
"""What a message costs beside its bytes; a million empty ones are no small recording."""
# Of these a frame cannot speak: they tell of its absence (RFC 6455, section 7.4.1).
_NO_STATUS: Final = 1005
_NEVER_SENT: Final = (1005, 1006, 1015)


@dataclass(frozen=True, slots=True)
class Message(Chunk):
    """One message, its fragments put together; a text's data is its UTF-8."""

    sender: Sender = "server"
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """A closing frame: who sent it first, and its code, None where it had none."""

    sender: Sender
    code: int | None = 1000
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WebSocket(Response):
    """The answer to an opening request. `chunks` are messages; without a `close` the connection
    broke, and `end` tells on whose side.
    """

    close: Close | None = None

    @property
    def messages(self) -> tuple[Message, ...]:
        return cast(tuple[Message, ...], self.chunks)


# ------------------------------------------------------------------ opening requests

_PROTOCOL: Final = "sec-websocket-protocol"
# Where no header can be set, in a browser, a credential stands among the subprotocols: behind a
# name and a dot, or as what follows a scheme.
_CREDENTIALS: Final = {
    "openai-insecure-api-key.": "authorization",
    "openai-organization.": "openai-organization",
    "openai-project.": "openai-project",
}
_SCHEMES: Final = frozenset(("authorization", "bearer", "token"))


def is_opening(request: Request) -> bool:
    """Whether a request asks for a WebSocket (RFC 6455, section 4.1)."""
    return any(
        name.lower() == "upgrade" and "websocket" in value.lower()
        for name, value in request.headers
    )


def opening(request: Request) -> Request:
    """An opening request as it is recorded and matched; any other request itself.

    Credentials among its subprotocols become headers, where redaction knows them as such; what
    named them stays.
    """
    offered = [value for name, value in request.headers if name.lower() == _PROTOCOL]
    if not offered or not is_opening(request):
        return request
    public: list[str] = []
    found: list[tuple[str, str]] = []
    for item in (item.strip() for value in offered for item in value.split(",")):
        name, credential = _split(item, public[-1] if public else "")
        if name:
            public.append(name)
        if credential is not None:
            found.append(credential)
    headers = [header for header in request.headers if header[0].lower() != _PROTOCOL]
    if public:
        headers.append((_PROTOCOL, ", ".join(public)))
    return replace(request, headers=(*headers, *found))


def _split(item: str, before: str) -> tuple[str, tuple[str, str] | None]:
    """A subprotocol's public part, and what of it is a credential, as the header it would be."""
    for prefix, header in _CREDENTIALS.items():
        if item.startswith(prefix):
            secret = item.removeprefix(prefix)
            return prefix[:-1], (header, f"Bearer {secret}" if "auth" in header else secret)
    if before.lower() in _SCHEMES:
        return "", ("authorization", f"Bearer {item}")
    parts = item.split(".")
    at = next((at for at, part in enumerate(parts) if looks_like_secret(part)), None)
    if at is None:
        return item, None
    return ".".join(parts[:at]), ("authorization", f"Bearer {'.'.join(parts[at:])}")


def subprotocols(headers: Headers) -> tuple[str, ...]:
    """The subprotocols that some headers name, in order."""
    values = (value for name, value in headers if name.lower() == _PROTOCOL)
    return tuple(item for value in values for one in value.split(",") if (item := one.strip()))


# ------------------------------------------------------------------ recording


class WebSocketRecorder(Recorder):
    """Collects a connection; where the upgrade was refused, the answer, as any other.

    `reads` has the messages' data. Of a connection with more than `max_body` bytes of messages
    nothing is kept, and `unrecorded` says so.
    """

    def __init__(self, request: Request, max_body: int = MAX_BYTES) -> None:
        super().__init__(opening(request), max_body)
        self.close: Close | None = None
        self._kinds: list[tuple[Sender, bool]] = []

    @property
    def is_open(self) -> bool:
        """Whether the upgrade was granted."""
        return self.status == SWITCHING

    def message(self, sender: Sender, data: bytes, at: float, *, binary: bool) -> None:
        """A message has come; `at` is seconds after the opening request was sent."""
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
        if self.tap is not None:
            self.tap.message(sender, data, at, binary=binary)

    def closed(self, sender: Sender, code: int | None, reason: str) -> Outcome:
        """The connection has ended, with a closing frame or (code 1006) without; tells which."""
        if code is not None and code in _NEVER_SENT and code != _NO_STATUS:
            return "client-closed" if sender == "client" else "cut"
        self.close = Close(sender, None if code == _NO_STATUS else code, reason)
        return "ended"

    def finish(self, outcome: Outcome, at: float, recorded_at: str | None = None) -> Exchange:
        """The exchange as it was; of one that is too large (`unrecorded`) there are no messages."""
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


# ------------------------------------------------------------------ documents


def from_websocket(response: WebSocket) -> tuple[Item, list[Item]]:
    """The members that a document's `response` part has more, and the items of its `body`, which
    have no times yet.
    """
    read = [_read(message) for message in response.messages]
    styles = {sender: _common(sender, response.messages, read) for sender in SENDERS}
    items: list[Item] = []
    for message, found in zip(response.messages, read, strict=True):
        item: Item = {"from": message.sender}
        if found is not None:
            value, style = found
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
    """A message's JSON object or list and its style; None where it is to be kept as it is."""
    if message.data[:1] not in (b"{", b"["):
        return None
    try:
        return exact_json.read(message.data.decode("utf-8"))
    except UnicodeDecodeError:
        return None


def _common(
    sender: Sender, messages: Sequence[Message], read: Iterable[tuple[exact_json.Json, str] | None]
) -> str:
    """The style of most of a side's messages."""
    styles = [
        found[1]
        for message, found in zip(messages, read, strict=True)
        if found is not None and message.sender == sender
    ]
    return max(styles, key=styles.count) if styles else "compact"


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
    """The messages and the closing frame of a document's `response` part; FormatError names the
    member that is wrong.
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
        or code in _NEVER_SENT
    ):
        raise close.wrong("code", "a closing code from 1000 to 4999 that a frame can have")
    reason = close.text("reason") if close.values.get("reason") is not None else ""
    if reason and code is None:
        raise close.wrong("code", "a closing code, since there is a reason")
    return Close(_sender(close), code, reason)

"""Files of mitmproxy's own flows (`mitmdump -w`), read for `wiretape import`."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO, Final

from mitmproxy import exceptions, http, io

from wiretape.core.errors import FormatError
from wiretape.core.model import SWITCHING, Close, Message, Request, Sender
from wiretape.exchange_formats.foreign import (
    ForeignExchange,
    ForeignItem,
    LeftOut,
    NotCarriedOver,
    checked_headers,
    final_status,
)

from .messages import headers_of, request_of

_BROKEN: Final = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError),
    *(TypeError, ValueError),
)
"""What mitmproxy's reader and its flows raise of values that are not of their kind."""


def read(file: BinaryIO, _hint: Request | None = None) -> Iterator[ForeignItem]:
    """The exchanges of a flow file; FormatError, after those before it, where it breaks."""
    number = 0
    try:
        for number, flow in enumerate(io.FlowReader(file).stream(), 1):
            where = f"#{number}"
            try:
                if not isinstance(flow, http.HTTPFlow):
                    raise NotCarriedOver(f"a {flow.type} flow is not an HTTP exchange")
                yield _exchange(where, flow)
            except NotCarriedOver as error:
                yield LeftOut(where, str(error))
    except (exceptions.FlowReadException, *_BROKEN):
        raise FormatError(
            f"not mitmproxy's, or broken after flow {number}; those before it were read"
        ) from None


def _exchange(where: str, flow: http.HTTPFlow) -> ForeignExchange:
    response = flow.response
    if response is None or response.raw_content is None or flow.request.raw_content is None:
        raise NotCarriedOver("it has no answer, or its body was streamed and not kept")
    status = final_status(response.status_code)
    if status == SWITCHING and flow.websocket is None:
        raise NotCarriedOver("its connection was upgraded to something that is not a WebSocket")
    began = flow.request.timestamp_start
    return ForeignExchange(
        where=where,
        request=request_of(flow),
        status=status,
        headers=checked_headers(iter(headers_of(response))),
        body=response.raw_content,
        recorded_at=datetime.fromtimestamp(began, UTC),
        headers_at=max(response.timestamp_start - began, 0.0),
        end_at=None if response.timestamp_end is None else max(response.timestamp_end - began, 0.0),
        outcome="ended" if flow.error is None else "cut",
        messages=_messages(flow, began),
        close=_close(flow),
    )


def _messages(flow: http.HTTPFlow, began: float) -> tuple[Message, ...]:
    if flow.websocket is None:
        return ()
    return tuple(
        Message(
            message.content,
            max(message.timestamp - began, 0.0),
            "client" if message.from_client else "server",
            not message.is_text,
        )
        for message in flow.websocket.messages
    )


def _close(flow: http.HTTPFlow) -> Close | None:
    if flow.websocket is None or flow.websocket.timestamp_end is None:
        return None
    sender: Sender = "client" if flow.websocket.closed_by_client else "server"
    return Close(sender, flow.websocket.close_code, flow.websocket.close_reason or "")

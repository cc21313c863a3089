"""Read the opening request of a WebSocket (RFC 6455, section 4.1)."""

from typing import Final

from wiretape.core.model import Headers, Request

SUBPROTOCOL: Final = "sec-websocket-protocol"


def is_opening(request: Request) -> bool:
    """Whether a request asks for a WebSocket."""
    return any(
        name.lower() == "upgrade" and "websocket" in value.lower()
        for name, value in request.headers
    )


def subprotocols(headers: Headers) -> tuple[str, ...]:
    """The subprotocols that headers name, in order."""
    values = (value for name, value in headers if name.lower() == SUBPROTOCOL)
    return tuple(item for value in values for part in value.split(",") if (item := part.strip()))

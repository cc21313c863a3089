"""What an opening request of a WebSocket says (RFC 6455, section 4.1)."""

from typing import Final

from wiretape.core.model import Headers, Request

SUBPROTOCOL: Final = "sec-websocket-protocol"


def is_opening(request: Request) -> bool:
    """Whether a request asks for a WebSocket (RFC 6455, section 4.1)."""
    return any(
        name.lower() == "upgrade" and "websocket" in value.lower()
        for name, value in request.headers
    )


def subprotocols(headers: Headers) -> tuple[str, ...]:
    """The subprotocols that some headers name, in order."""
    values = (value for name, value in headers if name.lower() == SUBPROTOCOL)
    return tuple(item for value in values for part in value.split(",") if (item := part.strip()))

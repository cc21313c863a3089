"""The opening request of a WebSocket, and the subprotocols that headers name."""

import pytest

from wiretape.core.model import Headers, Request
from wiretape.core.wire.websocket import is_opening, subprotocols


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((("Upgrade", "WebSocket"),), True),
        ((("upgrade", "h2c, websocket"),), True),
        ((("upgrade", "h2c"),), False),
        ((("connection", "websocket"),), False),
    ],
)
def test_which_requests_open_one(headers: Headers, expected: bool) -> None:
    assert is_opening(Request("GET", "wss", "h", 443, "/", headers=headers)) is expected


def test_subprotocols_of_several_lines_in_order() -> None:
    headers = (("Sec-WebSocket-Protocol", "b, a,"), ("x", "y"), ("sec-websocket-protocol", " c"))
    assert subprotocols(headers) == ("b", "a", "c")

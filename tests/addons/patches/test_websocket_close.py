"""A WebSocket that broke off is not closed as if it had finished."""

import pytest
from mitmproxy.proxy.layers.websocket import WebsocketConnection
from mitmproxy.test import tflow
from wsproto import ConnectionType
from wsproto.events import CloseConnection, TextMessage

from wiretape_mitm.patches.websocket_close import send2


@pytest.fixture
def connection() -> WebsocketConnection:
    return WebsocketConnection(ConnectionType.SERVER, conn=tflow.tclient_conn())


def test_of_an_abnormal_end_nothing_is_sent(connection: WebsocketConnection) -> None:
    sent = send2(connection, CloseConnection(code=1006))
    assert (sent.connection, sent.data) == (connection.conn, b"")


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4004])
def test_a_closing_frame_is_passed_on(connection: WebsocketConnection, code: int) -> None:
    assert send2(connection, CloseConnection(code=code)).data[2:4] == code.to_bytes(2)


def test_a_message_is_passed_on(connection: WebsocketConnection) -> None:
    assert send2(connection, TextMessage("hi")).data == b"\x81\x02hi"

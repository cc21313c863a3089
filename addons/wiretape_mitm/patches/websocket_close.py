"""What we change in mitmproxy's WebSockets: one that broke off has not been closed.

mitmproxy makes a clean end, code 1000, of one that came without a closing frame: to the other side
a provider that broke down would seem to have finished.
"""

from typing import Final

from mitmproxy.proxy import commands
from mitmproxy.proxy.layers import websocket as layer
from wsproto.events import CloseConnection, Event

_ABNORMAL: Final = 1006
_send: Final = layer.WebsocketConnection.send2


def send2(self: layer.WebsocketConnection, event: Event) -> commands.SendData:
    """Send an event to a peer; of an abnormal end nothing is sent."""
    sent = _send(self, event)
    if isinstance(event, CloseConnection) and event.code == _ABNORMAL:
        return commands.SendData(self.conn, b"")
    return sent

"""The short way of an event through mitmproxy's layers, and of a hook that has nothing to wait for.

mitmproxy takes all that passes in a tunnel through the layers of the CONNECT as well, up and down,
and makes a task of each hook, which takes the lock of the connection and its turn in the event loop
for the reply. That is a third of what an exchange costs. `ShortWay` stands before the layers: what
it leaves out would have passed the same bytes on.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from mitmproxy.connection import Client, ConnectionState
from mitmproxy.proxy import commands, events, layer, tunnel
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers import tls
from mitmproxy.proxy.layers.http import _http1

from .transport import RAW, to_reset

type BeginHook = Callable[[commands.StartHook], bool]
"""Runs a hook, and says whether it has ended; where it has to wait, its end is an event."""


class ShortWay(layer.Layer):
    """The top of a connection's layers: an event gives the commands that mitmproxy gives."""

    def __init__(self, top: layer.Layer, begin_hook: BeginHook) -> None:
        # Not a layer of the context's: mitmproxy looks for some by their place.
        self.context = top.context
        self._top = top
        self._begin_hook = begin_hook
        self._inner: tls.ClientTLSLayer | None = None

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        due = deque((event,))
        while due:
            event = due.popleft()
            layers = self._top if self._inner is None else self._inner
            for command in layers.handle_event(event):
                if isinstance(command, commands.StartHook):
                    if self._begin_hook(command) and command.blocking:
                        # As mitmproxy has it: the reply comes when the event has been dealt with.
                        due.append(events.HookCompleted(command))
                elif self._inner is None or not isinstance(command, commands.CloseConnection):
                    yield command
                elif _is_done(command):
                    yield commands.CloseConnection(command.connection)
            if self._inner is None:
                self._inner = tls_in_tunnel(self._top)

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        return self.handle_event(event)


def _is_done(command: commands.CloseConnection) -> bool:
    """Whether the layers of a CONNECT would close this connection too."""
    ended = command.connection
    if not isinstance(ended, Client) or ended in to_reset:
        return True
    return bool(ended.state & ConnectionState.CAN_WRITE)


def tls_in_tunnel(top: layer.Layer) -> tls.ClientTLSLayer | None:
    """The client's TLS in a tunnel, once that is open and nothing is under way in the layers around
    it: from now on these would hand all on as it is. None before, and for anything else.
    """
    http = top.context.layers[-1]
    if not isinstance(http, http_layers.HttpLayer) or len(http.streams) != 1:
        return None
    (stream,) = http.streams.values()
    server = http.connections.get(http.context.client)
    inner: Final = stream.context.layers[len(http.context.layers) :]
    if len(inner) < 3 or not isinstance(server, _http1.Http1Server):
        return None
    server_tls, client_tls = inner[1:3]
    if not isinstance(server_tls, tls.ServerTLSLayer):
        return None
    if not isinstance(client_tls, tls.ClientTLSLayer):
        return None
    is_open = (
        client_tls.tunnel_state is tunnel.TunnelState.OPEN
        and client_tls.conn is http.context.client
        and server_tls.tunnel_state is tunnel.TunnelState.INACTIVE
        and stream._handle_event == stream.passthrough
        and server.state == server.passthrough
        and not stream.flow.metadata.get(RAW)
    )
    is_idle = not (http.command_sources or http.waiting_for_establishment)
    is_over = is_open and is_idle and not _are_paused(top, http, stream, server)
    return client_tls if is_over else None


def _are_paused(*layers: layer.Layer) -> bool:
    return any(each._paused or each._paused_event_queue for each in layers)

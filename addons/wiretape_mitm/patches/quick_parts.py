"""Parts of mitmproxy that run for each exchange, to the same effect with less to do."""

from dataclasses import fields
from functools import cache
from typing import Any, Final, get_args

from mitmproxy.http import MessageData
from mitmproxy.optmanager import _Option, unset
from mitmproxy.proxy import events, layer, tunnel
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers import tls

_check_types: Final = MessageData.__post_init__


def check_types(data: MessageData) -> None:
    """Look at the types of a message's parts: at each as mitmproxy does where one is not plainly
    what it has to be.
    """
    plain = _plain_types(type(data))
    if any(type(value) not in plain[name] for name, value in vars(data).items()):
        _check_types(data)  # type: ignore[no-untyped-call]  # mitmproxy's


@cache
def _plain_types(kind: type[MessageData]) -> dict[str, tuple[Any, ...]]:
    return {field.name: get_args(field.type) or (field.type,) for field in fields(kind)}


def fork(context: Context) -> Context:
    """A context for another layer, without a server connection that is thrown away at once."""
    forked = Context.__new__(Context)
    forked.client, forked.options = context.client, context.options
    forked.server, forked.layers = context.server, context.layers.copy()
    return forked


def handle_event(handler: layer.Layer, event: events.Event) -> layer.CommandGenerator[None]:
    """Take an event of a layer that waits for no command of its own: it never has to be paused."""
    return handler._handle_event(event)


def handle_event_of_tls(handler: tls.TLSLayer, event: events.Event) -> layer.CommandGenerator[None]:
    """The same of TLS that is open: it has waited for its handshake alone."""
    if handler.tunnel_state is tunnel.TunnelState.OPEN and handler._paused is None:
        return handler._handle_event(event)
    return layer.Layer.handle_event(handler, event)


def handle_event_of_client(
    handler: http_layers.HttpClient, event: events.Event
) -> layer.CommandGenerator[None]:
    """The same of a client that is connected: all is its child's."""
    if "_handle_event" in vars(handler) and handler._paused is None:
        given: layer.CommandGenerator[None] = handler._handle_event(event)
        return given
    return layer.Layer.handle_event(handler, event)


_current: Final = _Option.current
_PLAIN: Final = frozenset((bool, int, str, type(None)))


def current(option: _Option) -> Any:
    """An option's value, copied as mitmproxy does it where it could be changed."""
    value = option._default if option.value is unset else option.value
    return value if type(value) in _PLAIN else _current(option)

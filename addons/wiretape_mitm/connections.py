"""Hooks of connections: who is let in, which hosts are only tunnelled, and where nothing may go."""

from dataclasses import dataclass
from typing import Final

from mitmproxy import connection, http, tls
from mitmproxy.proxy import server_hooks

from wiretape.core.errors import StoreError
from wiretape.core.providers.registry import Providers
from wiretape.report.report import Report
from wiretape.sessions.own_port import Refusal
from wiretape.sessions.sessions import UnknownSession, session_error_text

from .flow_sessions import FlowSessions
from .messages import answer_of, refused_tunnel
from .patches.transport import RAW

BASE_URL_HOST: Final = "wiretape.invalid"
"""Where the base-URL port of `embedded.py` claims to lead: the path tells the real place."""

MOST_HEADERS: Final = 128
"""Of a request; as many as replay takes (aiohttp's limit)."""


@dataclass
class Exits:
    """Where connections may go.

    `record` is whether providers may be reached, `tunnel_others` whether other hosts may; `engine`
    is the port on loopback of the replay engine.
    """

    providers: Providers
    record: bool
    tunnel_others: bool
    engine: int | None = None

    def is_engine(self, address: tuple[str, int] | None) -> bool:
        """Whether an address is the replay engine's."""
        return address == ("127.0.0.1", self.engine)

    def why_closed(self, address: tuple[str, int] | None) -> str | None:
        """Say why nothing may be connected to at an address; None where it may."""
        if address and address[0] == BASE_URL_HOST:
            return "wiretape failed inside, so nothing was sent"
        if self.record or self.is_engine(address):
            return None
        if self.tunnel_others and address and self.providers.find(*address) is None:
            return None
        return "wiretape replays: no provider is ever connected to"


class Connections:
    """Counts clients, opens tunnels, and is the last gate before a connection is made."""

    def __init__(self, exits: Exits, sessions: FlowSessions, report: Report) -> None:
        self._exits = exits
        self._providers = exits.providers
        self._sessions = sessions
        self._report = report

    def client_connected(self, client: connection.Client) -> None:
        self._report.connections += 1

    def client_disconnected(self, client: connection.Client) -> None:
        self._sessions.forget(client)

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """A tunnel is asked for; to a host of no provider only where that is wanted."""
        host, port = flow.request.host, flow.request.port
        try:
            self._sessions.open_tunnel(flow)
        except StoreError:
            pass  # reported of each request, which may go on without a recording
        except UnknownSession as error:
            flow.response = refused_tunnel(session_error_text(error))
            return
        if self._providers.find(host, port) is not None:
            self._report.tunnels.setdefault(host, False)
            return
        tunnels = self._exits.tunnel_others
        self._report.bypassed(host, port, "unrecorded" if tunnels else "refused")
        if tunnels:
            flow.metadata[RAW] = True
            return
        reason = (
            f"{host}:{port} is not a provider's host and replay goes nowhere else:"
            " add it under `providers`, or set `other_hosts: tunnel` in config.yaml"
        )
        self._report.notice(f"refused {reason}")
        flow.response = refused_tunnel(reason)

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Hosts of no provider are tunnelled: their TLS is between them and the client."""
        address = data.context.server.address
        if address is not None and self._providers.find(address[0], address[1]) is None:
            data.ignore_connection = True

    def tls_failed_client(self, data: tls.TlsData) -> None:
        error = (data.conn.error or "").lower()
        address = data.context.server.address
        if address is not None and ("trust" in error or "unknown ca" in error):
            self._report.not_trusted(address[0])

    def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        address = data.server.address
        reason = self._exits.why_closed((address[0], address[1]) if address else None)
        if reason is not None:
            data.server.error = reason

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Stream what is not ours, and answer what no provider would."""
        data = flow.request.data
        if data.host in self._report.tunnels:
            self._report.tunnels[data.host] = True
        if flow.response is not None:
            return
        if self._providers.find(data.host, data.port) is None:
            flow.request.stream = True
            goes_on = self._exits.tunnel_others or self._exits.record
            self._report.bypassed(data.host, data.port, "unrecorded" if goes_on else "refused")
        elif len(data.headers.fields) > MOST_HEADERS:
            # Each is searched and compared; a client of 10,000 would make all others wait.
            message = f"more than {MOST_HEADERS} headers in a request"
            flow.response = answer_of(Refusal(message, 400))

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        if flow.response is not None:
            flow.response.stream = True

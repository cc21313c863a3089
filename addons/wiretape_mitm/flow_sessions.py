"""Which session a flow is in, and what of wiretape's own it carries that must go no further."""

from typing import Final

from mitmproxy import connection, http

from wiretape.core.playback.faults import HEADER as FAULT_HEADER
from wiretape.sessions.sessions import HEADER as SESSION_HEADER
from wiretape.sessions.sessions import Session, Sessions, of_credentials

from .messages import is_near

_NAME: Final = "wiretape.session"


class FlowSessions:
    """Finds the session of each flow: named by a header, by its tunnel, or by credentials."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions: Final = sessions
        self._by_client: dict[str, str | None] = {}

    def open_tunnel(self, flow: http.HTTPFlow) -> None:
        """Remember the session that a CONNECT names, for all that comes through its tunnel.

        UnknownSession if its name is invalid, StoreError if its folder cannot be read.
        """
        name = of_credentials(flow.request.headers.get("proxy-authorization"))
        self._by_client[flow.client_conn.id] = name
        self.sessions.get(name)

    def forget(self, client: connection.Client) -> None:
        """Drop what is known of a client that has gone."""
        self._by_client.pop(client.id, None)

    def of(self, flow: http.HTTPFlow) -> Session:
        """Give a flow's session; the errors are those of `open_tunnel`.

        The headers that name it are taken out of the request.
        """
        headers = flow.request.headers
        if _NAME not in flow.metadata:
            name = headers.pop(SESSION_HEADER, None)
            credentials = headers.pop("proxy-authorization", None)
            if FAULT_HEADER in headers and not is_near(flow):
                headers.pop(FAULT_HEADER)
            if not name:
                name = self._by_client.get(flow.client_conn.id) or of_credentials(credentials)
            flow.metadata[_NAME] = name
        return self.sessions.get(flow.metadata[_NAME])

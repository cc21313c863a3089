"""Where requests for a host are sent instead (`--map HOST=URL`)."""

from collections.abc import Mapping

from mitmproxy import http

from wiretape.core.model import Request, split_url


class Routes:
    """Sends what is meant for a host, with its port perhaps, to the URL it is mapped to."""

    def __init__(self, routes: Mapping[str, str]) -> None:
        self._routes = {host: split_url(url) for host, url in routes.items()}

    def apply(self, flow: http.HTTPFlow, request: Request) -> None:
        """Send a flow on where `request`, what its client meant, is mapped to."""
        route = self._routes.get(request.authority) or self._routes.get(request.host)
        if route is None:
            return
        scheme, host, port, prefix = route
        data = flow.request.data
        data.scheme, data.host, data.port = scheme.encode(), host, port
        if prefix != "/":
            data.path = prefix.rstrip("/").encode() + data.path

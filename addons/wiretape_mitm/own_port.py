"""Hooks of requests to wiretape's own ports: the control endpoint and base URLs."""

from collections.abc import Awaitable
from typing import Final

from mitmproxy import http

from wiretape.core.model import Request
from wiretape.core.providers.base_url import Destination, links_to_door
from wiretape.core.providers.registry import Providers
from wiretape.report.report import Report
from wiretape.sessions.control import Control
from wiretape.sessions.own_port import Refusal, purpose_of

from .connections import BASE_URL_HOST
from .messages import answer_of, fields_of, headers_of, response_of

_DOOR: Final = "wiretape.door"


class OwnPort:
    """Answers control, and gives a base URL's request the place that its path names."""

    def __init__(self, control: Control, providers: Providers, report: Report) -> None:
        self._control = control
        self._providers = providers
        self._report = report
        self.links: Final = DoorLinks(providers)
        """To be called after the recorder, which has to have the original headers."""

    def requestheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        is_ours = flow.response is None and self._is_asked(flow)
        return self._take(flow) if is_ours else None

    async def _take(self, flow: http.HTTPFlow) -> None:
        request = flow.request
        headers = {name.lower(): value for name, value in headers_of(request)}
        target = request.data.path.decode("utf-8", "surrogateescape")
        purpose = purpose_of(
            target, headers, self._control.local_names, self._providers, has_control=True
        )
        if isinstance(purpose, Refusal):
            if purpose.other_host is not None:
                self._report.bypassed(*purpose.other_host, "refused")
            flow.response = answer_of(purpose)
        elif isinstance(purpose, Destination):
            flow.metadata[_DOOR] = _door(flow, headers.get("host")), _url(purpose)
            _send_to(flow, purpose)
        else:
            reply = await self._control.handle(request.method, target, headers)
            flow.response = response_of(reply.status, reply.headers, reply.body)

    def _is_asked(self, flow: http.HTTPFlow) -> bool:
        """Whether a request is meant for this port, and not to be sent on by it."""
        data, client = flow.request.data, flow.client_conn
        if data.host == BASE_URL_HOST:
            return True
        # A mitmproxy of the user's own has one port for all: what names it as its host is for it.
        is_own = not client.tls and data.port == client.sockname[1]
        return is_own and self._control.local_names.has(data.host)


class DoorLinks:
    """Leads the links of an answer to a base URL's request back to the port it came to."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        entry = flow.metadata.get(_DOOR)
        if entry is None or flow.response is None:
            return
        door, url = entry
        response = flow.response
        headers = fields_of(response.headers)
        changed = links_to_door(headers, url, door, self._providers)
        if changed != headers:
            response.headers.fields = tuple(
                (name.encode("latin-1"), value.encode("utf-8", "surrogateescape"))
                for name, value in changed
            )


def _door(flow: http.HTTPFlow, host: str | None) -> str:
    """The URL of the port as the client spells it."""
    address, port, *_ = flow.client_conn.sockname
    name = f"[{address}]" if ":" in address else address
    return f"http://{host or f'{name}:{port}'}"


def _url(destination: Destination) -> str:
    return Request("GET", *destination).url


def _send_to(flow: http.HTTPFlow, destination: Destination) -> None:
    data = flow.request.data
    scheme, data.host, data.port, target = destination
    data.scheme = scheme.encode()
    data.path = target.encode("utf-8", "surrogateescape")
    flow.request.headers["host"] = Request("GET", *destination).authority

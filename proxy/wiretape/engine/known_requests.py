"""Find out whom a request on a port is for, and prepare it; what was sent before is known again."""

from dataclasses import dataclass
from typing import Final

from wiretape.core.model import Headers, Request, split_url
from wiretape.core.playback.faults import HEADER as FAULT_HEADER
from wiretape.core.providers.base_url import Destination
from wiretape.core.redaction.subprotocols import credentials_as_headers
from wiretape.sessions.control import DECIDING, Control, LocalNames
from wiretape.sessions.own_port import ForControl, Refusal, purpose_of
from wiretape.sessions.sessions import HEADER as SESSION_HEADER
from wiretape.sessions.sessions import of_credentials

from . import local_servers
from .http_request import HttpRequest, Origin, WholeRequest
from .replayer import Replayer
from .request import ReplayRequest

_MOST_MEMOS: Final = 1024
_MOST_MEMO_BODY: Final = 64 * 1024
_MOST_MEMO_BYTES: Final = 4 * 1024 * 1024
_LOCAL_NAMES: Final = LocalNames()


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """What the same bytes from the same tunnel always mean; `door` as `door_of` has it."""

    request: ReplayRequest
    session_name: str | None
    door: str | None


class KnownRequests:
    """Prepares the requests of all ports. A request of more than `max_body` bytes is not known."""

    def __init__(self, replayer: Replayer, control: Control | None, max_body: int) -> None:
        self._replayer = replayer
        self._control = control
        self._max_body = max_body
        self._memo: dict[object, PreparedRequest] = {}
        self._memo_bytes = 0
        self._destinations: dict[tuple[str, tuple[tuple[str, ...], ...]], Destination] = {}
        self.passes_local = False
        """Whether requests may be passed on to servers of this machine that are not providers."""

    def purpose(
        self, http: HttpRequest, tunnel: Origin | None
    ) -> ForControl | Destination | Refusal:
        """Whom a request is for: this run's control, a provider, or nobody."""
        raw = http.raw_path
        if tunnel is not None and raw.startswith("/"):
            return Destination(tunnel.scheme, tunnel.host, tunnel.port, raw)
        headers = http.headers
        who = tuple(tuple(headers.getall(name, ())) for name in DECIDING)
        known = self._destinations.get((http.raw_path, who))
        if known is not None:
            return known
        local_names = self._control.local_names if self._control else _LOCAL_NAMES
        providers, has_control = self._replayer.providers, self._control is not None
        purpose = purpose_of(
            http.raw_path, by_name(http), local_names, providers, has_control=has_control
        )
        # Hosts are added and never taken away: a destination stays one.
        if isinstance(purpose, Destination):
            if len(self._destinations) >= _MOST_MEMOS:
                self._destinations.clear()
            self._destinations[http.raw_path, who] = purpose
        return purpose

    def local_server(self, http: HttpRequest) -> tuple[str, int, str] | None:
        """Host, port and target of a request in absolute form, if it may be passed on there."""
        if not self.passes_local:
            return None
        try:
            scheme, host, port, target = split_url(http.raw_path)
        except ValueError:
            return None
        is_ours = self._replayer.providers.find(host, port) is not None
        if is_ours or scheme != "http" or not local_servers.addresses_of(host):
            return None
        return (host, port, target) if local_servers.is_on_this_machine(http.transport) else None

    def known(self, http: WholeRequest, tunnel: Origin | None) -> PreparedRequest | None:
        """A request for a provider as it is prepared; None if it is for somebody else."""
        if tunnel is not None:
            self._replayer.report.tunnels[tunnel.host] = True
        # A test suite sends the same requests again and again, byte for byte.
        memo_key = (tunnel, http.head, http.body)
        known = self._memo.get(memo_key)
        if known is not None:
            return known
        destination = self.destination(http, tunnel)
        if destination is None:
            return None
        known = self.prepared(http, tunnel, destination, http.body)
        if len(http.body) <= _MOST_MEMO_BODY:
            self._memo[memo_key] = known
            self._memo_bytes += len(http.body)
            while len(self._memo) > _MOST_MEMOS or self._memo_bytes > _MOST_MEMO_BYTES:
                self._memo_bytes -= len(self._memo.pop(next(iter(self._memo))).request.live.body)
        return known

    def destination(self, http: WholeRequest, tunnel: Origin | None) -> Destination | None:
        """The provider that a request is for; None if it is for somebody else, or is rare."""
        if FAULT_HEADER in http.headers or len(http.body) > self._max_body:
            return None
        if tunnel is None and self.local_server(http) is not None:
            return None
        purpose = self.purpose(http, tunnel)
        return purpose if isinstance(purpose, Destination) else None

    def prepared(
        self, http: HttpRequest, tunnel: Origin | None, destination: Destination, body: bytes
    ) -> PreparedRequest:
        """A request for a provider as it is prepared; `body` is all of its body."""
        name = session_name(http, tunnel)
        session = self._replayer.sessions.get(name)
        request = self._replayer.prepare(request_of(http, destination, body), session)
        return PreparedRequest(request, name, door_of(http, tunnel))

    def in_session(self, known: PreparedRequest) -> ReplayRequest:
        """A request as its session knows it now."""
        session = self._replayer.sessions.get(known.session_name)
        return self._replayer.with_current_ids(known.request, session)


def by_name(http: HttpRequest) -> dict[str, str]:
    """A request's headers by their names in lower case; of a repeated one the last."""
    return {name.lower(): value for name, value in http.headers.items()}


def session_name(http: HttpRequest, tunnel: Origin | None) -> str | None:
    """The session that a request or its tunnel names; UnknownSession as `of_credentials`."""
    name = http.headers.get(SESSION_HEADER) or (tunnel.session if tunnel else None)
    if not name and tunnel is None:
        name = of_credentials(http.headers.get("proxy-authorization"))
    return name


def request_of(http: HttpRequest, destination: Destination, body: bytes) -> Request:
    """A request as the provider was meant to get it."""
    headers: Headers = tuple(
        (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
        for name, value in http.raw_headers
    )
    request = Request(http.method, *destination, headers=headers, body=body)
    return credentials_as_headers(request)


def door_of(http: HttpRequest, tunnel: Origin | None) -> str | None:
    """The URL of the base-URL port that a request came to: links in the answer lead back there."""
    is_base_url = tunnel is None and http.raw_path.startswith("/")
    return f"http://{http.host}" if is_base_url else None

"""The control endpoint: start, reset, finish and ask about sessions, over HTTP on loopback.

    GET  /wiretape                          the run: mode, counts, open sessions
    GET  /wiretape/sessions/NAME            one session
    POST /wiretape/sessions/NAME/start      open it, at the first take of every key; ?folder=FOLDER
                                            and ?client=CLIENT as `Sessions.start` has them
    POST /wiretape/sessions/NAME/reset      the same for one that is open
    POST /wiretape/sessions/NAME/finish     wait until all is written; what it came to; forget it
    GET  /healthz                           whether the process answers; needs no token
    GET  /metrics                           numbers for Prometheus, if they are wanted; no token
    GET  /readyz                            503 while a replay's recordings or shared sequences are
                                            not there, or it is about to end; no token

The others need the run's token. `engine/handler.py` and `wiretape_mitm/own_port.py` translate HTTP.
"""

import hmac
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from secrets import token_urlsafe
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from wiretape.core.errors import StoreError
from wiretape.core.model import Headers
from wiretape.core.text.exact_json import dumps
from wiretape.report.report import Report
from wiretape.sequences.shared_log import SequencesLost

from .sessions import Session, Sessions, UnknownSession
from .shared import SharedSessions

ROOT: Final = "/wiretape"
_ACTIONS: Final = frozenset(("start", "reset", "finish"))
_PROBES: Final = frozenset(("/healthz", "/readyz", "/metrics"))
"""Probes of orchestrators, which answer only yes or no, and where Prometheus scrapes if a run has
metrics: they need no token.
"""
_METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus's text format."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the endpoint: a status and a JSON document, or a text of metrics."""

    status: int
    document: dict[str, Any]
    text: bytes | None = None

    @property
    def headers(self) -> Headers:
        """The headers of the answer."""
        return (("content-type", "application/json" if self.text is None else _METRICS),)

    @property
    def body(self) -> bytes:
        """The body of the answer."""
        return dumps(self.document).encode() if self.text is None else self.text


def is_control(path: str) -> bool:
    """Whether a request in origin form is meant for the control endpoint."""
    path = path.partition("?")[0]
    return path == ROOT or path.startswith(ROOT + "/") or path in _PROBES


@dataclass(frozen=True, slots=True)
class LocalNames:
    """The names of this machine: loopback, those in `names` and, if it is `open` to others, any IP
    address, which DNS rebinding cannot fake.
    """

    names: frozenset[str] = frozenset()
    open: bool = False

    def has(self, host: str) -> bool:
        """Whether a host as a URL spells it is this machine."""
        return _is_local(f"//[{host}]" if ":" in host else f"//{host}", self)


DECIDING: Final = ("host", "origin", "sec-fetch-site")
"""The headers that say whether a request comes from another site."""


def why_foreign(headers: Mapping[str, str], local: LocalNames) -> str | None:
    """Say why a request in origin form comes from another site, as by DNS rebinding; else None.
    `headers` are by lower-case name.

    Its Host, and what a browser says of the page that sends it, have to be of this machine.
    """
    if headers.get("sec-fetch-site", "").strip().lower() == "cross-site":
        return "the request comes from a page of another site (Sec-Fetch-Site)"
    return _why_foreign(headers.get("host"), headers.get("origin"), local)


@lru_cache(maxsize=256)
def _why_foreign(host: str | None, origin: str | None, local: LocalNames) -> str | None:
    if host is not None and not _is_local(f"//{host}", local):
        return "the Host header names another machine than this one (listen.names allows others)"
    if origin is not None and not _is_local(origin, LocalNames(local.names)):
        return "the request comes from a page of another origin"
    return None


def _is_local(url: str, local: LocalNames) -> bool:
    try:
        name = (urlsplit(url).hostname or "").lower()
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost") or name in local.names:
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return local.open or address.is_loopback or address.is_unspecified


class Control:
    """Answers for the sessions of a run; `drain` waits until what was recorded is written."""

    def __init__(
        self,
        sessions: Sessions,
        report: Report,
        drain: Callable[[], Awaitable[None]] | None = None,
        token: str | None = None,
        local_names: LocalNames = LocalNames(),  # frozen
        shared: SharedSessions | None = None,
    ) -> None:
        self.local_names: Final = local_names
        self.is_draining = False
        """Whether the run is about to end: no further client should come."""
        self._shared = shared
        self.token: Final = token or token_urlsafe(24)
        self._sessions = sessions
        self._report = report
        self._drain = drain
        self.metrics: Callable[[], bytes] | None = None
        """Gives the text of `GET /metrics`."""

    async def handle(self, method: str, path: str, headers: Mapping[str, str]) -> Reply:
        """Answer a request; `headers` are by lower-case name."""
        self._report.control_requests += 1
        foreign = why_foreign(headers, self.local_names)
        if foreign:
            return _error(403, foreign)
        target, _, query = path.partition("?")
        if target in _PROBES:
            is_read = method in ("GET", "HEAD")
            return await self._probe(target) if is_read else _error(405, "expected GET")
        if not self._is_authorised(headers.get("authorization", "")):
            return _error(
                401,
                "expected `Authorization: Bearer $WIRETAPE_TOKEN`, which CMD has in its"
                " environment and `wiretape env` prints",
            )
        parts = [unquote(part) for part in target.removeprefix(ROOT).split("/") if part]
        if parts in ([], ["sessions"]):
            if method != "GET":
                return _error(405, "expected GET")
            with suppress(SequencesLost):
                await self._catch_up(None)
            return self._run()
        if parts[0] != "sessions" or len(parts) > 3:
            return _error(404, "expected /wiretape/sessions/NAME[/start|/reset|/finish]")
        try:
            await self._catch_up(parts[1])
            if len(parts) == 2:
                return self._describe(parts[1]) if method == "GET" else _error(405, "expected GET")
            if method != "POST" or parts[2] not in _ACTIONS:
                return _error(405, "expected POST …/start, …/reset or …/finish")
            return await self._act(parts[1], parts[2], query)
        except (UnknownSession, StoreError) as error:
            return _error(400, str(error))
        except SequencesLost as error:
            self._report.not_served(str(error))
            return _error(503, str(error))

    async def _catch_up(self, name: str | None) -> None:
        if self._shared is not None:
            await self._shared.catch_up(name)

    def _is_authorised(self, authorization: str) -> bool:
        token = authorization.removeprefix("Bearer ").strip()
        # Bytes that are not UTF-8 are lone surrogates here.
        return hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self.token.encode())

    async def _probe(self, target: str) -> Reply:
        if target == "/healthz":
            return Reply(200, {"status": "ok"})
        if target == "/metrics":
            if self.metrics is not None:
                return Reply(200, {}, self.metrics())
            return _error(404, "no metrics: `telemetry: {metrics: true}` in config.yaml has them")
        if self.is_draining:
            return _error(503, "about to end")
        # A volume that is mounted late looks like a folder without recordings, and all would miss.
        is_there = self._report.mode != "replay" or self._sessions.own.library.is_there
        if not is_there:
            return _error(503, "the folder of recordings is not there")
        try:
            await self._catch_up(None)
        except SequencesLost as error:
            return _error(503, str(error))
        return Reply(200, {"status": "ok"})

    def _run(self) -> Reply:
        counts = self._report.counts
        if self._shared is not None:  # other processes answered too
            counts = sum((session.counts for session in self._sessions.all()), Counter())
        return Reply(
            200,
            {
                "wiretape_control": 1,
                "mode": self._report.mode,
                "counts": dict(sorted(counts.items())),
                "sessions": [_document_of(session) for session in self._sessions.all()],
            },
        )

    def _describe(self, name: str) -> Reply:
        session = self._sessions.known(name)
        if session is None:
            return _error(404, "this session is not open: POST …/start, or send a request in it")
        return Reply(200, _document_of(session))

    async def _act(self, name: str, action: str, query: str) -> Reply:
        if action == "start":
            options = {key: values[-1] for key, values in parse_qs(query).items()}
            folder, client = options.get("folder"), options.get("client")
            session = self._sessions.start(name, folder, client)
            if self._shared is not None:
                await self._shared.announce("start", name, folder or "", client or "")
                session = self._sessions.known(name) or session
            return Reply(200, _document_of(session))
        open_session = self._sessions.known(name)
        if open_session is None:
            return _error(404, "this session is not open: POST …/start, or send a request in it")
        if action == "reset":
            if self._shared is not None:
                await self._shared.announce("reset", name)
            else:
                open_session.reset()
            return Reply(200, _document_of(open_session))
        if self._drain is not None:
            await self._drain()
        document = _document_of(open_session)
        document["unused"] = sorted(set(open_session.library.names()) - open_session.used)
        if self._shared is not None:
            await self._shared.announce("finish", name)
        else:
            self._sessions.forget(name)
        return Reply(200, document)


def _document_of(session: Session) -> dict[str, Any]:
    return {
        "name": session.name,
        "recordings": len(session.library),
        "counts": dict(sorted(session.counts.items())),
        "used": sorted(session.used),
        "problems": list(session.problems),
    }


def _error(status: int, message: str) -> Reply:
    return Reply(status, {"error": {"message": f"wiretape: {message}", "code": status}})

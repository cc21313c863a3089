"""Answer a request that is known by its bytes with an answer that the index has ready.

It is the shortest of three ways, and gives what the others do: no request is read, no recording,
and no object made of either. Whatever is in doubt goes another way.
"""

import asyncio
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from wiretape.core.conversation.estimate import is_unbilled_path
from wiretape.core.model import Request
from wiretape.core.playback.known_request import digest_of_head, is_free_of, text_of_head
from wiretape.core.redaction.known_values import KnownValue, Secrets
from wiretape.core.wire import jsonrpc
from wiretape.library.index_rows import DirectRow
from wiretape.report.report import Row
from wiretape.sessions.sessions import Session

from .http_request import Head, Origin, WholeRequest
from .known_requests import KnownRequests, request_of, session_name
from .replayer import Replayer
from .sender import ReadyAnswer

_MOST_HEADS: Final = 1024


@dataclass(slots=True, kw_only=True)
class _KnownHead:
    """What requests with one head have in common; `live` is one without its body."""

    live: Request
    session_name: str | None
    provider: str
    path: str
    is_billed: bool
    state: blake2b
    text: str
    secrets: Secrets
    remembered: tuple[KnownValue, ...]


class DirectAnswers:
    """Gives direct answers, and reports them."""

    def __init__(self, replayer: Replayer, requests: KnownRequests) -> None:
        self._replayer = replayer
        self._requests = requests
        self._heads: dict[tuple[Head, Origin | None], _KnownHead | None] = {}

    def answer(
        self, http: WholeRequest, tunnel: Origin | None, started: float
    ) -> ReadyAnswer | None:
        """The answer to a request that came at the loop's time `started`, which is reported then;
        None if there is no direct one. Errors as `Sessions.get` has them.
        """
        head = self._head(http, tunnel)
        if head is None:
            return None
        replayer, report = self._replayer, self._replayer.report
        session = replayer.sessions.get(head.session_name)
        direct = self._row(head, session, http.body)
        is_repeated = session.player.is_repeated(direct.name) if direct is not None else None
        if direct is None or is_repeated is None:
            return None
        if not replayer.share_direct(session, direct, is_repeated=is_repeated):
            return None
        replayer.note_given(session, direct.name, direct.ids, direct.token, beyond=is_repeated)
        report.applied.update(direct.known.rules)
        took = asyncio.get_running_loop().time() - started
        report.add(
            Row(
                "replayed",
                head.provider,
                head.live.method,
                head.path,
                direct.known.model,
                status=direct.answer.status,
                chunks=direct.answer.chunks,
                first_chunk=None if direct.answer.chunks is None else took,
                duration=took,
                recording=direct.name,
                session=session.name,
                take=1,
                beyond=is_repeated,
                usage=direct.answer.usage if self._counts(head) else None,
            )
        )
        return ReadyAnswer(direct.answer.head, direct.answer.body)

    def _row(self, head: _KnownHead, session: Session, body: bytes) -> DirectRow | None:
        """The direct answer to a request; None where more counts than the request's bytes."""
        if jsonrpc.MARKER in body or session.renamings or session.branch is not None:
            return None
        state = head.state.copy()
        state.update(body)
        row = session.library.direct(state.digest())
        if row is None or not is_free_of(self._secrets(head), head.text, body):
            return None
        if row.answer.chunks is not None and head.live.method == "GET":
            return None  # an MCP server's stream may stay open
        if row.answer.usage is None and self._counts(head):
            return None  # it is estimated from the request
        request_ids = row.known.request_ids
        return None if request_ids and session.known_ids.origins(request_ids) else row

    def _counts(self, head: _KnownHead) -> bool:
        """Whether the tokens of an answer are reported."""
        return head.is_billed and self._replayer.report.prices is not None

    def _head(self, http: WholeRequest, tunnel: Origin | None) -> _KnownHead | None:
        """What is known of a head; None for one that is not answered here."""
        if tunnel is not None:
            self._replayer.report.tunnels[tunnel.host] = True
        key = http.head, tunnel
        if key in self._heads:
            return self._heads[key]
        if len(self._heads) >= _MOST_HEADS:
            self._heads.clear()
        head = self._heads[key] = self._new_head(http, tunnel)
        return head

    def _new_head(self, http: WholeRequest, tunnel: Origin | None) -> _KnownHead | None:
        if not http.raw_path.startswith("/"):
            return None
        destination = self._requests.destination(http, tunnel)
        if destination is None:
            return None
        live = request_of(http, destination, b"")
        headers = self._replayer.reader.recorded_headers(live)
        if headers is None:
            return None
        name = session_name(http, tunnel)
        # A session is opened first: what is secret from now on is none where it is read.
        self._replayer.sessions.get(name)
        provider = self._replayer.providers.find(live.host, live.port)
        redactor = self._replayer.redactor
        return _KnownHead(
            live=live,
            session_name=name,
            provider=provider.name if provider else live.host,
            path=live.path,
            is_billed=live.method == "POST" and not is_unbilled_path(live.path),
            state=digest_of_head(live, headers),
            text=text_of_head(live, headers),
            secrets=redactor.secrets(live),
            remembered=redactor.remembered,
        )

    def _secrets(self, head: _KnownHead) -> Secrets:
        """The known values of a request: its head's, and those that are remembered by now."""
        redactor = self._replayer.redactor
        if head.remembered is not redactor.remembered:
            head.secrets, head.remembered = redactor.secrets(head.live), redactor.remembered
        return head.secrets

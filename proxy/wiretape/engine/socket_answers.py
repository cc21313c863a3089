"""Answer WebSockets from recorded conversations."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.miss import Miss
from wiretape.core.playback.websocket import (
    LockStep,
    MessageMatcher,
    Mismatch,
    ReplayedConnection,
)
from wiretape.core.redaction.redactor import Redactor
from wiretape.report.report import Report, Row
from wiretape.sessions.shared import given

from .answer import ReplayAnswer, replayed_row
from .misses import Misses
from .recorded_response import response_to
from .request import ReplayRequest


class SocketAnswers:
    """Gives the conversations of WebSockets, and reports them.

    `is_shared`: other processes of the run are told which recording went on.
    """

    def __init__(
        self,
        matcher: Matcher,
        redactor: Redactor,
        misses: Misses,
        report: Report,
        *,
        is_shared: bool,
    ) -> None:
        self._redactor = redactor
        self._misses = misses
        self._report = report
        self._is_shared = is_shared
        self._messages = MessageMatcher(matcher, redactor)

    def lock_step(self, request: ReplayRequest, answer: ReplayAnswer) -> LockStep:
        """The recorded conversation of a WebSocket whose opening request was answered."""
        library = request.session.library
        names = [take.name for take in answer.takes]
        names = request.session.take_order.order(names, answer.take - 1)
        secrets = self._redactor.secrets(request.live)
        return LockStep(
            names,
            lambda name: response_to(request, library.stored(name), self._redactor.paths),
            self._messages.of(request.url, request.path, secrets),
        )

    async def explain(self, request: ReplayRequest, mismatch: Mismatch) -> Miss:
        """Explain why no recording goes on with a message of the client. A rule may be tried on all
        recordings for it: others are answered meanwhile.
        """
        return await asyncio.to_thread(self.explanation(request, mismatch))

    def explanation(self, request: ReplayRequest, mismatch: Mismatch) -> Callable[[], Miss]:
        """What explains it, in any thread."""
        message = self._messages.request(
            request.url, request.path, mismatch.message, self._redactor.secrets(request.live)
        )
        return partial(self._misses.explain_message, request, message, mismatch)

    def row(
        self,
        request: ReplayRequest,
        answer: ReplayAnswer,
        connection: ReplayedConnection,
        miss: Miss | None = None,
    ) -> Row:
        """The report's row of a WebSocket that was replayed, or of its `miss`: None if its client
        left before that was explained.
        """
        session = request.session
        session.take_order.used(connection.recording)
        session.used.add(connection.recording)
        names = (connection.recording, answer.entry.name)
        other = next((take for take in answer.takes if names[0] == take.name != names[1]), None)
        if other is not None:
            session.known_ids.learn(other.ids, other.token)
        if self._is_shared:
            token, ids = (other.token, other.ids) if other else ("", ())
            session.unshared.append(given("socket", connection.recording, token, ids))
        self._report.applied.update(connection.rules)
        row = replace(
            replayed_row(request, answer, connection.first, connection.duration, connection.note),
            chunks=connection.sent,
            recording=connection.recording,
            stale=(*answer.stale, *connection.stale),
        )
        mismatch = connection.mismatch
        if mismatch is None:
            return row
        self._misses.note(request, mismatch.reason if miss is None else miss.message)
        return replace(row, outcome="missed", note=mismatch.reason, miss=miss)

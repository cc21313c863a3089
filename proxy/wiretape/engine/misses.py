"""Answer requests that no recording answers, and explain why."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from threading import RLock
from typing import Final

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.miss import FolderState, Miss, RuleNames, miss_for
from wiretape.core.model import Headers
from wiretape.core.playback.websocket import Mismatch
from wiretape.core.providers.registry import error_body
from wiretape.core.recording.document import Document
from wiretape.core.wire import jsonrpc
from wiretape.report.report import Report, Row
from wiretape.sessions.sessions import Session

from .next_take import TakeChooser
from .request import ReplayRequest
from .rule_trials import RuleTrials

MISS_HEADERS: Final = (
    ("content-type", "application/json"),
    ("x-should-retry", "false"),
    ("x-wiretape", "miss"),
)

_EXPLAINED: Final = 1024


class Misses:
    """Answers, explains and reports a run's misses, with `status`.

    `is_shared`: other processes of the run count them too.
    """

    def __init__(
        self,
        matcher: Matcher,
        takes: TakeChooser,
        report: Report,
        status: int,
        *,
        is_shared: bool,
    ) -> None:
        self._takes = takes
        self._report = report
        self._status = status
        self._is_shared = is_shared
        self._rule_trials = RuleTrials(matcher)
        self._rule_names = RuleNames(rule.name for rule in matcher.rules)
        self._explaining = RLock()
        self._explained: OrderedDict[tuple[object, ...], Miss] = OrderedDict()

    def answer(self, request: ReplayRequest) -> tuple[int, Headers, bytes]:
        """Report a request without a recording; gives status, headers and body."""
        if never := request.canonical.never_recorded:
            row = missed_row(request, None, 204)
            note = f"never recorded, by {never}"
            self._report.add(replace(row, outcome="passed", note=note))
            return 204, (), b""
        return self._reported(request, self.explain(request))

    async def answer_in_thread(self, request: ReplayRequest) -> tuple[int, Headers, bytes]:
        """The same as `answer`; others are answered while a rule is tried on all recordings.

        If the client leaves meanwhile, the miss is reported without its reason.
        """
        if request.canonical.never_recorded:
            return self.answer(request)
        explain = self._explanation(request)
        try:
            miss = await asyncio.to_thread(explain)
        except asyncio.CancelledError:
            row = missed_row(request, None, self._status)
            note = "no recording answers it; the client left before the reason was found"
            self._report.add(replace(row, note=note))
            request.session.add_problem(note)
            raise
        return self._reported(request, self._noted(request, miss))

    def _reported(self, request: ReplayRequest, miss: Miss) -> tuple[int, Headers, bytes]:
        self._report.add(missed_row(request, miss, self._status))
        return self._status, MISS_HEADERS, self.body(request, miss)

    def body(self, request: ReplayRequest, miss: Miss) -> bytes:
        """What a client is answered for a miss, in its provider's shape."""
        text = f"wiretape: {miss.message}"
        body = error_body(request.shape, self._status, text, "wiretape_miss")
        return jsonrpc.addressed(body, request.live.body) if request.shape == "mcp" else body

    def explain(self, request: ReplayRequest) -> Miss:
        """Explain why no recording answers a request."""
        return self._noted(request, self._explanation(request)())

    def _noted(self, request: ReplayRequest, miss: Miss) -> Miss:
        self._note_problem(request.session, miss.message)
        return miss

    def note(self, request: ReplayRequest, problem: str) -> None:
        """Count a miss that came after a request was answered: that of a WebSocket's message."""
        request.session.counts["missed"] += 1
        self._note_problem(request.session, problem)

    def _note_problem(self, session: Session, problem: str) -> None:
        session.add_problem(problem)
        if self._is_shared:
            session.unshared.append(("miss", problem))

    def _explanation(self, request: ReplayRequest) -> Callable[[], Miss]:
        """What explains a miss, in any thread: it is slow where a rule is tried."""
        request.session.counts["missed"] += 1
        canonical, library = request.canonical, request.session.library
        takes, _ = self._takes.of(request)
        last_take = takes[-1].name if takes else None
        indistinct = None
        with suppress(FormatError, StoreError):
            indistinct = self._takes.indistinct(request, self._takes.selector.of(request)[0])
        headers = None
        with suppress(FormatError, StoreError):
            headers = None if takes else self._takes.selector.other_headers(request, canonical)
        # A client that retries in a loop misses again and again.
        header_text = repr(headers[0].value["headers"]) if headers else ""
        cache_key = (
            id(library),
            canonical.key,
            len(library),
            len(library.faults),
            last_take,
            header_text,
            indistinct,
        )
        tokens = {text: source.token for text, source in request.id_sources.items()}
        document = {**request.document, "ids": tokens} if tokens else request.document

        def explain() -> Miss:
            with self._explaining:
                miss = self._explained.get(cache_key)
                if miss is None:
                    miss = self._explained[cache_key] = explained()
                    if len(self._explained) > _EXPLAINED:
                        self._explained.popitem(last=False)
                return miss

        def explained() -> Miss:
            form, nearest = headers or (canonical, () if last_take else library.nearest(canonical))
            folder = replace(
                self._folder_state(
                    request.session, document, of_endpoint=library.count(canonical.endpoint)
                ),
                takes_used=last_take,
                indistinct=indistinct,
                faults=library.faults,
            )
            return miss_for(form, request.url, nearest, folder)

        return explain

    def explain_message(
        self, request: ReplayRequest, message: Document, mismatch: Mismatch
    ) -> Miss:
        """Explain why a WebSocket's recordings do not go on with a message of its client."""
        of_endpoint = max(len(mismatch.candidates), 1)
        folder = self._folder_state(request.session, message, of_endpoint=of_endpoint)
        with self._explaining:
            return miss_for(mismatch.got, request.url, mismatch.candidates, folder)

    def _folder_state(
        self, session: Session, document: Document, *, of_endpoint: int
    ) -> FolderState:
        return FolderState(
            total=len(session.library),
            of_endpoint=of_endpoint,
            session=session.name,
            try_rule=self._rule_trials.of(session.library, document),
            rule_names=self._rule_names,
        )


def missed_row(request: ReplayRequest, miss: Miss | None, status: int) -> Row:
    """The report's row of a request that no recording answers."""
    return Row(
        "missed",
        request.provider,
        request.live.method,
        request.path,
        request.model,
        status=status,
        miss=miss,
        session=request.session.name,
    )

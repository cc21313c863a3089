"""Find the keys of a live request: by its bytes, or by reading it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

from wiretape.core.matching.placeholders import ANY
from wiretape.core.model import Headers, Request
from wiretape.core.playback.known_request import (
    digest_of,
    is_free_of,
    kept_headers,
    text_of_head,
)
from wiretape.core.providers.registry import Providers
from wiretape.core.recording.document import Document, from_request
from wiretape.core.recording.given_ids import sent_ids
from wiretape.core.redaction.placeholder import may_be_in
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.wire.content_coding import plain_request
from wiretape.report.report import Report
from wiretape.sessions.sessions import Session

from .request import LateForms, ReplayRequest, RequestForms


class RequestReader:
    """Makes a session's requests of live ones, and reports which rules applied."""

    def __init__(self, redactor: Redactor, providers: Providers, report: Report) -> None:
        self._redactor = redactor
        self._providers = providers
        self._report = report
        # What a digest is of has to hold what takes are chosen by (`selecting.py`).
        self._has_short_way = redactor.keeps("accept")

    def prepare(self, live: Request, session: Session) -> ReplayRequest:
        """Redact a live request as its recording was, and give the key of its canonical form: the
        short way if it is a recorded one byte for byte, else the long way.
        """
        return self._known(live, session) or self.examine(live, session)

    def _known(self, live: Request, session: Session) -> ReplayRequest | None:
        """The same as `examine` gives, without reading the request; None if that is in doubt."""
        headers = self.recorded_headers(live)
        if headers is None:
            return None
        digest = digest_of(live, headers)
        # Where no recording answers now, it may be another form that is recorded.
        known = session.library.known(digest)
        if known is None:
            return None
        head = text_of_head(live, headers)
        if not is_free_of(self._redactor.secrets(live), head, live.body):
            return None
        self._report.applied.update(known.rules)
        return ReplayRequest(
            live=live,
            session=session,
            keys=(known.key,),
            forms=LateForms(lambda: self.examine(live, session).forms()),
            request_ids=known.request_ids,
            url=live.url,
            path=live.path,
            model=known.model,
            known_provider=self._providers.find(live.host, live.port),
            digest=digest,
        )

    def recorded_headers(self, live: Request) -> Headers | None:
        """The headers that are recorded of a live request, which its digest is of; None if it has
        to be read.
        """
        return kept_headers(live, self._redactor.keeps) if self._has_short_way else None

    def examine(self, live: Request, session: Session) -> ReplayRequest:
        """Prepare a live request the long way: parse and redact it, and make its canonical form."""
        live_document = from_request(plain_request(live))
        secrets = self._redactor.secrets(live)
        document = redacted = self._redactor.request(live_document, secrets)
        canonical = session.library.matched(document)
        if not session.library.takes(canonical.key):
            for variant in self._variants(live_document, live, document, session):
                variant_form = session.library.matched(variant)
                if session.library.takes(variant_form.key):
                    document, canonical = variant, variant_form
                    break
        self._report.applied.update(canonical.rules)
        exact = self._redactor.exact(live_document, secrets)
        forms = RequestForms(document, (canonical,))
        return ReplayRequest(
            live=live,
            session=session,
            keys=(canonical.key,),
            forms=lambda: forms,
            request_ids=sent_ids(document),
            url=redacted["url"],
            path=redacted["endpoint"],
            model=redacted.get("model"),
            known_provider=self._providers.find(live.host, live.port),
            exact_key="" if exact is None else session.library.matched(exact).key,
        )

    def _variants(
        self, live_document: Document, live: Request, document: Document, session: Session
    ) -> Iterator[Document]:
        """Other forms in which the same request may be recorded: with a value that was a credential
        then, with a value that an answer gave then and a placeholder gives now, and without the
        redaction of values named elsewhere, which earlier versions did not have.
        """
        if may_be_in(json.dumps(document)):
            yield {**document, "carried": [ANY]}
        if self._redactor.recognise(live_document, session.library.redacted()):
            redacted = self._redactor.request(live_document, self._redactor.secrets(live))
            yield redacted
            yield {**redacted, "carried": [ANY]}
        if self._redactor.remembers:
            yield self._redactor.request(
                live_document, self._redactor.secrets(live), remembered=False
            )

    def with_current_ids(
        self, request: ReplayRequest, session: Session | None = None
    ) -> ReplayRequest:
        """The same request with the ids that its session has been given by now."""
        session = session or request.session
        known_ids = session.known_ids
        id_sources = (
            known_ids.origins(request.request_ids) if request.request_ids and len(known_ids) else {}
        )
        if not id_sources:
            if session is request.session and not request.id_sources:
                return request
            return replace(
                request,
                session=session,
                keys=request.keys[-1:],
                forms=_spelled(request),
                id_sources={},
            )
        tokens = {text: source.token for text, source in id_sources.items()}
        document, (*_, spelled) = request.forms()
        with_ids = session.library.matched({**document, "ids": tokens})
        canonicals = (spelled,) if with_ids.key == spelled.key else (with_ids, spelled)
        return replace(
            request,
            session=session,
            keys=tuple(canonical.key for canonical in canonicals),
            forms=lambda: RequestForms(document, canonicals),
            id_sources=id_sources,
        )


def _spelled(request: ReplayRequest) -> Callable[[], RequestForms]:
    """The forms of a request without those that name its ids by their sources."""
    return lambda: RequestForms(request.document, request.canonicals[-1:])

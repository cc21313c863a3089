"""Answer and report what no recording is asked for: refusals, limits and faults."""

from aiohttp import web

from wiretape import descriptors
from wiretape.core.providers.registry import error_body
from wiretape.report.report import Row
from wiretape.sessions.own_port import JSON, Refusal

from .framing import connection_headers
from .misses import MISS_HEADERS
from .replayer import Replayer
from .under_way import whole_response


class ErrorAnswers:
    """Answers with an error of wiretape's own, and reports it so that the run fails."""

    def __init__(self, replayer: Replayer) -> None:
        self._replayer = replayer

    def unreadable(self) -> None:
        """Report that aiohttp answered 400: the request was not HTTP, or repeats a header that may
        be there once. No recording answered, so the run fails.
        """
        note = "not a request as HTTP has it; answered with 400 (-v shows why)"
        self._replayer.report.add(Row("failed", "wiretape", "?", "?", note=note))

    def unavailable(self, advice: str | None = None) -> web.StreamResponse:
        """A 503 with `advice`, or with what to do where no descriptors are left."""
        advice = advice or descriptors.advice()
        self._replayer.report.not_served(advice)
        body = error_body("openai", 503, f"wiretape: {advice}", "wiretape_unavailable")
        response = whole_response(503, connection_headers((*JSON, ("retry-after", "1"))), body)
        response.force_close()
        return response

    def failed(self, http: web.BaseRequest, error: Exception) -> web.StreamResponse:
        """A 500 for a fault of wiretape's own, without its text, which might hold a secret."""
        note = f"wiretape failed inside ({type(error).__name__}); -v shows where"
        path = self._replayer.redact(http.path.partition("?")[0])
        self._replayer.report.add(Row("failed", "wiretape", http.method, path, note=note))
        return whole_response(
            500, connection_headers(JSON), error_body("openai", 500, note, "wiretape_error")
        )

    def too_large(self, http: web.BaseRequest, why: str) -> web.StreamResponse:
        """A miss: no recording has a body of this size."""
        path = self._replayer.redact(http.path.partition("?")[0])
        self._replayer.report.add(Row("missed", "wiretape", http.method, path, note=why))
        status = self._replayer.miss_status
        body = error_body("openai", status, f"wiretape: {why}", "wiretape_miss")
        return whole_response(status, connection_headers(MISS_HEADERS), body)

    def refused(self, refusal: Refusal) -> web.StreamResponse:
        """What a request gets that is for nobody, or from elsewhere."""
        if refusal.other_host is not None:
            self._replayer.report.bypassed(*refusal.other_host, "refused")
        return whole_response(refusal.status, connection_headers(JSON), refusal.body())

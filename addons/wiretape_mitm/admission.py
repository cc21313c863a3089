"""Refuse clients when file descriptors run out, before mitmproxy fails half way."""

from typing import Final

from mitmproxy import connection, exceptions, http

from wiretape import descriptors
from wiretape.core.providers.registry import error_body
from wiretape.report.report import Report

from .messages import response_of

_HEADERS: Final = (
    ("content-type", "application/json"),
    ("retry-after", "1"),
    ("connection", "close"),
    ("x-wiretape", "refused"),
)


class Admission:
    """Stands before the addon. Each client may need a descriptor more, for its provider."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._clients = 0
        self._refused: set[str] = set()

    def client_connected(self, client: connection.Client) -> None:
        self._clients += 1
        if descriptors.are_low(reserve=descriptors.RESERVE + self._clients):
            self._refused.add(client.id)

    def client_disconnected(self, client: connection.Client) -> None:
        self._clients -= 1
        self._refused.discard(client.id)

    def http_connect(self, flow: http.HTTPFlow) -> None:
        self._refuse(flow)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        self._refuse(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        # mitmproxy tells of a failed connect in words alone.
        if flow.error is not None and "Too many open files" in flow.error.msg:
            self._report.not_served(descriptors.advice())

    def _refuse(self, flow: http.HTTPFlow) -> None:
        if flow.client_conn.id not in self._refused:
            return
        advice = descriptors.advice()
        self._report.not_served(advice)
        body = error_body("openai", 503, f"wiretape: {advice}", "wiretape_unavailable")
        flow.response = response_of(503, _HEADERS, body)
        raise exceptions.AddonHalt

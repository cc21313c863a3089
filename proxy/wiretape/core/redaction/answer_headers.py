"""Choose the headers of an answer to record: all but those on lists that say why not.

Clients depend on headers nobody thought of (x-goog-upload-url, operation-location, link, etag), so
a header that is not known to be useless or secret is recorded, its value redacted like any text.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

PER_CONNECTION: Final = """
    connection keep-alive proxy-authenticate proxy-connection te trailer transfer-encoding upgrade
    sec-websocket-accept via
    alt-svc expect-ct nel public-key-pins* report-to reporting-endpoints strict-transport-security
    content-length server x-wiretape*
"""
"""Headers of a connection, which a replay does not have (RFC 9110, section 7.6.1); of the server
and how to reach it, which would lead around wiretape; those that wiretape writes itself.
"""

PER_MOMENT: Final = """
    age date expires server-timing traceparent tracestate traceresponse
    *request-id *requestid *correlation-id *trace-id *traceid *trace-context *call-id *generation-id
    *processing-ms *processing-time* *response-time* *service-time *-duration* *-elapsed*
    *-latency* x-runtime x-timer x-compute-time x-inference-time x-queue-time
    x-cache x-cache-hits x-cache-status x-proxy-cache cf-* x-served-by x-backend* x-envoy-*
    x-varnish x-amz-id-2 x-amz-cf-* x-azure-ref x-msedge-ref x-ms-region x-guploader-uploadid
    azureml-model-session x-cluster x-engine-pod x-hostname x-pod* x-node* x-instance*
"""
"""Headers that say when, by which machine and how fast an answer was given: they would differ in
each recording of the same answer.
"""

OF_ACCOUNT: Final = """
    *organization *organization-id *org-id *workspace-id *project-id *account-id *customer-id
    *tenant-id *user-id *user-email *subscription-id openai-project x-trial-endpoint-call-limit
    anthropic-ratelimit-unified-* x-litellm-key-* x-auth-request-*
"""
"""Headers that name an account or show how much of its subscription is used: a recording does not
say whose key it was.
"""

DROP_RESPONSE_HEADERS: Final = frozenset(f"{PER_CONNECTION} {PER_MOMENT} {OF_ACCOUNT}".split())
"""Names in lower case; an asterisk stands for any text. Secret headers are in `rules`."""


class AnswerHeaders:
    """Chooses the headers of an answer to record: those in `keep` or not in `drop`, but never those
    in `secret`. In all three an asterisk stands for any text.

    >>> headers = AnswerHeaders(["x-request-*"], ["x-request-cost"], ["set-cookie"])
    >>> names = ["etag", "x-request-id", "x-request-cost", "set-cookie"]
    >>> [name for name in names if headers.is_recorded(name)]
    ['etag', 'x-request-cost']
    """

    def __init__(self, drop: Iterable[str], keep: Iterable[str], secret: Iterable[str]) -> None:
        self._drop = _matcher(drop)
        self._keep = _matcher(keep)
        self._secret = _matcher(secret)

    def is_recorded(self, name: str) -> bool:
        """Whether a header of this name (any case) is recorded."""
        name = name.lower()
        if self._secret.fullmatch(name):
            return False
        return self._keep.fullmatch(name) is not None or self._drop.fullmatch(name) is None

    def __call__(self, response: dict[str, Any], method: str | None) -> dict[str, Any]:
        """A document's `response` part with the headers and trailers that are recorded: itself if
        these are all.

        An answer to HEAD keeps its length, which nothing else shows.
        """
        changed: dict[str, Any] = {
            key: headers
            for key in ("headers", "trailers")
            if key in response and (headers := self._of(response[key], method)) != response[key]
        }
        return {**response, **changed} if changed else response

    def _of(self, headers: Mapping[str, Any], method: str | None) -> dict[str, Any]:
        return {
            lower: value
            for name, value in headers.items()
            if self.is_recorded(lower := name.lower())
            or (lower == "content-length" and method == "HEAD")
        }


def _matcher(names: Iterable[str]) -> re.Pattern[str]:
    # Compiled, since it runs for each header of each answer.
    return re.compile("|".join(re.escape(name).replace(r"\*", ".*") for name in names) or r"(?!)")

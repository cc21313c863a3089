"""Which headers of an answer are recorded: all but those on a list that says why not.

A client steers by headers nobody thought of (x-goog-upload-url, operation-location, link, etag), so
what is not known to be useless or secret is kept, and its value redacted as any text is.
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
"""Headers of one connection, which replay has none of (RFC 9110, section 7.6.1); of the server at
its other end and how to reach it, which would lead around wiretape; what wiretape writes itself.
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
"""Headers that say when, by which machine and how fast an answer was given: each recording of the
same answer would have other ones.
"""

OF_ACCOUNT: Final = """
    *organization *organization-id *org-id *workspace-id *project-id *account-id *customer-id
    *tenant-id *user-id *user-email *subscription-id openai-project x-trial-endpoint-call-limit
    anthropic-ratelimit-unified-* x-litellm-key-* x-auth-request-*
"""
"""Headers that name an account, or tell how much of its subscription is used: whose key it was is
nobody's business.
"""

DROP_RESPONSE_HEADERS: Final = frozenset(f"{PER_CONNECTION} {PER_MOMENT} {OF_ACCOUNT}".split())
"""Names in lower case; an asterisk stands for any text. Secret headers are in `rules`."""


class AnswerHeaders:
    """Chooses the headers of an answer that are recorded.

    What is in `keep` stays though it is in `drop`; a name in `secret` never stays. In all three an
    asterisk stands for any text.
    """

    def __init__(self, drop: Iterable[str], keep: Iterable[str], secret: Iterable[str]) -> None:
        self._drop = _matcher(drop)
        self._keep = _matcher(keep)
        self._secret = _matcher(secret)

    def is_kept(self, name: str) -> bool:
        """Whether a header of this name (any case) is recorded."""
        name = name.lower()
        if self._secret.fullmatch(name):
            return False
        return self._keep.fullmatch(name) is not None or self._drop.fullmatch(name) is None

    def __call__(self, response: Mapping[str, Any], method: str | None) -> dict[str, Any]:
        """A document's `response` part with the headers and trailers that are recorded.

        The length of an answer to HEAD is all that tells it, and stays.
        """
        result = dict(response)
        for key in ("headers", "trailers"):
            if key in response:
                result[key] = {
                    lower: value
                    for name, value in response[key].items()
                    if self.is_kept(lower := name.lower())
                    or (lower == "content-length" and method == "HEAD")
                }
        return result


def _matcher(names: Iterable[str]) -> re.Pattern[str]:
    # One automaton: a list is asked for each header of each answer.
    return re.compile("|".join(re.escape(name).replace(r"\*", ".*") for name in names) or r"(?!)")

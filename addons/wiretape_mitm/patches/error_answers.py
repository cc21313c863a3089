"""Answer a client whose provider was not reached in the provider's own error shape.

mitmproxy words its own 502 as a page of HTML, after the `error` hook and out of an addon's reach.
The bodies wait here, by the message mitmproxy is about to show.
"""

from collections import deque
from typing import Final

from mitmproxy.proxy.layers.http import _http1

from wiretape.core.model import Request
from wiretape.core.providers.registry import Providers, error_body, error_shape

_error_answers: Final[dict[str, deque[bytes]]] = {}
_WAITING: Final = 100
_make_error_response: Final = _http1.make_error_response


def answer_error(message: str, reason: str, request: Request, providers: Providers) -> bytes:
    """The body of the 502 that mitmproxy is about to give with this message; it tells `reason`."""
    provider = providers.find(request.host, request.port)
    text = f"wiretape: {request.authority} could not be reached: {reason}. Nothing was recorded."
    shape = error_shape(provider, request.path)
    body = error_body(shape, 502, text, "wiretape_upstream_error")
    _error_answers.setdefault(message, deque(maxlen=_WAITING)).append(body)
    return body


def make_error_response(status_code: int, message: str = "") -> bytes:
    waiting = _error_answers.get(message)
    if waiting is None:
        return _make_error_response(status_code, message)
    body = waiting.popleft()
    if not waiting:
        del _error_answers[message]
    head = (
        f"HTTP/1.1 {status_code} Bad Gateway\r\nContent-Type: application/json\r\n"
        f"X-Wiretape: upstream-error\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body

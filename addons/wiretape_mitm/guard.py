"""A hook that fails sends nothing anywhere.

mitmproxy logs what a hook raises and goes on: the request goes out, with its key, whatever the hook
had left to do.
"""

import inspect
import logging
from collections.abc import Callable
from typing import Any, Final

from mitmproxy import exceptions, hooks, http
from mitmproxy.proxy import server_hooks

from wiretape.core.text.wire_quotes import failure_text
from wiretape.report.report import Report
from wiretape.sessions.own_port import Refusal

from .messages import answer_of

log = logging.getLogger(__name__)

_REQUEST_HOOKS: Final = frozenset(("http_connect", "requestheaders", "request"))
"""Those after which mitmproxy sends a request on."""
_FAILED: Final = "wiretape failed inside, so nothing was sent"


class Guarded:
    """An addon's hooks, each of which, where it raises, lets nothing out and fails the run."""

    def __init__(self, addon: object, report: Report) -> None:
        self.name = type(addon).__name__.lower()
        self._report = report
        for hook in hooks.all_hooks:
            method = getattr(addon, hook, None)
            if callable(method):
                setattr(self, hook, self._guarded(hook, method))

    def _guarded(self, hook: str, method: Callable[..., Any]) -> Callable[..., Any]:
        async def finish(waiting: Any, data: object) -> None:
            try:
                await waiting
            except Exception as error:
                self._close(hook, data, error)

        def guarded(data: object) -> Any:
            try:
                result = method(data)
            except exceptions.AddonHalt:
                raise
            except Exception as error:
                self._close(hook, data, error)
                return None
            return finish(result, data) if inspect.isawaitable(result) else None

        return guarded

    def _close(self, hook: str, data: object, error: Exception) -> None:
        kind = type(error).__name__
        log.debug("a hook failed on %s\n%s", hook, failure_text(error))
        self._report.not_served(f"wiretape failed inside, on {hook} ({kind}); -v shows where")
        if isinstance(data, server_hooks.ServerConnectionHookData):
            data.server.error = _FAILED
        elif isinstance(data, http.HTTPFlow) and hook in _REQUEST_HOOKS and data.response is None:
            data.request.stream = False
            data.response = answer_of(Refusal(_FAILED, 500, "wiretape_error"))

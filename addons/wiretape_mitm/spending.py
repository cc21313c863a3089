"""Lets requests out as long as a run's budget lasts (`--budget`)."""

from contextlib import suppress
from typing import Final

from mitmproxy import http

from wiretape.budget_queue import BudgetQueue
from wiretape.core.capture.recorder import Recorder
from wiretape.core.conversation.estimate import estimate_of, expected, usage_of
from wiretape.core.cost.budget import Budget, OverBudget
from wiretape.core.cost.usage import Usage
from wiretape.core.model import Outcome, Request
from wiretape.core.playback.policy import MISS_STATUS
from wiretape.core.providers.registry import Providers, error_body, error_shape

from .messages import response_of


class SpendingGate:
    """Asks the budget before a request goes out, and tells it what the answer cost."""

    def __init__(self, budget: Budget, providers: Providers, status: int = MISS_STATUS) -> None:
        self._budget = budget
        self._queue = BudgetQueue(budget)
        self._providers = providers
        self._status = status

    async def admit(self, flow: http.HTTPFlow, request: Request) -> str | None:
        """Wait until a request may go out; else give its flow an answer, and the reason."""
        provider = self._providers.find(request.host, request.port)
        ask = expected(request, provider.name if provider else request.host)
        if ask is None:
            return None
        try:
            await self._queue.reserve(flow.id, ask)
        except OverBudget as error:
            shape = error_shape(provider, request.path)
            text = f"wiretape: {error}"
            body = error_body(shape, self._status, text, "wiretape_budget")
            flow.response = response_of(self._status, _HEADERS, body)
            return str(error)
        return None

    def settle(
        self, flow_id: str, recorder: Recorder | None = None, outcome: Outcome = "ended"
    ) -> None:
        """Count what an exchange cost, once it has ended; without a recorder it counts as it was
        expected.
        """
        if self._budget.holds(flow_id):
            usage = Usage() if recorder is None else _used(recorder, outcome)
            self._queue.settle(flow_id, usage)


def _used(recorder: Recorder, outcome: Outcome) -> Usage | None:
    """What an exchange used: None for nothing, no count where it cannot be known."""
    if not 200 <= (recorder.status or 0) < 300:
        return None
    if recorder.unrecorded is not None:
        return Usage()
    with suppress(Exception):
        exchange = recorder.finish(outcome, 0.0)
        usage = usage_of(exchange.request, exchange.response) or Usage()
        if exchange.response.end == "complete" or usage.estimated:
            return usage
        # What came of a cut answer was not counted yet.
        return max(usage, estimate_of(exchange.request, exchange.response), key=_answer)
    return Usage()


def _answer(usage: Usage) -> int:
    return usage.tokens_out or 0


_HEADERS: Final = (
    ("content-type", "application/json"),
    ("x-should-retry", "false"),
    ("x-wiretape", "budget"),
)

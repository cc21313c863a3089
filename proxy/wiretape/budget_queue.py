"""Let requests wait for one another under a run's budget."""

import asyncio

from wiretape.core.cost.budget import Budget, Expected
from wiretape.core.cost.usage import Usage


class BudgetQueue:
    """A budget whose requests wait until enough of it is free.

    Each request that goes out has to be settled: others may wait for it.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._settled = asyncio.Event()

    async def reserve(self, token: object, expected: Expected) -> None:
        """Wait until a request may go out; OverBudget, which says why, if it never may."""
        while not self._budget.reserve(token, expected):
            self._settled.clear()
            await self._settled.wait()

    def settle(self, token: object, usage: Usage | None) -> None:
        """Count what a request used, as `Budget.settle` does; nothing if it reserved nothing."""
        if self._budget.holds(token):
            self._budget.settle(token, usage)
            self._settled.set()

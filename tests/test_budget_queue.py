"""Requests wait for one another until a budget covers them, or never go out."""

import asyncio
from decimal import Decimal

import pytest

from wiretape.budget_queue import BudgetQueue
from wiretape.core.cost.budget import Budget, Expected, OverBudget
from wiretape.core.cost.prices import Money, Price, PriceTable
from wiretape.core.cost.usage import Usage

TABLE = PriceTable([Price(model="m", input=Decimal(0), output=Decimal(100_000))])
"""A token of an answer costs ten cents."""


def asks(tokens: int) -> Expected:
    return Expected("openai", "m", 1, tokens)


@pytest.fixture
def queue() -> BudgetQueue:
    return BudgetQueue(Budget(Money(Decimal(2), "USD"), TABLE))


async def test_a_request_waits_until_enough_is_free(queue: BudgetQueue) -> None:
    await queue.reserve("a", asks(15))
    waiting = [asyncio.create_task(queue.reserve(name, asks(15))) for name in ("b", "c")]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    queue.settle("a", Usage(1, 1))
    await waiting[0]
    await asyncio.sleep(0)
    assert not waiting[1].done(), "it waits for the other"
    queue.settle("b", None)
    await waiting[1]


async def test_one_that_waits_is_refused_once_the_budget_is_spent(queue: BudgetQueue) -> None:
    await queue.reserve("a", asks(15))
    waiting = asyncio.create_task(queue.reserve("b", asks(15)))
    await asyncio.sleep(0)
    queue.settle("a", Usage(1, 20))
    with pytest.raises(OverBudget, match=r"the budget of 2\.00 USD is spent"):
        await waiting


async def test_what_reserved_nothing_settles_nothing(queue: BudgetQueue) -> None:
    queue.settle("a", Usage(1, 20))
    await queue.reserve("b", asks(15))

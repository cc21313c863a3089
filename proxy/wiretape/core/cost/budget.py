"""What a run may spend: each request reserves what it may cost, and settles what it did cost."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from .prices import Money, Price, PriceTable
from .usage import Usage

USUAL_ANSWER: Final = 4096
"""The tokens that are reserved for an answer whose request sets no limit."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a request may use: its own tokens, estimated, and the most that its answer may have."""

    provider: str
    model: str | None
    tokens_in: int
    most_out: int | None = None

    @property
    def usage(self) -> Usage:
        """The most that it is expected to use."""
        most_out = USUAL_ANSWER if self.most_out is None else self.most_out
        return Usage(self.tokens_in, most_out, estimated=True)


class OverBudget(Exception):
    """A request may not go out; `str()` says why and what to do."""


class Budget:
    """Counts what is spent against a limit.

        budget = Budget(Money(Decimal(2), "USD"), prices)
        budget.reserve(request, expected)  # False: others are under way; wait for their end
        budget.settle(request, usage)

    What is under way counts as spent until it is settled, so that many requests at once do not go
    over the limit together. One that is alone goes out as long as its own tokens are covered: the
    most that a run spends beyond the limit is what the answer to one request costs, and what others
    under way cost beyond their estimates.
    """

    def __init__(self, limit: Money, prices: PriceTable) -> None:
        self.limit: Final = limit
        self.spent = Decimal(0)
        self.refused = 0
        self._prices = prices
        self._reserved: dict[object, tuple[Price, Decimal]] = {}

    def reserve(self, token: object, expected: Expected) -> bool:
        """Let a request go out, under a token to settle it by; False while it has to wait for
        others. OverBudget if it may not go out.
        """
        try:
            price = self._price(expected)
            own = self._cost(price, Usage(expected.tokens_in, 0))
            rest = self.limit.amount - self.spent
            if rest <= 0 or own > rest:
                raise OverBudget(self._spent_text(own if rest > 0 else None))
        except OverBudget:
            self.refused += 1
            raise
        most = self._cost(price, expected.usage)
        under_way = sum((cost for _, cost in self._reserved.values()), Decimal(0))
        if self._reserved and under_way + most > rest:
            return False
        self._reserved[token] = price, most
        return True

    def settle(self, token: object, usage: Usage | None) -> None:
        """Count what a request used: None if it was not billed. Unknown tokens count as they were
        expected.
        """
        price, most = self._reserved.pop(token)
        if usage is not None:
            cost = price.cost(usage) if usage.is_known else None
            self.spent += most if cost is None else cost.amount

    def holds(self, token: object) -> bool:
        """Whether something is reserved under a token."""
        return token in self._reserved

    def _price(self, expected: Expected) -> Price:
        model, provider = expected.model, expected.provider
        if model is None:
            raise OverBudget(
                "under --budget only requests go out whose cost can be known, and this one names no"
                " model; record it without --budget"
            )
        price = self._prices.find(provider, model, expected.tokens_in)
        if price is None or price.cost(expected.usage) is None:
            raise OverBudget(
                f"under --budget only models with a known price are asked, and {model} ({provider})"
                " has none; add it to `prices` in config.yaml:"
                f" {{provider: {provider}, model: {model}, input: …, output: …}}"
            )
        if price.currency != self.limit.currency:
            raise OverBudget(
                f"the budget is in {self.limit.currency} and the price of {model} ({provider}) in"
                f" {price.currency}; give one of them in the other's currency"
            )
        return price

    def _cost(self, price: Price, usage: Usage) -> Decimal:
        cost = price.cost(usage)
        assert cost is not None
        return cost.amount

    def _spent_text(self, own: Decimal | None) -> str:
        spent = Money(self.spent, self.limit.currency)
        if own is None:
            return f"the budget of {self.limit} is spent ({spent}), so nothing more goes out"
        cost = Money(own, self.limit.currency)
        return (
            f"of the budget of {self.limit} {spent} is spent, and this request alone would cost"
            f" about {cost}, so it does not go out"
        )

    def as_json(self) -> dict[str, Any]:
        """The budget for `--report`."""
        return {
            "limit": self.limit.as_json(),
            "spent": Money(self.spent, self.limit.currency).as_json(),
            "refused": self.refused,
        }

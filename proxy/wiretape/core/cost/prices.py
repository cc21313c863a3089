"""What tokens cost, by a table of prices for a million tokens.

Amounts are decimal throughout. A model that the table does not have has no price; none is guessed.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from fnmatch import fnmatchcase
from typing import Any, Final

from .usage import Usage

_MILLION: Final = Decimal(1_000_000)
_CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount of a currency, which its ISO 4217 code names.

    >>> str(Money(Decimal("3.4"), "USD")), str(Money(Decimal("0.000126"), "USD"))
    ('3.40 USD', '0.00013 USD')
    """

    amount: Decimal
    currency: str

    @classmethod
    def parse(cls, text: str) -> "Money":
        """Read "2USD" or "0.50 EUR"; ValueError says what is expected."""
        match = _MONEY.fullmatch(text.strip())
        amount = Decimal(match[1]) if match else Decimal(0)
        if match is None or not amount:
            raise ValueError(
                f"{text!r:.40}: expected an amount above 0 with its currency, such as 2USD or"
                " 0.50EUR"
            )
        return cls(amount, match[2].upper())

    def __str__(self) -> str:
        digits = _CENT
        if 0 < self.amount < 1:
            # Two digits that say something.
            digits = min(_CENT, Decimal(1).scaleb(self.amount.adjusted() - 1))
        return f"{self.amount.quantize(digits, ROUND_HALF_UP):f} {self.currency}"

    def as_json(self) -> dict[str, str]:
        """The exact amount, as text: JSON's numbers are not decimal to most readers."""
        return {"amount": f"{self.amount.normalize():f}", "currency": self.currency}


_MONEY: Final = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)\s*([A-Za-z]{3})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a million tokens of a model cost, for requests of more than `over` tokens.

    `model` is a name, or a pattern such as "gpt-*". A price that is not given is that of `input`;
    `output` None is for models whose answers cost nothing, such as those that embed. `own` is
    config.yaml's.
    """

    model: str
    input: Decimal
    provider: str = "*"
    output: Decimal | None = None
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    over: int = 0
    currency: str = "USD"
    source: str | None = None
    date: str | None = None
    own: bool = False

    def cost(self, usage: Usage) -> Money | None:
        """What the tokens of an exchange cost; None where it has a part without a price."""
        if usage.tokens_out and self.output is None:
            return None
        write = self.input if self.cache_write is None else self.cache_write
        write_1h = write if self.cache_write_1h is None else self.cache_write_1h
        cached = self.input if self.cached_input is None else self.cached_input
        fresh = (usage.tokens_in or 0) - usage.cached - usage.cache_write
        amount = (
            fresh * self.input
            + usage.cached * cached
            + (usage.cache_write - usage.cache_write_1h) * write
            + usage.cache_write_1h * write_1h
            + (usage.tokens_out or 0) * (self.output or 0)
        )
        return Money(amount / _MILLION, self.currency)


_VERSION: Final = re.compile(
    r"(?:[-@]20\d\d-?[01]\d-?[0-3]\d|-[01]\d-20\d\d|-latest|-0|-00\d)$", re.ASCII
)
"""What providers put after a model's name for one of its versions, at the same price."""


class PriceTable:
    """Finds the price of a model: that of config.yaml, else the one whose pattern says most.

    >>> table = PriceTable([Price(model="gpt-*", input=Decimal(2))])
    >>> table.cost("openai", "gpt-9-2030-01-31", Usage(500_000))
    Money(amount=Decimal('1'), currency='USD')
    """

    def __init__(self, prices: Iterable[Price]) -> None:
        self._prices = tuple(prices)
        self._candidates: dict[tuple[str, str], list[Price]] = {}

    @property
    def currencies(self) -> list[str]:
        """The currencies that there are prices in."""
        return sorted({price.currency for price in self._prices})

    def find(self, provider: str, model: str, tokens_in: int = 0) -> Price | None:
        """The price of a model for a request of so many tokens; None if no price is known."""
        name = (provider, model)
        candidates = self._candidates.get(name)
        if candidates is None:
            fitting = [price for price in self._prices if _fits(price, provider, model)]
            candidates = self._candidates[name] = sorted(fitting, key=_rank, reverse=True)
        return next(
            (price for price in candidates if not price.over or tokens_in > price.over), None
        )

    def cost(self, provider: str, model: str | None, usage: Usage) -> Money | None:
        """What the tokens of an exchange cost; None where no price is known."""
        price = self.find(provider, model, usage.tokens_in or 0) if model else None
        return price.cost(usage) if price is not None and usage.is_known else None


def _fits(price: Price, provider: str, model: str) -> bool:
    names = (model, _VERSION.sub("", model))
    return fnmatchcase(provider, price.provider) and any(
        fnmatchcase(name, price.model) for name in names
    )


def _rank(price: Price) -> tuple[bool, int, int, int]:
    return price.own, _literal(price.model), _literal(price.provider), price.over


def _literal(pattern: str) -> int:
    return len(pattern) - sum(map(pattern.count, "*?[]"))


# ------------------------------------------------------------------ of many exchanges


@dataclass(slots=True, kw_only=True)
class Spending:
    """What some answers came to: their tokens, their cost by currency, and what has no price.

    `estimated` counts the answers whose tokens were estimated, `unpriced` those without a price, by
    provider and model.
    """

    answers: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    estimated: int = 0
    costs: dict[str, Decimal] = field(default_factory=dict)
    unpriced: Counter[tuple[str, str]] = field(default_factory=Counter)

    @classmethod
    def of(cls, exchanges: Mapping["Metered", int], prices: PriceTable) -> "Spending":
        """Add up exchanges, each with how often it was made."""
        spending = cls()
        for (provider, model, usage), times in exchanges.items():
            spending.answers += times
            spending.tokens_in += times * (usage.tokens_in or 0)
            spending.tokens_out += times * (usage.tokens_out or 0)
            spending.estimated += times * usage.estimated
            cost = prices.cost(provider, model, usage)
            if cost is None:
                spending.unpriced[provider, model] += times
            else:
                so_far = spending.costs.get(cost.currency, Decimal(0))
                spending.costs[cost.currency] = so_far + times * cost.amount
        return spending

    @property
    def money(self) -> list[Money]:
        """The cost in each currency."""
        return [Money(amount, currency) for currency, amount in sorted(self.costs.items())]

    def as_json(self) -> dict[str, Any]:
        """The document for `--report`."""
        return {
            "answers": self.answers,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "estimated_answers": self.estimated,
            "cost": [money.as_json() for money in self.money],
            "unpriced": [
                {"provider": provider, "model": model, "answers": times}
                for (provider, model), times in sorted(self.unpriced.items())
            ],
        }


type Metered = tuple[str, str, Usage]
"""The provider, the model and the usage of an exchange."""


def rounded(number: int) -> str:
    """A number of tokens for people.

    >>> rounded(950), rounded(1_234_567), rounded(82_000)
    ('950', '1.2 M', '82 k')
    """
    for unit, size in (("M", 1_000_000), ("k", 1000)):
        if number >= size:
            return f"{number / size:.1f}".removesuffix(".0") + f" {unit}"
    return str(number)

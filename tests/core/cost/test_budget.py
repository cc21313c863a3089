"""A budget lets out what it covers, and what is under way counts until it is settled."""

from decimal import Decimal

import pytest

from wiretape.core.cost.budget import USUAL_ANSWER, Budget, Expected, OverBudget
from wiretape.core.cost.prices import Money, Price, PriceTable
from wiretape.core.cost.usage import Usage

# A token of a request costs a cent, of an answer ten.
TABLE = PriceTable(
    [
        Price(model="m", input=Decimal(10_000), output=Decimal(100_000)),
        Price(model="e", input=Decimal(10_000)),
        Price(model="yen", input=Decimal(1), output=Decimal(1), currency="JPY"),
    ]
)


def budget(amount: int = 2) -> Budget:
    return Budget(Money(Decimal(amount), "USD"), TABLE)


def ask(tokens_in: int = 10, most_out: int | None = 5, model: str | None = "m") -> Expected:
    return Expected("openai", model, tokens_in, most_out)


def test_what_was_used_is_counted_and_not_what_was_reserved() -> None:
    counted = budget()
    assert counted.reserve("a", ask(most_out=19))
    counted.settle("a", Usage(10, 1))
    assert counted.spent == Decimal("0.2")
    assert not counted.holds("a")


def test_nothing_goes_out_once_it_is_spent() -> None:
    counted = budget()
    for name in ("a", "b"):
        assert counted.reserve(name, ask())
        counted.settle(name, Usage(10, 10))
    with pytest.raises(OverBudget, match=r"the budget of 2\.00 USD is spent \(2\.20 USD\)"):
        counted.reserve("c", ask(0, 0))
    assert counted.refused == 1


def test_requests_at_once_do_not_go_over_it_together() -> None:
    counted = budget()
    assert counted.reserve("a", ask())  # 0.60 each
    assert counted.reserve("b", ask())
    assert counted.reserve("c", ask())
    assert not counted.reserve("d", ask())
    counted.settle("a", Usage(10, 0))
    assert counted.reserve("d", ask())


def test_a_request_alone_goes_out_if_its_own_tokens_are_covered() -> None:
    counted = budget()
    assert counted.reserve("a", ask(200, 1_000_000))
    counted.settle("a", Usage(150, 0))
    with pytest.raises(OverBudget, match=r"this request alone would cost about 0\.51 USD"):
        counted.reserve("b", ask(51))
    assert counted.reserve("b", ask(50))


def test_an_answer_without_a_limit_reserves_the_usual() -> None:
    assert ask(most_out=None).usage == Usage(10, USUAL_ANSWER, estimated=True)


def test_what_cannot_be_known_counts_as_it_was_expected_and_an_error_as_nothing() -> None:
    counted = budget()
    counted.reserve("a", ask())
    counted.settle("a", Usage())
    assert counted.spent == Decimal("0.6")
    counted.reserve("b", ask())
    counted.settle("b", None)
    assert counted.spent == Decimal("0.6")


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        (ask(model="other"), r"other \(openai\) has none; add it to `prices` in config.yaml"),
        (ask(model="e"), r"e \(openai\) has none"),
        (ask(model=None), "this one names no model"),
        (ask(model="yen"), r"the budget is in USD and the price of yen \(openai\) in JPY"),
    ],
)
def test_a_cost_that_cannot_be_known_is_refused(expected: Expected, reason: str) -> None:
    counted = budget()
    with pytest.raises(OverBudget, match=reason):
        counted.reserve("a", expected)
    assert (counted.refused, str(counted.spent)) == (1, "0")


def test_a_model_without_words_needs_no_price_for_them() -> None:
    counted = budget()
    assert counted.reserve("a", ask(model="e", most_out=0))
    counted.settle("a", Usage(10))
    assert counted.as_json() == {
        "limit": {"amount": "2", "currency": "USD"},
        "spent": {"amount": "0.1", "currency": "USD"},
        "refused": 0,
    }

"""Prices: which counts for a model, and what tokens cost by it."""

from collections import Counter
from decimal import Decimal

import pytest

from wiretape.core.cost.prices import Money, Price, PriceTable, Spending
from wiretape.core.cost.usage import Usage


def price(model: str, amount: str = "1", **members: object) -> Price:
    return Price(model=model, input=Decimal(amount), **members)  # type: ignore[arg-type]  # by name


def chosen(table: PriceTable, model: str, tokens: int = 0, provider: str = "openai") -> str | None:
    found = table.find(provider, model, tokens)
    return str(found.input) if found else None


def test_the_pattern_that_says_most_counts() -> None:
    table = PriceTable([price("*", "1"), price("gpt-*", "2"), price("gpt-4o", "3")])
    assert [chosen(table, name) for name in ("gpt-4o", "gpt-5", "o3")] == ["3", "2", "1"]


def test_the_users_own_price_counts_before_all_others() -> None:
    table = PriceTable([price("gpt-*", "9", own=True), price("gpt-4o", "3")])
    assert chosen(table, "gpt-4o") == "9"


def test_a_provider_s_price_counts_before_everybodys() -> None:
    table = PriceTable([price("m", "1"), price("m", "2", provider="openai")])
    assert chosen(table, "m") == "2"
    assert chosen(table, "m", provider="localhost:8000") == "1"
    assert chosen(PriceTable([price("m", provider="groq")]), "m") is None


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("gpt-4o", True),
        ("gpt-4o-2024-08-06", True),
        ("gpt-4o-20240806", True),
        ("gpt-4o@20240806", True),
        ("gpt-4o-08-2024", True),
        ("gpt-4o-latest", True),
        ("gpt-4o-001", True),
        ("gpt-4o-audio-preview", False),
        ("gpt-4o-mini", False),
        ("gpt-4", False),
        ("my-gpt-4o", False),
    ],
)
def test_a_version_has_the_price_of_its_model_and_another_model_none(
    model: str, known: bool
) -> None:
    assert (PriceTable([price("gpt-4o")]).find("openai", model) is not None) == known


def test_a_version_may_have_a_price_of_its_own() -> None:
    table = PriceTable([price("gpt-4o", "2"), price("gpt-4o-2024-05-13", "5")])
    assert chosen(table, "gpt-4o-2024-05-13") == "5"


def test_a_longer_request_may_cost_more() -> None:
    table = PriceTable([price("m", "1"), price("m", "2", over=200_000)])
    assert [chosen(table, "m", tokens) for tokens in (200_000, 200_001)] == ["1", "2"]


def test_each_kind_of_token_has_its_price() -> None:
    amounts = {"output": "10", "cached_input": "0.1", "cache_write": "1.25", "cache_write_1h": "2"}
    full = price("m", "1", **{name: Decimal(amount) for name, amount in amounts.items()})
    usage = Usage(1000, 100, cached=500, cache_write=300, cache_write_1h=200)
    # 200 fresh, 500 cached, 100 written, 200 written for an hour, 100 answered
    parts = 200 * Decimal(1) + 50 + 125 + 400 + 1000
    assert full.cost(usage) == Money(parts / 1_000_000, "USD")


def test_a_price_that_is_not_given_is_that_of_input_and_of_answers_none() -> None:
    assert price("m").cost(Usage(1_000_000, 0, cached=999, cache_write=1)) == Money(
        Decimal(1), "USD"
    )
    assert price("m").cost(Usage(1, 1)) is None


def test_what_is_not_known_costs_nothing_that_is_told() -> None:
    table = PriceTable([price("m", output=Decimal(1))])
    assert table.cost("openai", "n", Usage(1, 1)) is None
    assert table.cost("openai", None, Usage(1, 1)) is None
    assert table.cost("openai", "m", Usage()) is None


def test_sums_are_exact() -> None:
    table = PriceTable([price("m", "0.1", output=Decimal("0.2"))])
    spending = Spending.of(Counter({("openai", "m", Usage(1, 1)): 3_333_333}), table)
    assert spending.money == [Money(Decimal("0.9999999"), "USD")]
    assert spending.money[0].as_json() == {"amount": "0.9999999", "currency": "USD"}


def test_currencies_are_not_added_and_what_has_no_price_is_counted() -> None:
    table = PriceTable([price("m"), price("e", "2", currency="EUR")])
    million = Usage(1_000_000, 0)
    exchanges = {
        ("openai", "m", million): 2,
        ("openai", "e", Usage(1_000_000, 0, estimated=True)): 1,
        ("openai", "unknown", million): 4,
    }
    spending = Spending.of(exchanges, table)
    assert list(map(str, spending.money)) == ["2.00 EUR", "2.00 USD"]
    assert (spending.answers, spending.estimated, spending.tokens_in) == (7, 1, 7_000_000)
    assert spending.unpriced == Counter({("openai", "unknown"): 4})


@pytest.mark.parametrize(
    ("text", "money"),
    [
        ("2USD", Money(Decimal(2), "USD")),
        (" 0.50 eur ", Money(Decimal("0.50"), "EUR")),
    ],
)
def test_an_amount_is_read(text: str, money: Money) -> None:
    assert Money.parse(text) == money


@pytest.mark.parametrize(
    "text", ["", "2", "USD", "-2USD", "0USD", "1e3USD", "nanUSD", "2 dollars", "2,5USD", "٢USD"]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected an amount above 0 with its currency"):
        Money.parse(text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0.00 USD"),
        ("3.4", "3.40 USD"),
        ("1234.567", "1234.57 USD"),
        ("0.5", "0.50 USD"),
        ("0.0034", "0.0034 USD"),
        ("0.00000126", "0.0000013 USD"),
        ("0.00996", "0.0100 USD"),
    ],
)
def test_small_amounts_keep_two_digits(amount: str, text: str) -> None:
    assert str(Money(Decimal(amount), "USD")) == text

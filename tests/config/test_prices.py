"""The table of prices that comes with wiretape, and config.yaml's own."""

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from wiretape.config.load import Config, load
from wiretape.config.packs import NAMES
from wiretape.config.prices import built_in_prices, price_table
from wiretape.core.cost.usage import Usage
from wiretape.core.errors import ConfigError


def read(text: str, tmp_path: Path) -> Config:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load(path, {})


def test_every_price_says_whose_it_is_where_it_is_from_and_when() -> None:
    prices = built_in_prices()
    assert len(prices) > 80
    for price in prices:
        assert price.provider in NAMES
        assert re.fullmatch(r"https://\S+", price.source or "")
        assert date.fromisoformat(price.date or "") >= date(2026, 1, 1)
        assert 0 <= price.input < 1000
        assert (price.cached_input or 0) <= price.input
    subjects = [(price.provider, price.model, price.over) for price in prices]
    assert len(set(subjects)) == len(subjects)


@pytest.mark.parametrize(
    ("provider", "model", "cost"),
    [
        ("openai", "gpt-4o-mini-2024-07-18", "0.15 USD"),
        ("anthropic", "claude-3-5-haiku-20241022", "0.80 USD"),
        ("anthropic", "claude-sonnet-4-5", "6.00 USD"),
        ("google", "gemini-2.5-flash", "0.30 USD"),
        ("openai", "gpt-4o-realtime-preview", None),
        ("openai", "dall-e-3", None),
    ],
)
def test_known_models_have_their_price(provider: str, model: str, cost: str | None) -> None:
    money = price_table().cost(provider, model, Usage(1_000_000, 0))
    assert (money and str(money)) == cost


def test_a_price_of_ones_own_goes_first_and_keeps_its_digits(tmp_path: Path) -> None:
    text = 'prices: [{provider: openai, model: "gpt-*", input: 0.1, output: "7", currency: EUR}]'
    config = read(text, tmp_path)
    assert config.own_prices[0].input == Decimal("0.1")
    assert str(config.prices.cost("openai", "gpt-4o", Usage(3, 0))) == "0.00000030 EUR"
    assert config.prices.cost("anthropic", "claude-opus-5", Usage(1, 0)) is not None


def test_a_price_may_be_a_hosts(tmp_path: Path) -> None:
    text = 'prices: [{provider: "localhost:8000", model: "*", input: 0, output: 0}]'
    assert str(read(text, tmp_path).prices.cost("localhost:8000", "m", Usage(1, 1))) == "0.00 USD"


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("{model: m}", "prices[0].input: missing, it has no default"),
        ("{model: m, input: -1}", "expected what a million tokens cost, such as 2.50, got -1"),
        ("{model: m, input: cheap}", "such as 2.50, got 'cheap'"),
        ("{model: m, input: 'nan'}", "such as 2.50, got 'nan'"),
        ("{model: m, input: true}", "such as 2.50, got a boolean"),
        ("{model: m, input: 1, output: 99999999}", "prices[0].output: expected what a million"),
        ("{model: m, input: 1, currency: dollar}", "currency: expected a currency's code"),
        ("{model: m, input: 1, over: -5}", "over: expected a number of tokens, 0 or more"),
        ("{model: m, input: 1, provider: opnai}", 'did you mean "openai"?'),
        ("{model: m, input: 1, outptu: 1}", 'did you mean "output"?'),
        (
            "{model: m, input: 1}, {model: m, input: 2}",
            "prices[1].model: an earlier price is for m",
        ),
    ],
)
def test_a_broken_price_is_a_fault_with_its_line(entry: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f"pace: 2x\nprices: [{entry}]\n", tmp_path)
    (text,) = caught.value.faults
    assert text.startswith(f"{tmp_path / 'config.yaml'}:2: prices[")
    assert fault in text


def test_the_table_is_read_only_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wiretape.config.prices.built_in_prices", lambda: pytest.fail("read"))
    read("pace: 2x", tmp_path)

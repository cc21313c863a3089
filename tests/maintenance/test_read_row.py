"""A recording's row says what the recording says."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.support.listed_folder import recording

from wiretape.config.packs import built_in
from wiretape.core.cost.prices import Price, PriceTable
from wiretape.core.errors import FormatError
from wiretape.maintenance.read_row import RowReader

PRICES = PriceTable([Price(model="gpt-x", input=Decimal(2), output=Decimal(8))])


def test_a_row_has_what_is_listed_and_the_words_are_those_of_both_sides() -> None:
    read_row = RowReader(built_in(), PRICES)
    document = recording("Hello", "Say\nit " + "again " * 99, end="cut") | {"edited": {"at": "x"}}
    stored = read_row.stored(json.dumps(document).encode())
    row = read_row(stored, "demo/a.json", "demo", 12)
    assert (row.name, row.session, row.size) == ("demo/a.json", "demo", 12)
    assert (row.provider, row.host) == ("openai", "api.openai.com")
    assert (row.method, row.path, row.model) == ("POST", "/v1/chat/completions", "gpt-x")
    assert row.prompt.startswith("Say it again")
    assert (len(row.prompt), row.prompt[-1]) == (80, "…")
    assert (row.tokens_in, row.tokens_out, row.cost_text) == (7, 3, "0.000038 USD")
    assert row.cost == {"amount": "0.000038", "currency": "USD"}
    assert (row.status, row.end, row.streamed, row.chunks) == (200, "cut", True, 3)
    assert row.recorded_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (row.foreign, row.edited) == (False, True)
    words = read_row.words(stored)
    assert "Hello" in words
    assert words.count("again") == 99


def test_without_prices_nothing_costs_anything() -> None:
    read_row = RowReader(built_in())
    row = read_row(read_row.stored(json.dumps(recording("Hello")).encode()), "a.json", None, 1)
    assert (row.cost, row.cost_text) == (None, "-")


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff"])
def test_what_is_not_a_recording_has_no_row(data: bytes) -> None:
    with pytest.raises(FormatError):
        RowReader(built_in()).stored(data)

"""What a list shows of a recording, and that it can be kept."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import paths
from tests.support.conversations import ODD, places
from tests.support.limits import examples

from wiretape.config.packs import built_in
from wiretape.core.cost.prices import Price, PriceTable
from wiretape.core.errors import FormatError
from wiretape.maintenance.listed_recording import age, from_values
from wiretape.maintenance.read_row import RowReader

SEEDS = sorted(paths.RECORDINGS.glob("*.json"))


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=5), "5s"),
        (timedelta(minutes=59), "59m"),
        (timedelta(hours=47), "1d"),
        (timedelta(hours=23), "23h"),
        (timedelta(seconds=-5), "0s"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(passed: timedelta, said: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert age(now, now - passed) == said


@given(document=st.sampled_from(SEEDS), data=st.data())
@settings(max_examples=examples(50), deadline=None)
def test_a_row_is_what_json_can_hold_of_it(document: Path, data: st.DataObject) -> None:
    changed = json.loads(document.read_bytes())
    path = data.draw(st.sampled_from(places(changed)))
    target = changed
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = data.draw(ODD)
    prices = PriceTable([Price(model="*", input=Decimal("0.3"), output=Decimal(7))])
    read_row = RowReader(built_in(), prices)
    try:
        stored = read_row.stored(json.dumps(changed).encode())
        row = read_row(stored, "s/a.json", "s", 5)
    except FormatError:
        return
    assert from_values("s/a.json", "s", json.loads(json.dumps(row.values()))) == row

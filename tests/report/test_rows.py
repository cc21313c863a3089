"""Rows are the same after they have been packed, and then take little."""

import tracemalloc

from wiretape.core.matching.canonical import ABSENT, Difference
from wiretape.core.matching.miss import Miss
from wiretape.core.text.exact_json import parse
from wiretape.report.report import Report, Row
from wiretape.report.rows import Rows


def row(number: int) -> Row:
    found = Difference("body.n", parse(f"{number}.50"), ABSENT)
    miss = Miss("GET", f"https://h/{number}\udcff", "differs", differences=(found,))
    return Row("missed", "together", "GET", "/v1/models", duration=number / 10, miss=miss)


def test_rows_come_in_their_order_and_as_they_were() -> None:
    rows = Rows[Row]()
    for number in range(700):
        rows.append(row(number))
    assert len(rows) == 700
    assert rows == [row(number) for number in range(700)]


def test_what_is_absent_is_the_same_after_packing() -> None:
    rows = Rows[Row]()
    for number in range(300):
        rows.append(row(number))
    first = next(iter(rows))
    assert first.miss is not None
    assert first.miss.differences[0].recorded is ABSENT


def test_many_rows_take_little() -> None:
    report = Report("replay")
    tracemalloc.start()
    try:
        for number in range(10_240):
            report.add(row(number))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 100 * 10_240
    assert report.counts == {"missed": 10_240}
    assert len(report.as_json()["exchanges"]) == 10_240


def test_rows_are_equal_to_a_list_of_the_same() -> None:
    rows = Rows[int]()
    assert rows == []
    rows.append(1)
    assert rows == [1]
    assert rows != [2]

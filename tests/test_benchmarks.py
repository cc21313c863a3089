"""What the benchmarks make of their numbers; measuring itself is `make bench`."""

import re
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

import pytest
from benchmarks import goals, growth, paced, rivals, workload
from benchmarks.client import Holding, Unexpected, _check
from benchmarks.outcome import (
    Goal,
    Measure,
    Ratio,
    Rounds,
    Section,
    as_json,
    as_markdown,
    as_svg,
    changes,
)
from tests.support.paths import ROOT


def section(first: float, second: float) -> Section:
    measures = (
        Measure("a: CPU per answer", "ms", {"x": 1.0}, (Ratio("x & y", first, Goal(1.25)),)),
        Measure("b: CPU per answer", "ms", {"x": 1.0}, (Ratio("x & y", second),)),
    )
    return Section("Replay", ("x",), measures)


def test_ratios_that_changed_are_listed_and_others_are_not() -> None:
    old = {"machine": {"date": "2026-11-21"}, "sections": [as_json(section(2.0, 1.0))]}
    (changed,) = changes(old, [section(1.5, 1.05)]).measures
    assert changed.name == "Replay: a: CPU per answer vs x & y"
    assert (changed.values, changed.ratios[0].value) == ({"before": 2.0, "now": 1.5}, 0.75)
    assert changes({"sections": []}, [section(1.5, 1.05)]).measures == ()
    assert "2026-11-21" in as_markdown(changes(old, [section(1.5, 1.05)]))


def test_the_picture_has_a_bar_for_each_ratio_and_a_line_for_each_goal() -> None:
    picture = ElementTree.fromstring(as_svg([section(9.0, 0.01)]))
    kinds = [child.tag.rpartition("}")[2] for child in picture]
    assert (kinds.count("rect"), kinds.count("path")) == (3, 5)  # and the scale's four lines
    assert "Replay" in [child.text for child in picture]
    bars = [child for child in picture if child.get("height") == "14"]
    assert [bar.get("fill") for bar in bars] == ["#c0392b", "#7f8c8d"]
    assert all(float(bar.get("width", "0")) > 100 for bar in bars)


def test_goals_stand_in_one_table_and_those_missed_say_where_the_time_goes() -> None:
    ratio = Ratio("python", 4.0, Goal(3), (3.5, 4.5))
    listing = Measure("ls: CPU", "s", {"wiretape": 0.06}, (ratio,))
    click = Measure("import click: CPU", "s", {"wiretape": 0.046})
    fast = Measure("4 MB request", "MB/s", {"wiretape": 70.0}, goal=Goal(60, at_least=True))
    other = Measure("other", "s", {"wiretape": 2.0}, goal=Goal(1))
    lines = goals.as_markdown(
        [Section("Start-up", ("wiretape",), (listing, click, fast, other))]
    ).splitlines()
    assert lines[2].startswith("1 of 3 are met.")
    row, met, unknown = lines[-3:]
    assert row.startswith(
        "| Start-up: ls: CPU vs python | ≤ 3 | 4x [3.5 to 4.5] | **missed** | importing click"
        " alone takes 0.046 s"
    )
    assert met == "| Start-up: 4 MB request | ≥ 60 | 70 MB/s | met |  |"
    assert unknown.endswith("| **missed** | not taken apart yet |")
    assert goals.as_markdown([Section("T", ("x",), (click,))]) == ""


def test_every_explanation_is_of_a_measure_that_there_is() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert [
        name
        for name in goals._WHERE
        if not re.search(rf"\n\| {re.escape(name)}|{re.escape(name)} \[", page)
    ] == []


def test_a_ratio_is_the_median_of_the_rounds_with_its_spread() -> None:
    rounds = Rounds()
    for ours, theirs in ((2.0, 1.0), (3.0, 1.0), (8.0, 2.0)):
        rounds.add("a", "x", theirs)
        rounds.add("a", "y", ours)
    (ratio,) = rounds.measure("a", "ms", ("x", "y"), [("x", Goal(2.5)), ("z", None)]).ratios
    assert (ratio.value, ratio.spread) == (3.0, (2.0, 4.0))
    assert str(ratio) == "3x [2 to 4]"
    table = as_markdown(Section("T", ("x", "y"), (rounds.measure("a", "ms", ("x", "y")),)))
    assert "| a [ms] | 1 | 3 |" in table


def test_an_answer_is_compared_byte_for_byte() -> None:
    _check(b"HTTP/1.1 200 OK\r\n\r\nabc", b"abc")
    _check(b"HTTP/1.1 200 OK\r\n\r\nabc", Holding(b"b"))
    for expected in (b"abcd", b"ab", Holding(b"x")):
        with pytest.raises(Unexpected, match="not the recorded body"):
            _check(b"HTTP/1.1 200 OK\r\n\r\nabc", expected)


def test_each_measured_answer_has_a_question_of_its_own() -> None:
    numbers = [load.number for load in paced.FULL] + [n for _, n, _ in growth._recordings()]
    asked = {workload.question(number, stream=True) for number in numbers}
    assert len(asked) == len(numbers)
    chunks = [workload.paced_chunk(number, 3) for number in range(3)]
    assert chunks[-1] == b"data: [DONE]\n\n"
    assert workload.framed([b"abc"]) == b"3\r\nabc\r\n0\r\n\r\n"


def test_a_rival_that_cannot_be_had_is_left_out_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    monkeypatch.setattr(rivals, "_SCRATCH", tmp_path / "scratch")
    with ExitStack() as stack:
        found, reasons = rivals.start(stack, tmp_path)
    assert found == {}
    assert {reason.partition(" is left out: ")[0] for reason in reasons} == {
        *(rivals.NGINX, rivals.AIMOCK, "buffr", "reel"),
    }
    assert all(reason.partition(": ")[2] for reason in reasons)

"""What the benchmarks make of their numbers; measuring itself is `make bench`."""

from xml.etree import ElementTree

from benchmarks.outcome import (
    Goal,
    Measure,
    Ratio,
    Section,
    as_json,
    as_markdown,
    as_svg,
    changes,
)


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
    assert (kinds.count("rect"), kinds.count("path")) == (3, 2)
    bars = [child for child in picture if child.get("height") == "14"]
    assert [bar.get("fill") for bar in bars] == ["#c0392b", "#7f8c8d"]
    assert all(float(bar.get("width", "0")) > 100 for bar in bars)

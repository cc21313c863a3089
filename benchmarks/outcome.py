"""What was measured: values, ratios, goals; as tables and as JSON."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Goal:
    """A limit that a value should keep: `at_least` or, otherwise, at most."""

    limit: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Whether a value keeps the limit."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:.3g}"


@dataclass(frozen=True)
class Ratio:
    """One value by another, the median of the rounds."""

    name: str
    value: float
    goal: Goal | None = None
    spread: tuple[float, float] | None = None
    """The lowest and the highest of the rounds'."""

    def __str__(self) -> str:
        text = f"{number(self.value)}x"
        if self.spread is None or self.spread[0] == self.spread[1]:
            return text
        return f"{text} [{number(self.spread[0])} to {number(self.spread[1])}]"


@dataclass(frozen=True)
class Measure:
    """One line: what each contestant needed or did, and how they compare."""

    name: str
    unit: str
    values: dict[str, float | None]
    ratios: tuple[Ratio, ...] = ()
    goal: Goal | None = None
    """A limit to the last contestant's value itself."""


@dataclass(frozen=True)
class Section:
    """A table of measures."""

    title: str
    contestants: tuple[str, ...]
    measures: tuple[Measure, ...]
    notes: tuple[str, ...] = ()


@dataclass
class Rounds:
    """Values by measure and contestant, one a round."""

    values: defaultdict[tuple[str, str], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, measure: str, contestant: str, value: float | None) -> None:
        """A round's value; None is none."""
        if value is not None:
            self.values[measure, contestant].append(value)

    def median(self, measure: str, contestant: str) -> float | None:
        """The median of the rounds, None where nothing was measured."""
        found = self.values.get((measure, contestant))
        return median(found) if found else None

    def ratio(
        self, measure: str, contestant: str, other: str, goal: Goal | None = None
    ) -> Ratio | None:
        """The median of the rounds' ratios, and their spread: what slows the machine slows both
        sides of a round. None where nothing was measured.
        """
        ours, theirs = self.values.get((measure, contestant)), self.values.get((measure, other))
        if not ours or not theirs:
            return None
        ratios = [one / two for one, two in zip(ours, theirs, strict=True) if two]
        if not ratios:
            return None
        return Ratio(other, median(ratios), goal, (min(ratios), max(ratios)))

    def measure(
        self,
        name: str,
        unit: str,
        contestants: Sequence[str],
        against: Sequence[tuple[str, Goal | None]] = (),
        goal: Goal | None = None,
    ) -> Measure:
        """The line of a measure, its last contestant compared with those in `against`."""
        ratios = (self.ratio(name, contestants[-1], other, limit) for other, limit in against)
        values = {who: self.median(name, who) for who in contestants}
        return Measure(name, unit, values, tuple(filter(None, ratios)), goal)


def number(value: float | None) -> str:
    """Three digits that count: "1520", "15.2", "0.152"."""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


@dataclass(frozen=True)
class _Cell:
    text: str
    goal: str = ""
    met: bool = True


def _table(section: Section) -> tuple[list[str], list[list[_Cell]]]:
    """A section's head and rows."""
    compared = list(dict.fromkeys(r.name for m in section.measures for r in m.ratios))
    goals = any(measure.goal for measure in section.measures)
    head = ["measure", *section.contestants, *(f"vs {name}" for name in compared)]
    rows = []
    for measure in section.measures:
        ratios = {ratio.name: ratio for ratio in measure.ratios}
        row = [_Cell(f"{measure.name} [{measure.unit}]")]
        row += [_Cell(number(measure.values.get(name))) for name in section.contestants]
        for name in compared:
            ratio = ratios.get(name)
            row.append(_cell(str(ratio), ratio.goal, ratio.value) if ratio else _NONE)
        if goals:
            row.append(_cell("", measure.goal, measure.values.get(section.contestants[-1])))
        rows.append(row)
    return [*head, "goal"] if goals else head, rows


_NONE: Final = _Cell("")


def _cell(text: str, goal: Goal | None, value: float | None) -> _Cell:
    if goal is None or value is None:
        return _Cell(text)
    met = goal.met(value)
    return _Cell(text, f"{goal} {'met' if met else 'MISSED'}", met)


def show(console: Console, section: Section) -> None:
    """Print a section."""
    head, rows = _table(section)
    table = Table(title=section.title, title_justify="left", title_style="bold")
    for number_of, name in enumerate(head):
        table.add_column(name, justify="right" if number_of else "left")
    for row in rows:
        cells = []
        for cell in row:
            text = Text(cell.text)
            if cell.goal:
                text.append(f" ({cell.goal})".lstrip(" " * (not cell.text)))
                text.stylize("green" if cell.met else "bold red", len(cell.text))
            cells.append(text)
        table.add_row(*cells)
    console.print(table)
    for note in section.notes:
        console.print(Text(f"  {note}", "dim"))
    console.print()


def as_markdown(section: Section) -> str:
    """A section for docs/benchmarks.md."""
    head, rows = _table(section)
    lines = [f"### {section.title}", "", *(f"- {note}" for note in section.notes)]
    lines += [""] * bool(section.notes)
    lines += [_line(head), _line(["---", *("---:" for _ in head[1:])])]
    lines += [
        _line([f"{cell.text} ({cell.goal})".strip() if cell.goal else cell.text for cell in row])
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def as_json(section: Section) -> dict[str, Any]:
    """A section for --json."""
    return {
        "title": section.title,
        "notes": list(section.notes),
        "measures": [
            {
                "name": measure.name,
                "unit": measure.unit,
                "values": {name: _rounded(value) for name, value in measure.values.items()},
                "ratios": {
                    ratio.name: {
                        "value": _rounded(ratio.value),
                        **({"spread": [*map(_rounded, ratio.spread)]} if ratio.spread else {}),
                        **_goal(ratio.goal, ratio.value),
                    }
                    for ratio in measure.ratios
                },
                **_goal(measure.goal, measure.values.get(section.contestants[-1])),
            }
            for measure in section.measures
        ],
    }


def _goal(goal: Goal | None, value: float | None) -> dict[str, Any]:
    return {} if goal is None or value is None else {"goal": str(goal), "met": goal.met(value)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


# ------------------------------------------------------------------ against an earlier run

_CHANGED: Final = 0.1
"""A ratio that changed by less is the noise of two runs."""


def changes(old: Mapping[str, Any], sections: Sequence[Section]) -> Section:
    """What changed since an earlier run, whose document `--json` wrote. Ratios within a run are
    compared, not values: another day's machine has another speed.
    """
    before = {
        (section["title"], measure["name"], name): ratio["value"]
        for section in old["sections"]
        for measure in section["measures"]
        for name, ratio in measure["ratios"].items()
    }
    measures = [
        Measure(
            f"{section.title}: {measure.name} vs {ratio.name}",
            "x",
            {"before": was, "now": ratio.value},
            (Ratio("before", ratio.value / was),),
        )
        for section in sections
        for measure in section.measures
        for ratio in measure.ratios
        if (was := before.get((section.title, measure.name, ratio.name)))
        and abs(ratio.value / was - 1) > _CHANGED
    ]
    date = old.get("machine", {}).get("date", "?")
    notes = (f"before: {date}; ratios that differ by less than {_CHANGED:.0%} are left out",)
    return Section("Changes", ("before", "now"), tuple(measures), notes)


# ------------------------------------------------------------------ as a picture

_ROW, _LEFT, _WIDTH = 26, 430, 420


def as_svg(sections: Sequence[Section]) -> str:
    """Each ratio of CPU as a bar on a scale of powers of ten, 1 in the middle, with its goal as a
    line; a heading for each section.
    """
    lines: list[tuple[str, Ratio | None]] = []
    for section in sections:
        ratios = [
            (f"{measure.name.replace(': CPU per answer', '')} vs {ratio.name}", ratio)
            for measure in section.measures
            for ratio in measure.ratios
            if "CPU" in measure.name and ratio.value > 0
        ]
        lines += [(section.title, None), *ratios] if ratios else []
    middle, height = _LEFT + _WIDTH / 2, _ROW * (len(lines) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 70}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for value in (0.1, 1, 10):
        at = _across(value)
        parts += [
            f'<text x="{at:.1f}" y="16" text-anchor="middle">{value:g}x</text>',
            f'<path d="M{at:.1f} 24V{height - _ROW}" stroke="#ccc"/>',
        ]
    for number_of, (name, ratio) in enumerate(lines):
        y = _ROW * (number_of + 1)
        if ratio is None:
            parts.append(f'<text x="8" y="{y + 17}" font-weight="bold">{escape(name)}</text>')
        else:
            parts += _bar(name, ratio, y)
    parts.append(f'<path d="M{middle} 24V{height - _ROW}" stroke="#888"/></svg>')
    return "\n".join(parts) + "\n"


def _across(value: float) -> float:
    """Where a ratio is on the scale, from left to right."""
    return _LEFT + _WIDTH / 2 * (1 + max(-1.0, min(1.0, math.log10(value) / 1.5)))


def _bar(name: str, ratio: Ratio, y: int) -> list[str]:
    low, high = sorted((_across(1), _across(ratio.value)))
    colour = "#7f8c8d"  # without a goal
    if ratio.goal is not None:
        colour = "#3a7d44" if ratio.goal.met(ratio.value) else "#c0392b"
    parts = [
        f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
        f'<rect x="{low:.1f}" y="{y + 4}" width="{high - low:.1f}" height="14" fill="{colour}"/>',
        f'<text x="{_LEFT + _WIDTH + 8}" y="{y + 15}">{number(ratio.value)}x</text>',
    ]
    if ratio.goal is not None:
        at = _across(ratio.goal.limit)
        parts.append(f'<path d="M{at:.1f} {y + 1}v20" stroke="black" stroke-dasharray="3 2"/>')
    return parts

"""What was measured: values, ratios, goals; as tables and as JSON."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
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

    def ratio(self, measure: str, contestant: str, other: str) -> float | None:
        """The median of the rounds' ratios: what slows the machine slows both sides of a round."""
        ours, theirs = self.values.get((measure, contestant)), self.values.get((measure, other))
        if not ours or not theirs:
            return None
        return median(one / two for one, two in zip(ours, theirs, strict=True))

    def spread(self, measure: str, contestant: str, other: str) -> tuple[float, float]:
        """The lowest and the highest of the rounds' ratios; NaN where nothing was measured."""
        ours, theirs = self.values.get((measure, contestant)), self.values.get((measure, other))
        if not ours or not theirs:
            return math.nan, math.nan
        ratios = [one / two for one, two in zip(ours, theirs, strict=True)]
        return min(ratios), max(ratios)

    def measure(
        self,
        name: str,
        unit: str,
        contestants: Sequence[str],
        against: Sequence[tuple[str, Goal | None]] = (),
        goal: Goal | None = None,
    ) -> Measure:
        """The line of a measure, its last contestant compared with those in `against`."""
        ratios = []
        for other, limit in against:
            value = self.ratio(name, contestants[-1], other)
            if value is not None:
                ratios.append(Ratio(other, value, limit))
        return Measure(
            name, unit, {who: self.median(name, who) for who in contestants}, tuple(ratios), goal
        )


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
            row.append(
                _cell(f"{number(ratio.value)}x", ratio.goal, ratio.value) if ratio else _NONE
            )
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
                    ratio.name: {"value": _rounded(ratio.value), **_goal(ratio.goal, ratio.value)}
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

"""The goals of a run in one table: which are met, and where the time goes of those that are not."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .outcome import Goal, Section, number

type Value = Callable[[str, str, str], str]
"""Gives what was measured: the section's title (its beginning), the measure, the contestant."""


@dataclass(frozen=True)
class Judged:
    """A goal, what was measured, and whether it is met."""

    section: str
    measure: str
    other: str
    """What it is compared with; empty for a limit to the value itself."""
    goal: Goal
    value: float
    shown: str

    @property
    def name(self) -> str:
        """The measure with its section, and what it is compared with."""
        against = f" vs {self.other}" if self.other else ""
        return f"{self.section}: {self.measure}{against}"


def judged(sections: Sequence[Section]) -> Iterator[Judged]:
    """The goals of all sections, in their order."""
    for section in sections:
        for measure in section.measures:
            for ratio in measure.ratios:
                if ratio.goal is not None:
                    yield Judged(
                        section.title,
                        measure.name,
                        ratio.name,
                        ratio.goal,
                        ratio.value,
                        str(ratio),
                    )
            value = measure.values.get(section.contestants[-1])
            if measure.goal is not None and value is not None:
                shown = f"{number(value)} {measure.unit}"
                yield Judged(section.title, measure.name, "", measure.goal, value, shown)


def as_markdown(sections: Sequence[Section]) -> str:
    """The table of goals for docs/benchmarks.md; "" where nothing measured has one."""
    goals = list(judged(sections))
    if not goals:
        return ""
    missed = [goal for goal in goals if not goal.goal.met(goal.value)]
    lines = [
        "### Goals",
        "",
        f"{len(goals) - len(missed)} of {len(goals)} are met. Ratios are medians, with the lowest"
        " and the highest of the rounds.",
        "",
        "| goal | limit | measured | | where the time goes |",
        "| --- | ---: | ---: | --- | --- |",
    ]
    for goal in goals:
        met = goal not in missed
        where = "" if met else where_the_time_goes(goal, sections)
        cells = (goal.name, str(goal.goal), goal.shown, "met" if met else "**missed**", where)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def where_the_time_goes(goal: Judged, sections: Sequence[Section]) -> str:
    """What a missed goal's time is spent for, with what this run measured of it."""

    def value(title: str, measure: str, contestant: str) -> str:
        for section in sections:
            if section.title.startswith(title):
                for candidate in section.measures:
                    if candidate.name == measure:
                        return f"{number(candidate.values.get(contestant))} {candidate.unit}"
        return "(not measured in this run)"

    for measure, explain in _WHERE.items():
        if goal.measure.startswith(measure) or goal.measure.endswith(measure):
            return explain if isinstance(explain, str) else explain(value)
    return "not taken apart yet"


def _piece(value: Value, name: str) -> str:
    return value("In process", f"200 chunks: {name}", "median")


def _recorded_stream(value: Value) -> str:
    return (
        f"the tee keeps nothing; after a stream has passed its 200 chunks take"
        f" {_piece(value, 'all of this')}: redaction {_piece(value, 'redact')}, the gate"
        f" {_piece(value, 'look again before writing')}, the document"
        f" {_piece(value, 'exchange to document')}; the rest is the journal, the file with its"
        " fsync, and the index"
    )


_RECORDED_JSON: Final = (
    "mitmproxy's thread takes half of the tee's, the journal (four encrypted writes, one file) and"
    " the hooks included; the writer's takes more than that again: of it redaction and text are a"
    " third, the file with its fsync a fifth, the key and what is redacted for it a tenth, the gate"
    " and the row of the index a twentieth each"
)


def _never_the_same(value: Value) -> str:
    again = value(
        "Replay at a base URL", "small JSON, asked again: CPU per answer", "wiretape replay"
    )
    return (
        f"a request asked again costs {again}; on top come the digest of its bytes, its row from"
        " SQLite with the answer, and a look at the recording's file"
    )


def _click(value: Value) -> str:
    click = value("Start-up", "import click: CPU", "wiretape")
    return f"importing click alone takes {click}, a third of it inspect"


def _listing(value: Value) -> str:
    return (
        f"{_click(value)}; the rest is importing the command and its data classes, and comparing"
        " wiretape's own files with those that the known rows were made by"
    )


_WORKERS: Final = (
    "the clients share these cores with both workers: what two processes of bare aiohttp give, in"
    " the same table, is the limit"
)
_WORKER: Final = (
    "each worker reads rows of the index ahead for itself, and looks whether the others gave"
    " anything; with two processes on one core fewer requests come at once to each"
)
_COLD: Final = (
    "per recording: reading the file 4 %, parsing and checking it 10 %, redaction 8 %, the"
    " canonical form 18 %, the digest of its bytes 8 %, what explains a miss 12 %, ids 8 %, the"
    " answer that is kept ready 9 %, rows of the index 12 %"
)
_FIRST_MISS: Final = (
    "reading the sketches of all recordings of the endpoint from the index, once a run"
)
_CLOCK: Final = "a time on the clock: other work on these cores stretches it; go by the CPU"
_LARGE: Final = (
    "reading its JSON and proving that it comes back to the byte, writing it with a member a line,"
    " one look for secrets over that text; the gate compares bytes"
)
_LONG_STREAM: Final = (
    "of some 8 µs a chunk about 3 go into its JSON as Python's values and into proving that these"
    " give its bytes back (msgspec, of which 1.1 are parsing), 1 into the file's text, 1.3 into"
    " joining what chunks divide, 0.8 into events with their times, 0.5 into the look for secrets,"
    " and some 0.7 of all are the garbage collector's"
)
_WHERE: Final[dict[str, str | Callable[[Value], str]]] = {
    "stream: CPU per exchange": _recorded_stream,
    "stream: delay per chunk": (
        "each read is kept with its time and encrypted for the journal beside passing on"
    ),
    "stream: time to first chunk": _CLOCK,
    "JSON: time of one": _CLOCK,
    "stream beside a burst": (
        "finished exchanges are redacted and written by a thread of the same process, with which"
        " the streams share Python's lock"
    ),
    "JSON, kept alive: CPU per exchange": _RECORDED_JSON,
    "JSON, new connections: CPU per": (
        "the handshake is OpenSSL's for both; ours has CONNECT before it: a read, a write and a"
        " turn of the loop more"
    ),
    "small JSON, never the same": _never_the_same,
    "JSON, never the same": _never_the_same,
    "small JSON: answers": _WORKERS,
    "small JSON: CPU per answer": _WORKER,
    "--help": "Python's own start: a file is read and written, and nothing imported for it",
    "ls": _listing,
    "4 MB request": _LARGE,
    "3 MB stream": _LONG_STREAM,
    "cold start": _COLD,
    "warm start": "what any start takes, and a look at each folder: files are not looked at",
    "finding an answer, CPU": (
        "five searches in an index of 130 MB, of which a tenth is in memory, and a look at the file"
    ),
    "a miss explained, the first": _FIRST_MISS,
    "lateness, p99": _CLOCK,
    "wall clock": _CLOCK,
}
"""By the beginning of a measure's name, or its end; the first that fits."""

"""Show when an answer came: its chunks, the text that each brought, and the gaps between them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from math import ceil
from typing import Final

from wiretape.core.cost.usage import Usage
from wiretape.core.model import Response
from wiretape.core.recording.document import Document

from .answers import known_turns
from .conversation import read

_ROWS: Final = 10
_CURVE: Final = "⠁⠂⠄⡀"
"""A dot in a cell's four rows, from the top: a cell of a terminal has four levels."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A chunk: when it came, in seconds after the request was sent, its bytes and its text."""

    at: float
    size: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The moments of an answer in order; times in seconds, None where they are unknown.

    `gaps` are the waits between one chunk and the next, `longest` the largest with the number of
    the chunk that ended it.
    """

    moments: tuple[Moment, ...]
    end: float
    tokens: int | None = None

    @property
    def first(self) -> float:
        """When the first chunk came."""
        return self.moments[0].at

    @property
    def gaps(self) -> list[float]:
        times = [moment.at for moment in self.moments]
        return [max(0.0, b - a) for a, b in pairwise(times)]

    @property
    def longest(self) -> tuple[float, int] | None:
        gaps = self.gaps
        return max((gap, number + 1) for number, gap in enumerate(gaps)) if gaps else None

    @property
    def tokens_per_second(self) -> float | None:
        """The provider's own count of tokens over the time in which the answer came."""
        took = self.moments[-1].at - self.first
        return self.tokens / took if self.tokens and took > 0 else None


def lengths(moments: Iterable[Moment]) -> list[int]:
    """The characters of the text so far, after each moment."""
    return list(accumulate(len(moment.text) for moment in moments))


def timeline(document: Document, response: Response, usage: Usage) -> Timeline | None:
    """The timeline of an answer; None if its chunks have no times, as llama-stack's."""
    items = document["response"].get("body")
    if not isinstance(items, list):
        items = [items] if items is not None else []
    headers = document["response"].get("headers")
    moments = tuple(
        Moment(chunk.at, len(chunk.data), _text(item, headers))
        for chunk, item in zip(response.chunks, items, strict=False)
        if chunk.at is not None and item.get("from") != "client"
    )
    if not moments:
        return None
    end = max(response.end_at or 0.0, moments[-1].at)
    return Timeline(moments=moments, end=end, tokens=usage.tokens_out)


def _text(item: Document, headers: object) -> str:
    body = read({"body": [item], "headers": headers})
    texts = (part.text for turn in known_turns(body.values) for part in turn.parts)
    return "".join(texts) or body.text


# ------------------------------------------------------------------ at a scale


def at_once(moments: Iterable[Moment]) -> list[Moment]:
    """The moments with those of the same time joined."""
    return [_joined(list(group)) for _, group in groupby(moments, key=lambda moment: moment.at)]


def thinned(moments: Sequence[Moment], most: int) -> list[Moment]:
    """At most `most` moments, equal numbers of neighbours joined at the last one's time.

    >>> thinned([Moment(1, 5, "a"), Moment(2, 5, "b"), Moment(3, 5, "c")], 2)
    [Moment(at=2, size=10, text='ab'), Moment(at=3, size=5, text='c')]
    """
    step = max(1, ceil(len(moments) / most))
    return [_joined(moments[i : i + step]) for i in range(0, len(moments), step)]


def _joined(group: Sequence[Moment]) -> Moment:
    return Moment(
        group[-1].at,
        sum(moment.size for moment in group),
        "".join(moment.text for moment in group),
    )


def points(times: Iterable[float], levels: Iterable[float], scale: tuple[float, float]) -> str:
    """A curve of steps for SVG, its highest level at 0: "0,100 10,100 10,50".

    `scale` is width and height for a time and a level of 1.
    """
    width, height = scale
    corners = [f"0,{height:g}"]
    y = height
    for time, level in zip(times, levels, strict=True):
        x = round(time * width, 1)
        corners.append(f"{x:g},{y:g}")
        y = round(height - level * height, 1)
        corners.append(f"{x:g},{y:g}")
    return " ".join(corners)


def plot(line: Timeline, width: int = 72) -> Iterator[str]:
    """Draw the text so far over the time as lines of a terminal, with a mark for each chunk."""
    so_far = lengths(line.moments)
    top = so_far[-1] or 1
    end = line.end or 1.0
    grid = [[" "] * width for _ in range(_ROWS)]
    marks = [" "] * width
    columns = [min(width - 1, int(moment.at / end * width)) for moment in line.moments]
    for column in columns:
        marks[column] = "|" if marks[column] == " " else "‖"
    level = 0
    reached = dict(zip(columns, so_far, strict=True))
    for column in range(columns[0], width):
        level = reached.get(column, level)
        dot = min(_ROWS * 4 - 1, int((1 - level / top) * (_ROWS * 4 - 1)))
        grid[dot // 4][column] = _CURVE[dot % 4]
    for number, cells in enumerate(grid):
        label = str(top) if number == 0 else "0" if number == _ROWS - 1 else ""
        yield f"{label:>7} ┤{''.join(cells)}".rstrip()
    yield f"{'chunks':>7} │{''.join(marks)}".rstrip()
    axis = f"{end:.2f}s"
    yield f"{'':7} └{'─' * width}"
    yield f"{'':9}0{axis:>{width - 1}}"
    yield f"{'':9}{facts(line)}"


def facts(line: Timeline) -> str:
    """The numbers of a timeline: "first chunk 0.182s, longest gap 0.340s before chunk 12, …"."""
    texts = [f"first chunk {line.first:.3f}s"]
    if line.longest is not None:
        gap, number = line.longest
        texts.append(f"longest gap {gap:.3f}s before chunk {number + 1}")
    if line.tokens_per_second is not None:
        texts.append(f"{line.tokens_per_second:.1f} tokens/s")
    return ", ".join([*texts, f"end {line.end:.3f}s"])

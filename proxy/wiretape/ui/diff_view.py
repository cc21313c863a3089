"""What the page shows of two recordings: where they differ, and both timelines."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from wiretape.core.conversation.compare import Comparison, PairDifference, shown_value
from wiretape.core.conversation.conversation import conversation
from wiretape.core.conversation.timeline import Timeline, timeline
from wiretape.core.matching.canonical import ABSENT
from wiretape.core.text import word_diff
from wiretape.core.text.word_diff import Run
from wiretape.library.recording_file import LoadedRecording

from .recording_view import TimelineView, timeline_view

_CONTEXT: Final = 120
_LIMIT: Final = 6_000
_FACTS: Final = {
    "chunks": "chunks",
    "first_chunk": "first chunk",
    "end_at": "end",
    "tokens_in": "tokens in",
    "tokens_out": "tokens out",
}


@dataclass(frozen=True, slots=True)
class DifferenceView:
    """A path, and how the two differ there: texts as `runs`, other values side by side; None for a
    side without the member.
    """

    path: str
    runs: list[Run]
    a: str | None = None
    b: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffView:
    """Two recordings as the template shows them; `facts` are rows of name, A and B."""

    a: str
    b: str
    request: list[DifferenceView]
    answer: list[DifferenceView]
    facts: list[tuple[str, Any, Any]]
    timelines: list[TimelineView]

    @property
    def equal(self) -> bool:
        return not self.request and not self.answer


def diff_view(
    a: tuple[str, LoadedRecording], b: tuple[str, LoadedRecording], result: Comparison
) -> DiffView:
    """Lay out the comparison of two recordings, each with its name, for the template."""
    lines = [_timeline(recording) for _, recording in (a, b)]
    timed = [line for line in lines if line is not None]
    end = max((line.end for line in timed), default=None)
    return DiffView(
        a=a[0],
        b=b[0],
        request=differences(result.request),
        answer=differences(result.answer),
        facts=[(_FACTS[name], *both) for name, both in result.facts.items()],
        timelines=[timeline_view(line, end) for line in timed] if all(lines) else [],
    )


def _timeline(recording: LoadedRecording) -> Timeline | None:
    usage = conversation(recording.document).usage
    return timeline(recording.document, recording.exchange.response, usage)


def differences(items: Iterable[PairDifference]) -> list[DifferenceView]:
    """Lay out differences for a template, texts by their words."""
    return [_difference(item.path, item.a, item.b) for item in items]


def _difference(path: str, a: Any, b: Any) -> DifferenceView:
    if isinstance(a, str) and isinstance(b, str):
        return DifferenceView(path, word_diff.shown(word_diff.runs(a, b), _CONTEXT, _LIMIT))
    values = [None if value is ABSENT else shown_value(value) for value in (a, b)]
    return DifferenceView(path, [], *values)

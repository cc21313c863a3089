"""A recording's answer to a request, and the report's row of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from wiretape.core.cost.usage import Usage
from wiretape.core.matching.canonical import Change
from wiretape.core.model import Response
from wiretape.library.library import Entry
from wiretape.report.report import Row

from .request import ReplayRequest


@dataclass(slots=True, kw_only=True)
class ReplayAnswer:
    """A recording's answer to a request.

    `takes` are all takes of the request and `take` is the number of this one, from 1; `beyond` says
    that the request was made more often than recorded. `stale` are changes that rules ignore,
    `fault` is the name of a fault on demand, `usage` the tokens that the answer once cost. An
    answer that is `held` stays open until its client leaves.
    """

    entry: Entry
    response: Response
    takes: Sequence[Entry] = ()
    take: int = 1
    beyond: bool = False
    stale: tuple[Change, ...] = ()
    fault: str | None = None
    held: bool = False
    usage: Usage | None = None


def replayed_row(
    request: ReplayRequest,
    answer: ReplayAnswer,
    first_chunk: float | None = None,
    duration: float | None = None,
    note: str | None = None,
) -> Row:
    """The report's row of a replayed answer; the times are given once it was sent."""
    response = answer.response
    return Row(
        "replayed",
        request.provider,
        request.live.method,
        request.path,
        request.model,
        status=response.status,
        chunks=len(response.chunks) if response.streaming else None,
        first_chunk=first_chunk,
        duration=duration,
        recording=answer.entry.name,
        note=note,
        session=request.session.name,
        take=answer.take,
        beyond=answer.beyond,
        stale=answer.stale,
        fault=answer.fault,
        usage=answer.usage,
    )

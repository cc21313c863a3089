"""Which request of a second run is which of the first: of one endpoint, the most alike, in order.

Requests that have one key are the same; what is left is paired by how little differs, since those
that are made at once may come in another order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from wiretape.core.recording.document import Document
from wiretape.core.text import word_diff

from .canonical import Canonical
from .matcher import Matcher
from .side_request import request_kind
from .sketch import rank, sketch
from .structural_diff import Differing, differing

_CANDIDATES: Final = 8
"""The likeliest partners of a request, which are compared in full."""


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request of a run: the name of its recording, and its redacted document."""

    name: str
    document: Document


@dataclass(frozen=True, slots=True)
class RequestPair:
    """A request of one run and the same request of another; `is_moved` says that the second is the
    first as it would be on another day.
    """

    first: SentRequest
    second: SentRequest
    is_moved: bool = False


@dataclass(slots=True)
class Pairing:
    """The pairs of two runs that differ, and what only one of them sent."""

    pairs: list[RequestPair] = field(default_factory=list)
    equal: int = 0
    only_first: list[SentRequest] = field(default_factory=list)
    only_second: list[SentRequest] = field(default_factory=list)


def pair_up(
    first: Iterable[SentRequest], second: Iterable[SentRequest], matcher: Matcher
) -> Pairing:
    """Pair the requests of two runs, each in the order in which it was sent.

    >>> from wiretape.core.providers.registry import Providers
    >>> def asks(*prompts):
    ...     url = "https://llm.example/v1"
    ...     bodies = [{"method": "POST", "url": url, "body": {"prompt": text}} for text in prompts]
    ...     return [SentRequest(body["body"]["prompt"], body) for body in bodies]
    >>> pairing = pair_up(asks("hi", "what is 1"), asks("what is 2"), Matcher(Providers(())))
    >>> [(pair.first.name, pair.second.name) for pair in pairing.pairs]
    [('what is 1', 'what is 2')]
    >>> [request.name for request in pairing.only_first]
    ['hi']
    """
    left = [(request, matcher.canonical(request.document)) for request in first]
    right = [(request, matcher.canonical(request.document)) for request in second]
    pairing = Pairing()
    right = [item for item in right if not _take_equal(left, item[1], pairing)]
    distances = []
    sketches = [(number, sketch(form.value)) for number, (_, form) in enumerate(left)]
    for there, (_, form) in enumerate(right):
        same = [item for item in sketches if left[item[0]][1].endpoint == form.endpoint]
        for here in rank(sketch(form.value), same, _CANDIDATES):
            distances.append((_distance(form, left[here][1]), abs(here - there), there, here))
    partners: dict[int, int] = {}
    for *_, there, here in sorted(distances):
        if there not in partners and here not in partners.values():
            partners[there] = here
    pairing.pairs += [
        RequestPair(left[partners[there]][0], request)
        for there, (request, _) in enumerate(right)
        if there in partners
    ]
    alone = set(range(len(left))) - set(partners.values())
    pairing.only_first += [left[here][0] for here in sorted(alone)]
    pairing.only_second += [item[0] for there, item in enumerate(right) if there not in partners]
    return pairing


def differences(pair: RequestPair, matcher: Matcher) -> list[Differing]:
    """Where the requests of a pair differ; `recorded` is the first's."""
    first, second = (matcher.canonical(side.document) for side in (pair.first, pair.second))
    return differing(second.value, first.value, limit=500)


def _take_equal(
    left: list[tuple[SentRequest, Canonical]], form: Canonical, pairing: Pairing
) -> bool:
    """Take the first request with a key out of `left`; whether there is one."""
    for number, (_, other) in enumerate(left):
        if other.key == form.key:
            del left[number]
            pairing.equal += 1
            return True
    return False


def _distance(second: Canonical, first: Canonical) -> tuple[int, float]:
    """How far two requests are apart: of how many other kinds they are, then what differs."""
    return (
        request_kind(second).distance(request_kind(first)),
        sum(map(_weight, differing(second.value, first.value))),
    )


def _weight(difference: Differing) -> float:
    if isinstance(difference.got, str) and isinstance(difference.recorded, str):
        return 1.0 - 0.9 * word_diff.likeness(difference.got, difference.recorded)
    return 1.0


def requests_of(pairs: Sequence[RequestPair]) -> list[SentRequest]:
    """The requests of pairs, each once."""
    sides = (side for pair in pairs for side in (pair.first, pair.second))
    return list({id(side): side for side in sides}.values())

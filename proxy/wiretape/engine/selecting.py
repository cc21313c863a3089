"""Which of the recordings that say the same as a request answer it: those whose headers agree.

Headers that decide an answer are part of a request's key. Three things a key cannot tell: what an
answer's Vary names, which forms a client takes, and what recordings of earlier versions do not hold
of their requests.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Final

from wiretape.core.matching.canonical import Canonical
from wiretape.core.matching.matcher import Matcher, tells, without_selecting
from wiretape.core.model import Exchange
from wiretape.core.wire.selecting_headers import asks_for_stream, may_answer, tells_of_condition
from wiretape.library.library import Entry

from .request import ReplayRequest

_MOST: Final = 1024

type Choice = tuple[Sequence[Entry], Hashable]
"""Takes, and what tells their sequence from others of the session."""


class Selecting:
    """Chooses among takes by the headers of a live request."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        # A cursor is of one tuple of takes: the same choice is the same tuple.
        self._chosen: dict[tuple[int, tuple[Entry, ...]], tuple[Entry, ...]] = {}

    def of(self, asked: ReplayRequest) -> Choice:
        """The takes that answer a request; FormatError and StoreError as `Library.read`."""
        takes = asked.takes
        if takes:
            return self._among(asked, takes)
        if not self._matcher.selecting(asked.document):
            return (), ()
        # Earlier versions recorded none of these headers, so such a recording has the key of a
        # request without them.
        bare = without_selecting(asked.document)
        session = asked.session
        takes = session.library.answering((session.library.matched(bare).key,))
        return self._only(asked, takes, lambda exchange: not tells(exchange))

    def other_headers(
        self, asked: ReplayRequest, canonical: Canonical
    ) -> tuple[Canonical, list[tuple[str, Canonical]]] | None:
        """Where only headers tell a request from what is recorded: its form with these headers, and
        the recording with its own; None elsewhere.
        """
        for take in asked.takes:
            apart = self._apart(asked.session.library.read(take.name), asked)
            if apart:
                live = {name: pair[0] for name, pair in apart.items()}
                recorded = {name: pair[1] for name, pair in apart.items()}
                return _with(canonical, live), [(take.name, _with(canonical, recorded))]
        return None

    def _among(self, asked: ReplayRequest, takes: tuple[Entry, ...]) -> Choice:
        """`takes`, or those that agree. One look at the next tells whether any has to be asked."""
        session = asked.session
        next_one = min(session.player.upcoming(asked.place, takes), len(takes) - 1)
        exchange = session.library.read(takes[next_one].name)
        if _accept(exchange) == _accept(asked) and self._agrees(exchange, asked):
            return takes, asked.place
        return self._only(asked, takes, lambda _: True)

    def _only(
        self, asked: ReplayRequest, takes: tuple[Entry, ...], also: Callable[[Exchange], bool]
    ) -> Choice:
        """The takes that agree; where some are of the very same Accept, these."""
        library = asked.session.library
        agreeing, exact = [], []
        for take in takes:
            exchange = library.read(take.name)
            if also(exchange) and self._agrees(exchange, asked):
                agreeing.append(take)
                if _accept(exchange) == _accept(asked):
                    exact.append(take)
        if len(self._chosen) > _MOST:
            self._chosen.clear()
        wanted = tuple(exact or agreeing)
        chosen = self._chosen.setdefault((id(library), wanted), wanted)
        return chosen, (asked.place, tuple(take.name for take in chosen))

    def _apart(self, exchange: Exchange, asked: ReplayRequest) -> dict[str, tuple[str, str]]:
        streams = asks_for_stream(asked.document.get("body"))
        return self._matcher.apart(exchange, asked.request, streams=streams)

    def _agrees(self, exchange: Exchange, asked: ReplayRequest) -> bool:
        if self._apart(exchange, asked):
            return False
        status = exchange.response.status
        return (
            tells(exchange)
            or not tells_of_condition(status)
            or may_answer(status, self._matcher.selecting(asked.document))
        )


def _accept(of: Exchange | ReplayRequest) -> tuple[str, ...]:
    return tuple(value for name, value in of.request.headers if name.lower() == "accept")


def _with(canonical: Canonical, headers: dict[str, str]) -> Canonical:
    """A form with further headers; one that is absent is left out."""
    named = {name: value for name, value in headers.items() if value}
    value = {**canonical.value, "headers": {**canonical.value["headers"], **named}}
    return replace(canonical, value=value)

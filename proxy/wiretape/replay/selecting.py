"""Which of the recordings that say the same as a request answer it: those whose headers agree.

Headers that decide an answer are part of a request's key. Two things a key cannot tell: what an
answer's Vary names, and what recordings of earlier versions do not hold of their requests.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Final

from wiretape.core.matching.matcher import Matcher, without_selecting
from wiretape.core.model import Exchange
from wiretape.core.wire.selecting_headers import may_answer, tells_of_condition
from wiretape.library.library import Entry

from .request import ReplayRequest

_MOST: Final = 1024

type Selected = tuple[Sequence[Entry], Hashable]
"""Takes, and what tells their sequence from others of the session."""


class Selecting:
    """Chooses among takes by the headers of a live request."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        # A cursor is of one tuple of takes: the same choice is the same tuple.
        self._chosen: dict[tuple[int, tuple[Entry, ...]], tuple[Entry, ...]] = {}

    def of(self, asked: ReplayRequest) -> Selected:
        """The takes that answer a request; FormatError and StoreError as `Library.read`."""
        takes = asked.takes
        if takes:
            return self._among(asked, takes)
        selecting = self._matcher.selecting(asked.document)
        if not selecting:
            return (), ()
        # Earlier versions recorded none of these headers but Accept, so such a recording has the
        # key of a request without them.
        bare = without_selecting(asked.document)
        session = asked.session
        takes = session.library.answering((session.library.matched(bare).key,))

        def is_silent(exchange: Exchange) -> bool:
            stored = {name.lower() for name, _ in exchange.request.headers}
            return not _tells(exchange) and not ("accept" in selecting and "accept" in stored)

        return self._only(asked, takes, is_silent) if takes else ((), ())

    def _among(self, asked: ReplayRequest, takes: tuple[Entry, ...]) -> Selected:
        """`takes`, or those that agree. One look at the next tells whether any has to be asked."""
        session = asked.session
        next_one = min(session.player.upcoming(asked.place, takes), len(takes) - 1)
        exchange = session.library.read(takes[next_one].name)
        if not self._matcher.vary(exchange) and not self._has_telling_status(exchange):
            return takes, asked.place
        return self._only(asked, takes, lambda _: True)

    def _only(
        self, asked: ReplayRequest, takes: tuple[Entry, ...], also: Callable[[Exchange], bool]
    ) -> Selected:
        library = asked.session.library
        agreeing = []
        for take in takes:
            exchange = library.read(take.name)
            if also(exchange) and self._agrees(exchange, asked):
                agreeing.append(take)
        key = (id(library), tuple(agreeing))
        if len(self._chosen) > _MOST:
            self._chosen.clear()
        chosen = self._chosen.setdefault(key, key[1])
        return chosen, (asked.place, tuple(take.name for take in chosen))

    def _agrees(self, exchange: Exchange, asked: ReplayRequest) -> bool:
        if self._matcher.varies(exchange, asked.request):
            return False
        return not self._has_telling_status(exchange) or may_answer(
            exchange.response.status, self._matcher.selecting(asked.document)
        )

    def _has_telling_status(self, exchange: Exchange) -> bool:
        return not _tells(exchange) and tells_of_condition(exchange.response.status)


def _tells(exchange: Exchange) -> bool:
    """Whether a recording holds the headers that decide its answer, where its request had some.
    Versions that kept none of them wrote the time to the second.
    """
    return exchange.recorded_at is not None and "." in exchange.recorded_at

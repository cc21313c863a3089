"""Select the takes of a request's key whose headers agree with the request.

Headers that decide an answer are part of a request's key. A key leaves out three things: what an
answer's Vary names, which forms a client accepts, and the headers that earlier versions did not
record.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Final

from wiretape.core.matching.canonical import Canonical
from wiretape.core.matching.matcher import Matcher, tells, without_selecting, without_session
from wiretape.core.model import Request, header
from wiretape.core.wire.jsonrpc import SESSION_HEADER
from wiretape.core.wire.selecting_headers import (
    asks_for_stream,
    may_answer,
    tells_of_condition,
)
from wiretape.library.file_cache import CachedRecording
from wiretape.library.library import Entry

from .request import ReplayRequest

_MOST: Final = 1024

type Choice = tuple[Sequence[Entry], Hashable]
"""Takes, and the key of their sequence in the session."""


class TakeSelector:
    """Chooses among takes by the headers of a live request."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        # The player has a cursor per tuple: the same choice must be the same object.
        self._chosen: dict[tuple[int, tuple[Entry, ...]], tuple[Entry, ...]] = {}

    def of(self, request: ReplayRequest) -> Choice:
        """The takes that answer a request; FormatError and StoreError as `Library.read`."""
        takes = request.takes
        if takes:
            return self._among(request, takes)
        session = request.session
        if SESSION_HEADER in request.document.get("headers", {}):
            # Nor did they record this one.
            bare = without_session(request.document)
            takes = session.library.answering((session.library.matched(bare).key,))
            takes = tuple(
                take
                for take in takes
                if header(session.library.read(take.name).request.headers, SESSION_HEADER) is None
            )
            if takes:
                return self._among(request, takes)
        if not self._matcher.selecting(request.document):
            return (), ()
        # Earlier versions recorded none of these headers, so such a recording has the key of a
        # request without them.
        bare = without_selecting(request.document)
        takes = session.library.answering((session.library.matched(bare).key,))
        return self._only(request, takes, lambda recording: not tells(recording.exchange))

    def other_headers(
        self, request: ReplayRequest, canonical: Canonical
    ) -> tuple[Canonical, list[tuple[str, Canonical]]] | None:
        """If a request differs from a recording in headers alone: its form with these headers, and
        the recording with its own. Else None.
        """
        for take in request.takes:
            differing = self._apart(request.session.library.stored(take.name), request)
            if differing:
                live = {name: pair[0] for name, pair in differing.items()}
                recorded = {name: pair[1] for name, pair in differing.items()}
                return _with(canonical, live), [(take.name, _with(canonical, recorded))]
        return None

    def _among(self, request: ReplayRequest, takes: tuple[Entry, ...]) -> Choice:
        """`takes`, or those that agree; all of them count if the next one agrees."""
        session = request.session
        position = min(session.player.upcoming(request.sequence_key, takes), len(takes) - 1)
        take = takes[position]
        recording = session.library.stored(take.name)
        # Equal digests are of equal headers.
        is_known = request.digest is not None and request.digest == take.digest
        is_same = is_known or recording.accept == _accept(request.live)
        if is_same and self._agrees(recording, request, is_same):
            return takes, request.sequence_key
        return self._only(request, takes, lambda _: True)

    def _only(
        self,
        request: ReplayRequest,
        candidates: tuple[Entry, ...],
        is_eligible: Callable[[CachedRecording], bool],
    ) -> Choice:
        """The takes that agree; if some have the same Accept, only these."""
        library = request.session.library
        agreeing, exact = [], []
        for take in candidates:
            recording = library.stored(take.name)
            is_same = recording.accept == _accept(request.live)
            if is_eligible(recording) and self._agrees(recording, request, is_same):
                agreeing.append(take)
                if is_same:
                    exact.append(take)
        if len(self._chosen) > _MOST:
            self._chosen.clear()
        takes = tuple(exact or agreeing)
        chosen = self._chosen.setdefault((id(library), takes), takes)
        return chosen, (request.sequence_key, tuple(take.name for take in chosen))

    def _apart(
        self, recording: CachedRecording, request: ReplayRequest, is_same: bool = False
    ) -> dict[str, tuple[str, str]]:
        """The headers that differ; `is_same` says that both accept the same."""
        if is_same and not recording.vary:
            return {}  # the usual case, for which the body need not be read
        streams = asks_for_stream(request.document.get("body"))
        return self._matcher.apart(recording.exchange, request.live, streams=streams)

    def _agrees(self, recording: CachedRecording, request: ReplayRequest, is_same: bool) -> bool:
        if self._apart(recording, request, is_same):
            return False
        status = recording.response.status
        return (
            not tells_of_condition(status)
            or tells(recording.exchange)
            or may_answer(status, self._matcher.selecting(request.document))
        )


def _accept(request: Request) -> tuple[str, ...]:
    return tuple(value for name, value in request.headers if name.lower() == "accept")


def _with(canonical: Canonical, headers: dict[str, str]) -> Canonical:
    """A form with further headers; empty ones are left out."""
    present = {name: value for name, value in headers.items() if value}
    value = {**canonical.value, "headers": {**canonical.value["headers"], **present}}
    return replace(canonical, value=value)

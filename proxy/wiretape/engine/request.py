"""A live request as the replay engine knows it."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from wiretape.core.matching.canonical import Canonical
from wiretape.core.model import Request
from wiretape.core.providers.registry import ErrorShape
from wiretape.core.recording.document import Document
from wiretape.core.recording.given_ids import IdSource
from wiretape.library.library import Entry
from wiretape.sessions.sessions import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """A live request in its session: its canonical forms, the likeliest first, and what may be told
    of it: no secret stands in that.

    `sent` is what it holds where ids stand, and `origins` where the session has those from.
    """

    request: Request
    session: Session
    document: Document
    canonicals: tuple[Canonical, ...]
    sent: tuple[str, ...]
    url: str
    path: str
    model: str | None
    provider: str
    shape: ErrorShape
    origins: Mapping[str, IdSource] = field(default_factory=dict)

    @property
    def canonical(self) -> Canonical:
        return self.canonicals[0]

    @property
    def takes(self) -> tuple[Entry, ...]:
        """The recordings that answer it, in the order they were made."""
        keys = [canonical.key for canonical in self.canonicals]
        return self.session.library.answering(keys, self.sent, self.origins)

    @property
    def place(self) -> Hashable:
        """What tells it from other requests of its session."""
        created = [(text, origin.token) for text, origin in self.origins.items() if origin.created]
        return (self.canonicals[0].key, self.canonicals[-1].key, *sorted(created))

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
    """A live request in its session: its canonical forms, the likeliest first, and what a report
    may show of it, which holds no secret.

    `exact_key` is the key that it had if the values were told apart that redaction hides without a
    digest; "" where there are none. `request_ids` are the texts it holds where ids are expected,
    `id_sources` the answers that gave them to the session.
    """

    live: Request
    session: Session
    document: Document
    canonicals: tuple[Canonical, ...]
    request_ids: tuple[str, ...]
    url: str
    path: str
    model: str | None
    provider: str
    shape: ErrorShape
    exact_key: str = ""
    id_sources: Mapping[str, IdSource] = field(default_factory=dict)

    @property
    def canonical(self) -> Canonical:
        return self.canonicals[0]

    @property
    def takes(self) -> tuple[Entry, ...]:
        """The recordings that answer this request, in the order they were made."""
        keys = [canonical.key for canonical in self.canonicals]
        return self.session.library.answering(keys, self.request_ids, self.id_sources)

    @property
    def sequence_key(self) -> Hashable:
        """Distinguishes its sequence of takes from those of other requests in the session."""
        created = [
            (text, source.token) for text, source in self.id_sources.items() if source.created
        ]
        return (self.canonicals[0].key, self.canonicals[-1].key, *sorted(created))

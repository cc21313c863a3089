"""A live request as the replay engine knows it."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from wiretape.core.matching.canonical import Canonical
from wiretape.core.model import Request
from wiretape.core.providers.registry import ErrorShape, Provider, error_shape
from wiretape.core.recording.document import Document
from wiretape.core.recording.given_ids import IdSource
from wiretape.library.library import Entry
from wiretape.sessions.sessions import Session


class RequestForms(NamedTuple):
    """A live request's redacted document and its canonical forms, the likeliest first."""

    document: Document
    canonicals: tuple[Canonical, ...]


class LateForms:
    """Makes a request's forms when they are first needed."""

    __slots__ = ("_forms", "_make")

    def __init__(self, make: Callable[[], RequestForms]) -> None:
        self._make = make
        self._forms: RequestForms | None = None

    def __call__(self) -> RequestForms:
        if self._forms is None:
            self._forms = self._make()
        return self._forms


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """A live request in its session: the keys of its canonical forms, and what a report may show of
    it, which holds no secret.

    `exact_key` is the key that it had if the values were told apart that redaction hides without a
    digest; "" where there are none. `request_ids` are the texts it holds where ids are expected,
    `id_sources` the answers that gave them to the session. `digest` is set if it was known by its
    bytes (`known_request.py`): then `forms` are made when they are needed, the long way, which an
    answer seldom does.
    """

    live: Request
    session: Session
    keys: tuple[str, ...]
    forms: Callable[[], RequestForms] = field(repr=False)
    request_ids: tuple[str, ...]
    url: str
    path: str
    model: str | None
    known_provider: Provider | None
    exact_key: str = ""
    digest: bytes | None = None
    id_sources: Mapping[str, IdSource] = field(default_factory=dict)

    @property
    def document(self) -> Document:
        return self.forms().document

    @property
    def canonicals(self) -> tuple[Canonical, ...]:
        return self.forms().canonicals

    @property
    def canonical(self) -> Canonical:
        return self.canonicals[0]

    @property
    def provider(self) -> str:
        """The provider's name, or the host."""
        return self.known_provider.name if self.known_provider else self.live.host

    @property
    def shape(self) -> ErrorShape:
        """The shape of an error answer."""
        return error_shape(self.known_provider, self.path)

    @property
    def takes(self) -> tuple[Entry, ...]:
        """The recordings that answer this request, in the order they were made."""
        return self.session.library.answering(self.keys, self.request_ids, self.id_sources)

    @property
    def sequence_key(self) -> Hashable:
        """Distinguishes its sequence of takes from those of other requests in the session."""
        keys = self.keys
        if not self.id_sources:
            return keys[0], keys[-1]
        created = [
            (text, source.token) for text, source in self.id_sources.items() if source.created
        ]
        return (keys[0], keys[-1], *sorted(created))

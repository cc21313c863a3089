"""A recorded WebSocket conversation taken up again: each message of the provider waits for those of
the client that came before it.

The client's messages are matched as request bodies are, by the same rules and after the same
redaction. All connections of a program often open alike and differ in what is said on them: the
conversation may go over to another take of the same opening, as long as what was said so far was
the same there.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.canonical import Canonical, Difference, differences
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.placeholders import ANY
from wiretape.core.model import Close, Message, WebSocket
from wiretape.core.recording.document import Document
from wiretape.core.redaction.known_values import Secrets
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.text import exact_json

type Canonise = Callable[[Message, bool], Canonical]
"""What a client's message says; True where it was recorded, and is to be met again."""

type Read = Callable[[str], object]
"""Reads the answer of a recording by its name: a `WebSocket`, or it is no candidate."""

_REMEMBERED: Final = 4096
_SHORT: Final = 8 * 1024
"""Bytes: what is longer is not kept to be compared again."""
_MADE_BY_CLIENT: Final = "event_id"
"""OpenAI Realtime: what a client calls its message, by chance."""


# ------------------------------------------------------------------ what a message says


class MessageMatcher:
    """Turns the messages of a client into what they are compared by.

    A message says what a request with that body to the connection's URL would, so the rules of
    `match.rules` are those of its path.
    """

    def __init__(self, matcher: Matcher, redactor: Redactor) -> None:
        self._matcher = matcher
        self._redactor = redactor
        self._known: dict[tuple[str, Message], Canonical] = {}

    def of(self, url: str, path: str, secrets: Secrets | None = None) -> Canonise:
        """What compares the messages of one connection: `url` and `path` are the opening request's,
        redacted, `secrets` the live client's.
        """

        def canonise(message: Message, recorded: bool) -> Canonical:
            if not recorded:
                return self._canonical(url, path, message, secrets)
            known = self._known.get((url, message))
            if known is None:
                known = self._canonical(url, path, message, None)
                if len(message.data) <= _SHORT:
                    if len(self._known) >= _REMEMBERED:
                        del self._known[next(iter(self._known))]
                    self._known[url, message] = known
            return known

        return canonise

    def _canonical(
        self, url: str, path: str, message: Message, secrets: Secrets | None
    ) -> Canonical:
        return self._matcher.canonical(self.request(url, path, message, secrets))

    def request(
        self, url: str, path: str, message: Message, secrets: Secrets | None = None
    ) -> Document:
        """The redacted `request` part that a message is matched as; see `of`."""
        return self._redactor.request(as_request(url, path, message), secrets)


def as_request(url: str, path: str, message: Message) -> Document:
    """The `request` part of a document whose body says what a client's message does."""
    part: Document = {"method": "GET", "url": url, "headers": {}, "endpoint": path}
    part["carried"] = [ANY]  # which placeholders stand for credentials only the opening tells
    try:
        text = message.data.decode("utf-8")
    except UnicodeDecodeError:
        return {**part, "body_base64": base64.b64encode(message.data).decode()}
    value = _json(text)
    if value is None:
        return {**part, "body_text": text}
    if isinstance(value, dict) and _MADE_BY_CLIENT in value:
        value = {name: item for name, item in value.items() if name != _MADE_BY_CLIENT}
    return {**part, "body": value}


def _json(text: str) -> Any:
    """A message's JSON object or list; None where it is no such, or names a member twice."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return exact_json.parse(text) if exact_json.unique_keys(text) else None
    except ValueError:
        return None


def kind_of(data: bytes) -> str | None:
    """What a message is called in its protocol: its `type`, or the one member it has."""
    try:
        value = _json(data.decode("utf-8"))
    except UnicodeDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    kind = value.get("type")
    if isinstance(kind, str):
        return kind
    return next(iter(value)) if len(value) == 1 else None


# ------------------------------------------------------------------ steps


@dataclass(frozen=True, slots=True)
class Due:
    """A message of the provider, and when: in seconds after what released it."""

    message: Message
    after: float


@dataclass(frozen=True, slots=True)
class ConnectionEnd:
    """The provider's end of a connection: its closing frame, or None where it broke off."""

    close: Close | None
    after: float


@dataclass(frozen=True, slots=True)
class Step:
    """What the provider sends until the client speaks again, and whether it ends there."""

    due: tuple[Due, ...]
    ending: ConnectionEnd | None = None


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A client's message (its number from 1) that no recording has at this place.

    `candidates` are the messages that recordings have there, the present one's first; there are
    none where each of them ended before.
    """

    number: int
    recording: str
    got: Canonical
    message: Message
    candidates: tuple[tuple[str, Canonical], ...] = ()

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Where the message differs from the present recording's."""
        if not self.candidates:
            return ()
        return tuple(differences(self.got.value, self.candidates[0][1].value))

    @property
    def reason(self) -> str:
        """The mismatch in a line: no value stands in it."""
        kind = kind_of(self.message.data)
        kind = f" ({kind})" if kind and len(kind) <= 60 else ""
        head = f"no recording has client message {self.number}{kind}"
        if not self.candidates:
            return f"{head}: {self.recording} ends before it"
        found = [difference.path for difference in self.differences]
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return f"{head}: {self.candidates[0][0]} differs in {found[0] if found else '?'}{more}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedConnection:
    """How a replayed connection went: the recording that answered last, how many messages came
    and went, seconds until the first and until the end, and what was told instead of an answer.
    """

    recording: str
    sent: int
    received: int
    first: float | None
    duration: float
    note: str | None = None
    mismatch: Mismatch | None = None


@dataclass(frozen=True, slots=True)
class _Turn:
    """A client's message (None at the beginning), and what the provider sent until the next."""

    said: Message | None
    answers: tuple[Message, ...]
    began: float


class _Take:
    """A recording, cut into turns."""

    def __init__(self, name: str, recorded: WebSocket) -> None:
        self.name: Final = name
        self.recorded: Final = recorded
        self.turns: Final = tuple(_turns(recorded))

    def step(self, turn: int) -> Step:
        said = self.turns[turn]
        due = tuple(Due(message, _since(said.began, message.at)) for message in said.answers)
        recorded = self.recorded
        if turn + 1 < len(self.turns):
            return Step(due)
        close = recorded.close
        if recorded.end == "client-closed" or (close is not None and close.sender == "client"):
            return Step(due)
        return Step(due, ConnectionEnd(close, _since(said.began, recorded.end_at)))


def _turns(recorded: WebSocket) -> Iterator[_Turn]:
    said: Message | None = None
    answers: list[Message] = []
    began = recorded.headers_at or 0.0
    for message in recorded.messages:
        if message.sender == "client":
            yield _Turn(said, tuple(answers), began)
            said, answers = message, []
            began = began if message.at is None else message.at
        else:
            answers.append(message)
    yield _Turn(said, tuple(answers), began)


def _since(began: float, at: float | None) -> float:
    return 0.0 if at is None else max(at - began, 0.0)


class LockStep:
    """One connection, answered from the recordings `names`: the first is taken until a message of
    the client is another's. FormatError or StoreError where the first cannot be read.
    """

    def __init__(self, names: Sequence[str], read: Read, canonise: Canonise) -> None:
        self._names = tuple(names)
        self._read = read
        self._canonise = canonise
        self._said: list[str] = []
        self._takes: dict[str, _Take | None] = {}
        first = read(names[0])
        if not isinstance(first, WebSocket):
            raise FormatError("expected the recording of a WebSocket (status 101)")
        self._take = self._takes[names[0]] = _Take(names[0], first)

    @property
    def recording(self) -> str:
        """The name of the recording that answers just now."""
        return self._take.name

    @property
    def recorded(self) -> WebSocket:
        return self._take.recorded

    @property
    def is_over(self) -> bool:
        """Whether the client has said all that it said in the recording."""
        return len(self._said) + 1 == len(self._take.turns)

    def begin(self) -> Step:
        """What the provider sends before the client speaks."""
        return self._take.step(0)

    def feed(self, message: Message) -> Step | Mismatch:
        """The client has spoken: what it is answered, or why it is not."""
        got = self._canonise(message, False)
        self._said.append(got.key)
        if not self._says(self._take, len(self._said)):
            found = next(self._others(), None)
            if found is None:
                return self._mismatch(got, message)
            self._take = found
        return self._take.step(len(self._said))

    def _says(self, take: _Take, number: int) -> bool:
        """Whether a recording has the client's message of a number."""
        if number >= len(take.turns):
            return False
        said = take.turns[number].said
        assert said is not None
        return self._canonise(said, True).key == self._said[number - 1]

    def _says_all(self, take: _Take, last: int) -> bool:
        """Whether a recording has all the client's messages up to a number, and the provider's
        between them are of the same kinds.
        """
        # The last first: there they differ.
        return all(self._says(take, number) for number in range(last, 0, -1)) and (
            take is self._take
            or all(
                _kinds(one) == _kinds(two)
                for one, two in zip(take.turns[:last], self._take.turns[:last], strict=False)
            )
        )

    def _others(self) -> Iterator[_Take]:
        """Other recordings of the same conversation so far."""
        return (
            take
            for take in self._all()
            if take is not self._take and self._says_all(take, len(self._said))
        )

    def _all(self) -> Iterator[_Take]:
        for name in self._names:
            if name not in self._takes:
                try:
                    recorded = self._read(name)
                except (FormatError, StoreError):
                    recorded = None  # the library tells of it; the others may do
                self._takes[name] = (
                    _Take(name, recorded) if isinstance(recorded, WebSocket) else None
                )
            take = self._takes[name]
            if take is not None:
                yield take

    def _mismatch(self, got: Canonical, message: Message) -> Mismatch:
        number = len(self._said)
        there = [
            take
            for take in self._all()
            if len(take.turns) > number and self._says_all(take, number - 1)
        ]
        there.sort(key=lambda take: take is not self._take)
        candidates = []
        for take in there:
            said = take.turns[number].said
            assert said is not None
            candidates.append((take.name, self._canonise(said, True)))
        return Mismatch(number, self._take.name, got, message, tuple(candidates))


def _kinds(turn: _Turn) -> list[str | None]:
    return [kind_of(message.data) for message in turn.answers]

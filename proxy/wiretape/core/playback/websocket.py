"""Replay a WebSocket: each message of the provider waits for those of the client before it.

The client's messages are matched like request bodies, by the same rules and after the same
redaction. A program's connections often open with equal requests and differ in their messages: a
replay may switch to another take of the same opening request whose messages so far are equal.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.canonical import Canonical, Change, Difference, changed, differences
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.placeholders import ANY
from wiretape.core.model import Close, Message, WebSocket
from wiretape.core.recording.document import Document
from wiretape.core.redaction.known_values import Secrets
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.text import exact_json

type Canonise = Callable[[Message, bool], Canonical]
"""Gives the canonical form of a client's message; True if it is a recorded one."""

type Read = Callable[[str], object]
"""Reads the answer of a recording by its name; only a `WebSocket` is a candidate."""

_REMEMBERED: Final = 4096
_SHORT: Final = 8 * 1024
"""The most bytes of a message whose canonical form is remembered."""
_MOST_STALE: Final = 1000
"""Changes that are kept of one connection."""
_RANDOM_NAME: Final = "event_id"
"""OpenAI Realtime: the name, often random, that a client gives its message."""


# ------------------------------------------------------------------ comparing messages


class MessageMatcher:
    """Turns the messages of a client into their canonical form.

    A message is compared like a request with that body to the connection's URL, by the
    `match.rules` for its path.
    """

    def __init__(self, matcher: Matcher, redactor: Redactor) -> None:
        self._matcher = matcher
        self._redactor = redactor
        self._known: dict[tuple[str, Message], Canonical] = {}

    def of(self, url: str, path: str, secrets: Secrets | None = None) -> Canonise:
        """Gives the canonical form of a connection's messages; `url` and `path` are its opening
        request's, redacted, `secrets` the live client's.
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
    """The `request` part of a document that has a client's message as its body."""
    part: Document = {"method": "GET", "url": url, "headers": {}, "endpoint": path}
    # Only the opening request shows which placeholders stand for credentials.
    part["carried"] = [ANY]
    try:
        text = message.data.decode("utf-8")
    except UnicodeDecodeError:
        return {**part, "body_base64": base64.b64encode(message.data).decode()}
    value = _json(text)
    if value is None:
        return {**part, "body_text": text}
    if isinstance(value, dict) and _RANDOM_NAME in value:
        value = {name: item for name, item in value.items() if name != _RANDOM_NAME}
    return {**part, "body": value}


def message_requests(url: str, path: str, messages: Iterable[Message]) -> Iterator[Document]:
    """The `request` parts that a connection's messages of the client are matched as."""
    return (as_request(url, path, message) for message in messages if message.sender == "client")


def _json(text: str) -> Any:
    """A message's JSON object or list; None if it is not one or has duplicate members."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return exact_json.parse(text) if exact_json.unique_keys(text) else None
    except ValueError:
        return None


def kind_of(data: bytes) -> str | None:
    """The kind of a message in its protocol: its `type`, or its only member.

    >>> kind_of(b'{"type": "session.update"}'), kind_of(b'{"setup": {}}')
    ('session.update', 'setup')
    """
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
    """A message of the provider, due `after` seconds after what it answers."""

    message: Message
    after: float


@dataclass(frozen=True, slots=True)
class ConnectionEnd:
    """The provider's end of a connection: its closing frame, or None if it broke off."""

    close: Close | None
    after: float


@dataclass(frozen=True, slots=True)
class Step:
    """What the provider sends until the client's next message, and how it ends, if it does."""

    due: tuple[Due, ...]
    ending: ConnectionEnd | None = None


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A client's message (its number from 1) that no recording has at this point.

    `candidates` are the messages that recordings have at this point, the present one's first;
    empty if all of them end before.
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
        """The mismatch in a line, without any value."""
        kind = kind_of(self.message.data)
        kind = f" ({kind})" if kind and len(kind) <= 60 else ""
        head = f"no recording has client message {self.number}{kind}"
        if not self.candidates:
            return f"{head}: {self.recording} ends before it"
        paths = [difference.path for difference in self.differences]
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        return f"{head}: {self.candidates[0][0]} differs in {paths[0] if paths else '?'}{more}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedConnection:
    """How a replayed connection went: the recording that answered last, how many messages were sent
    and received, seconds until the first and until the end, and a note if an answer is missing.

    `stale` is what rules leave out of the client's messages and has changed since the recording,
    `rules` the rules that found something in a message.
    """

    recording: str
    sent: int
    received: int
    first: float | None
    duration: float
    note: str | None = None
    mismatch: Mismatch | None = None
    stale: tuple[Change, ...] = ()
    rules: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Turn:
    """A client's message (None at the start), and what the provider sent until the next."""

    client_message: Message | None
    answers: tuple[Message, ...]
    began: float


class _Take:
    """A recording, cut into turns."""

    def __init__(self, name: str, recorded: WebSocket) -> None:
        self.name: Final = name
        self.recorded: Final = recorded
        self.turns: Final = tuple(_turns(recorded))

    def step(self, turn: int) -> Step:
        began, answers = self.turns[turn].began, self.turns[turn].answers
        due = tuple(Due(message, _since(began, message.at)) for message in answers)
        recorded = self.recorded
        if turn + 1 < len(self.turns):
            return Step(due)
        close = recorded.close
        if recorded.end == "client-closed" or (close is not None and close.sender == "client"):
            return Step(due)
        return Step(due, ConnectionEnd(close, _since(began, recorded.end_at)))


def _turns(recorded: WebSocket) -> Iterator[_Turn]:
    client_message: Message | None = None
    answers: list[Message] = []
    began = recorded.headers_at or 0.0
    for message in recorded.messages:
        if message.sender == "client":
            yield _Turn(client_message, tuple(answers), began)
            client_message, answers = message, []
            began = began if message.at is None else message.at
        else:
            answers.append(message)
    yield _Turn(client_message, tuple(answers), began)


def _since(began: float, at: float | None) -> float:
    return 0.0 if at is None else max(at - began, 0.0)


class LockStep:
    """Answers a connection from the recordings `names`: from the first, until a client's message is
    only in another. Raises FormatError or StoreError if the first cannot be read.
    """

    def __init__(self, names: Sequence[str], read: Read, canonise: Canonise) -> None:
        self._names = tuple(names)
        self._read = read
        self._canonise = canonise
        self._client_keys: list[str] = []
        self._stale: dict[tuple[str, str], Change] = {}
        self._rules: set[str] = set()
        self._takes: dict[str, _Take | None] = {}
        first = read(names[0])
        if not isinstance(first, WebSocket):
            raise FormatError("expected the recording of a WebSocket (status 101)")
        self._take = self._takes[names[0]] = _Take(names[0], first)

    @property
    def recording(self) -> str:
        """The name of the recording that answers at present."""
        return self._take.name

    @property
    def recorded(self) -> WebSocket:
        return self._take.recorded

    @property
    def is_over(self) -> bool:
        """Whether the client has sent as many messages as in the recording."""
        return len(self._client_keys) + 1 == len(self._take.turns)

    @property
    def stale(self) -> tuple[Change, ...]:
        """What rules leave out of the client's messages and has changed since the recording, each
        path once.
        """
        return tuple(self._stale.values())

    @property
    def rules(self) -> frozenset[str]:
        """The rules that found something in a message of the client, live or recorded."""
        return frozenset(self._rules)

    def begin(self) -> Step:
        """What the provider sends before the client's first message."""
        return self._take.step(0)

    def feed(self, message: Message) -> Step | Mismatch:
        """Take a message of the client; gives the answers, or why there are none."""
        got = self._canonise(message, False)
        self._rules.update(got.rules)
        self._client_keys.append(got.key)
        if not self._has_message(self._take, len(self._client_keys)):
            other = next(self._others(), None)
            if other is None:
                return self._mismatch(got, message)
            self._take = other
        self._compare(got)
        return self._take.step(len(self._client_keys))

    def _compare(self, got: Canonical) -> None:
        """Note what rules leave out of a message and has changed since the recording."""
        recorded = self._recorded_message(self._take, len(self._client_keys))
        self._rules.update(recorded.rules)
        for change in changed(got, recorded):
            if len(self._stale) < _MOST_STALE:
                self._stale.setdefault((change.path, change.rule), change)

    def _has_message(self, take: _Take, number: int) -> bool:
        """Whether a recording has the client's message of this number."""
        if number >= len(take.turns):
            return False
        return self._recorded_message(take, number).key == self._client_keys[number - 1]

    def _has_all_messages(self, take: _Take, last: int) -> bool:
        """Whether a recording has the client's messages up to a number, and messages of the same
        kinds of the provider between them.
        """
        # The last first: takes mostly differ there.
        return all(self._has_message(take, number) for number in range(last, 0, -1)) and (
            take is self._take
            or all(
                _kinds(turn) == _kinds(present)
                for turn, present in zip(take.turns[:last], self._take.turns[:last], strict=False)
            )
        )

    def _others(self) -> Iterator[_Take]:
        """Other recordings of the same conversation so far."""
        return (
            take
            for take in self._all()
            if take is not self._take and self._has_all_messages(take, len(self._client_keys))
        )

    def _all(self) -> Iterator[_Take]:
        for name in self._names:
            if name not in self._takes:
                try:
                    recorded = self._read(name)
                except (FormatError, StoreError):
                    recorded = None  # the library reports it; other takes may match
                self._takes[name] = (
                    _Take(name, recorded) if isinstance(recorded, WebSocket) else None
                )
            take = self._takes[name]
            if take is not None:
                yield take

    def _mismatch(self, got: Canonical, message: Message) -> Mismatch:
        number = len(self._client_keys)
        takes = [
            take
            for take in self._all()
            if len(take.turns) > number and self._has_all_messages(take, number - 1)
        ]
        takes.sort(key=lambda take: take is not self._take)
        candidates = tuple((take.name, self._recorded_message(take, number)) for take in takes)
        return Mismatch(number, self._take.name, got, message, candidates)

    def _recorded_message(self, take: _Take, number: int) -> Canonical:
        message = take.turns[number].client_message
        assert message is not None
        return self._canonise(message, True)


def _kinds(turn: _Turn) -> list[str | None]:
    return [kind_of(message.data) for message in turn.answers]

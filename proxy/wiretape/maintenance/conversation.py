"""Replay a recorded conversation in this process: which recording answers which of its requests.

The requests of a session's recordings are asked again in the order they were recorded, of the
engine that `wiretape replay` has, so that takes, ids and what a session remembers count as they do
there. No socket is opened.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.model import Message, Request, WebSocket
from wiretape.core.playback.websocket import Mismatch
from wiretape.core.recording import llamastack
from wiretape.core.recording.document import Document, from_request, to_exchange, to_request
from wiretape.core.recording.file_names import take_of
from wiretape.core.redaction.known_values import Secrets
from wiretape.core.redaction.redactor import Redactor
from wiretape.engine.answer import ReplayAnswer
from wiretape.engine.replayer import Replayer
from wiretape.engine.request import ReplayRequest
from wiretape.library.library import Library
from wiretape.library.recording_file import recorded_us
from wiretape.library.sequence import in_recorded_order
from wiretape.report.report import Report
from wiretape.sessions.sessions import Sessions

if TYPE_CHECKING:
    from wiretape.config.load import Config

NOTHING: Final = ""
"""What answers a request that no recording answers."""


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A request of a recorded conversation, and the messages that a WebSocket's client sends."""

    request: Request
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationStep:
    """A recording's part in a conversation: what it asks for. `hops` and the others tell its place
    in it (see `sequence.in_recorded_order`).
    """

    name: str
    requests: tuple[ClientRequest, ...]
    take: int = 1
    recorded: int = 0
    hops: int = 0


def step_of(name: str, document: Document) -> ConversationStep:
    """What a recording asks for; `document` has its side files in it. FormatError where it cannot
    be replayed.
    """
    also: Sequence[Document] = ()
    recorded = recorded_us(document)
    if llamastack.is_llamastack(document):
        converted = llamastack.convert(document)
        document, also = converted.document, converted.also
    exchange = to_exchange(document)
    messages: tuple[Message, ...] = ()
    if isinstance(exchange.response, WebSocket):
        messages = tuple(m for m in exchange.response.messages if m.sender == "client")
    requests = (
        ClientRequest(exchange.request, messages),
        *(ClientRequest(to_request(part)) for part in also),
    )
    return ConversationStep(name=name, requests=requests, take=take_of(name), recorded=recorded)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a folder answers: for each request the name of the recording, and each recording's own
    key.
    """

    names: tuple[str, ...]
    keys: Mapping[str, str] = field(default_factory=dict)


def ask_again(
    folder: Path, session: str | None, conversation: Iterable[ConversationStep], config: "Config"
) -> Answers:
    """Ask a folder (or the session in it) for a conversation. StoreError where it cannot be
    read.
    """
    redactor = Redactor(config.redaction, remember=True)
    library = Library(folder, config.matcher, redactor.request, session)
    library.load()
    config.providers.add_host_keys(library.host_keys())
    sessions = Sessions(lambda name: library, config.repeat)
    report = Report("replay", keep_rows=False)
    replayer = Replayer(sessions, config.matcher, redactor, config.providers, report)
    names = [
        _answered(replayer, request)
        for recording in in_recorded_order(conversation)
        for request in recording.requests
    ]
    keys = dict(_keys(library, config))
    library.close()
    return Answers(tuple(names), keys)


def _answered(replayer: Replayer, client: ClientRequest) -> str:
    request = replayer.with_current_ids(replayer.prepare(client.request))
    answer = replayer.answer(request)
    if answer is None:
        return NOTHING
    if isinstance(answer.response, WebSocket) and client.messages:
        return _conversed(replayer, request, answer, client.messages)
    return answer.entry.name


def _conversed(
    replayer: Replayer, request: ReplayRequest, answer: ReplayAnswer, messages: Iterable[Message]
) -> str:
    try:
        lock_step = replayer.sockets.lock_step(request, answer)
        for message in messages:
            if isinstance(lock_step.feed(message), Mismatch):
                return NOTHING
    except (FormatError, StoreError):
        return NOTHING
    request.session.take_order.used(lock_step.recording)
    return lock_step.recording


def _keys(library: Library, config: "Config") -> Iterator[tuple[str, str]]:
    """The key of each recording for itself: with nothing known of the others."""
    fresh = Redactor(config.redaction)
    for name in library.names():
        try:
            yield name, config.matcher.canonical(fresh.request(library.request(name))).key
        except (FormatError, StoreError):
            continue


# ------------------------------------------------------------------ before and after


@dataclass(frozen=True, slots=True)
class BeforeAfter:
    """A recording in its conversation: as it is, and as redaction would have it."""

    before: Document
    after: Document


class _Given(NamedTuple):
    """What earlier answers gave a client: known values, and all that they said."""

    values: Secrets
    answers: str


class RecordedConversation:
    """The recordings of a session in the order they were recorded, and what is asked for them."""

    def __init__(self, parts: Mapping[str, BeforeAfter], redactor: Redactor) -> None:
        self._parts = parts
        self._known = [(rule, value) for rule, value in redactor.remembered]
        self._token_ids = redactor.token_ids
        self._redactor = Redactor(redactor.rules)
        self.before: Final[list[ConversationStep]] = []
        """The requests as they stand in the recordings now."""
        self.after: Final[list[ConversationStep]] = []
        """The same redacted: what a client sends that was given each value by an answer."""
        for name, part in parts.items():
            try:
                both = step_of(name, part.before), step_of(name, part.after)
            except FormatError:
                continue  # it cannot be replayed, now or then
            self.before.append(both[0])
            self.after.append(both[1])
        self.order: Final = [
            recording.name
            for recording in in_recorded_order(self.before)
            for _ in recording.requests
        ]
        """The recording of each request."""

    def own(self) -> list[ConversationStep]:
        """What a client sends that has each value of its own, but what an earlier answer gave."""
        after = {recording.name: recording for recording in self.after}
        answers = ""
        result = []
        for recording in in_recorded_order(self.before):
            part = self._parts[recording.name]
            if _is_websocket(part.before):  # its two sides speak in turn
                answers += _text_of(part.before["response"])
            known = [(rule, value) for rule, value in self._known if value in answers]
            given = _Given(Secrets((), known), answers)
            result.append(self._given(recording, after[recording.name], given))
            if not _is_websocket(part.before):
                answers += _text_of(part.before["response"])
        return result

    def _given(
        self, before: ConversationStep, after: ConversationStep, given: "_Given"
    ) -> ConversationStep:
        """A recording's requests with the given values as placeholders, and its own as they are."""
        if before.requests == after.requests:
            return before
        requests = []
        for own, redacted in zip(before.requests, after.requests, strict=True):
            part = from_request(own.request)
            if len(given.values):
                part = self._redactor.request(part, given.values)
            request = to_request(self._token_ids.request(part, given.answers))
            pairs = zip(own.messages, redacted.messages, strict=True)
            requests.append(
                ClientRequest(
                    request,
                    tuple(
                        new
                        if given.values.may_occur_in(old.data.decode("utf-8", "replace"))
                        else old
                        for old, new in pairs
                    ),
                )
            )
        return replace(before, requests=tuple(requests))


def _text_of(response: Document) -> str:
    return unquote(json.dumps(response, ensure_ascii=False)) + "\n"


def _is_websocket(document: Document) -> bool:
    body = document["response"].get("body")
    return isinstance(body, list) and any(
        isinstance(item, dict) and item.get("from") == "client" for item in body
    )


def unanswered(
    order: Sequence[str], names: Mapping[str, str], was: Answers, now: Answers
) -> Iterator[tuple[str, str]]:
    """The recordings whose requests would be answered otherwise."""
    for name, old, new in zip(order, was.names, now.names, strict=True):
        if new in (names.get(old, old), names.get(name, name)):
            continue
        yield name, "would stop answering" if new == NOTHING else f"its request would get {new}"


def merged(names: Mapping[str, str], was: Answers, now: Answers) -> Iterator[tuple[str, str]]:
    """The recordings whose requests could not be told apart any more."""
    first: dict[str, tuple[str, str]] = {}
    for name, key in was.keys.items():
        other = first.setdefault(now.keys.get(names.get(name, name), name), (name, key))
        if other[1] != key:
            yield name, f"could not be told from {other[0]} any more, which answers another request"

"""Read one recording's file, and derive the facts an index keeps of it."""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.canonical import Canonical
from wiretape.core.matching.sketch import sketch
from wiretape.core.model import Exchange, Request, WebSocket
from wiretape.core.playback.known_request import KnownRequest
from wiretape.core.playback.websocket import message_requests
from wiretape.core.recording import llamastack
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import (
    Document,
    RecordedAnswer,
    to_answer,
    to_exchange,
)
from wiretape.core.recording.file_names import SIDE_FILE_NAME, take_of
from wiretape.core.recording.given_ids import AnswerId, answer_ids
from wiretape.core.redaction.traces import traces_in

from .direct_answer import DirectAnswer, direct_answer
from .read_file import MAX_FILE_BYTES as MAX_FILE_BYTES
from .read_file import MTIME_GRANULARITY_NS as MTIME_GRANULARITY_NS
from .read_file import Stat as Stat
from .read_file import is_settled as is_settled
from .read_file import read_bytes as read_bytes
from .read_file import stat_of as stat_of

_KEY_AND_TAKE: Final = re.compile(r"[0-9a-f]{12}(?:\.\d{1,6})?")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class SideFileError(FormatError):
    """A recording lacks a side file, which may still be written."""


type Endpoint = tuple[str, str, str]


class MatchKind(IntEnum):
    """How a recording answers a key; lower kinds go first."""

    EXACT = 0
    """The key is the recording's own."""
    WITH_IDS = 1
    """The key is that of its request with the ids spelled out."""
    LLAMA_STACK = 2
    """The recording is llama-stack's."""


@dataclass(frozen=True, slots=True)
class AnsweredKey:
    """A key that a recording answers."""

    key: str
    endpoint: Endpoint
    match_kind: MatchKind


@dataclass(slots=True, kw_only=True)  # frozen, it would take five times as long to make
class Facts:
    """What an index keeps of a file; `name` is its path below the folder, with "/".

    `settled` False: it was read so soon after a change that its `stat` proves nothing yet. With a
    `fault` it is not a recording; with `awaits_side_file` only a side file is missing. `recorded`
    is in microseconds of the epoch; `links` are the ids of the request with their tokens, `ids`
    those of the answer, `traces` what it holds in redacted form. `digest` is that of the live
    requests that `known` is true of, if any, and `answer` what they are answered with.
    """

    name: str
    stat: Stat
    settled: bool
    content: bytes
    fault: str | None = None
    take: int = 1
    token: str = ""
    sketch: bytes = b""
    ids: tuple[AnswerId, ...] = ()
    sides: tuple[str, ...] = ()
    keys: tuple[AnsweredKey, ...] = ()
    recorded: int = 0
    links: Mapping[str, str] = field(default_factory=dict)
    traces: frozenset[str] = frozenset()
    awaits_side_file: bool = False
    digest: bytes | None = None
    known: KnownRequest | None = None
    answer: DirectAnswer | None = None


@dataclass(frozen=True, slots=True)
class Same:
    """A file was written again with the same content."""

    stat: Stat
    settled: bool


@dataclass(frozen=True, slots=True)
class LoadedRecording:
    """A parsed recording; `also` are other `request` parts it answers."""

    document: Document
    exchange: Exchange
    also: tuple[Document, ...]
    foreign: bool
    stat: Stat


class StoredRequest(NamedTuple):
    """What is known of a stored `request` part: its canonical forms, its own first; and the digest
    of the live requests whose bytes are its own, with what holds of these (`known_request.py`).
    `sent` is what `given_ids.sent_ids` gives for it, where that was needed.
    """

    forms: tuple[Canonical, ...]
    digest: bytes | None = None
    known: KnownRequest | None = None
    sent: tuple[str, ...] | None = None


class Examine(Protocol):
    """Examines a stored `request` part, whose request is `read` where it was read already."""

    def __call__(self, request: Document, /, read: Request | None = None) -> StoredRequest: ...


type ExamineAll = Callable[[Sequence[tuple[Document, Request]]], Sequence[StoredRequest]]
"""Examines many, each with its request."""


def stat_or_none(path: str | Path) -> Stat | None:
    """A file's `Stat`; None if it cannot be had."""
    try:
        return stat_of(path)
    except OSError:
        return None


def token_of(name: str, key: str) -> str:
    """KEY12[.TAKE] from the file's name; KEY12 from its key if the file has another name."""
    stem = name.rpartition("/")[2].removesuffix(".json")
    return stem if _KEY_AND_TAKE.fullmatch(stem) else key[:12]


def digest(data: bytes) -> bytes:
    """The SHA-256 of a file's content, as the manifests of a store have it in hex."""
    return hashlib.sha256(data).digest()


def load(path: str | Path) -> LoadedRecording:
    """Read a recording; FormatError or StoreError says why it is not one."""
    return parsed(*read_bytes(path), side_files_beside(path))


def load_answer(path: str | Path) -> tuple[Document, RecordedAnswer, Stat]:
    """Read a recording for its answer, with the `request` part as it is stored, unchecked; errors
    as `load`.
    """
    data, stat = read_bytes(path)
    document = recording_format.loads(data)
    foreign = llamastack.is_llamastack(document)
    if foreign:
        document = llamastack.convert(document).document
    answer = to_answer(document, side_files_beside(path), parsed=not foreign)
    return document["request"], answer, stat


def load_requests(path: Path, known: Stat | None = None) -> tuple[Document, ...]:
    """The `request` parts that a recording answers, and one for each message that the client of a
    WebSocket sent; errors as `load`, and StoreError if the file changed since `known`.

    The answer of another is not read, which takes a fourth of the time.
    """
    data, stat = read_bytes(path)
    if known is not None and stat != known:
        raise StoreError("changed since it was looked at")
    document = recording_format.loads(data)
    if llamastack.is_llamastack(document):
        converted = llamastack.convert(document)
        return converted.document["request"], *converted.also
    request: Document = document["request"]
    if document["response"].get("status") != 101:
        return (request,)
    socket = to_exchange(document, side_files_beside(path)).response
    messages = socket.messages if isinstance(socket, WebSocket) else ()
    return request, *message_requests(request["url"], request["endpoint"], messages)


def parsed(data: bytes, stat: Stat, side_file: Callable[[str], bytes]) -> LoadedRecording:
    """Parse a recording, whose side files `side_file` gives by name; errors as `load`."""
    document = recording_format.loads(data)
    also: tuple[Document, ...] = ()
    foreign = llamastack.is_llamastack(document)
    if foreign:
        converted = llamastack.convert(document)
        document, also = converted.document, converted.also
    # A fault shows now, not when a test asks for the recording.
    exchange = to_exchange(document, side_file, parsed=not foreign)
    return LoadedRecording(document, exchange, also, foreign, stat)


def side_files_beside(recording: str | Path) -> Callable[[str], bytes]:
    """What reads the side files of a recording, by name; FormatError if one is not what it was."""

    def read(name: str) -> bytes:
        # The name comes from the recording, which is not trusted to point anywhere else.
        if not SIDE_FILE_NAME.fullmatch(name):
            raise FormatError(f"side file {name[:80]!r}: expected 64 hex digits and .bin")
        path = Path(recording).with_name(name)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SideFileError(f"side file {name}: {error.strerror}") from error
        if recording_format.side_file_name(data) != name:
            raise SideFileError(f"side file {name}: its content is not what its name says")
        return data

    return read


def facts(
    folder: Path,
    name: str,
    examine: Examine,
    known_content: bytes | None = None,
    *,
    keeps_answer: bool = True,
) -> Facts | Same | None:
    """What an index keeps of the file `name` below `folder`; None if it no longer exists.

    If its content still has the digest `known_content`, the result is `Same`. `keeps_answer` is
    False for an index without answers, which others are given.
    """
    path = os.path.join(folder, name)
    read_ns = time.time_ns()
    try:
        data, stat = read_bytes(path)
    except StoreError as error:
        if isinstance(error.__cause__, FileNotFoundError) and not os.path.islink(path):
            return None
        return Facts(
            name=name, stat=_no_content(path), settled=False, content=b"", fault=str(error)
        )
    content = digest(data)
    settled = is_settled(stat[1], read_ns)
    if content == known_content:
        return Same(stat, settled)
    bare = Facts(name=name, stat=stat, settled=settled, content=content)
    try:
        recording = parsed(data, stat, side_files_beside(path))
        read_answer = (lambda: recording.exchange) if keeps_answer else None
        return of_document(recording.document, data, bare, examine, read_answer, recording)
    except (FormatError, StoreError) as error:
        awaits_side_file = isinstance(error, SideFileError)
        return replace(
            bare, fault=str(error), sides=sides_in(data), awaits_side_file=awaits_side_file
        )


def of_document(
    document: Document,
    data: bytes,
    bare: Facts,
    examine: Examine,
    read_answer: Callable[[], Exchange | RecordedAnswer] | None,
    recording: LoadedRecording | None = None,
    *,
    is_asked: bool = True,
) -> Facts:
    """The facts of a valid recording with this text, of which `bare` are known without it.

    `read_answer` gives its answer, where the index is to keep it. `recording` is as it was loaded,
    where it may be llama-stack's. Without `is_asked`, what only a miss asks for is left out.
    """
    is_foreign, also = (recording.foreign, recording.also) if recording else (False, ())
    # llama-stack's is not as it would be written.
    read = recording.exchange.request if recording and not is_foreign else None
    stored = examine(document["request"], read)
    more = [form for request in also for form in examine(request).forms]
    derived = Derived(
        answered(stored.forms, more, foreign=is_foreign),
        tuple(side_files(document)),
        links_of(document),
        sketch(stored.forms[0].value) if is_asked else b"",
        answer_ids(document, stored.sent),
    )
    if read_answer is not None and not is_foreign and answers_directly(stored, derived):
        recorded = read_answer()
        answer = direct_answer(bare.name, recorded.response, recorded.paths)
        derived = derived._replace(answer=answer)
    return complete(bare, document, data, stored, derived)


class Derived(NamedTuple):
    """What of the facts of a recording takes a step of its own to be known."""

    keys: tuple[AnsweredKey, ...]
    sides: tuple[str, ...]
    links: Mapping[str, str]
    sketch: bytes
    ids: tuple[AnswerId, ...]
    answer: DirectAnswer | None = None


def answers_directly(stored: StoredRequest, derived: Derived) -> bool:
    """Whether an answer may be kept for a request: others have more keys, or depend on ids that
    were given before.
    """
    is_alone = stored.digest is not None and len(derived.keys) == 1
    return is_alone and not (derived.sides or derived.links)


def complete(
    bare: Facts, document: Document, data: bytes, stored: StoredRequest, derived: Derived
) -> Facts:
    """The facts of a recording, put together."""
    return Facts(
        name=bare.name,
        stat=bare.stat,
        settled=bare.settled,
        content=bare.content,
        take=take_of(bare.name),
        token=token_of(bare.name, stored.forms[0].file_key),
        sketch=derived.sketch,
        ids=derived.ids,
        sides=derived.sides,
        keys=derived.keys,
        recorded=recorded_us(document),
        links=derived.links,
        traces=traces_in(data),
        digest=stored.digest,
        known=stored.known,
        answer=derived.answer,
    )


def answered(
    forms: Sequence[Canonical], more: Iterable[Canonical] = (), *, foreign: bool = False
) -> tuple[AnsweredKey, ...]:
    """The keys that a recording of those canonical forms answers; the first form is its own."""
    own_kind, with_ids_kind = MatchKind.EXACT, MatchKind.WITH_IDS
    if foreign:
        own_kind = with_ids_kind = MatchKind.LLAMA_STACK
    by_key = {forms[0].key: AnsweredKey(forms[0].key, forms[0].endpoint, own_kind)}
    for form in (*forms[1:], *more):
        by_key.setdefault(form.key, AnsweredKey(form.key, form.endpoint, with_ids_kind))
    return tuple(by_key.values())


def links_of(document: Document) -> dict[str, str]:
    """The ids that a request sends back, with their tokens; other types are left out."""
    ids: Any = document["request"].get("ids")
    if not isinstance(ids, dict):
        return {}
    return {text: token for text, token in ids.items() if isinstance(token, str)}


def recorded_us(document: Mapping[str, Any]) -> int:
    """When a recording was made, in microseconds of the epoch; 0 if it does not say."""
    try:
        time = datetime.fromisoformat(document.get("recorded_at") or "")
    except (TypeError, ValueError):
        return 0
    since = (time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH
    return since // timedelta(microseconds=1)


def side_files(document: Document) -> list[str]:
    """The side files that a document names, each once."""
    body = document["response"].get("body")
    items = [
        *(body if isinstance(body, list) else [body]),
        {"file": document["request"].get("body_file")},
    ]
    names = (item.get("file") for item in items if isinstance(item, dict))
    return list(
        dict.fromkeys(
            name for name in names if isinstance(name, str) and SIDE_FILE_NAME.fullmatch(name)
        )
    )


def sides_in(data: bytes) -> tuple[str, ...]:
    """The side files that a file names, if it is a recording."""
    try:
        return tuple(side_files(recording_format.loads(data)))
    except FormatError:
        return ()


def _no_content(path: str) -> Stat:
    try:
        return stat_of(path)
    except OSError:
        return 0, 0, 0

"""What an index's rows say, as values; how ids, usages and what is known are spelled in them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

from wiretape.core.cost.usage import Usage
from wiretape.core.playback.known_request import KnownRequest
from wiretape.core.recording.given_ids import AnswerId

from .direct_answer import DirectAnswer
from .recording_file import AnsweredKey, Endpoint, MatchKind, Stat


@dataclass(slots=True, kw_only=True)
class IndexRow:
    """A file that answers a key; `id` numbers its content, `since` its name.

    `recorded` is when it was made, in microseconds of the epoch; `links` are the ids its request
    sends back with the tokens of where they came from, `hops` how many requests those went through.
    `ids` are those of its answer.
    """

    id: int
    since: int
    name: str
    stat: Stat
    settled: bool
    content: bytes
    take: int
    token: str
    match_kind: MatchKind
    endpoint: Endpoint
    recorded: int = 0
    hops: int = 0
    links: Mapping[str, str] = field(default_factory=dict)
    digest: bytes | None = None
    ids: tuple[AnswerId, ...] = ()

    @property
    def is_foreign(self) -> bool:
        return self.match_kind is MatchKind.LLAMA_STACK


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A recording's file as it was indexed: its digest and stat, the keys that it answers, the ids
    its request sends back with their tokens, and its side files.
    """

    content: bytes
    stat: Stat
    settled: bool
    keys: frozenset[str]
    links: Mapping[str, str]
    sides: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rooted:
    """A row whose ids are now named by the answers that created them; `keys` are the keys that it
    answers then, empty if they are unchanged.
    """

    id: int
    links: Mapping[str, str]
    hops: int
    keys: tuple[AnsweredKey, ...] = ()


class DirectRow(NamedTuple):
    """A file that alone answers the requests with a digest, and its answer. `position` is where it
    stands in the order of recording.
    """

    position: tuple[int, int]
    digest: bytes
    name: str
    stat: Stat
    token: str
    ids: tuple[AnswerId, ...]
    known: KnownRequest
    answer: DirectAnswer


type KnownFile = tuple[int, Stat, bool, bool]
"""A file's row number, stat, whether that is settled, and whether it awaits a side file. A plain
tuple, since a hundred thousand are in memory at once.
"""


# What is written here has no space around it, which `json.loads` would look for.
_decode: Final = json.JSONDecoder().raw_decode
_MATCH_KINDS: Final = {kind.value: kind for kind in MatchKind}


def ids_of(text: str) -> tuple[AnswerId, ...]:
    return tuple([AnswerId(*pair) for pair in _decode(text)[0]]) if text else ()


@lru_cache(maxsize=1024)
def _known_parts(text: str) -> tuple[tuple[str, ...], str | None, tuple[str, ...]]:
    request_ids, model, rules = json.loads(text)
    return tuple(request_ids), model, tuple(rules)


def known_text(known: KnownRequest) -> str:
    return _known_text(known[1:])


@lru_cache(maxsize=1024)
def _known_text(parts: tuple[Any, ...]) -> str:
    return json.dumps(parts)


def known_of(key: bytes, text: str) -> KnownRequest:
    return KnownRequest(key.hex(), *_known_parts(text))


@lru_cache(maxsize=1024)
def usage_text(usage: Usage | None) -> str:
    return "" if usage is None else json.dumps(usage.as_json())


@lru_cache(maxsize=1024)
def usage_of(text: str) -> Usage | None:
    return Usage(**json.loads(text)) if text else None


def blob(key: str) -> bytes:
    return bytes.fromhex(key)


def index_row(columns: Sequence[Any]) -> IndexRow:
    number, since, name, ino, changed, size, settled, *more = columns
    content, take, token, match_kind, endpoint, recorded, hops, links, digest, ids = more
    return IndexRow(
        id=number,
        since=since,
        name=name,
        stat=(ino, changed, size),
        settled=bool(settled),
        content=content,
        take=take,
        token=token,
        match_kind=_MATCH_KINDS[match_kind],
        endpoint=endpoint_of(endpoint),
        recorded=recorded,
        hops=hops,
        links=json.loads(links) if links else {},
        digest=digest,
        ids=ids_of(ids),
    )


def direct_row(columns: Sequence[Any]) -> DirectRow:
    recorded, number, digest, name, ino, changed, size, token, ids, *more = columns
    key, known, head, body, status, chunks, usage = more
    return DirectRow(
        (recorded, number),
        digest,
        name,
        (ino, changed, size),
        token,
        ids_of(ids),
        known_of(key, known),
        DirectAnswer(head, body, status, chunks, usage_of(usage)),
    )


@lru_cache(maxsize=256)
def endpoint_of(text: str) -> Endpoint:
    host, method, path = json.loads(text)
    return host, method, path

"""Match generated ids by the recording that issued them.

A provider generates `resp_…`, `file-…`, `vs_…` anew in every run. If a request sends one back, its
text means nothing: what counts is which recording gave it, and which of that recording's ids it is.
That is its token, "3f2a00112233.2#0": the recording's KEY12[.TAKE] and the number of the id. Ids
of tool calls need none: the request that sends one back holds the call as well.

So has the session of an MCP server, which is in a header, and the ids of its streams' events, which
a client resumes a stream from.

An id belongs to the answer that created it, else to the first that named it, and never to one whose
request sent it: a poll repeats the id that it asks about and is not its source. So all polls of a
resource have the same key, and are takes of one sequence.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from wiretape.core.model import split_url
from wiretape.core.wire.jsonrpc import SESSION_HEADER, is_message

from .document import Document

MAX_IDS: Final = 500
"""The most ids of an answer that count."""

_MAX_LENGTH: Final = 300
_MAX_GIVEN: Final = 100_000
_NAME: Final = re.compile(r"(?:^|_)ids?$|[a-z](?:Id|ID)s?$|(?:^|_)(?:file|Uri|uri)$|[a-z]Uri$")
_NAMES: Final = frozenset(("cachedContent", "cached_content", "container", "conversation", "name"))
# The call and its result are in the same request and are compared by their order in it.
_OF_TOOL_CALLS: Final = frozenset(("call_id", "tool_call_id", "tool_use_id", "toolUseId"))
_CALLS: Final = frozenset(("function_call", "tool_call", "tool_use"))
# Gemini names files and cached contents by their paths.
_RESOURCE: Final = re.compile(r"(?:batches|cachedContents|files|operations)/([^/]+)")
_SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))
HEADERS: Final = (SESSION_HEADER, "last-event-id")
"""The headers in which MCP's clients send an id back."""
_SHORTEST_EVENT_ID: Final = 8  # a shorter one counts events, and is the same in every run

type Claim = Literal["created", "named", "repeated"]
"""What an answer has to do with an id in it: it created it, it names it, or its request sent it.

Only a request that changes something creates an id, and the id is then a plain `id` or `name`
outside of lists: a list or a search names what others created.
"""


@dataclass(frozen=True, slots=True)
class AnswerId:
    """An id in an answer. Its number, which is part of its token, is its index among all of them.

    >>> sent = {"input_file_id": "file-1"}
    >>> request = {"method": "POST", "url": "https://api.openai.com/v1/batches", "body": sent}
    >>> response = {"body": [{"__data__": {"id": "batch_1"} | sent}]}
    >>> for answer_id in answer_ids({"request": request, "response": response}):
    ...     print(answer_id)
    AnswerId(text='batch_1', claim='created')
    AnswerId(text='file-1', claim='repeated')
    """

    text: str
    claim: Claim = "named"


class IdSource(NamedTuple):
    """The recording that gave a session an id."""

    token: str
    created: bool


@lru_cache(maxsize=4096)
def is_id_name(name: str) -> bool:
    """Whether a member of this name may hold an id or a list of ids."""
    return name in _NAMES or _NAME.search(name) is not None


def answer_ids(document: Document, sent: Sequence[str] | None = None) -> tuple[AnswerId, ...]:
    """The ids in a recording's answer, in order, each once; `sent` is what `sent_ids` gives for its
    request, where that is known.
    """
    response = document.get("response")
    if not isinstance(response, dict):
        return ()
    request = document["request"]
    # The ids of models are public names.
    if str(request.get("endpoint", "")).endswith("/models"):
        return ()
    body = response.get("body")
    creates = str(request.get("method", "")).upper() not in _SAFE
    claims: dict[str, Claim] = {}
    for item in body if isinstance(body, list) else [body]:
        # A WebSocket's client sends ids as well; nobody gave it those.
        if isinstance(item, dict) and "__data__" in item and item.get("from") != "client":
            for text, is_own in _ids_in(item["__data__"]):
                if claims.get(text) != "created":
                    claims[text] = "created" if creates and is_own else "named"
            if len(claims) > MAX_IDS:
                break
    # Behind the others, whose numbers stay as they were.
    claims = dict(list(claims.items())[:MAX_IDS]) | {
        text: claim for text, claim in _of_protocol(response) if text not in claims
    }
    sent = (sent_ids(request) if sent is None else sent) if claims else ()
    texts = frozenset(sent)
    for text in claims:
        # A request for …/files/abc sends files/abc.
        resource = _RESOURCE.fullmatch(text)
        if text in texts or (resource and resource[1] in texts):
            claims[text] = "repeated"
    return tuple(AnswerId(text, claim) for text, claim in claims.items())


def _of_protocol(response: Document) -> Iterator[tuple[str, Claim]]:
    """The ids that MCP's transport gives: of a session, and of events that a stream goes on at."""
    session = response.get("headers", {}).get(SESSION_HEADER)
    if isinstance(session, str) and _fits(session):
        yield session, "created"
    body = response.get("body")
    items = [item for item in body if isinstance(item, dict)] if isinstance(body, list) else []
    if not session and not any(is_message(item.get("__data__")) for item in items):
        return
    for item in items[-MAX_IDS:]:
        text = item.get("id")
        if isinstance(text, str) and len(text) >= _SHORTEST_EVENT_ID and _fits(text):
            yield text, "named"


def _ids_in(value: Any) -> list[tuple[str, bool]]:
    """Each id in a JSON value, and whether it may be the id of the value itself."""
    # This runs for each object and list of each chunk.
    ids: list[tuple[str, bool]] = []
    stack = [(value, True)]
    while stack:
        node, is_top = stack.pop()
        below: list[tuple[Any, bool]] = []
        if type(node) is list:
            below = [(item, False) for item in node if type(item) in _CONTAINERS]
        elif type(node) is dict:
            for name, item in node.items():
                kind = type(item)
                if kind is str:
                    if name == "name":
                        resource = _RESOURCE.fullmatch(item)
                        ids += ((item, is_top), (resource[1], is_top)) if resource else ()
                    elif (
                        _is_given_by(name)
                        and 0 < len(item) <= _MAX_LENGTH
                        and not (name == "id" and _is_call(node))
                    ):
                        ids.append((item, is_top and name == "id"))
                elif kind in _CONTAINERS and name not in ("tool_calls", "toolCalls"):
                    below.append((item, is_top))
        if below:
            below.reverse()
            stack += below
    return ids


_CONTAINERS: Final = frozenset((dict, list))


def _is_call(node: dict[str, Any]) -> bool:
    kind = node.get("type")
    return isinstance(kind, str) and kind in _CALLS


@lru_cache(maxsize=4096)
def _is_given_by(name: str) -> bool:
    return name not in _OF_TOOL_CALLS and _NAME.search(name) is not None


def _fits(text: str) -> bool:
    return 0 < len(text) <= _MAX_LENGTH


def sent_ids(request: Document) -> tuple[str, ...]:
    """What a `request` part holds where ids may be: in path, query, body, and MCP's headers."""
    try:
        target = split_url(request["url"])[3]
    except ValueError:
        return ()
    path, _, query = target.partition("?")
    segments = [segment for segment in path.split("/")[2:] if segment]
    # A method may follow: …/batches/abc:cancel.
    segments += [name for name, colon, _ in (s.partition(":") for s in segments) if name and colon]
    sent = dict.fromkeys(segments)
    sent |= dict.fromkeys(part.partition("=")[2] for part in query.split("&") if "=" in part)
    sent |= dict.fromkeys(_sent(request.get("body")))
    headers = request.get("headers", {})
    values = (headers.get(name) for name in HEADERS)
    sent |= dict.fromkeys(value for value in values if isinstance(value, str))
    return tuple(text for text in sent if _fits(text))


def _sent(value: Any) -> Iterator[str]:
    stack: list[tuple[str, Any]] = [("", value)]
    while stack:
        name, node = stack.pop()
        if isinstance(node, dict):
            items: Iterable[tuple[str, Any]] = node.items()
            # A history's items are compared as a whole; a reference is only an id.
            if "type" in node and node["type"] != "item_reference" and "id" in node:
                items = [(key, item) for key, item in items if key != "id"]
            stack += reversed([(key, item) for key, item in items if key != "tool_calls"])
        elif isinstance(node, list):
            stack += [(name, item) for item in reversed(node)]
        elif isinstance(node, str) and name not in _OF_TOOL_CALLS and is_id_name(name):
            yield node


class KnownIds:
    """The ids a session was given, each with its source."""

    def __init__(self) -> None:
        self._origins: dict[str, IdSource] = {}

    def __len__(self) -> int:
        return len(self._origins)

    def __contains__(self, text: str) -> bool:
        return text in self._origins

    def learn(self, ids: Sequence[AnswerId], recording: str) -> None:
        """Take the ids of an answer that was given; `recording` is its KEY12[.TAKE]."""
        for number, answer_id in enumerate(ids):
            if answer_id.claim == "repeated":
                continue
            if answer_id.claim == "named" and answer_id.text in self._origins:
                continue
            self._origins.pop(answer_id.text, None)
            self._origins[answer_id.text] = IdSource(
                f"{recording}#{number}", answer_id.claim == "created"
            )
        while len(self._origins) > _MAX_GIVEN:
            del self._origins[next(iter(self._origins))]

    def clear(self) -> None:
        """Forget all ids, for a session that starts over."""
        self._origins.clear()

    def origins(self, sent: Iterable[str]) -> dict[str, IdSource]:
        """The sources of those ids that are known."""
        return {text: self._origins[text] for text in sent if text in self._origins}


def stamp(request: Document, known: KnownIds) -> Document:
    """Add `ids` to a `request` part: the tokens of the ids that it sends back, if there are any."""
    if not len(known):
        return request
    tokens = {text: origin.token for text, origin in known.origins(sent_ids(request)).items()}
    return {**request, "ids": tokens} if tokens else request
